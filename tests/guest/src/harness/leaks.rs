//! What a test has left in the kernel's memory, by /sys/kernel/debug/memory.
//!
//! Free memory is no measure: what each CPU keeps at hand differs from run to run. The kernel's own count
//! of what is in use, by owner, is exact. So a test that leaves one object behind each time has failed,
//! and is told which. A first run may leave something that stays (a table that grows, a page that this
//! program had not touched yet): only what every repetition leaves is lost.

use std::time::{Duration, Instant};

const FILE: &str = "/sys/kernel/debug/memory";

/// What is in use: names and numbers, in the kernel's order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Level(Vec<(String, u64)>);

impl Level {
    /// Once it stays the same for a moment; `None` on Linux, which has no such file.
    pub fn settled() -> Option<Self> {
        let mut last = Self::now()?;
        loop {
            std::thread::sleep(Duration::from_millis(5));
            let now = Self::now()?;
            if now == last {
                return Some(now);
            }
            last = now;
        }
    }

    fn now() -> Option<Self> {
        let text = std::fs::read_to_string(FILE).ok()?;
        let row = |line: &str| {
            let (name, number) = line.rsplit_once(": ")?;
            Some((name.into(), number.parse().ok()?))
        };
        Some(Self(text.lines().filter_map(row).collect()))
    }

    fn count(&self, name: &str) -> u64 {
        self.0.iter().find(|row| row.0 == name).map_or(0, |row| row.1)
    }

    /// What is more now than in `self`.
    fn more(&self, now: &Self) -> Vec<String> {
        let rows = now.0.iter().filter(|row| row.1 > self.count(&row.0));
        rows.map(|(name, count)| format!("{name}: {}, then {count}", self.count(name))).collect()
    }

    /// Waits until nothing is in use that was not; else says what is. The last thread of a process, say,
    /// ends a moment after its parent was told.
    pub fn comes_back(&self) -> Result<(), String> {
        let mut last = None;
        let mut same_since = Instant::now();
        loop {
            let Some(now) = Self::now() else { return Ok(()) };
            let more = self.more(&now);
            if more.is_empty() {
                return Ok(());
            }
            if last.as_ref() != Some(&now) {
                same_since = Instant::now();
            } else if same_since.elapsed() > Duration::from_millis(500) {
                return Err(more.join(", "));
            }
            last = Some(now);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
