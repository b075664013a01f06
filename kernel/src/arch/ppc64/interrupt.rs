//! What an interrupt is called, and what it says about the instruction that failed (Power ISA v3.0B,
//! Book III, "Interrupt Definitions"): pure, compiled and tested on every host.

use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind, UserFault};

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
const TRACE: u64 = 0xd00;
const EMULATION_ASSISTANCE: u64 = 0xe40;

/// DSISR bit 38: the access was a store.
const DSISR_STORE: u64 = 1 << 25;
/// SRR1 bits 43 to 46 of a program interrupt: floating point, illegal, privileged, trap.
const SRR1_FLOAT: u64 = 1 << 20;
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
        PROGRAM if status & SRR1_FLOAT != 0 => "program (floating-point exception)",
        _ => name(vector),
    };
    Fault { kind, name, address: address.map(VirtAddr::new) }
}

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;
const SIGSEGV: u32 = 11;
/// Linux' `si_code` of the above.
const ILL_ILLOPC: i32 = 1;
const ILL_PRVOPC: i32 = 5;
const TRAP_BRKPT: i32 = 1;
const TRAP_TRACE: i32 = 2;
const BUS_ADRALN: i32 = 1;
const FPE_FLTUNK: i32 = 14;
const SEGV_BNDERR: i32 = 3;

/// FPSCR: an exception's enable bit, the bit that says that it happened, `si_code`. VE and VX (bits 56
/// and 34), OE and OX (57, 35), UE and UX (58, 36), ZE and ZX (59, 37), XE and XX (60, 38).
const FLOAT_CODES: [(u64, u64, i32); 5] = [
    (1 << 7, 1 << 29, 7), // FPE_FLTINV
    (1 << 6, 1 << 28, 4), // FPE_FLTOVF
    (1 << 5, 1 << 27, 5), // FPE_FLTUND
    (1 << 4, 1 << 26, 3), // FPE_FLTDIV
    (1 << 3, 1 << 25, 6), // FPE_FLTRES
];

fn float_code(fpscr: u64) -> i32 {
    let happened =
        |&&(enabled, exception, _): &&(u64, u64, i32)| fpscr & enabled != 0 && fpscr & exception != 0;
    FLOAT_CODES.iter().find(happened).map_or(FPE_FLTUNK, |&(_, _, code)| code)
}

/// What a program did, from the same values; `fpscr` is asked only where it matters. `None`: it is not
/// the program's doing.
pub fn user_fault(
    vector: u64,
    address: u64,
    status: u64,
    nip: u64,
    fpscr: impl FnOnce() -> u64,
) -> Option<UserFault> {
    let fault = access(vector, address, status, nip);
    let (signal, code) = match vector {
        DATA_STORAGE | INSTRUCTION_STORAGE => {
            return Some(UserFault::Page { kind: fault.kind, address: fault.address? });
        }
        // Beyond what is translated at all. It does not say whether it was a load or a store.
        DATA_SEGMENT | INSTRUCTION_SEGMENT => (SIGSEGV, SEGV_BNDERR),
        ALIGNMENT => (SIGBUS, BUS_ADRALN),
        PROGRAM if status & SRR1_FLOAT != 0 => (SIGFPE, float_code(fpscr())),
        PROGRAM if status & SRR1_TRAP != 0 => (SIGTRAP, TRAP_BRKPT),
        PROGRAM if status & SRR1_PRIVILEGED != 0 => (SIGILL, ILL_PRVOPC),
        TRACE => (SIGTRAP, TRAP_TRACE),
        // Illegal; or it wants what programs here do not have: performance monitor, transactions, `scv`.
        PROGRAM | EMULATION_ASSISTANCE | 0x800 | 0xf00..=0xf80 => (SIGILL, ILL_ILLOPC),
        _ => return None,
    };
    let data = matches!(vector, ALIGNMENT | DATA_SEGMENT);
    let address = VirtAddr::new(if data { address } else { nip });
    Some(UserFault::Signal { signal, code, address, name: fault.name })
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
        assert_eq!(why(SRR1_FLOAT), "program (floating-point exception)");
    }

    fn signal(vector: u64, status: u64, fpscr: u64) -> Option<(u32, i32, u64)> {
        match user_fault(vector, 0x1234, status, 0x5678, || fpscr)? {
            UserFault::Signal { signal, code, address, .. } => Some((signal, code, address.get())),
            UserFault::Page { .. } => None,
        }
    }

    #[test]
    fn what_programs_do() {
        let page = |vector, status| match user_fault(vector, 0x1234, status, 0x5678, || 0) {
            Some(UserFault::Page { kind, address }) => (kind, address.get()),
            other => panic!("{other:?}"),
        };
        assert_eq!(page(DATA_STORAGE, 0x4000_0000), (FaultKind::Read, 0x1234));
        assert_eq!(page(DATA_STORAGE, 0x0a00_0000), (FaultKind::Write, 0x1234));
        assert_eq!(page(INSTRUCTION_STORAGE, 0x4000_0000), (FaultKind::Execute, 0x5678));
        assert_eq!(signal(DATA_SEGMENT, 0, 0), Some((SIGSEGV, SEGV_BNDERR, 0x1234)));
        assert_eq!(signal(INSTRUCTION_SEGMENT, 0, 0), Some((SIGSEGV, SEGV_BNDERR, 0x5678)));
        assert_eq!(signal(PROGRAM, SRR1_TRAP, 0), Some((SIGTRAP, TRAP_BRKPT, 0x5678)));
        assert_eq!(signal(PROGRAM, SRR1_PRIVILEGED, 0), Some((SIGILL, ILL_PRVOPC, 0x5678)));
        assert_eq!(signal(PROGRAM, SRR1_ILLEGAL, 0), Some((SIGILL, ILL_ILLOPC, 0x5678)));
        assert_eq!(signal(EMULATION_ASSISTANCE, 0, 0), Some((SIGILL, ILL_ILLOPC, 0x5678)));
        assert_eq!(signal(0xf60, 0, 0), Some((SIGILL, ILL_ILLOPC, 0x5678)));
        assert_eq!(signal(ALIGNMENT, 0, 0), Some((SIGBUS, BUS_ADRALN, 0x1234)));
        assert_eq!(signal(0x200, 0, 0), None, "a machine check is nobody's fault");
    }

    #[test]
    fn floating_point_exceptions_that_are_enabled_count() {
        let code = |fpscr| signal(PROGRAM, SRR1_FLOAT, fpscr);
        // 1/0 with ZE on, and XX from before: not enabled.
        assert_eq!(code(0x8600_0010), Some((SIGFPE, 3, 0x5678)));
        assert_eq!(code(0xa000_0080), Some((SIGFPE, 7, 0x5678)));
        assert_eq!(code(0), Some((SIGFPE, FPE_FLTUNK, 0x5678)));
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
