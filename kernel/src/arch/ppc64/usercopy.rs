//! Copies from and to the memory of the program whose space is active.
//!
//! They go through quadrant 0 as the program's own accesses do, so the hardware checks what is mapped
//! and how. (Walking the tables in software was rejected: slower, and a second opinion about what may
//! be written.) What is checked here is that the range is a program's: beyond quadrant 0 lies the kernel.

use super::probe;
use super::user::SPACE_END;
use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::ppc64_interrupt as interrupt;

unsafe extern "C" {
    fn ppc64_from_user(to: *mut u8, from: u64, bytes: usize, outcome: *mut [u64; 3]) -> u64;
    fn ppc64_to_user(to: u64, from: *const u8, bytes: usize, outcome: *mut [u64; 3]) -> u64;
}

/// The range lies below `SPACE_END`; if not, the fault is at its first address beyond.
fn check(start: VirtAddr, length: usize, kind: FaultKind) -> Result<(), Fault> {
    let room = SPACE_END.get().saturating_sub(start.get());
    if length as u64 <= room {
        return Ok(());
    }
    let address = Some(start.max(SPACE_END));
    Err(Fault { kind, name: interrupt::name(interrupt::DATA_SEGMENT), address })
}

/// Copies from the active space.
///
/// # Safety
/// `to` is valid for `length` bytes of stores.
pub unsafe fn from_user(to: *mut u8, from: VirtAddr, length: usize) -> Result<(), Fault> {
    check(from, length, FaultKind::Read)?;
    let mut outcome = [0; 3];
    // SAFETY: loads may fail in any way: the table has them. The stores are the caller's.
    let failed = unsafe { ppc64_from_user(to, from.get(), length, &raw mut outcome) };
    probe::result(failed, outcome).map(|_| ())
}

/// Copies to the active space.
///
/// # Safety
/// `from` is valid for `length` bytes of loads.
pub unsafe fn to_user(to: VirtAddr, from: *const u8, length: usize) -> Result<(), Fault> {
    check(to, length, FaultKind::Write)?;
    let mut outcome = [0; 3];
    // SAFETY: stores may fail in any way, and reach a program's memory only; the loads are the caller's.
    let failed = unsafe { ppc64_to_user(to.get(), from, length, &raw mut outcome) };
    probe::result(failed, outcome).map(|_| ())
}
