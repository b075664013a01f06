//! One access that may fail.

use super::extable::extable;
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::handlers::Fault;
use crate::arch::s390x_program::ProgramCheck;
use core::arch::asm;

/// The outcome from what a fix-up leaves in r0 (0: no fault) and r1. The machine tells the page
/// that failed; if the access lies in it, the address is known.
pub(super) fn outcome(r0: u64, r1: u64, address: u64, fetch: bool) -> Result<(), Fault> {
    if r0 == 0 {
        return Ok(());
    }
    let mut fault = ProgramCheck { word: r0, tec: r1 }.fault(fetch);
    if fault.address == Some(VirtAddr::new(address).align_down(PAGE_SIZE)) {
        fault.address = Some(VirtAddr::new(address));
    }
    Err(fault)
}

/// Loads a doubleword.
#[inline(never)]
pub fn load(address: usize) -> Result<u64, Fault> {
    let (value, r0, r1): (u64, u64, u64);
    // SAFETY: a load changes nothing; a fault continues behind it.
    unsafe {
        asm!("lghi %r0, 0", "lghi {v}, 0", "2: lg {v}, 0({a})", "3:", extable!("2b", "3b"),
             a = in(reg_addr) address, v = out(reg) value, out("r0") r0, out("r1") r1,
             options(readonly, nostack));
    }
    outcome(r0, r1, address as u64, false).map(|()| value)
}

/// Stores a doubleword.
///
/// # Safety
/// If it can be stored, it may.
#[inline(never)]
pub unsafe fn store(address: usize, value: u64) -> Result<(), Fault> {
    let (r0, r1): (u64, u64);
    // SAFETY: the caller's promise; a fault continues behind it.
    unsafe {
        asm!("lghi %r0, 0", "2: stg {v}, 0({a})", "3:", extable!("2b", "3b"),
             a = in(reg_addr) address, v = in(reg) value, out("r0") r0, out("r1") r1,
             options(nostack));
    }
    outcome(r0, r1, address as u64, false)
}

/// Calls the address as a function without arguments.
///
/// # Safety
/// If it can be executed, it is such a function.
#[inline(never)]
pub unsafe fn call(address: usize) -> Result<(), Fault> {
    let (r0, r1): (u64, u64);
    // SAFETY: the caller's promise; a fault of the first instruction continues at 3, with all
    // registers but r0 and r1 as they were. `asm!` reserves no register save area, hence the stack
    // pointer's movement.
    unsafe {
        asm!("lgr %r12, %r15", "aghi %r15, -160", "stg %r12, 0(%r15)", "basr %r14, {a}",
             "2: lghi %r0, 0", "3: lgr %r15, %r12", extable!("2b", "3b"),
             a = in(reg_addr) address, out("r12") _, lateout("r0") r0, lateout("r1") r1,
             lateout("r2") _, lateout("r3") _, lateout("r4") _, lateout("r5") _, lateout("r14") _);
    }
    outcome(r0, r1, address as u64, true)
}
