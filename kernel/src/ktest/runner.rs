//! Runs suites and reports in KTAP version 1.
//!
//! The sink is a parameter, so that the host's tests read what the console would show.

use super::{Case, Filter, Stop, Suite, Test};
use core::fmt;

/// Where a line of results goes; it ends the line itself.
pub type Sink<'a> = &'a mut dyn FnMut(fmt::Arguments<'_>);

/// How many tests ended how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Skipped, for lack of what they need.
    pub skip: usize,
}

impl Totals {
    /// All of them.
    pub fn total(&self) -> usize {
        self.pass + self.fail + self.skip
    }

    fn add(&mut self, other: Self) {
        self.pass += other.pass;
        self.fail += other.fail;
        self.skip += other.skip;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pass:{} fail:{} skip:{}", self.pass, self.fail, self.skip)
    }
}

/// What is looked at around each test.
pub trait Watch {
    /// Before a test.
    fn before(&mut self, case: &mut Case<'_>);
    /// After a test that passed: an error fails it.
    fn after(&mut self, case: &mut Case<'_>) -> super::Outcome;
}

/// The suites with a test that the filter takes, with how many.
fn chosen<'a>(suites: &'a [Suite], filter: &Filter<'_>) -> impl Iterator<Item = (&'a Suite, usize)> {
    suites.iter().filter_map(move |suite| {
        let tests = suite.tests.iter().filter(|test| filter.takes(suite, test)).count();
        (tests > 0).then_some((suite, tests))
    })
}

/// Names the tests that the filter takes, one a line.
pub fn list(suites: &[Suite], filter: &Filter<'_>, out: Sink<'_>) {
    for suite in suites {
        for test in suite.tests.iter().filter(|test| filter.takes(suite, test)) {
            out(format_args!("{}.{}", suite.name, test.name));
        }
    }
}

/// Runs the tests that the filter takes.
pub fn run(
    suites: &[Suite],
    filter: &Filter<'_>,
    case: &mut Case<'_>,
    watch: &mut dyn Watch,
    out: Sink<'_>,
) -> Totals {
    out(format_args!("KTAP version 1"));
    out(format_args!("1..{}", chosen(suites, filter).count()));
    let mut all = Totals::default();
    for (number, (suite, tests)) in chosen(suites, filter).enumerate() {
        out(format_args!("    KTAP version 1"));
        out(format_args!("    # Subtest: {}", suite.name));
        out(format_args!("    1..{tests}"));
        let mut totals = Totals::default();
        for test in suite.tests.iter().filter(|test| filter.takes(suite, test)) {
            run_one(test, &mut totals, case, watch, out);
        }
        out(format_args!("# {}: {totals}", suite.name));
        let verdict = if totals.fail == 0 { "ok" } else { "not ok" };
        out(format_args!("{verdict} {} {}", number + 1, suite.name));
        all.add(totals);
    }
    out(format_args!("# Totals: {all}"));
    all
}

fn run_one(test: &Test, totals: &mut Totals, case: &mut Case<'_>, watch: &mut dyn Watch, out: Sink<'_>) {
    let number = totals.total() + 1;
    let name = test.name;
    if case.cpus < test.min_cpus {
        totals.skip += 1;
        out(format_args!("    ok {number} {name} # SKIP needs {} CPUs", test.min_cpus));
        return;
    }
    watch.before(case);
    match (test.run)(case).and_then(|()| watch.after(case)) {
        Ok(()) => {
            totals.pass += 1;
            out(format_args!("    ok {number} {name}"));
        }
        Err(Stop::Skipped(reason)) => {
            totals.skip += 1;
            out(format_args!("    ok {number} {name} # SKIP {reason}"));
        }
        Err(Stop::Failed { at, why }) => {
            totals.fail += 1;
            out(format_args!("    # {name}: {}:{}: {why}", at.file(), at.line()));
            out(format_args!("    not ok {number} {name}"));
        }
    }
}
