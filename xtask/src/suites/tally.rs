//! What a suite found out: counts, lines to show, the log.

use crate::kernel;
use std::path::PathBuf;

/// Lines of a log that are shown of a failure; the rest is in the file.
const TAIL: usize = 12;
/// Failures that are shown in full.
const SHOWN: usize = 5;

/// Counts and words.
#[derive(Default, Debug)]
pub struct Tally {
    /// Checks that passed.
    pub passed: usize,
    /// Checks that failed.
    pub failed: usize,
    /// Checks that could not run.
    pub skipped: usize,
    notes: Vec<String>,
    log: String,
}

impl Tally {
    /// A check passed.
    pub fn pass(&mut self) {
        self.passed += 1;
    }

    /// A check failed; shows why.
    pub fn fail(&mut self, name: &str, why: &str) {
        self.failed += 1;
        self.log(&format!("FAILED {name}: {why}"));
        if self.failed <= SHOWN {
            self.notes.push(format!("{name}: {why}"));
        }
    }

    /// Passes or fails.
    pub fn check(&mut self, name: &str, condition: bool, why: impl FnOnce() -> String) {
        if condition { self.pass() } else { self.fail(name, &why()) }
    }

    /// A line under the suite's own, whatever became of it.
    pub fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// Lines for the log.
    pub fn log(&mut self, text: &str) {
        self.log.push_str(text.trim_end());
        self.log.push('\n');
    }

    /// A check failed; shows why, and the end of the log so far.
    pub fn fail_with_log(&mut self, name: &str, why: &str) {
        let lines: Vec<&str> = self.log.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail: Vec<String> =
            lines[lines.len().saturating_sub(TAIL)..].iter().map(|line| format!("| {line}")).collect();
        self.fail(name, why);
        self.notes.extend(tail);
    }

    /// What to show under the suite's line.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Adds another suite's counts.
    pub fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// `3 passed, 1 skipped`: what is not 0.
    pub fn counts(&self) -> String {
        let parts = [(self.passed, "passed"), (self.failed, "failed"), (self.skipped, "skipped")];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if parts.is_empty() { "nothing ran".into() } else { parts.join(", ") }
    }

    /// The last line of a test run.
    pub fn closing_line(&self) -> String {
        let skipped = match self.skipped {
            0 => String::new(),
            count => format!(", {count} skipped"),
        };
        format!("{} passed, {} failed{skipped}", self.passed, self.failed)
    }

    /// Writes the log into `target/test/` and gives its path.
    pub fn write_log(&self, suite: &str) -> PathBuf {
        let folder = kernel::root().join("target/test");
        let name: String =
            suite.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
        let path = folder.join(format!("{name}.log"));
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, &self.log));
        if let Err(error) = written {
            eprintln!("{}: {error}", path.display());
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_is_what_ci_reads() {
        let mut total = Tally { passed: 3, ..Tally::default() };
        assert_eq!(total.closing_line(), "3 passed, 0 failed");
        total.add(&Tally { passed: 1, failed: 2, skipped: 4, ..Tally::default() });
        assert_eq!(total.closing_line(), "4 passed, 2 failed, 4 skipped");
    }

    #[test]
    fn a_failure_is_counted_shown_and_logged() {
        let mut tally = Tally::default();
        (0..20).for_each(|number| tally.log(&format!("line {number}")));
        tally.check("one", true, String::new);
        tally.fail_with_log("two", "it broke");
        assert_eq!(tally.counts(), "1 passed, 1 failed");
        assert_eq!(tally.notes()[0], "two: it broke");
        assert_eq!(tally.notes().len(), 1 + TAIL);
        assert_eq!(tally.notes().last().map(String::as_str), Some("| line 19"));
    }
}
