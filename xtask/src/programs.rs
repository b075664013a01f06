//! Builds the programs of `tests/guest`: static ones for Linux on the guest's machine, with std from
//! the compiler's own source and Debian's cross C library. The first build makes std, for a minute;
//! later ones take seconds.

use crate::machine::Arch;
use crate::progress::{self, Progress};
use crate::stop;
use crate::toolchain::Toolchain;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Rust's name of the target.
const fn target(arch: Arch) -> &'static str {
    match arch {
        Arch::S390x => "s390x-unknown-linux-gnu",
        Arch::Ppc64 => "powerpc64le-unknown-linux-gnu",
    }
}

/// The linker, a C compiler that knows where its C library is.
pub const fn linker(arch: Arch) -> &'static str {
    match arch {
        Arch::S390x => "s390x-linux-gnu-gcc",
        Arch::Ppc64 => "powerpc64le-linux-gnu-gcc",
    }
}

/// Whether that compiler finds the start-up code of its C library.
pub fn has_library(arch: Arch) -> bool {
    let output = Command::new(linker(arch)).arg("-print-file-name=crt1.o").stdin(Stdio::null()).output();
    // It answers with the bare name if there is none.
    output.is_ok_and(|output| output.stdout.starts_with(b"/"))
}

/// The test programs, one file with subcommands.
pub const NAME: &str = "guest-tests";

/// The scenes that one plays by hand.
pub const DEMO: &str = "demo";

/// What `guest-tests` runs that is written in C, for the C library.
const IN_C: &str = "c-tests";

/// All programs, by the path of the first: their names and paths.
pub fn all(tests: &Path) -> [(&'static str, PathBuf); 3] {
    let path = |name| (name, tests.with_file_name(name));
    [path(NAME), path(DEMO), path(IN_C)]
}

/// Whether a command line names one of them.
pub fn are_named_in(command: &str) -> bool {
    command.contains(NAME) || command.contains(DEMO)
}

/// Builds them and gives the path of `guest-tests`.
pub fn build(arch: Arch, toolchain: &Toolchain, progress: &Progress) -> anyhow::Result<PathBuf> {
    let task = progress.start(&format!("building the {} test programs", arch.name()));
    // A folder for each machine, so that the two can be built at the same time.
    let folder = crate::kernel::root().join("target/guest").join(arch.name());
    let mut cargo = toolchain.command("cargo");
    cargo.current_dir(crate::kernel::root().join("tests/guest"));
    cargo.args(["build", "--release", "--color", "never", "--target", target(arch), "--target-dir"]);
    let output = progress::run(cargo.arg(&folder), &task)?;
    if !output.success {
        progress.note(&output.text);
        return Err(stop::with(
            stop::FAILED,
            format!("the {} test programs do not build (linker: {})", arch.name(), linker(arch)),
        ));
    }
    if task.elapsed().as_secs() >= 2 {
        progress.note(&format!(
            "built the {} test programs in {:.1} s",
            arch.name(),
            task.elapsed().as_secs_f64()
        ));
    }
    let path = folder.join(target(arch)).join("release").join(NAME);
    compile(arch, &path.with_file_name(IN_C), progress)?;
    Ok(path)
}

/// Compiles the one in C. It takes a second: no need to ask whether it is necessary.
fn compile(arch: Arch, to: &Path, progress: &Progress) -> anyhow::Result<()> {
    let task = progress.start(&format!("compiling {IN_C} for {}", arch.name()));
    let mut compiler = Command::new(linker(arch));
    compiler.args([
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-static",
        "-pthread",
        "-fasynchronous-unwind-tables",
    ]);
    compiler.arg("-o").arg(to).arg(crate::kernel::root().join("tests/guest/c/tests.c"));
    let output = progress::run(compiler.stdin(Stdio::null()), &task)?;
    if !output.success {
        progress.note(&output.text);
        return Err(stop::with(stop::FAILED, format!("{} does not compile {IN_C}", linker(arch))));
    }
    Ok(())
}
