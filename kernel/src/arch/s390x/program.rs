//! Program interruptions: what the codes mean (POP chapter 6, "Program Interruption", and figure
//! "Program-interruption codes"; chapter 3, "Translation-Exception Identification").
//!
//! Pure, compiled and tested on every host.

use crate::addr::VirtAddr;
use crate::arch::handlers::{Fault, FaultKind};

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
            0x10 => "segment-translation exception",
            0x11 => "page-translation exception",
            0x12 => "translation-specification exception",
            0x13 => "special-operation exception",
            0x15 => "operand exception",
            0x1c => "space-switch event",
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

#[cfg(test)]
mod tests {
    use super::*;

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
