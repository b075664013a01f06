//! A program in C, with Debian's C library: what it expects beyond single calls (`tests/guest/c`).

use crate::harness::{Failure, Outcome};
use crate::{check, tests};
use std::process::Command;

tests![threads, cancellation, unwinding, jumps, library, processes];

const PROGRAM: &str = "/bin/c-tests";

fn run(name: &str) -> Outcome {
    if !std::path::Path::new(PROGRAM).exists() {
        return Err(Failure::Skipped(format!("no {PROGRAM}")));
    }
    let output = Command::new(PROGRAM).arg(name).output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    check!(output.status.success(), "{}: {said}", output.status);
    Ok(())
}

fn threads() -> Outcome {
    run("threads")
}

fn cancellation() -> Outcome {
    run("cancellation")
}

fn unwinding() -> Outcome {
    run("unwinding")
}

fn jumps() -> Outcome {
    run("jumps")
}

fn library() -> Outcome {
    run("library")
}

fn processes() -> Outcome {
    run("processes")
}
