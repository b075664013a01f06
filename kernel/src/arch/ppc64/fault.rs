//! Faults of the kernel itself.

use super::trap::TrapFrame;
use super::{STACK_AREA, STACK_GUARD, STACK_SIZE, start};
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::ppc64_interrupt::{DATA_SEGMENT, DATA_STORAGE, access};

/// What the kernel did at this frame.
pub fn of(frame: &TrapFrame) -> Fault {
    let vector = frame.vector();
    let status = if matches!(vector, DATA_STORAGE | DATA_SEGMENT) { frame.dsisr } else { frame.msr };
    let mut fault = access(vector, frame.dar, status, frame.nip);
    if matches!(fault.kind, FaultKind::Read | FaultKind::Write) && is_guard(frame.dar) {
        fault.kind = FaultKind::StackOverflow;
    }
    fault
}

/// Whether the address lies in the unmapped part of a stack.
fn is_guard(address: u64) -> bool {
    let block = address & !(STACK_SIZE as u64 - 1);
    let is_stack = block >> 48 == STACK_AREA >> 48 || block == start::boot_stack() as u64;
    is_stack && address - block < STACK_GUARD as u64
}
