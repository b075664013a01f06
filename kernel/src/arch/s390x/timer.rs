//! The TOD clock, one for all CPUs, and each CPU's clock comparator (POP chapter 4, "Timing").

use crate::arch::s390x_clock::{nanoseconds, units};
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// The clock at boot. Written once, before any other CPU runs.
static BOOT: AtomicU64 = AtomicU64::new(0);

/// STORE CLOCK FAST.
fn tod() -> u64 {
    let mut tod = 0u64;
    // SAFETY: stores eight bytes in `tod`.
    unsafe { asm!("stckf 0({})", in(reg_addr) &raw mut tod, options(nostack)) };
    tod
}

/// SET CLOCK COMPARATOR: an interruption while the clock is beyond it.
fn set_comparator(tod: u64) {
    // SAFETY: loads eight bytes from `tod`; the interruption is handled.
    unsafe { asm!("sckc 0({})", in(reg_addr) &raw const tod, options(nostack)) };
}

/// Sets the time to 0. First thing at boot.
pub fn start() {
    BOOT.store(tod(), Ordering::Relaxed);
    disarm();
}

/// Nanoseconds since boot. The difference is right even if the clock wraps (in 2042).
pub fn now() -> u64 {
    nanoseconds(tod().wrapping_sub(BOOT.load(Ordering::Relaxed)))
}

/// One interrupt at or after that time on this CPU.
pub fn arm(deadline: u64) {
    set_comparator(BOOT.load(Ordering::Relaxed).saturating_add(units(deadline)));
}

/// No interrupt. The condition lasts as long as the clock is beyond the comparator, so the handler
/// calls this first.
pub fn disarm() {
    set_comparator(u64::MAX);
}

/// From 1900, where the TOD clock begins, to 1970.
const UNIX_EPOCH: u64 = 2_208_988_800 * 1_000_000_000;

/// When the machine booted, in nanoseconds since 1970; 0: it does not say.
pub fn boot_time() -> u64 {
    nanoseconds(BOOT.load(Ordering::Relaxed)).saturating_sub(UNIX_EPOCH)
}
