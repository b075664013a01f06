//! Accesses that may fail, and the exception table behind them.
//!
//! An instruction that may fault is listed in the section `.exception_table` with the address to
//! continue at. The alternative, a per-CPU "expecting a fault" flag, would be wrong as soon as the
//! thread is preempted between setting it and the access.

use super::TrapFrame;
use crate::arch::handlers::Fault;
use crate::arch::ppc64_interrupt::{self as interrupt, INSTRUCTION_SEGMENT, INSTRUCTION_STORAGE};

/// One line of the table.
#[repr(C)]
struct Entry {
    instruction: u64,
    fix_up: u64,
}

unsafe extern "C" {
    static __exception_table_start: Entry;
    static __exception_table_end: Entry;

    fn ppc64_probe_load(address: usize, outcome: *mut [u64; 3]) -> u64;
    fn ppc64_probe_store(address: usize, outcome: *mut [u64; 3], value: u64) -> u64;
    fn ppc64_probe_call(address: usize, outcome: *mut [u64; 3]) -> u64;
}

fn table() -> &'static [Entry] {
    let (start, end) = (&raw const __exception_table_start, &raw const __exception_table_end);
    // SAFETY: the linker script's symbols around the table.
    unsafe { core::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<Entry>()) }
}

/// Continues at the fix-up of the instruction that faulted, if it has one: there r9 = vector, r10 =
/// address, r11 = DSISR, or SRR1 of a failed instruction.
pub fn fix_up(frame: &mut TrapFrame) -> bool {
    // A branch to what cannot be executed fails at its target. It went there by CTR, so the caller is
    // found by the return address.
    let called = frame.nip == frame.ctr;
    let listed = |entry: &&Entry| entry.instruction == frame.nip || called && entry.instruction == frame.lr;
    let Some(entry) = table().iter().find(listed) else { return false };
    let vector = frame.vector();
    let data = matches!(vector, interrupt::DATA_STORAGE | interrupt::DATA_SEGMENT);
    let instruction = matches!(vector, INSTRUCTION_STORAGE | INSTRUCTION_SEGMENT) || called;
    (frame.gpr[9], frame.gpr[10]) = (vector, if instruction { frame.nip } else { frame.dar });
    frame.gpr[11] = if data { frame.dsisr } else { frame.msr };
    frame.nip = entry.fix_up;
    true
}

/// What a failed access says: `outcome` is what `fix_up` put into r9, r10 and r11; the value of one that did not
/// fail comes first in it.
pub(super) fn result(failed: u64, [vector, address, status]: [u64; 3]) -> Result<u64, Fault> {
    if failed == 0 { Ok(vector) } else { Err(interrupt::access(vector, address, status, address)) }
}

/// Loads eight bytes.
pub fn load(address: usize) -> Result<u64, Fault> {
    let mut outcome = [0; 3];
    // SAFETY: the load may fail in any way: the table has it. The value comes first in `outcome`.
    let failed = unsafe { ppc64_probe_load(address, &raw mut outcome) };
    result(failed, outcome)
}

/// Stores eight bytes.
///
/// # Safety
/// If it succeeds, the memory must be the caller's.
pub unsafe fn store(address: usize, value: u64) -> Result<(), Fault> {
    let mut outcome = [0; 3];
    // SAFETY: the caller's.
    let failed = unsafe { ppc64_probe_store(address, &raw mut outcome, value) };
    result(failed, outcome).map(|_| ())
}

/// Calls the address.
///
/// # Safety
/// What is there, if it can be executed, is a function without arguments.
pub unsafe fn call(address: usize) -> Result<(), Fault> {
    let mut outcome = [0; 3];
    // SAFETY: the caller's.
    let failed = unsafe { ppc64_probe_call(address, &raw mut outcome) };
    result(failed, outcome).map(|_| ())
}
