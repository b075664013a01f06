//! What needs no guest: formatting, lints, the workspace's own tests, the model checker; and the
//! builds.

use super::{Context, Suite, Tally};
use crate::kernel::{self, Profile};
use crate::machine::Arch;
use crate::progress::{self, Task};
use std::process::Command;

/// Fast, and wanted first.
pub fn before() -> Vec<Suite> {
    let mut all = vec![Suite::new("rustfmt", |context, task, tally| {
        let mut fmt = context.toolchain.command("cargo-fmt");
        fmt.args(["fmt", "--all", "--check"]);
        if let Some(path) = context.toolchain.program("rustfmt") {
            fmt.env("RUSTFMT", path);
        }
        tool(&mut fmt, task, tally)
    })];
    // In this order because cargo locks a folder for each profile: neighbours are of two.
    for (arch, profile) in [
        (Arch::S390x, Profile::Checked),
        (Arch::Ppc64, Profile::Release),
        (Arch::Ppc64, Profile::Checked),
        (Arch::S390x, Profile::Release),
    ] {
        let name = format!("build {} {}", arch.name(), profile.name());
        all.push(Suite::new(name, move |context, _, tally| {
            context.kernel(arch, profile)?;
            tally.pass();
            Ok(())
        }));
    }
    all
}

/// Lints and tests.
pub fn suites() -> Vec<Suite> {
    let host = Suite::new("clippy host", |context, task, tally| {
        let mut clippy = context.toolchain.command("cargo-clippy");
        clippy.args(["clippy", "--workspace", "--all-targets"]);
        lint(&mut clippy, task, tally)
    });
    let [s390x, ppc64] = Arch::ALL.map(|arch| {
        Suite::new(format!("clippy {}", arch.name()), move |context, task, tally| {
            let mut clippy = context.toolchain.command("cargo-clippy");
            clippy.args(["clippy", "--lib", "--bin", "fallow", "--profile", "checked"]);
            clippy.args(["--target", arch.target()]);
            clippy.current_dir(kernel::root().join("kernel")).env("RUSTC_BOOTSTRAP", "1");
            lint(&mut clippy, task, tally)
        })
    });
    // The order again keeps cargo's locks apart.
    vec![Suite::new("host tests", host_tests), Suite::new("loom", loom), s390x, host, ppc64]
}

/// A tool whose status is the answer.
fn tool(command: &mut Command, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    if command.get_current_dir().is_none() {
        command.current_dir(kernel::root());
    }
    tally.log(&format!("$ {command:?}"));
    let output = progress::run(command, task)?;
    tally.log(&output.text);
    if output.success {
        tally.pass();
    } else {
        tally.fail_with_log("the tool", "its exit status is not 0");
    }
    Ok(())
}

fn lint(clippy: &mut Command, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    clippy.args(["--color", "never", "--target-dir"]).arg(kernel::root().join("target"));
    clippy.args(["--", "-D", "warnings"]);
    tool(clippy, task, tally)
}

fn host_tests(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let mut cargo = context.toolchain.command("cargo");
    cargo.args(["test", "--workspace", "--no-fail-fast", "--color", "never"]);
    cargo.arg("--target-dir").arg(kernel::root().join("target"));
    if context.options.long {
        cargo.env("PROPTEST_CASES", "10000");
        cargo.args(["--", "--include-ignored"]);
    }
    count_tests(&mut cargo, task, tally)?;
    if context.options.long { misuse(context, task, tally) } else { Ok(()) }
}

/// The examples that must not compile once more, each for the reason that it states: a stable `rustdoc`
/// does not look at an error's number. In a folder of its own: crates look at the variable, too.
fn misuse(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let mut cargo = context.toolchain.command("cargo");
    cargo.args(["test", "--package", "fallow", "--doc", "--color", "never", "--target-dir"]);
    cargo.arg(kernel::root().join("target/misuse")).env("RUSTC_BOOTSTRAP", "1");
    count_tests(&mut cargo, task, tally)
}

/// The model checker's tests: every interleaving, so optimised, and in a folder of their own, since
/// the flag reaches every crate. Those in the library have `loom` in their path; its other tests use
/// what exists inside a model only.
fn loom(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    for which in [["--test", "loom_*"], ["--lib", "loom"]] {
        let mut cargo = context.toolchain.command("cargo");
        cargo.args(["test", "--package", "fallow", "--release", "--no-fail-fast", "--color", "never"]);
        cargo.arg("--target-dir").arg(kernel::root().join("target/loom"));
        cargo.args(which).env("RUSTFLAGS", "--cfg loom");
        count_tests(&mut cargo, task, tally)?;
    }
    Ok(())
}

/// Runs `cargo test` and counts what it says.
fn count_tests(cargo: &mut Command, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    cargo.current_dir(kernel::root());
    tally.log(&format!("$ {cargo:?}"));
    let output = progress::run(cargo, task)?;
    tally.log(&output.text);
    let before = tally.passed;
    let failed_before = tally.failed;
    for line in output.text.lines() {
        let words = line.strip_prefix("test result: ").and_then(|line| line.split_once(". "));
        if let Some((_, counts)) = words {
            tally.passed += number(counts, "passed");
            tally.failed += number(counts, "failed");
            tally.skipped += number(counts, "ignored");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            tally.note(format!("{name} FAILED"));
        }
    }
    if !output.success && tally.failed == failed_before {
        // It did not even build.
        tally.fail_with_log("cargo test", "its exit status is not 0");
    } else if tally.passed == before {
        tally.fail("cargo test", "no test ran");
    }
    Ok(())
}

/// The number before a word: `12 passed; 0 failed`.
fn number(counts: &str, word: &str) -> usize {
    let part = counts.split(';').find_map(|part| part.trim().strip_suffix(word));
    part.and_then(|digits| digits.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_counts_are_read() {
        let counts = "12 passed; 1 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.60s";
        assert_eq!(number(counts, "passed"), 12);
        assert_eq!(number(counts, "failed"), 1);
        assert_eq!(number(counts, "ignored"), 3);
        assert_eq!(number("garbage", "passed"), 0);
    }
}
