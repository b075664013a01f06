//! What the kernel tells of its page tables.

use std::fs;
use std::io;

const CHOICES: &str = "/sys/kernel/mm/pgtable/";
const DEBUG: &str = "/sys/kernel/debug/pgtable/";

/// The word in brackets: `immediate ipi [rcu]`.
pub fn choice(name: &str) -> io::Result<String> {
    let text = fs::read_to_string(format!("{CHOICES}{name}")).map_err(|error| {
        io::Error::other(format!("{CHOICES}{name}: {error}; this kernel has no choice of page tables"))
    })?;
    let word = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    Ok(word.map_or_else(|| text.trim().to_owned(), |(word, _)| word.to_owned()))
}

/// Writes to one of the files below `/sys/kernel/debug/pgtable`.
pub fn tell(name: &str, text: &str) -> io::Result<()> {
    fs::write(format!("{DEBUG}{name}"), text)
        .map_err(|error| io::Error::other(format!("{DEBUG}{name}: {error}")))
}

/// Reads one of them.
pub fn ask(name: &str) -> io::Result<String> {
    fs::read_to_string(format!("{DEBUG}{name}"))
        .map_err(|error| io::Error::other(format!("{DEBUG}{name}: {error}")))
}

/// The counts of `/sys/kernel/debug/pgtable/stats`.
#[derive(Clone, Debug)]
pub struct Stats(Vec<(String, u64)>);

impl Stats {
    /// As they are now.
    pub fn now() -> io::Result<Self> {
        let text = ask("stats")?;
        let pair = |line: &str| {
            let (name, value) = line.split_once(char::is_whitespace)?;
            Some((name.trim_end_matches(':').to_owned(), value.split_whitespace().next()?.parse().ok()?))
        };
        Ok(Self(text.lines().filter_map(pair).collect()))
    }

    /// The count of that name; 0 if there is none.
    pub fn get(&self, name: &str) -> u64 {
        self.0.iter().find(|(found, _)| found == name).map_or(0, |(_, value)| *value)
    }

    /// How much more than in `before`.
    pub fn since(&self, before: &Self, name: &str) -> u64 {
        self.get(name).saturating_sub(before.get(name))
    }
}

/// The number of a line of `/proc/PID/status`, in kB or as it is.
pub fn status(pid: u32, name: &str) -> io::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let number = value.and_then(|value| value.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}
