//! The host cannot probe: everything faults.

use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind};

fn fault(kind: FaultKind, address: usize) -> Fault {
    Fault { kind, name: "not on the host", address: Some(VirtAddr::new(address as u64)) }
}
/// Fails.
pub fn load(address: usize) -> Result<u64, Fault> {
    Err(fault(FaultKind::Read, address))
}
/// Fails.
///
/// # Safety
/// None.
pub unsafe fn store(address: usize, _value: u64) -> Result<(), Fault> {
    Err(fault(FaultKind::Write, address))
}
/// Fails.
///
/// # Safety
/// None.
pub unsafe fn call(address: usize) -> Result<(), Fault> {
    Err(fault(FaultKind::Execute, address))
}
