//! Reads KTAP, the kernel's test protocol, out of a console log.
//!
//! The totals line is the guest's own verdict; it is believed only if the results that were seen
//! add up to it and every plan was kept. A log that ends early therefore never passes.

/// What became of one test.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// `ok`
    Pass,
    /// `not ok`
    Fail,
    /// `ok ... # SKIP`
    Skip,
}

/// One test, not a suite of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Test {
    /// `suite.test`.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Tests that passed, failed, were skipped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Skipped.
    pub skip: usize,
}

/// A log's results.
#[derive(Debug, Default)]
pub struct Report {
    /// The tests, in order.
    pub tests: Vec<Test>,
    /// What the guest says of them.
    pub totals: Option<Totals>,
    /// Why the log cannot be believed.
    pub problems: Vec<String>,
}

impl Report {
    /// What was seen, whatever the guest says.
    pub fn counted(&self) -> Totals {
        let count = |outcome| self.tests.iter().filter(|test| test.outcome == outcome).count();
        Totals { pass: count(Outcome::Pass), fail: count(Outcome::Fail), skip: count(Outcome::Skip) }
    }

    /// Everything ran, something passed, nothing failed.
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.totals.is_some_and(|totals| totals.fail == 0 && totals.pass > 0)
    }
}

/// A suite that has begun and whose result line has not come.
struct Open {
    indent: usize,
    name: Option<String>,
    plan: Option<usize>,
    seen: usize,
}

/// Reads the log's lines. Lines that are no KTAP (the kernel's log) may stand between.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Report {
    let mut report = Report::default();
    let mut open: Vec<Open> = Vec::new();
    for line in lines {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.starts_with("KTAP version") {
            while open.last().is_some_and(|suite| suite.indent >= indent) {
                close(&mut open, &mut report);
            }
            open.push(Open { indent, name: None, plan: None, seen: 0 });
        } else if let Some(rest) = text.strip_prefix("# Totals:") {
            report.totals = totals(rest);
            if report.totals.is_none() {
                report.problems.push(format!("unreadable totals: {text}"));
            }
        } else if let Some(suite) = open.last_mut().filter(|suite| suite.indent == indent)
            && let Some(name) = text.strip_prefix("# Subtest: ")
        {
            suite.name = Some(name.to_owned());
        } else if let Some(suite) = open.last_mut().filter(|suite| suite.indent == indent)
            && let Some(number) = text.strip_prefix("1..")
        {
            suite.plan = number.trim().parse().ok();
        } else if let Some((outcome, name)) = result(text) {
            // A result further out than the innermost suite is that suite's own.
            let mut was_suite = false;
            while open.last().is_some_and(|suite| suite.indent > indent) {
                close(&mut open, &mut report);
                was_suite = true;
            }
            let Some(suite) = open.last_mut() else {
                report.problems.push(format!("a result outside of any suite: {text}"));
                continue;
            };
            suite.seen += 1;
            if !was_suite {
                let mut path: Vec<&str> = open.iter().filter_map(|suite| suite.name.as_deref()).collect();
                path.push(name);
                report.tests.push(Test { name: path.join("."), outcome });
            }
        }
    }
    while !open.is_empty() {
        close(&mut open, &mut report);
    }
    match report.totals {
        None => report.problems.push("no totals: the tests did not come to their end".into()),
        Some(totals) if totals != report.counted() => {
            let seen = report.counted();
            report.problems.push(format!("the totals say {totals:?}, the log has {seen:?}"));
        }
        Some(_) => {}
    }
    report
}

fn close(open: &mut Vec<Open>, report: &mut Report) {
    let Some(suite) = open.pop() else { return };
    let name = suite.name.as_deref().unwrap_or("the outermost suite");
    match suite.plan {
        Some(plan) if plan != suite.seen => {
            report.problems.push(format!("{name}: {} of {plan} results", suite.seen));
        }
        Some(_) => {}
        None => report.problems.push(format!("{name}: no plan")),
    }
}

/// `ok 1 name`, `not ok 2 - name`, `ok 3 name # SKIP why`.
fn result(text: &str) -> Option<(Outcome, &str)> {
    let (fine, rest) = match text.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, text.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ')?;
    number.parse::<usize>().ok()?;
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let (name, directive) = rest.split_once(" # ").unwrap_or((rest, ""));
    let outcome = match (fine, directive.starts_with("SKIP")) {
        (true, true) => Outcome::Skip,
        (true, false) => Outcome::Pass,
        (false, _) => Outcome::Fail,
    };
    Some((outcome, name.trim()))
}

/// ` pass:1 fail:0 skip:2`, in any order, more words allowed.
fn totals(text: &str) -> Option<Totals> {
    let value = |key: &str| {
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix(':'));
        word?.parse().ok()
    };
    Some(Totals { pass: value("pass")?, fail: value("fail")?, skip: value("skip")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
[    0.1] ktest: 3 tests
KTAP version 1
1..2
    KTAP version 1
    # Subtest: spin
    1..2
    ok 1 two_cpus
[    0.2] spin: a log line between
    ok 2 timeout # SKIP needs 2 CPUs
# spin: pass:1 fail:0 skip:1
ok 1 spin
    KTAP version 1
    # Subtest: mm
    1..1
    ok 1 frames
ok 2 mm
# Totals: pass:2 fail:0 skip:1
fallow: exit status 0";

    fn read(text: &str) -> Report {
        parse(text.lines())
    }

    #[test]
    fn a_good_log_passes() {
        let report = read(GOOD);
        assert_eq!(report.problems, [""; 0]);
        let names: Vec<&str> = report.tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["spin.two_cpus", "spin.timeout", "mm.frames"]);
        assert_eq!(report.counted(), Totals { pass: 2, fail: 0, skip: 1 });
        assert!(report.passed());
    }

    #[test]
    fn a_log_that_ends_early_never_passes() {
        let lines: Vec<&str> = GOOD.lines().collect();
        for end in 0..lines.len() - 2 {
            let report = read(&lines[..=end].join("\n"));
            assert!(!report.passed(), "passed after line {}: {}", end, lines[end]);
            assert!(!report.problems.is_empty());
        }
    }

    #[test]
    fn each_missing_result_is_seen() {
        for line in ["    ok 1 two_cpus\n", "    ok 2 timeout # SKIP needs 2 CPUs\n", "    ok 1 frames\n"] {
            let report = read(&GOOD.replacen(line, "", 1));
            assert!(!report.passed() && !report.problems.is_empty(), "without {line}");
        }
    }

    #[test]
    fn totals_must_agree_with_what_was_seen() {
        let lied = GOOD.replace("    ok 1 frames", "    not ok 1 frames");
        assert!(!read(&lied).passed());
        let honest = lied.replace("pass:2 fail:0", "pass:1 fail:1");
        let report = read(&honest);
        assert_eq!(report.problems, [""; 0]);
        assert_eq!(report.counted().fail, 1);
        assert!(!report.passed());
    }

    #[test]
    fn nothing_run_is_not_passed() {
        let report = read("KTAP version 1\n1..0\n# Totals: pass:0 fail:0 skip:0\n");
        assert!(report.problems.is_empty() && !report.passed());
        assert!(!read("").passed());
    }
}
