//! What an interrupt is called, and what it says about the instruction that failed (Power ISA v3.0B,
//! Book III, 6.5): pure, compiled and tested on every host.

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

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(vector: u64, status: u64) -> (FaultKind, Option<u64>) {
        let fault = access(vector, 0x1234, status, 0x5678);
        (fault.kind, fault.address.map(VirtAddr::get))
    }

    /// Values of DSISR and SRR1 as QEMU 7.2 and 10.0 gave them.
    #[test]
    fn what_was_seen() {
        assert_eq!(kind(DATA_STORAGE, 0x4000_0000), (FaultKind::Read, Some(0x1234)));
        assert_eq!(kind(DATA_STORAGE, 0x4200_0000), (FaultKind::Write, Some(0x1234)));
        assert_eq!(kind(DATA_STORAGE, 0x0a00_0000), (FaultKind::Write, Some(0x1234)));
        assert_eq!(kind(DATA_SEGMENT, 0), (FaultKind::Read, Some(0x1234)));
        assert_eq!(kind(INSTRUCTION_STORAGE, 0x8000_0000_1000_1033), (FaultKind::Execute, Some(0x5678)));
        assert_eq!(kind(PROGRAM, 0x8000_0000_0008_1033), (FaultKind::IllegalInstruction, Some(0x5678)));
        assert_eq!(kind(PROGRAM, 0x9000_0000_0002_1033), (FaultKind::Other, None));
        assert_eq!(kind(EMULATION_ASSISTANCE, 0), (FaultKind::IllegalInstruction, Some(0x5678)));
    }

    #[test]
    fn program_interrupts_say_why() {
        let why = |status| access(PROGRAM, 0, status, 0).name;
        assert_eq!(why(SRR1_TRAP), "program (trap instruction)");
        assert_eq!(why(SRR1_PRIVILEGED), "program (privileged instruction)");
        assert_eq!(why(SRR1_ILLEGAL), "program (illegal instruction)");
        assert_eq!(why(1 << 20), "program", "floating-point enabled");
    }

    #[test]
    fn every_vector_has_a_name_of_its_own() {
        let names: Vec<&str> = (0x100..0x1000).step_by(0x20).map(name).filter(|&n| n != "unknown").collect();
        let mut distinct = names.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!((names.len(), distinct.len()), (26, 26));
    }
}
