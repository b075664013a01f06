//! What time it is: the time since boot, plus when that was.

use crate::arch::current::timer;
use core::sync::atomic::{AtomicU64, Ordering};

/// What the clocks distinguish, in nanoseconds: the timers of both machines are finer.
pub const RESOLUTION: u64 = 1;

/// What was set; `u64::MAX`: nothing, so what the machine says counts.
static BASE: AtomicU64 = AtomicU64::new(u64::MAX);

/// When the machine booted, in nanoseconds since 1970.
pub fn real_base() -> u64 {
    match BASE.load(Ordering::Relaxed) {
        u64::MAX => timer::boot_time(),
        base => base,
    }
}

/// Nanoseconds since 1970.
pub fn real_time() -> u64 {
    real_base().saturating_add(timer::now())
}

/// It is that time now. (Before the boot it is not.)
pub fn set_real_time(time: u64) {
    BASE.store(time.saturating_sub(timer::now()), Ordering::Relaxed);
}
