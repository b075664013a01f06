//! The host has no user memory: every address faults.

use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind};

fn fault(kind: FaultKind, address: VirtAddr) -> Result<(), Fault> {
    Err(Fault { kind, name: "no user memory", address: Some(address) })
}

/// Copies from the active space.
///
/// # Safety
/// `to` is valid for `length` bytes of stores.
pub unsafe fn from_user(_to: *mut u8, from: VirtAddr, length: usize) -> Result<(), Fault> {
    if length == 0 { Ok(()) } else { fault(FaultKind::Read, from) }
}

/// Copies to the active space.
///
/// # Safety
/// `from` is valid for `length` bytes of loads.
pub unsafe fn to_user(to: VirtAddr, _from: *const u8, length: usize) -> Result<(), Fault> {
    if length == 0 { Ok(()) } else { fault(FaultKind::Write, to) }
}
