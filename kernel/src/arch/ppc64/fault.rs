//! What an interrupt says about the instruction that failed (Power ISA v3.0B, Book III, 6.5).

use super::trap::TrapFrame;
use super::{STACK_AREA, STACK_GUARD, STACK_SIZE, start};
use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind};

/// Data storage.
pub const DATA_STORAGE: u64 = 0x300;
/// Data segment.
pub const DATA_SEGMENT: u64 = 0x380;
/// Instruction storage.
pub const INSTRUCTION_STORAGE: u64 = 0x400;
/// Instruction segment.
pub const INSTRUCTION_SEGMENT: u64 = 0x480;
const ALIGNMENT: u64 = 0x600;
const PROGRAM: u64 = 0x700;
const EMULATION_ASSISTANCE: u64 = 0xe40;

/// DSISR bit 38: the access was a store.
const DSISR_STORE: u64 = 1 << 25;
/// SRR1 bits 44, 45 and 46 of a program interrupt: illegal, privileged, trap.
const SRR1_ILLEGAL: u64 = 1 << 19;
const SRR1_PRIVILEGED: u64 = 1 << 18;
const SRR1_TRAP: u64 = 1 << 17;

/// The manual's name of the interrupt with that vector.
pub fn name(vector: u64) -> &'static str {
    match vector {
        0x100 => "system reset",
        0x200 => "machine check",
        DATA_STORAGE => "data storage",
        DATA_SEGMENT => "data segment",
        INSTRUCTION_STORAGE => "instruction storage",
        INSTRUCTION_SEGMENT => "instruction segment",
        0x500 => "external",
        ALIGNMENT => "alignment",
        PROGRAM => "program",
        0x800 => "floating-point unavailable",
        0x900 => "decrementer",
        0x980 => "hypervisor decrementer",
        0xa00 => "directed privileged doorbell",
        0xc00 => "system call",
        0xd00 => "trace",
        0xe00 => "hypervisor data storage",
        0xe20 => "hypervisor instruction storage",
        EMULATION_ASSISTANCE => "hypervisor emulation assistance",
        0xe60 => "hypervisor maintenance",
        0xe80 => "directed hypervisor doorbell",
        0xea0 => "hypervisor virtualization",
        0xf00 => "performance monitor",
        0xf20 => "vector unavailable",
        0xf40 => "VSX unavailable",
        0xf60 => "facility unavailable",
        0xf80 => "hypervisor facility unavailable",
        _ => "unknown",
    }
}

/// From what a handler or a fix-up is told: the vector, the data address, and DSISR, or SRR1 where the
/// instruction itself failed.
pub fn access(vector: u64, address: u64, status: u64, nip: u64) -> Fault {
    let (kind, address) = match vector {
        DATA_STORAGE if status & DSISR_STORE != 0 => (FaultKind::Write, Some(address)),
        DATA_STORAGE | DATA_SEGMENT => (FaultKind::Read, Some(address)),
        INSTRUCTION_STORAGE | INSTRUCTION_SEGMENT => (FaultKind::Execute, Some(nip)),
        EMULATION_ASSISTANCE => (FaultKind::IllegalInstruction, Some(nip)),
        PROGRAM if status & (SRR1_ILLEGAL | SRR1_PRIVILEGED) != 0 => {
            (FaultKind::IllegalInstruction, Some(nip))
        }
        ALIGNMENT => (FaultKind::Other, Some(address)),
        _ => (FaultKind::Other, None),
    };
    let name = match vector {
        PROGRAM if status & SRR1_TRAP != 0 => "program (trap instruction)",
        PROGRAM if status & SRR1_PRIVILEGED != 0 => "program (privileged instruction)",
        PROGRAM if status & SRR1_ILLEGAL != 0 => "program (illegal instruction)",
        _ => name(vector),
    };
    Fault { kind, name, address: address.map(VirtAddr::new) }
}

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
