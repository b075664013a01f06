//! Tests that need the machine, run in the guest: a small KUnit.
//!
//! A file of tests is a module here with a `pub const SUITE: Suite`, and one line in
//! [`suites::ALL`]. A test is a function that gets a [`Case`] and returns an [`Outcome`]; the
//! `check!` macros return early from it, so a failed test fails alone. What panics is a bug of the
//! kernel and ends the run. Registration by linker section was rejected: a list one can read is one
//! line of work, and cannot be lost by a linker.
//!
//! Results are KTAP version 1 on the console.

pub mod crash;
mod filter;
mod outcome;
pub mod programs;
mod runner;
pub mod suites;
pub mod torture;

pub use filter::Filter;
pub use outcome::{Outcome, Stop, failed};
pub use runner::{Sink, Totals, Watch, list, run};

use crate::sync::MaySleep;

/// Tests of one subject.
#[derive(Clone, Copy)]
pub struct Suite {
    /// The subject: `[a-z0-9_]+`.
    pub name: &'static str,
    /// In the order in which they run.
    pub tests: &'static [Test],
}

/// One test.
#[derive(Clone, Copy)]
pub struct Test {
    name: &'static str,
    run: fn(&mut Case<'_>) -> Outcome,
    min_cpus: usize,
    only_by_name: bool,
}

impl Test {
    /// A test of that name, `[a-z0-9_]+`.
    pub const fn new(name: &'static str, run: fn(&mut Case<'_>) -> Outcome) -> Self {
        Self { name, run, min_cpus: 1, only_by_name: false }
    }

    /// It is skipped where fewer CPUs are online.
    pub const fn min_cpus(mut self, cpus: usize) -> Self {
        self.min_cpus = cpus;
        self
    }

    /// It runs only if the filter is its full name: tests of the runner itself, which fail.
    pub const fn only_by_name(mut self) -> Self {
        self.only_by_name = true;
        self
    }
}

/// What a test is given.
#[derive(Debug)]
pub struct Case<'a> {
    /// CPUs online.
    pub cpus: usize,
    /// The right to sleep.
    pub ctx: &'a mut MaySleep,
}

/// Fails the test unless the condition holds; further arguments are a message.
#[macro_export]
macro_rules! check {
    ($condition:expr $(,)?) => {
        $crate::check!($condition, "{}", stringify!($condition))
    };
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::ktest::failed(format_args!($($message)+)));
        }
    };
}

/// Fails the test unless the two are equal, and shows both; a third argument says what it means.
#[macro_export]
macro_rules! check_eq {
    ($left:expr, $right:expr $(,)?) => {
        $crate::check_eq!($left, $right, "{}", concat!(stringify!($left), " == ", stringify!($right)))
    };
    ($left:expr, $right:expr, $($message:tt)+) => {{
        let (left, right) = (&$left, &$right);
        $crate::check!(*left == *right, "{}: {:?}, wanted {:?}", format_args!($($message)+), left, right);
    }};
}

/// Ends the test, as skipped.
#[macro_export]
macro_rules! skip {
    ($reason:expr) => {
        return Err($crate::ktest::Stop::Skipped($reason))
    };
}

#[cfg(test)]
mod tests;
