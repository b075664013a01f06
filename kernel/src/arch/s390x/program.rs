//! Program interruptions: what the codes mean (POP chapter 6, "Program Interruption"; chapter 3,
//! "Translation-Exception Identification").
//!
//! Pure, compiled and tested on every host.

use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind, UserFault};

/// TEC bits 52-53, what the access was: 10 fetch, 01 store.
const TEC_STORE: u64 = 0x400;
/// TEC bits 56 and 61 of a protection exception: 11 = instruction-execution protection.
const TEC_IEP: u64 = 0x84;
/// TEC bits 0-51: the page.
const TEC_PAGE: u64 = !0xfff;

/// What a program interruption leaves in low core.
#[derive(Clone, Copy, Debug)]
pub struct ProgramCheck {
    /// Real 0x8c-0x93: u16 instruction length in bytes, u16 code, u32 data-exception code.
    pub word: u64,
    /// Real 0xa8-0xaf: the translation-exception identification.
    pub tec: u64,
}

impl ProgramCheck {
    /// The interruption code, without the bit of a concurrent PER event.
    pub fn code(self) -> u16 {
        (self.word >> 32) as u16 & !0x80
    }

    /// Address of the instruction, from the old PSW's: interruptions that nullify leave the PSW at
    /// it, the others (which suppress or terminate) behind it.
    pub fn instruction(self, psw_address: u64) -> u64 {
        match self.code() {
            0x10 | 0x11 | 0x38..=0x3b => psw_address,
            _ => psw_address.wrapping_sub(self.word >> 48),
        }
    }

    /// Whether it concerns an access, and the TEC says which.
    fn translation(self) -> bool {
        matches!(self.code(), 0x04 | 0x10 | 0x11 | 0x38..=0x3b)
    }

    /// The manual's name.
    pub fn name(self) -> &'static str {
        match self.code() {
            0x01 => "operation exception",
            0x02 => "privileged-operation exception",
            0x03 => "execute exception",
            0x04 => "protection exception",
            0x05 => "addressing exception",
            0x06 => "specification exception",
            0x07 => "data exception",
            0x08 => "fixed-point-overflow exception",
            0x09 => "fixed-point-divide exception",
            0x0a => "decimal-overflow exception",
            0x0b => "decimal-divide exception",
            0x0c => "HFP-exponent-overflow exception",
            0x0d => "HFP-exponent-underflow exception",
            0x0e => "HFP-significance exception",
            0x0f => "HFP-divide exception",
            0x10 => "segment-translation exception",
            0x11 => "page-translation exception",
            0x12 => "translation-specification exception",
            0x13 => "special-operation exception",
            0x15 => "operand exception",
            0x1b => "vector-processing exception",
            0x1c => "space-switch event",
            0x1d => "HFP-square-root exception",
            0x38 => "ASCE-type exception",
            0x39 => "region-first-translation exception",
            0x3a => "region-second-translation exception",
            0x3b => "region-third-translation exception",
            0x40 => "monitor event",
            0x00 => "PER event",
            _ => "program interruption with a code that is not known",
        }
    }

    /// Whether the access that failed can be the fetch of the instruction itself.
    pub fn is_fetch_of(self, instruction: u64) -> bool {
        self.translation() && self.tec & TEC_STORE == 0 && (self.tec ^ instruction) & TEC_PAGE == 0
    }

    /// What the kernel did wrong; `fetch`: in fetching an instruction. The TEC tells the page.
    pub fn fault(self, fetch: bool) -> Fault {
        let (kind, address) = if self.translation() {
            let kind = if fetch || self.code() == 0x04 && self.tec & TEC_IEP == TEC_IEP {
                FaultKind::Execute
            } else if self.tec & TEC_STORE != 0 {
                FaultKind::Write
            } else {
                FaultKind::Read
            };
            (kind, Some(self.tec & TEC_PAGE))
        } else {
            match self.code() {
                // No memory there; the machine does not tell the address.
                0x05 => (FaultKind::Other, None),
                0x01 | 0x02 | 0x03 | 0x06 | 0x13 | 0x15 => (FaultKind::IllegalInstruction, None),
                _ => (FaultKind::Other, None),
            }
        };
        Fault { kind, name: self.name(), address: address.map(VirtAddr::new) }
    }
}

// `si_code`s, the same on all of Linux' machines.
const SIGILL: u32 = 4;
const SIGFPE: u32 = 8;
const SIGSEGV: u32 = 11;
const ILL_ILLOPC: i32 = 1;
const ILL_ILLOPN: i32 = 2;
const ILL_ILLADR: i32 = 3;
const ILL_PRVOPC: i32 = 5;
const FPE_INTDIV: i32 = 1;
const FPE_INTOVF: i32 = 2;
const FPE_FLTDIV: i32 = 3;
const FPE_FLTOVF: i32 = 4;
const FPE_FLTUND: i32 = 5;
const FPE_FLTRES: i32 = 6;
const FPE_FLTINV: i32 = 7;
/// Sent by the kernel, without a reason of its own.
const SI_KERNEL: i32 = 0x80;

/// What Linux makes of a program interruption in a program.
impl ProgramCheck {
    /// What the program did wrong, or what it lacks; of an instruction at that address. `None`: that
    /// its tables are malformed, which is the kernel's fault.
    pub fn user_fault(self, instruction: u64) -> Option<UserFault> {
        if self.translation() {
            let fetch = self.is_fetch_of(instruction);
            let Fault { kind, address, .. } = self.fault(fetch);
            let address = if fetch { Some(VirtAddr::new(instruction)) } else { address };
            return Some(UserFault::Page { kind, address: address? });
        }
        let (signal, code) = match self.code() {
            0x01 => (SIGILL, ILL_ILLOPC),
            0x02 => (SIGILL, ILL_PRVOPC),
            0x03 | 0x06 | 0x13 | 0x15 => (SIGILL, ILL_ILLOPN),
            0x05 => (SIGILL, ILL_ILLADR),
            // Decimal operands that are none have no data-exception code.
            0x07 if self.dxc() == 0 => (SIGILL, ILL_ILLOPN),
            0x07 => (SIGFPE, self.ieee_code()),
            0x08 => (SIGFPE, FPE_INTOVF),
            0x09 => (SIGFPE, FPE_INTDIV),
            0x0c => (SIGFPE, FPE_FLTOVF),
            0x0d => (SIGFPE, FPE_FLTUND),
            0x0e => (SIGFPE, FPE_FLTRES),
            0x0f => (SIGFPE, FPE_FLTDIV),
            0x12 => return None,
            0x1b => (SIGFPE, self.vector_code()),
            0x1d => (SIGFPE, FPE_FLTINV),
            _ => (SIGSEGV, SI_KERNEL),
        };
        let address = VirtAddr::new(instruction);
        Some(UserFault::Signal { signal, code, address, name: self.name() })
    }

    /// The data-exception code; for vectors the vector-exception code.
    fn dxc(self) -> u8 {
        self.word as u8
    }

    /// Its bits 0-4 name the IEEE exception if bits 6-7 are 0.
    fn ieee_code(self) -> i32 {
        if self.dxc() & 3 != 0 {
            return 0;
        }
        match self.dxc().leading_zeros() {
            0 => FPE_FLTINV,
            1 => FPE_FLTDIV,
            2 => FPE_FLTOVF,
            3 => FPE_FLTUND,
            4 => FPE_FLTRES,
            _ => 0,
        }
    }

    /// Bits 4-7: the interruption's cause (0-3: which element).
    fn vector_code(self) -> i32 {
        match self.dxc() & 15 {
            1 => FPE_FLTINV,
            2 => FPE_FLTDIV,
            3 => FPE_FLTOVF,
            4 => FPE_FLTUND,
            5 => FPE_FLTRES,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(code: u64, dxc: u64) -> Option<(u32, i32)> {
        let check = ProgramCheck { word: 4 << 48 | code << 32 | dxc, tec: 0 };
        match check.user_fault(0x1000)? {
            UserFault::Signal { signal, code, address, .. } => {
                assert_eq!(address.get(), 0x1000);
                Some((signal, code))
            }
            UserFault::Page { .. } => None,
        }
    }

    #[test]
    fn signals_of_programs() {
        assert_eq!(signal(0x01, 0), Some((SIGILL, ILL_ILLOPC)));
        assert_eq!(signal(0x02, 0), Some((SIGILL, ILL_PRVOPC)));
        assert_eq!(signal(0x06, 0), Some((SIGILL, ILL_ILLOPN)));
        assert_eq!(signal(0x07, 0), Some((SIGILL, ILL_ILLOPN)));
        assert_eq!(signal(0x07, 0x80), Some((SIGFPE, FPE_FLTINV)));
        assert_eq!(signal(0x07, 0x40), Some((SIGFPE, FPE_FLTDIV)));
        assert_eq!(signal(0x07, 0x0c), Some((SIGFPE, FPE_FLTRES)));
        assert_eq!(signal(0x07, 0xff), Some((SIGFPE, 0)));
        assert_eq!(signal(0x09, 0), Some((SIGFPE, FPE_INTDIV)));
        assert_eq!(signal(0x1b, 0x32), Some((SIGFPE, FPE_FLTDIV)));
        assert_eq!(signal(0x0a, 0), Some((SIGSEGV, SI_KERNEL)));
        assert_eq!(signal(0x12, 0), None);
    }

    #[test]
    fn pages_of_programs() {
        let page = |check: ProgramCheck, at| match check.user_fault(at) {
            Some(UserFault::Page { kind, address }) => (kind, address.get()),
            other => panic!("{other:?}"),
        };
        assert_eq!(page(check(6, 0x11, 0x2000_0800), 0x1000), (FaultKind::Read, 0x2000_0000));
        assert_eq!(page(check(6, 0x04, 0x2000_0404), 0x1000), (FaultKind::Write, 0x2000_0000));
        assert_eq!(page(check(6, 0x11, 0x2000_0800), 0x2000_0010), (FaultKind::Execute, 0x2000_0010));
        assert_eq!(page(check(2, 0x04, 0x2000_0884), 0x2000_0010), (FaultKind::Execute, 0x2000_0010));
        // The second page of an instruction that crosses into it.
        assert_eq!(page(check(6, 0x11, 0x2000_1800), 0x2000_0ffe), (FaultKind::Read, 0x2000_1000));
    }

    fn check(ilc: u64, code: u64, tec: u64) -> ProgramCheck {
        ProgramCheck { word: ilc << 48 | code << 32, tec }
    }

    // The TECs are those that QEMU 7.2 gave.
    #[test]
    fn kinds() {
        for (check, pc, kind, address) in [
            (check(6, 0x11, 0x2000_0803), 0x1_0000, FaultKind::Read, Some(0x2000_0000)),
            (check(6, 0x11, 0x2000_0403), 0x1_0000, FaultKind::Write, Some(0x2000_0000)),
            (check(6, 0x11, 0x2000_0803), 0x2000_0010, FaultKind::Execute, Some(0x2000_0000)),
            (check(6, 0x04, 0x1_0407), 0x2_0000, FaultKind::Write, Some(0x1_0000)),
            (check(2, 0x04, 0x9_0887), 0x9_0000, FaultKind::Execute, Some(0x9_0000)),
            (check(2, 0x01, 0), 0x1_0000, FaultKind::IllegalInstruction, None),
            (check(6, 0x05, 0), 0x1_0000, FaultKind::Other, None),
        ] {
            let fault = check.fault(check.is_fetch_of(pc));
            assert_eq!(fault.kind, kind, "{check:x?}");
            assert_eq!(fault.address.map(VirtAddr::get), address, "{check:x?}");
        }
    }

    #[test]
    fn nullified_or_not() {
        assert_eq!(check(6, 0x11, 0).instruction(0x1000), 0x1000);
        assert_eq!(check(6, 0x3b, 0).instruction(0x1000), 0x1000);
        assert_eq!(check(6, 0x04, 0).instruction(0x1006), 0x1000);
        assert_eq!(check(2, 0x01, 0).instruction(0x1002), 0x1000);
    }

    #[test]
    fn a_per_event_does_not_hide_the_code() {
        assert_eq!(check(4, 0x91, 0).code(), 0x11);
        assert_eq!(check(4, 0x80, 0).name(), "PER event");
    }
}
