//! Copies between the kernel and the active space of a program: MOVE WITH OPTIONAL SPECIFICATIONS.
//!
//! The program's operand is translated by the primary ASCE whatever its address is, so no address
//! reaches the kernel. (The ways rejected: MOVE TO PRIMARY, which wants the space-switching controls,
//! and a walk of the tables by software, which no TLB helps.)

use super::extable::extable;
use super::probe;
use crate::addr::VirtAddr;
use crate::arch::handlers::Fault;
use core::arch::asm;

/// The most that one MVCOS copies.
const MOST: usize = 4096;

/// Operand-access control in r0: bits 32-47 for the first operand, 48-63 for the second. In each, bits
/// 8-9 name the space (00 primary) and bit 15 says that they count; else the operand is in the PSW's
/// space.
pub(super) const FIRST_PRIMARY: u64 = 1 << 16;
pub(super) const SECOND_PRIMARY: u64 = 1;

/// The translation-exception identification's two last bits: the space; 11 home.
const TEC_HOME: u64 = 3;

/// One MVCOS of at most `MOST` bytes: touches two pages of the program at most, and copies nothing if
/// it faults.
///
/// # Safety
/// The operand in the kernel's memory is valid for it.
#[inline(never)]
unsafe fn copy_some(to: u64, from: u64, length: usize, control: u64, program: u64) -> Result<(), Fault> {
    let (r0, r1): (u64, u64);
    // SAFETY: the caller's promise; a fault continues at 3.
    unsafe {
        asm!("2: mvcos 0({d}), 0({s}), {n}", "lghi %r0, 0", "3:", extable!("2b", "3b"),
             d = in(reg_addr) to, s = in(reg_addr) from, n = in(reg) length,
             inout("r0") control => r0, out("r1") r1, options(nostack));
    }
    assert!(r0 == 0 || r1 & TEC_HOME != TEC_HOME, "a copy to or from a bad address of the kernel");
    probe::outcome(r0, r1, program, false)
}

/// Copies from the active space.
///
/// # Safety
/// `to` is valid for `length` bytes of stores.
pub unsafe fn from_user(to: *mut u8, from: VirtAddr, length: usize) -> Result<(), Fault> {
    let to = to.expose_provenance() as u64;
    for done in (0..length).step_by(MOST) {
        let (at, some) = (from.get().wrapping_add(done as u64), MOST.min(length - done));
        // SAFETY: the caller's promise.
        unsafe { copy_some(to + done as u64, at, some, SECOND_PRIMARY, at)? };
    }
    Ok(())
}

/// Copies to the active space.
///
/// # Safety
/// `from` is valid for `length` bytes of loads.
pub unsafe fn to_user(to: VirtAddr, from: *const u8, length: usize) -> Result<(), Fault> {
    let from = from.expose_provenance() as u64;
    for done in (0..length).step_by(MOST) {
        let (at, some) = (to.get().wrapping_add(done as u64), MOST.min(length - done));
        // SAFETY: the caller's promise.
        unsafe { copy_some(at, from + done as u64, some, FIRST_PRIMARY, at)? };
    }
    Ok(())
}
