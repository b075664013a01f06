//! Programs: their frames, the registers that only they use, and the ways in and out.
//!
//! The interruption's PSW swap leads from a program's primary space to the kernel's home space and its
//! kernel stack; `trap_return` leads back. Nothing else is switched there: floating-point, vector and
//! access registers stay the program's while the kernel runs for it.

use super::control;
use super::psw::{self, Psw};
use super::trap::{FLAG_CALL, TrapFrame, kernel_fault};
use crate::addr::VirtAddr;
use crate::arch::handlers::{self, Handlers, Syscall, UserFault};
use crate::arch::s390x_program::ProgramCheck;
use crate::error::Errno;

/// EM_S390
pub const ELF_MACHINE: u16 = 22;
/// The first address that a program cannot have: a region-third table translates 42 bits.
pub const SPACE_END: VirtAddr = VirtAddr::new(1 << 42);
/// AT_PLATFORM: the first machine with vector registers, without which the kernel does not start.
pub const PLATFORM: &str = "z13";

/// Nothing else in the auxiliary vector.
pub const AUXILIARY: &[(u64, u64)] = &[];

/// AT_HWCAP: Linux' bits (`asm/elf.h`), each by the facility that it stands for.
pub fn hwcap() -> u64 {
    // Bits 0, 1 and 9: instructions of z/Architecture, its addressing, and all of each register.
    const ALWAYS: u64 = 1 | 1 << 1 | 1 << 9;
    const FACILITIES: [(u32, &[usize]); 15] = [
        (2, &[7]),      // STFLE
        (3, &[17]),     // message-security assist
        (4, &[19]),     // long displacement
        (5, &[21]),     // extended immediate
        (6, &[42, 44]), // decimal floating point
        (8, &[22, 30]), // extended translation 3 enhancement
        (11, &[129]),   // vector
        (12, &[134]),   // vector packed decimal
        (13, &[135]),   // vector enhancements 1
        (15, &[148]),   // vector enhancements 2
        (16, &[152]),   // vector packed-decimal enhancement
        (17, &[150]),   // sort
        (18, &[151]),   // deflate conversion
        (19, &[192]),   // vector packed-decimal enhancement 2
        (20, &[165]),   // neural-network assist
    ];
    FACILITIES.iter().fold(ALWAYS, |hwcap, (bit, needed)| {
        let has = needed.iter().all(|&facility| control::has_facility(facility));
        hwcap | u64::from(has) << bit
    })
}

/// AT_HWCAP2: no bit is defined.
pub fn hwcap2() -> u64 {
    0
}

unsafe extern "C" {
    fn user_save(state: *mut UserState);
    fn user_restore(state: *const UserState);
    fn user_enter(frame: *const TrapFrame) -> !;
}

/// The registers that the kernel itself never uses, laid out for boot/s390x/user.S.
///
/// # Invariants
/// `fpc` is valid: loading it raises no specification exception.
#[derive(Clone, Debug)]
#[repr(C, align(8))]
pub struct UserState {
    /// The left halves of the first sixteen are the floating-point registers.
    pub(super) vectors: [[u64; 2]; 32],
    /// The floating-point-control register.
    pub(super) fpc: u32,
    /// The access registers. The first two hold the thread pointer.
    pub(super) access: [u32; 16],
}

impl UserState {
    /// As a program begins.
    pub const fn new() -> Self {
        Self { vectors: [[0; 2]; 32], fpc: 0, access: [0; 16] }
    }
    /// From the CPU.
    ///
    /// # Safety
    /// The CPU holds what belongs to this program.
    pub unsafe fn save(&mut self) {
        // SAFETY: stores into `self` alone.
        unsafe { user_save(self) };
    }
    /// To the CPU.
    ///
    /// # Safety
    /// What the CPU holds was saved.
    pub unsafe fn restore(&self) {
        // SAFETY: the kernel uses none of the registers; `fpc` is valid.
        unsafe { user_restore(self) };
    }
}

impl Default for UserState {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the thread pointer of a program that does not run.
pub fn set_tls(_frame: &mut TrapFrame, state: &mut UserState, pointer: u64) {
    state.access[0] = (pointer >> 32) as u32;
    state.access[1] = pointer as u32;
}

/// Goes on as the program.
///
/// # Safety
/// Interrupts are off, and nothing on this kernel stack is needed any more. The CPU holds the
/// program's space and other registers.
pub unsafe fn enter(frame: &TrapFrame) -> ! {
    debug_assert!(frame.is_user());
    // SAFETY: the caller's promise.
    unsafe { user_enter(frame) }
}

/// Frames of programs.
impl TrapFrame {
    /// Whether it interrupted a program.
    pub fn is_user(&self) -> bool {
        self.psw.mask & psw::PROBLEM != 0
    }
    /// A program's first state.
    pub fn program(entry: VirtAddr, sp: VirtAddr) -> Self {
        let mut gprs = [0; 16];
        gprs[15] = sp.get();
        let psw = Psw { mask: psw::PROGRAM, address: entry.get() };
        Self { psw, gprs, info: [0; 2], flags: 0, call: [0; 2] }
    }
    /// What the program asks for: arguments in r2 to r7.
    #[inline]
    pub fn syscall(&self) -> Syscall {
        let [_, _, args @ .., _, _, _, _, _, _, _, _] = self.gprs;
        Syscall { number: self.call[0] as usize, args }
    }
    /// What it gets: r2, an error as its negative number.
    #[inline]
    pub fn set_result(&mut self, result: Result<u64, Errno>) {
        self.gprs[2] = result.unwrap_or_else(|errno| (errno as i64).wrapping_neg() as u64);
    }
    /// Makes it ask again: the PSW back to the instruction.
    pub fn restart(&mut self) {
        // Low core, 0x88: the instruction's length, 2, or that of the EXECUTE that it is a target of.
        let length = self.info[0] >> 48;
        self.psw.address = self.psw.address.wrapping_sub(length);
        self.gprs[2] = self.call[1];
    }
    /// Makes it ask that. The number may stand in the instruction, so the call is made from here.
    pub fn restart_as(&mut self, number: usize) {
        self.call[0] = number as u64;
        self.gprs[2] = self.call[1];
        self.flags |= FLAG_CALL;
    }
    /// Where it continues.
    pub fn set_pc(&mut self, pc: VirtAddr) {
        self.psw.address = pc.get();
    }
    /// Its stack pointer from now on.
    pub fn set_sp(&mut self, sp: VirtAddr) {
        self.gprs[15] = sp.get();
    }
}

/// The table; there is no program before it is set.
fn table() -> &'static Handlers {
    let Some(handlers) = handlers::get() else { unreachable!("a program without a kernel") };
    handlers
}

/// A supervisor call of a program. The number is the instruction's, or, if that is 0, in r1.
pub(super) fn supervisor_call(frame: &mut TrapFrame) {
    let number = match frame.info[0] >> 32 & 0xff {
        0 => frame.gprs[1] & 0xffff,
        number => number,
    };
    frame.call = [number, frame.gprs[2]];
    let handlers = table();
    (handlers.syscall)(frame);
    call_again(handlers, frame);
}

/// A program interruption of a program.
pub(super) fn program_check(frame: &mut TrapFrame, check: ProgramCheck) {
    let instruction = check.instruction(frame.psw.address);
    let Some(fault) = check.user_fault(instruction) else {
        kernel_fault(frame, check.fault(false));
    };
    if matches!(fault, UserFault::Page { .. }) {
        // A protection exception leaves the PSW behind the instruction; it is to be repeated.
        frame.psw.address = instruction;
    }
    let handlers = table();
    (handlers.user_fault)(frame, &fault);
    call_again(handlers, frame);
}

/// Last thing before returning to a program after another interruption.
pub(super) fn leave(frame: &mut TrapFrame) {
    let handlers = table();
    (handlers.user_return)(frame);
    call_again(handlers, frame);
}

/// The call that a handler wants the program to make first.
fn call_again(handlers: &Handlers, frame: &mut TrapFrame) {
    while frame.flags & FLAG_CALL != 0 {
        frame.flags &= !FLAG_CALL;
        (handlers.syscall)(frame);
    }
}
