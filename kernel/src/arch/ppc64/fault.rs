//! Faults: what was done at a frame.

use super::{STACK_AREA, STACK_GUARD, STACK_SIZE, TrapFrame, start};
use crate::arch::handlers::{Fault, FaultKind, UserFault};
use crate::arch::ppc64_interrupt::{DATA_SEGMENT, DATA_STORAGE, access, user_fault};

/// What the kernel did at this frame.
pub fn of(frame: &TrapFrame) -> Fault {
    let mut fault = access(frame.vector(), frame.dar, status(frame), frame.nip);
    if matches!(fault.kind, FaultKind::Read | FaultKind::Write) && is_guard(frame.dar) {
        fault.kind = FaultKind::StackOverflow;
    }
    fault
}

/// What the program did; `None`: it is not its doing. `fpscr` is the program's.
pub fn of_program(frame: &TrapFrame, fpscr: fn() -> u64) -> Option<UserFault> {
    user_fault(frame.vector(), frame.dar, status(frame), frame.nip, fpscr)
}

/// Where the reason stands.
fn status(frame: &TrapFrame) -> u64 {
    if matches!(frame.vector(), DATA_STORAGE | DATA_SEGMENT) { frame.dsisr } else { frame.msr }
}

/// Whether the address lies in the unmapped part of a stack.
fn is_guard(address: u64) -> bool {
    let block = address & !(STACK_SIZE as u64 - 1);
    let is_stack = block >> 48 == STACK_AREA >> 48 || block == start::boot_stack() as u64;
    is_stack && address - block < STACK_GUARD as u64
}
