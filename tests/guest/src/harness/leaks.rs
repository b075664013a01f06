//! What a test has lost of the kernel's memory, by /proc/meminfo.
//!
//! Memory comes back late (a grace period after the last user) and caches fill up once, so a number
//! that is lower afterwards is no leak yet: only what every repetition loses again is one.

use std::time::{Duration, Instant};

/// What is free, what tables take, in kB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Level {
    free: u64,
    tables: u64,
}

impl Level {
    /// Now; `None` on Linux, which fills its caches as it likes.
    pub fn now() -> Option<Self> {
        if super::on_linux() {
            return None;
        }
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(Self { free: field("MemFree")?, tables: field("PageTables")? })
    }

    /// Waits until nothing of it is missing any more; else says how much is.
    pub fn comes_back(self) -> Result<(), String> {
        let since = Instant::now();
        loop {
            let Some(now) = Self::now() else { return Ok(()) };
            if now.free >= self.free && now.tables <= self.tables {
                return Ok(());
            }
            if since.elapsed() > Duration::from_millis(800) {
                return Err(format!(
                    "free: {} kB, then {} kB; page tables: {} kB, then {} kB",
                    self.free, now.free, self.tables, now.tables
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
