//! The machine's clock, read by the program itself: no call of the kernel is in the figures, and both
//! kernels are measured by one clock.

use std::arch::asm;

/// Nanoseconds since an origin of the machine's own.
///
/// On ppc64 that is the machine's start; on s390x a moment in 1900, as for the clock that tells the date.
#[cfg(target_arch = "powerpc64")]
pub fn nanoseconds() -> u64 {
    let ticks: u64;
    // SAFETY: reads the time base, which programs may.
    unsafe { asm!("mftb {}", out(reg) ticks, options(nomem, nostack)) };
    // 512 MHz.
    (u128::from(ticks) * 125 / 64) as u64
}

/// Nanoseconds since an origin of the machine's own.
///
/// On ppc64 that is the machine's start; on s390x a moment in 1900, as for the clock that tells the date.
#[cfg(target_arch = "s390x")]
pub fn nanoseconds() -> u64 {
    let mut clock = 0_u64;
    // SAFETY: stores the TOD clock, which programs may; the condition code is clobbered by default.
    unsafe { asm!("stckf 0({})", in(reg_addr) &raw mut clock, options(nostack)) };
    // Bit 51 is a microsecond: 4096 units.
    (u128::from(clock) * 125 / 512) as u64
}

/// From the s390x clock's origin to 2000-01-01 00:01:15, with which the runner tells QEMU to begin.
#[cfg(target_arch = "s390x")]
const START: u64 = ((25_567 + 10_957) * 86_400 + 75) * 1_000_000_000;
#[cfg(target_arch = "powerpc64")]
const START: u64 = 0;

/// Nanoseconds since the machine's start, if its clock began as the runner's `--icount` makes it.
pub fn since_start() -> u64 {
    nanoseconds().wrapping_sub(START)
}
