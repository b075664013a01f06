//! Who may import whom: downwards only. Reads the sources as text, so that a module that the host
//! does not compile is checked as well.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers from the top down. A file may name modules of its own layer and of those below.
/// The first prefix that a file's path (below `src`, without `.rs`) begins with is its layer.
const LAYERS: &[(&str, &[&str])] = &[
    ("composition", &["main", "kernel", "lib", "ktest", "panic", "exit"]),
    ("system calls", &["syscall"]),
    // Each uses the other: a process has files, and /proc shows processes.
    ("files and processes", &["fs", "proc/process", "proc/elf"]),
    ("threads", &["proc"]),
    ("the console", &["console", "log"]),
    ("memory", &["mm"]),
    ("rcu", &["rcu"]),
    ("events", &["trace"]),
    ("locks", &["sync"]),
    ("machine", &["arch", "boot"]),
    ("values", &["addr", "error", "cmdline", "cpus", "symbols"]),
];

/// What may be named although it lies above, and why. Each is a pure value or a table of hooks.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("addr", "arch/PAGE_", "a frame's size is the machine's"),
    ("syscall/misc", "exit", "reboot(2) is the end of a run"),
    ("cpus", "arch/MAX_CPUS", "so is the number of CPUs"),
    ("arch/hosted", "sync/context", "a test's thread begins anywhere: it gets a context by itself"),
];

fn layer(module: &str) -> Option<usize> {
    let named = |prefix: &&str| {
        module == prefix.trim_end_matches('/')
            || module.starts_with(&format!("{}/", prefix.trim_end_matches('/')))
    };
    LAYERS.iter().position(|(_, prefixes)| prefixes.iter().any(named))
}

#[expect(clippy::expect_used, reason = "a test")]
fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The modules that `text` names by `crate::` (or by `fallow::`, in the binary), comments aside.
fn named(text: &str) -> Vec<String> {
    let mut modules = vec![];
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        for root in ["crate::", "fallow::"] {
            for (at, _) in line.match_indices(root) {
                let path: String = line[at + root.len()..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || "_:".contains(*c))
                    .collect();
                modules.push(path.replace("::", "/"));
            }
        }
    }
    modules
}

#[test]
fn imports_go_downwards_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    let mut wrong = vec![];
    let mut checked = 0;
    for file in &files {
        let module = file.strip_prefix(&root).expect("below src").with_extension("").display().to_string();
        let own = layer(&module).unwrap_or_else(|| panic!("{module} belongs to no layer: add it to LAYERS"));
        let text = fs::read_to_string(file).expect("a source");
        // Tests may look wherever they like.
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for used in named(code) {
            let Some(other) = layer(&used) else { continue };
            checked += 1;
            let excepted =
                EXCEPTIONS.iter().any(|(from, to, _)| module.starts_with(from) && used.starts_with(to));
            if other < own && !excepted {
                wrong.push(format!("{module} ({}) names {used} ({})", LAYERS[own].0, LAYERS[other].0));
            }
        }
    }
    assert!(checked > 10, "only {checked} imports found: does the test still read the sources?");
    assert!(wrong.is_empty(), "upwards:\n{}", wrong.join("\n"));
}

/// `cfg(target_..)` belongs to `arch/mod.rs`; the crate roots may ask whether there is an OS below.
#[test]
fn only_the_machine_list_looks_at_the_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![];
    sources(&root, &mut files);
    let allowed = ["arch/mod.rs", "lib.rs", "main.rs"];
    for file in files {
        let name = file.strip_prefix(&root).expect("below src").display().to_string();
        let text = fs::read_to_string(&file).expect("a source");
        let found = text.lines().any(|l| {
            !l.trim_start().starts_with("//") && (l.contains("target_arch") || l.contains("target_os"))
        });
        assert!(!found || allowed.contains(&name.as_str()), "{name} looks at the target");
        assert!(name == "arch/mod.rs" || !text.contains("target_arch"), "{name} looks at target_arch");
    }
}
