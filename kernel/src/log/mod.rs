//! The kernel's log: `[    0.001234] subsystem: message` on the console, for the `log` crate.
//!
//! A record is formatted into a buffer on the caller's stack, piece by piece, under the console
//! lock; nothing is allocated, so everybody may log, the allocators too. The newest
//! lines are kept for `dmesg` ([`copy`]).
//!
//! The console lock is the innermost of all locks and belongs to this module alone ([`lock`]). A
//! panic does not wait for it.

mod level;
mod line;
mod lock;
mod ring;

pub use level::console_filter;
pub use lock::{hold_for_test, speak};
pub use ring::SIZE as RING;

use crate::arch::current::timer;
use core::fmt::{self, Write};
use line::LineWriter;
use log::{Level, Log, Metadata, Record};

struct Console;

impl Log for Console {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        // The level was compared with `max_level` before.
        true
    }

    fn log(&self, record: &Record<'_>) {
        let severity = match record.level() {
            Level::Error => "error: ",
            Level::Warn => "warning: ",
            _ => "",
        };
        let subsystem = level::subsystem(record.target());
        line(format_args!("{subsystem}: {severity}{}", record.args()));
    }

    fn flush(&self) {}
}

/// Makes the console the destination of the `log` macros; called once, before the first of them.
pub fn init() {
    // An error would mean that there is a logger already, which is what was asked for.
    let _ = log::set_logger(&Console);
    log::set_max_level(console_filter(level::DEFAULT));
}

/// Shows messages below that Linux log level only (`loglevel=`).
pub fn set_level(loglevel: u64) {
    log::set_max_level(console_filter(loglevel));
}

/// A line with its time stamp, whatever the level: the last boot line is seen with `quiet` too.
pub fn line(message: fmt::Arguments<'_>) {
    raw(format_args!("{} {message}\n", Stamp(timer::now())));
}

/// Nanoseconds since boot, as Linux prints them: seconds, and microseconds behind the point.
struct Stamp(u64);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let microseconds = self.0 / 1000;
        write!(f, "[{:5}.{:06}]", microseconds / 1_000_000, microseconds % 1_000_000)
    }
}

/// Text as it is: test results, panics, the last words. In one piece: lines of other CPUs come
/// before or after it.
pub fn raw(text: fmt::Arguments<'_>) {
    let mut console = lock::lock();
    if !console.is_heard() {
        return;
    }
    let mut writer = LineWriter::new(&mut console);
    // An error can only come from a `Display` that refuses; what it wrote before is shown.
    let _ = writer.write_fmt(text);
}

/// The newest bytes of the log: the number of the first that is kept, and of the one behind the last.
pub fn kept() -> (u64, u64) {
    lock::lock().ring().map_or((0, 0), |ring| ring.kept())
}

/// Copies from the byte of that number on, or from the first that is kept: which one it was, and how
/// many.
pub fn copy(from: u64, into: &mut [u8]) -> (u64, usize) {
    lock::lock().ring().map_or((from, 0), |ring| ring.copy(from, into))
}

/// What was logged so far is not shown any more.
pub fn clear() {
    if let Some(ring) = lock::lock().ring() {
        ring.clear();
    }
}

/// Bytes of programs, as they are: a terminal's output, which has seen to the ends of lines itself. In
/// one piece.
pub fn bytes(bytes: &[u8]) {
    let console = lock::lock();
    if console.is_heard() {
        crate::arch::current::console::write_raw(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Stamp;

    #[test]
    fn stamps() {
        assert_eq!(Stamp(0).to_string(), "[    0.000000]");
        assert_eq!(Stamp(1_234_567).to_string(), "[    0.001234]");
        assert_eq!(Stamp(123_456_000_000_000).to_string(), "[123456.000000]");
    }
}
