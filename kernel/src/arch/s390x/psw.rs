//! The program-status word (POP chapter 4) and the instructions that change a part of it.

use core::arch::asm;

/// A PSW as it lies in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub struct Psw {
    /// Bits 0-63: masks, address space, addressing mode.
    pub mask: u64,
    /// Bits 64-127: the next instruction.
    pub address: u64,
}

/// Bit 5: translation (DAT).
pub const DAT: u64 = 1 << (63 - 5);
/// Bit 6: I/O interruptions.
pub const IO: u64 = 1 << (63 - 6);
/// Bit 7: external interruptions.
pub const EXTERNAL: u64 = 1 << (63 - 7);
/// Bit 13: machine checks.
pub const MACHINE_CHECK: u64 = 1 << (63 - 13);
/// Bit 14: wait.
pub const WAIT: u64 = 1 << (63 - 14);
/// Bit 15: problem state.
pub const PROBLEM: u64 = 1 << (63 - 15);
/// Bits 16-17: address space; 11 = home.
pub const HOME: u64 = 0b11 << (63 - 17);
/// The same; 10 = secondary. (00 = primary; 01 = named by access registers, which QEMU does not know:
/// a PSW that says so ends QEMU.)
pub const SECONDARY: u64 = 0b10 << (63 - 17);
/// Bits 18-23: condition code and program mask.
pub const CONDITION: u64 = 0b11_1111 << (63 - 23);
/// Bits 31-32: 64-bit addressing.
pub const ADDRESSING_64: u64 = 0b11 << (63 - 32);
/// Bit 32 alone: 31-bit addressing.
const ADDRESSING_31: u64 = 1 << (63 - 32);

/// A program's mask: primary space.
pub const PROGRAM: u64 = DAT | IO | EXTERNAL | MACHINE_CHECK | PROBLEM | ADDRESSING_64;
/// The kernel's mask, I/O and external interruptions off; also that of the new PSWs.
pub const KERNEL: u64 = DAT | RESTART;
/// The same with translation off: a CPU that was restarted first loads its control registers.
pub const RESTART: u64 = HOME | MACHINE_CHECK | ADDRESSING_64;

/// The system mask's two interruption bits, as STNSM and STOSM see them.
const IRQS: u8 = ((IO | EXTERNAL) >> 56) as u8;

/// STORE THEN AND SYSTEM MASK: turns I/O and external interruptions off, says whether they were on.
#[inline]
pub fn irqs_off() -> bool {
    let mut old = 0u8;
    // SAFETY: turning interruptions off is always allowed; the byte is ours. No `nomem`: nothing
    // may move across it.
    unsafe { asm!("stnsm 0({0}), {1}", in(reg_addr) &raw mut old, const 0xff ^ IRQS, options(nostack)) };
    old & IRQS != 0
}

/// STORE THEN OR SYSTEM MASK: turns I/O and external interruptions on.
///
/// # Safety
/// The caller is in no section that interruptions must not enter.
#[inline]
pub unsafe fn irqs_on() {
    let mut old = 0u8;
    // SAFETY: the caller's promise; the byte is ours.
    unsafe { asm!("stosm 0({0}), {1}", in(reg_addr) &raw mut old, const IRQS, options(nostack)) };
    let _ = old;
}

/// EXTRACT PSW: bits 0-31.
#[inline]
pub fn upper_mask() -> u32 {
    let high: u32;
    // SAFETY: reads the PSW, nothing else.
    unsafe { asm!("epsw {0}, %r0", out(reg) high, options(nomem, nostack, preserves_flags)) };
    high
}

/// Continues behind this call with the mask, in particular with WAIT.
///
/// # Safety
/// The mask must leave the kernel able to run: its addressing mode, a mapped address space.
#[inline(never)]
pub unsafe fn continue_with(mask: u64) {
    let mut psw = Psw { mask, address: 0 };
    // SAFETY: the caller's promise; the PSW's address is the instruction behind LPSWE.
    unsafe {
        asm!("larl {t}, 2f", "stg {t}, 8({p})", "lpswe 0({p})", "2:", t = out(reg) _,
             p = in(reg_addr) &raw mut psw, options(nostack));
    }
}

/// LOAD PSW EXTENDED, for good.
///
/// # Safety
/// As for any jump.
pub unsafe fn load(psw: &Psw) -> ! {
    // SAFETY: the caller's promise.
    unsafe { asm!("lpswe 0({0})", in(reg_addr) psw, options(noreturn)) }
}

/// The mask of a program, with what it may choose itself taken from `wish`: condition code, program
/// mask, addressing mode (24, 31 or 64 bits), primary or secondary space.
pub fn of_program(wish: u64) -> u64 {
    let addressing = match wish & ADDRESSING_64 {
        // 64 bits without 31 is none.
        0 => 0,
        ADDRESSING_31 => ADDRESSING_31,
        _ => ADDRESSING_64,
    };
    let space = if wish & HOME == SECONDARY { SECONDARY } else { 0 };
    PROGRAM & !ADDRESSING_64 | wish & CONDITION | addressing | space
}
