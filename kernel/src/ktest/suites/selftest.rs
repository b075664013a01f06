//! Tests that do not pass, run by name only: they show that the runner's verdicts are earned.

use crate::check_eq;
use crate::ktest::{Case, Outcome, Suite, Test};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "selftest",
    tests: &[
        Test::new("fail", fail).only_by_name(),
        Test::new("panic", panic).only_by_name(),
        Test::new("skip", skip).only_by_name(),
    ],
};

fn fail(case: &mut Case<'_>) -> Outcome {
    check_eq!(case.cpus, 0);
    Ok(())
}

fn panic(_case: &mut Case<'_>) -> Outcome {
    panic!("a test that panics");
}

fn skip(_case: &mut Case<'_>) -> Outcome {
    crate::skip!("it says so");
}
