//! The log on the real console.

use crate::ktest::{Case, Outcome, Suite, Test};
use crate::{check, log};

/// The suite.
pub const SUITE: Suite = Suite { name: "log", tests: &[Test::new("long_lines", long_lines)] };

/// A line longer than every buffer on its way arrives whole; the runner on the host counts it.
fn long_lines(_case: &mut Case<'_>) -> Outcome {
    let before = crate::arch::current::timer::now();
    log::raw(format_args!("# log: {:=^1000}\n", " 1000 characters wide "));
    check!(crate::arch::current::timer::now() >= before, "the clock went back");
    Ok(())
}
