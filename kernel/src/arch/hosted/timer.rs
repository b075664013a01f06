//! The host's clock.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first call.
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}
/// No timer.
pub fn arm(_deadline: u64) {}

/// When the machine booted, in nanoseconds since 1970; 0: it does not say.
pub fn boot_time() -> u64 {
    0
}
