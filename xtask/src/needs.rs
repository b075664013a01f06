//! What must be there before anything can be built or booted: looks, says what was found and what
//! is wanted, and has `run-qemu.sh setup` install what is missing.

use crate::kernel;
use crate::machine::Arch;
use crate::programs;
use crate::progress::Progress;
use crate::qemu::{self, Qemu, Version};
use crate::stop;
use crate::toolchain::{self, Toolchain};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the needs are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Booting that machine.
    Boot(Arch),
    /// The whole test suite, or a look at everything.
    All,
}

/// One thing that must be there.
#[derive(Debug)]
pub struct Need {
    /// What it is.
    name: String,
    /// What would do.
    wanted: String,
    /// What is there, or why it will not do.
    found: Result<String, String>,
    /// Wanted for that machine only.
    arch: Option<Arch>,
    /// Wanted for tests only.
    tests: bool,
    /// Whether Debian's packages could help: not if the user named a folder, or has another
    /// version that he must have wanted.
    installable: bool,
}

impl Need {
    fn concerns(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::All => true,
            Purpose::Boot(arch) => !self.tests && self.arch.is_none_or(|own| own == arch),
        }
    }

    fn line(&self) -> String {
        let (mark, text) = match &self.found {
            Ok(text) => ("found  ", text),
            Err(text) => ("MISSING", text),
        };
        format!("{mark} {:<13} {text}; wanted: {}", self.name, self.wanted)
    }
}

/// The full path of a program.
pub fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| {
        file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
    })
}

/// Looks at everything.
fn look(folder: Option<&Path>) -> Vec<Need> {
    let toolchain = Toolchain::find();
    let compiler = match &toolchain {
        Ok(toolchain) => Ok(format!("{} {}", toolchain.folder().join("rustc").display(), toolchain.version)),
        Err(error) => Err(error.to_string()),
    };
    let companion = |program: &str| match &toolchain {
        Ok(toolchain) => toolchain
            .program(program)
            .map(|path| path.display().to_string())
            .ok_or_else(|| format!("none in {}", toolchain.folder().display())),
        Err(_) => Err("no compiler".into()),
    };
    let need = |name: &str, wanted: String, found| Need {
        name: name.into(),
        wanted,
        found,
        arch: None,
        tests: false,
        installable: true,
    };
    let mut needs = vec![
        need("C compiler", "any".into(), version_of("cc")),
        need("Rust", format!("{} or newer with rust-src", toolchain::OLDEST), compiler),
        Need { tests: true, ..need("clippy", "the compiler's own".into(), companion("cargo-clippy")) },
        Need { tests: true, ..need("rustfmt", "the compiler's own".into(), companion("cargo-fmt")) },
    ];
    let script = "import psutil; print('psutil', psutil.__version__)";
    let psutil = version_by("/usr/bin/python3", &["-c", script]);
    needs.push(Need { tests: true, ..need("psutil", "Debian's, for Python 3".into(), psutil) });
    let smem = in_path("smem").map(|path| path.display().to_string()).ok_or("smem is not installed".into());
    needs.push(Need { tests: true, ..need("smem", "any".into(), smem) });
    for arch in Arch::ALL {
        let linker = version_of(arch.linker());
        let name = format!("{} linker", arch.name());
        needs.push(Need { arch: Some(arch), ..need(&name, "any".into(), linker) });
        let compiler = programs::linker(arch);
        let found = version_of(compiler).and_then(|text| match programs::has_library(arch) {
            true => Ok(text),
            false => Err(format!("{compiler} has no C library")),
        });
        let name = format!("{} C", arch.name());
        let need_compiler = need(&name, "with its C library".into(), found);
        needs.push(Need { arch: Some(arch), tests: true, ..need_compiler });
        let name = format!("{} QEMU", arch.name());
        let qemu = Qemu::find(arch, folder);
        let installable = folder.is_none() && in_path(arch.qemu()).is_none();
        let found = match qemu {
            Ok(qemu) => Ok(format!("{} {}", qemu.path().display(), qemu.version)),
            Err(error) => Err(error.to_string()),
        };
        let wanted = format!("{} or newer", qemu::OLDEST);
        needs.push(Need { arch: Some(arch), installable, ..need(&name, wanted, found) });
    }
    needs
}

fn version_of(name: &str) -> Result<String, String> {
    let path = in_path(name).ok_or_else(|| format!("{name} is not installed"))?;
    version_by(&path.display().to_string(), &["--version"])
}

/// What a program says of its version, if it ends well.
fn version_by(path: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(path).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{path}: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{path}: {}", complaint.lines().last().unwrap_or("it fails")));
    }
    let version = Version::find(&String::from_utf8_lossy(&output.stdout));
    let version = version.map_or_else(|| "of unknown version".into(), |version| version.to_string());
    Ok(format!("{path} {version}"))
}

/// Says what is there and what is missing; the status is 0 if nothing is.
pub fn doctor(folder: Option<&Path>) -> anyhow::Result<u8> {
    let needs = look(folder);
    needs.iter().for_each(|need| println!("{}", need.line()));
    let missing = needs.iter().filter(|need| need.found.is_err()).count();
    if missing == 0 {
        println!("all there: ./run-qemu.sh [s390x|ppc64] boots, ./run-qemu.sh test runs the tests");
        return Ok(stop::PASS);
    }
    println!("{missing} missing; Debian's packages for all of it: apt-get install {}", packages());
    Ok(stop::USAGE)
}

/// Makes sure that everything for this purpose is there; installs what is not, if that is possible.
pub fn provide(purpose: Purpose, folder: Option<&Path>, progress: &Progress) -> anyhow::Result<()> {
    let mut needs = look(folder);
    let lacking = |needs: &[Need]| needs.iter().any(|need| need.concerns(purpose) && need.found.is_err());
    if lacking(&needs) {
        for need in needs.iter().filter(|need| need.concerns(purpose)) {
            progress.note(&need.line());
        }
        refuse_unless(&needs, |need| need.installable || !need.concerns(purpose))?;
        let script = kernel::root().join("run-qemu.sh");
        let status = Command::new(script).arg("setup").status()?;
        if !status.success() {
            // It has said why.
            return Err(stop::usage(""));
        }
        needs = look(folder);
        refuse_unless(&needs, |need| need.found.is_ok() || !need.concerns(purpose))?;
    }
    for need in needs.iter().filter(|need| need.concerns(purpose)) {
        progress.note(&need.line());
    }
    Ok(())
}

/// Ends with one line about the first need that is missing and does not satisfy the condition.
fn refuse_unless(needs: &[Need], fine: impl Fn(&Need) -> bool) -> anyhow::Result<()> {
    for need in needs {
        if let Err(why) = &need.found
            && !fine(need)
        {
            return Err(stop::usage(format!("{}: {why}", need.name)));
        }
    }
    Ok(())
}

fn packages() -> String {
    let list = include_str!("../debian-packages");
    let names: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_list_is_names_only() {
        let names = packages();
        assert!(names.contains("rustc-web") && names.contains("qemu-system-ppc"));
        assert!(names.bytes().all(|byte| byte.is_ascii_lowercase() || b" -+.0123456789".contains(&byte)));
    }

    #[test]
    fn a_program_is_found_or_not() {
        assert!(in_path("sh").is_some());
        assert_eq!(in_path("no-such-program-anywhere"), None);
    }

    #[test]
    fn a_boot_does_not_ask_for_the_other_machines_tools() {
        let needs = look(None);
        let names = |purpose| -> Vec<&str> {
            needs.iter().filter(|need| need.concerns(purpose)).map(|need| need.name.as_str()).collect()
        };
        assert_eq!(names(Purpose::Boot(Arch::S390x)), ["C compiler", "Rust", "s390x linker", "s390x QEMU"]);
        assert_eq!(names(Purpose::All).len(), 12);
    }
}
