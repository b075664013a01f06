//! What an interrupt saves: the registers of what was interrupted, kernel or program.
//!
//! A program's frame lies at the end of its thread's kernel stack. Its MSR is the one that the
//! hardware saved, or [`user_msr`]: nothing that a program can write ever becomes its MSR, so there is
//! nothing to sanitise on the way back.

use super::platform::{self, Platform};
use super::regs::{
    MSR_DR, MSR_EE, MSR_FE0, MSR_FE1, MSR_FP, MSR_HV, MSR_IR, MSR_LE, MSR_ME, MSR_PR, MSR_RI, MSR_SF,
    MSR_VEC, MSR_VSX, msr,
};
use crate::addr::VirtAddr;
use crate::arch::handlers::Syscall;
use crate::arch::ppc64_interrupt as interrupt;
use crate::error::Errno;
use core::arch::asm;
use core::fmt;

/// Bytes below r1 that belong to the interrupted function (ELFv2 ABI 2.2.3.4).
pub const PROTECTED_ZONE: usize = 288;
/// Bytes of a stack frame's header.
pub const FRAME_HEADER: usize = 32;
/// Bytes of the entry's stack frame: header, `TrapFrame`, rounded up.
pub const FRAME: usize = (FRAME_HEADER + size_of::<TrapFrame>()).next_multiple_of(16);
/// In the header of such a frame, where a compiler would keep r2: `trapfram`.
pub const FRAME_MARK: u64 = 0x7472_6170_6672_616d;

/// CR field 0, summary overflow: a system call failed.
const CR0_SO: u64 = 1 << 28;
/// PPR bits 11-13, the priority of a thread: 3, medium low, as programs begin.
const PRIORITY: u64 = 3 << 50;

/// The registers of what was interrupted. The layout is known to the assembly.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct TrapFrame {
    /// r0-r31. A return to the kernel does not load r13.
    pub gpr: [u64; 32],
    /// Next instruction (SRR0 or HSRR0).
    pub nip: u64,
    /// MSR (SRR1 or HSRR1, whose bits 33-36 and 42-47 say why).
    pub msr: u64,
    /// Link register.
    pub lr: u64,
    /// Count register.
    pub ctr: u64,
    /// Fixed-point exception register.
    pub xer: u64,
    /// Condition register.
    pub cr: u64,
    /// Data address register.
    pub dar: u64,
    /// Data storage interrupt status.
    pub dsisr: u64,
    /// Offset of the vector, and two flags.
    vector: u64,
    /// r3 as it was: the first argument of a system call that is made again.
    pub first_argument: u64,
    /// Program priority register; only of programs.
    ppr: u64,
}

impl TrapFrame {
    /// Of no interrupt: the registers as they are in the caller, into which this is inlined.
    #[inline(always)]
    pub fn here() -> Self {
        let mut gpr = [0; 32];
        let (nip, lr, ctr, xer, cr): (u64, u64, u64, u64, u64);
        // SAFETY: stores the registers into the array and reads the others. The branch to the next
        // instruction tells its address; the link register is put back.
        unsafe {
            asm!(".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                 "std \\n, 8*\\n({gpr})", ".endr",
                 ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
                 "std \\n, 8*\\n({gpr})", ".endr",
                 "mflr {lr}", "bcl 20, 31, 2f", "2:", "mflr {nip}", "mtlr {lr}",
                 "mfctr {ctr}", "mfxer {xer}", "mfcr {cr}",
                 gpr = in(reg_nonzero) &raw mut gpr, lr = out(reg_nonzero) lr, nip = out(reg_nonzero) nip,
                 ctr = out(reg_nonzero) ctr, xer = out(reg_nonzero) xer, cr = out(reg_nonzero) cr,
                 options(nostack, preserves_flags));
        }
        Self { gpr, nip, msr: msr(), lr, ctr, xer, cr, ..Self::EMPTY }
    }
    const EMPTY: Self = Self {
        gpr: [0; 32],
        nip: 0,
        msr: 0,
        lr: 0,
        ctr: 0,
        xer: 0,
        cr: 0,
        dar: 0,
        dsisr: 0,
        vector: 0,
        first_argument: 0,
        ppr: 0,
    };
    /// Where it was interrupted.
    pub fn pc(&self) -> usize {
        self.nip as usize
    }
    /// Its stack pointer.
    pub fn sp(&self) -> usize {
        self.gpr[1] as usize
    }
    /// Offset of the interrupt's vector.
    pub fn vector(&self) -> u64 {
        self.vector & !0x1f
    }
    /// Whether the interrupted stack had no room for the frame.
    pub fn on_emergency_stack(&self) -> bool {
        self.vector & 2 != 0
    }
}

/// The MSR of every program. Floating-point exceptions are precise: which of them interrupt is what
/// the program says in its FPSCR, where none does at first. (Linux wants `prctl(PR_SET_FPEXC)` in
/// addition, which glibc calls, and does not look whether it worked.)
fn user_msr() -> u64 {
    let hypervisor = if platform::get() == Platform::PowerNv { MSR_HV } else { 0 };
    let facilities = MSR_FP | MSR_VEC | MSR_VSX | MSR_FE0 | MSR_FE1;
    hypervisor | facilities | MSR_SF | MSR_EE | MSR_PR | MSR_ME | MSR_IR | MSR_DR | MSR_RI | MSR_LE
}

/// Frames of programs.
impl TrapFrame {
    /// Whether it interrupted a program.
    pub fn is_user(&self) -> bool {
        self.msr & MSR_PR != 0
    }
    /// A program's first state. r12 is the entry, as ELFv2 wants of who calls a function by address.
    pub fn program(entry: VirtAddr, sp: VirtAddr) -> Self {
        let mut frame = Self { nip: entry.get(), msr: user_msr(), ppr: PRIORITY, ..Self::EMPTY };
        frame.gpr[1] = sp.get();
        frame.gpr[12] = entry.get();
        frame
    }
    /// What the program asks for: arguments in r3 to r8.
    #[inline]
    pub fn syscall(&self) -> Syscall {
        let r = &self.gpr;
        Syscall { number: r[0] as usize, args: [self.first_argument, r[4], r[5], r[6], r[7], r[8]] }
    }
    /// What it gets: the value, or the error's number with CR0.SO set.
    #[inline]
    pub fn set_result(&mut self, result: Result<u64, Errno>) {
        match result {
            Ok(value) => {
                self.gpr[3] = value;
                self.cr &= !CR0_SO;
            }
            Err(error) => {
                self.gpr[3] = error as u64;
                self.cr |= CR0_SO;
            }
        }
    }
    /// Makes it ask again: `sc` is the instruction before.
    pub fn restart(&mut self) {
        self.gpr[3] = self.first_argument;
        self.nip = self.nip.wrapping_sub(4);
    }
    /// Makes it ask that.
    pub fn restart_as(&mut self, number: usize) {
        self.gpr[0] = number as u64;
        self.restart();
    }
    /// Where it continues.
    pub fn set_pc(&mut self, pc: VirtAddr) {
        self.nip = pc.get();
    }
    /// Its stack pointer from now on.
    pub fn set_sp(&mut self, sp: VirtAddr) {
        self.gpr[1] = sp.get();
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interrupted = self.vector() != 0;
        if interrupted {
            let name = interrupt::name(self.vector());
            writeln!(f, "{name} interrupt ({:#x})", self.vector())?;
        }
        writeln!(f, "nip {:016x}  msr {:016x}  lr  {:016x}", self.nip, self.msr, self.lr)?;
        write!(f, "ctr {:016x}  xer {:016x}  cr  {:016x}", self.ctr, self.xer, self.cr)?;
        if interrupted {
            write!(f, "\ndar {:016x}  dsisr {:08x}", self.dar, self.dsisr)?;
        }
        for (number, value) in self.gpr.iter().enumerate() {
            let start = if number % 4 == 0 { "\n" } else { "  " };
            write!(f, "{start}r{number:<2} {value:016x}")?;
        }
        Ok(())
    }
}
