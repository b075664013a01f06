//! The layout of Linux' signal frames on s390x (`asm/sigcontext.h`, `asm/ucontext.h`).
//!
//! ```text
//!         sigframe                                rt_sigframe
//!    0    area for the callee's registers         the same
//!  160    mask, pointer to the registers          place of an old trampoline
//!  168                                            siginfo_t, 128 bytes
//!  176    registers, 344 bytes
//!  296                                            flags, link, stack_t
//!  336                                            registers, 344 bytes
//!  520    signal number
//!  528    vector registers, 512 bytes
//!  680                                            mask, room for 1024 signals
//!  808                                            vector registers, 512 bytes
//! 1040    place of an old trampoline
//! 1048    end
//! 1320                                            end
//! ```
//!
//! What stands at fixed distances is what programs read, debuggers and unwinders among them. Pure,
//! compiled and tested on every host.

use crate::arch::signals::AltStack;

/// Bytes for the callee's registers, with the back chain in front.
pub const CALLEE: usize = 160;

/// `struct sigframe`: a handler without SA_SIGINFO.
pub mod plain {
    /// The signal mask.
    pub const MASK: usize = super::CALLEE;
    /// Where the registers are.
    pub const POINTER: usize = MASK + 8;
    /// `_sigregs`
    pub const REGISTERS: usize = POINTER + 8;
    /// The signal's number.
    pub const SIGNAL: usize = REGISTERS + super::REGISTERS_BYTES;
    /// `_sigregs_ext`
    pub const VECTORS: usize = SIGNAL + 8;
    /// Behind the place of a trampoline.
    pub const BYTES: usize = VECTORS + super::VECTORS_BYTES + 8;
}

/// `struct rt_sigframe`: a handler with SA_SIGINFO.
pub mod rt {
    /// `siginfo_t`
    pub const INFO: usize = super::CALLEE + 8;
    /// `struct ucontext`: flags.
    pub const CONTEXT: usize = INFO + 128;
    /// `stack_t`, behind flags and link.
    pub const STACK: usize = CONTEXT + 16;
    /// `_sigregs`
    pub const REGISTERS: usize = STACK + 24;
    /// The signal mask.
    pub const MASK: usize = REGISTERS + super::REGISTERS_BYTES;
    /// `_sigregs_ext`
    pub const VECTORS: usize = MASK + 128;
    /// All of it.
    pub const BYTES: usize = VECTORS + super::VECTORS_BYTES;
    /// UC_VXRS: there are vector registers.
    pub const FLAG_VECTORS: u64 = 2;
}

/// `_sigregs`: PSW, general and access registers, FPC, floating-point registers.
const REGISTERS_BYTES: usize = 16 + 128 + 64 + 8 + 128;
const ACCESS: usize = 16 + 128;
const FPC: usize = ACCESS + 64;
const FLOATS: usize = FPC + 8;
/// `_sigregs_ext`: the right halves of sixteen vector registers, all of the other sixteen, a reserve.
const VECTORS_BYTES: usize = 128 + 256 + 128;

/// All registers of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// Mask and address.
    pub psw: [u64; 2],
    /// General.
    pub gprs: [u64; 16],
    /// Access.
    pub access: [u32; 16],
    /// Floating-point control.
    pub fpc: u32,
    /// Vector; the left halves of the first sixteen are the floating-point registers.
    pub vectors: [[u64; 2]; 32],
}

/// Writes a doubleword.
pub fn put(frame: &mut [u8], at: usize, value: u64) {
    frame[at..at + 8].copy_from_slice(&value.to_be_bytes());
}

/// Writes a word.
pub fn put_word(frame: &mut [u8], at: usize, value: u32) {
    frame[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// Reads a doubleword; 0 beyond the end.
pub fn get(frame: &[u8], at: usize) -> u64 {
    frame.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Reads a word; 0 beyond the end.
pub fn get_word(frame: &[u8], at: usize) -> u32 {
    frame.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

impl Registers {
    /// To `_sigregs` and `_sigregs_ext`.
    pub fn write(&self, frame: &mut [u8], registers: usize, vectors: usize) {
        for (n, &value) in self.psw.iter().chain(&self.gprs).enumerate() {
            put(frame, registers + 8 * n, value);
        }
        for (n, &value) in self.access.iter().enumerate() {
            put_word(frame, registers + ACCESS + 4 * n, value);
        }
        put_word(frame, registers + FPC, self.fpc);
        for (n, [left, right]) in self.vectors.iter().enumerate() {
            if n < 16 {
                put(frame, registers + FLOATS + 8 * n, *left);
                put(frame, vectors + 8 * n, *right);
            } else {
                put(frame, vectors + 128 + 16 * (n - 16), *left);
                put(frame, vectors + 128 + 16 * (n - 16) + 8, *right);
            }
        }
    }

    /// From there.
    pub fn read(frame: &[u8], registers: usize, vectors: usize) -> Self {
        let at = |n: usize| get(frame, n);
        Self {
            psw: core::array::from_fn(|n| at(registers + 8 * n)),
            gprs: core::array::from_fn(|n| at(registers + 16 + 8 * n)),
            access: core::array::from_fn(|n| get_word(frame, registers + ACCESS + 4 * n)),
            fpc: get_word(frame, registers + FPC),
            vectors: core::array::from_fn(|n| {
                if n < 16 {
                    [at(registers + FLOATS + 8 * n), at(vectors + 8 * n)]
                } else {
                    [at(vectors + 128 + 16 * (n - 16)), at(vectors + 128 + 16 * (n - 16) + 8)]
                }
            }),
        }
    }
}

/// Whether the floating-point-control register takes the value: bits that are not defined are 0, and
/// so is a rounding mode that is none (POP chapter 9, "Floating-Point-Control Register").
pub fn is_control(fpc: u32) -> bool {
    fpc & 0x0303_0088 == 0 && !matches!(fpc & 7, 4..=6)
}

/// Writes a `stack_t`.
pub fn put_stack(frame: &mut [u8], at: usize, stack: AltStack) {
    put(frame, at, stack.sp);
    put_word(frame, at + 8, stack.flags);
    put(frame, at + 16, stack.size);
}

/// Reads a `stack_t`.
pub fn get_stack(frame: &[u8], at: usize) -> AltStack {
    AltStack { sp: get(frame, at), flags: get_word(frame, at + 8), size: get(frame, at + 16) }
}

// What debuggers and unwinders count on.
const _: () = assert!(plain::REGISTERS == 176 && plain::SIGNAL == 520 && plain::BYTES == 1048);
const _: () = assert!(rt::INFO == 168 && rt::CONTEXT == 296 && rt::REGISTERS == 336 && rt::MASK == 680);
const _: () = assert!(rt::VECTORS == 808 && rt::BYTES == 1320);

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> Registers {
        let mut n = 0_u64;
        let mut next = move || {
            n += 1;
            n << 32 | !n & 0xffff_ffff
        };
        Registers {
            psw: core::array::from_fn(|_| next()),
            gprs: core::array::from_fn(|_| next()),
            access: core::array::from_fn(|_| next() as u32),
            fpc: next() as u32,
            vectors: core::array::from_fn(|_| [next(), next()]),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for (registers, vectors, bytes) in
            [(plain::REGISTERS, plain::VECTORS, plain::BYTES), (rt::REGISTERS, rt::VECTORS, rt::BYTES)]
        {
            let mut frame = vec![0; bytes];
            numbered().write(&mut frame, registers, vectors);
            assert_eq!(Registers::read(&frame, registers, vectors), numbered());
            assert!(frame[..registers].iter().all(|&byte| byte == 0));
        }
    }

    /// Offsets that `ucontext.h` of a program has (glibc's `mcontext_t`).
    #[test]
    fn where_programs_look() {
        let mut frame = [0; rt::BYTES];
        let all = numbered();
        all.write(&mut frame, rt::REGISTERS, rt::VECTORS);
        let context = |at: usize| get(&frame, rt::CONTEXT + at);
        assert_eq!(context(40 + 8), all.psw[1], "the address");
        assert_eq!(context(40 + 16 + 8 * 15), all.gprs[15], "the stack pointer");
        assert_eq!((context(40 + 16 + 128) >> 32) as u32, all.access[0]);
        assert_eq!((context(40 + 16 + 128 + 64) >> 32) as u32, all.fpc);
        assert_eq!(context(40 + 16 + 128 + 64 + 8 + 8 * 15), all.vectors[15][0], "f15");
        assert_eq!(context(512), all.vectors[0][1], "the rest of v0");
        assert_eq!(context(512 + 128 + 8), all.vectors[16][1]);
    }

    #[test]
    fn a_short_frame_reads_as_zeros() {
        let read = Registers::read(&[0xff; 200], rt::REGISTERS, rt::VECTORS);
        assert_eq!((read.psw, read.gprs[15], read.vectors[31]), ([0; 2], 0, [0; 2]));
    }

    #[test]
    fn control_words() {
        assert!(is_control(0) && is_control(0xf8f8_ff77) && is_control(3));
        for wrong in [0x0100_0000, 0x0001_0000, 0x80, 0x08, 4, 5, 6, u32::MAX] {
            assert!(!is_control(wrong), "{wrong:#x}");
        }
    }

    #[test]
    fn stacks() {
        let mut frame = [0; 24];
        let stack = AltStack { sp: 0x1234_5678_9abc, flags: 2, size: 8192 };
        put_stack(&mut frame, 0, stack);
        assert_eq!(get_stack(&frame, 0), stack);
    }
}
