//! Whether a guest did what it was asked to: a pure function of how QEMU ended and of what the
//! console said. Both must agree; either alone can lie (a panic that powers off, a log cut short).

use crate::ktap::Report;
use crate::stop;

/// How QEMU ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By itself, with that status.
    Exited(i32),
    /// By a signal that the runner did not send.
    Crashed(i32),
    /// The runner ended it: no output for that many seconds.
    Silent(u64),
}

/// What is known of a run.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// How QEMU ended.
    pub end: End,
    /// Whether QEMU's status tells a panic on this machine and version.
    pub has_status: bool,
    /// The number in the guest's last line.
    pub exit_status: Option<i32>,
    /// The panic message.
    pub panic: Option<&'a str>,
    /// The tests, if there should have been any.
    pub tests: Option<&'a Report>,
    /// Whether the guest printed anything at all.
    pub spoke: bool,
}

/// The runner's exit status, and why it is not 0, in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// See [`crate::stop`].
    pub status: u8,
    /// Empty if passed.
    pub reason: String,
}

/// Judges a run.
pub fn judge(facts: &Facts<'_>) -> Verdict {
    let verdict = |status, reason: String| Verdict { status, reason };
    let qemu_failed = match facts.end {
        // Said first: a panic that then hangs is a panic, but one that nobody could see in the
        // machine's status, so it is not taken for one that ended well.
        End::Silent(seconds) => {
            let what = match (facts.panic, facts.exit_status) {
                (Some(message), _) => format!("the kernel panicked ({message}) and then"),
                (None, Some(_)) => "the guest said its last line, but the machine did not turn off:".into(),
                (None, None) if !facts.spoke => "the guest never said a word:".into(),
                (None, None) => "no progress:".into(),
            };
            return verdict(stop::SILENT, format!("{what} no output for {seconds} s"));
        }
        End::Crashed(signal) => {
            return verdict(stop::FAILED, format!("QEMU itself was ended by signal {signal}"));
        }
        End::Exited(status) => status != 0,
    };
    if let Some(message) = facts.panic {
        let mut reason = format!("kernel panic: {message}");
        if facts.exit_status != Some(3) {
            reason.push_str(" (and no `exit status 3` as its last line)");
        } else if facts.has_status && !qemu_failed {
            reason.push_str(" (but the machine says that all is well)");
        }
        return verdict(stop::PANIC, reason);
    }
    match facts.exit_status {
        None if !facts.spoke && qemu_failed => {
            verdict(stop::USAGE, format!("QEMU did not start the guest ({:?})", facts.end))
        }
        None => verdict(
            stop::FAILED,
            format!("the machine ended without the guest's last line ({:?})", facts.end),
        ),
        Some(3) => verdict(stop::PANIC, "the guest says that it panicked".into()),
        Some(0) if qemu_failed => {
            verdict(stop::FAILED, format!("the guest says 0, the machine does not ({:?})", facts.end))
        }
        Some(0) => match facts.tests {
            None => verdict(stop::PASS, String::new()),
            Some(report) if report.passed() => verdict(stop::PASS, String::new()),
            Some(report) => verdict(stop::FAILED, failed_tests(report)),
        },
        Some(1) => match facts.tests {
            Some(report) => verdict(stop::FAILED, failed_tests(report)),
            None => verdict(stop::FAILED, "the guest's exit status is 1".into()),
        },
        Some(status) => verdict(
            u8::try_from(status).unwrap_or(stop::FAILED),
            format!("the guest's exit status is {status}"),
        ),
    }
}

fn failed_tests(report: &Report) -> String {
    let failed: Vec<&str> = report
        .tests
        .iter()
        .filter(|test| test.outcome == crate::ktap::Outcome::Fail)
        .map(|test| test.name.as_str())
        .collect();
    match (failed.as_slice(), report.problems.first()) {
        ([], Some(problem)) => problem.clone(),
        ([], None) => "no test ran".into(),
        (names, None) => format!("failed: {}", names.join(" ")),
        (names, Some(problem)) => format!("failed: {}; {problem}", names.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ktap;

    fn good() -> Report {
        ktap::parse("KTAP version 1\n1..1\nok 1 a\n# Totals: pass:1 fail:0 skip:0".lines())
    }

    fn facts() -> Facts<'static> {
        Facts {
            end: End::Exited(0),
            has_status: true,
            exit_status: Some(0),
            panic: None,
            tests: None,
            spoke: true,
        }
    }

    #[test]
    fn a_pass_needs_everything() {
        assert_eq!(judge(&facts()).status, stop::PASS);
        let report = good();
        assert_eq!(judge(&Facts { tests: Some(&report), ..facts() }).status, stop::PASS);
        // Take away any one thing.
        let none = ktap::parse([]);
        for broken in [
            Facts { tests: Some(&none), ..facts() },
            Facts { exit_status: None, ..facts() },
            Facts { exit_status: Some(1), ..facts() },
            Facts { exit_status: Some(1), tests: Some(&report), ..facts() },
            Facts { end: End::Exited(1), ..facts() },
            Facts { end: End::Crashed(6), ..facts() },
        ] {
            let verdict = judge(&broken);
            assert_eq!(verdict.status, stop::FAILED, "{broken:?}");
            assert!(!verdict.reason.is_empty() && !verdict.reason.contains('\n'));
        }
    }

    #[test]
    fn a_panic_is_3_whatever_the_machine_can_say() {
        let panic = Facts { panic: Some("boom"), exit_status: Some(3), ..facts() };
        let with_status = judge(&Facts { end: End::Exited(1), ..panic.clone() });
        assert_eq!(with_status, Verdict { status: stop::PANIC, reason: "kernel panic: boom".into() });
        let without = judge(&Facts { has_status: false, ..panic.clone() });
        assert_eq!(without, with_status);
        let disagrees = judge(&panic);
        assert_eq!(disagrees.status, stop::PANIC);
        assert!(disagrees.reason.contains("all is well"));
        let no_last_line = judge(&Facts { exit_status: None, end: End::Exited(1), ..panic });
        assert!(no_last_line.status == stop::PANIC && no_last_line.reason.contains("last line"));
    }

    #[test]
    fn silence_is_124_and_says_when() {
        for (case, part) in [
            (Facts { exit_status: None, ..facts() }, "no progress"),
            (Facts { exit_status: None, spoke: false, ..facts() }, "never said a word"),
            (facts(), "did not turn off"),
            (Facts { panic: Some("boom"), ..facts() }, "panicked (boom) and then"),
        ] {
            let verdict = judge(&Facts { end: End::Silent(9), ..case });
            assert_eq!(verdict.status, stop::SILENT);
            assert!(verdict.reason.contains(part) && verdict.reason.contains("9 s"), "{}", verdict.reason);
        }
    }

    #[test]
    fn qemu_that_does_not_start_is_no_failed_test() {
        let verdict = judge(&Facts { end: End::Exited(1), exit_status: None, spoke: false, ..facts() });
        assert_eq!(verdict.status, stop::USAGE);
    }
}
