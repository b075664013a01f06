use super::runner::Watch;
use super::*;

fn pass(_: &mut Case<'_>) -> Outcome {
    Ok(())
}
fn fail(case: &mut Case<'_>) -> Outcome {
    check_eq!(case.cpus, 99);
    Ok(())
}
fn long(_: &mut Case<'_>) -> Outcome {
    check!(false, "{:x>300}", "");
    Ok(())
}
fn skipped(_: &mut Case<'_>) -> Outcome {
    skip!("no such device")
}

const SUITES: &[Suite] = &[
    Suite { name: "one", tests: &[Test::new("pass", pass), Test::new("fail", fail)] },
    Suite { name: "two", tests: &[Test::new("many", pass).min_cpus(4), Test::new("skipped", skipped)] },
    Suite { name: "self", tests: &[Test::new("long", long).only_by_name()] },
];

/// Finds that every second test leaks.
#[derive(Default)]
struct Leaks {
    tests: usize,
    leaky: bool,
}

impl Watch for Leaks {
    fn before(&mut self, _case: &mut Case<'_>) {
        self.tests += 1;
    }
    fn after(&mut self, _case: &mut Case<'_>) -> Outcome {
        check!(!self.leaky, "3 frames are gone");
        Ok(())
    }
}

fn output(pattern: &str, leaky: bool) -> (String, Totals) {
    let mut text = String::new();
    let filter = Filter::new(pattern.as_bytes());
    let mut watch = Leaks { tests: 0, leaky };
    // SAFETY: a thread of the host's tests; one token per run.
    let mut ctx = unsafe { MaySleep::mint() };
    let totals = run(SUITES, &filter, &mut Case { cpus: 2, ctx: &mut ctx }, &mut watch, &mut |line| {
        text += &format!("{line}\n");
    });
    (text, totals)
}

#[test]
fn ktap() {
    let (text, totals) = output("*", false);
    let line = text.lines().find(|line| line.contains("# fail:")).expect("the reason").to_owned();
    assert!(line.ends_with("case.cpus == 99: 2, wanted 99"), "{line}");
    assert!(line.starts_with("    # fail: ") && line.contains("tests.rs:"), "{line}");
    assert_eq!(
        text.replace(&line, "    # why"),
        "\
KTAP version 1
1..2
    KTAP version 1
    # Subtest: one
    1..2
    ok 1 pass
    # why
    not ok 2 fail
# one: pass:1 fail:1 skip:0
not ok 1 one
    KTAP version 1
    # Subtest: two
    1..2
    ok 1 many # SKIP needs 4 CPUs
    ok 2 skipped # SKIP no such device
# two: pass:0 fail:0 skip:2
ok 2 two
# Totals: pass:1 fail:1 skip:2
"
    );
    assert_eq!(totals, Totals { pass: 1, fail: 1, skip: 2 });
}

#[test]
fn a_leak_fails_the_test_that_passed() {
    let (text, totals) = output("one.pass", true);
    assert!(text.contains("3 frames are gone\n    not ok 1 pass\n"), "{text}");
    assert_eq!(totals, Totals { pass: 0, fail: 1, skip: 0 });
}

#[test]
fn tests_that_fail_run_by_name_only() {
    assert_eq!(output("self", false).1.total(), 0);
    assert_eq!(output("self.lon?", false).1.total(), 0);
    assert_eq!(output("nothing", false).0, "KTAP version 1\n1..0\n# Totals: pass:0 fail:0 skip:0\n");
    let (text, totals) = output("self.long", false);
    assert_eq!(totals.fail, 1);
    assert!(text.lines().all(|line| line.len() < 250), "a long reason is cut");
}

#[test]
fn listing() {
    let mut names = Vec::new();
    list(SUITES, &Filter::new(b"*.*a*"), &mut |line| names.push(line.to_string()));
    assert_eq!(names, ["one.pass", "one.fail", "two.many"]);
}

#[test]
fn names_are_plain_and_unique() {
    let plain = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let mut seen = std::collections::HashSet::new();
    for suite in suites::ALL {
        assert!(plain(suite.name), "{}", suite.name);
        for test in suite.tests {
            assert!(plain(test.name), "{}", test.name);
            assert!(seen.insert((suite.name, test.name)), "{}.{} twice", suite.name, test.name);
        }
    }
}
