//! The host as a machine, for tests: a thread is a CPU, interrupts are a flag of the thread.

use crate::addr::VirtAddr;
use crate::arch::handlers::Syscall;
use crate::error::Errno;
use std::fmt;

pub mod abi;
pub mod backtrace;
pub mod console;
pub mod context;
pub mod cpu;
pub mod cpuinfo;
pub mod mmu;
pub mod power;
pub mod probe;
pub mod random;
pub mod samples;
pub mod signal;
pub mod space;
pub mod timer;
pub mod user;
pub mod usercopy;

/// Tests name the format they want; this is for code that asks for the machine's.
pub use crate::arch::s390x_format::S390Dat as Format;
/// Likewise.
pub use crate::arch::s390x_format::S390Dat as FragFormat;

/// 4 KB frames.
pub const PAGE_SHIFT: u32 = 12;
/// 32 KB.
pub const STACK_SIZE: usize = 32 << 10;
/// 4 KB.
pub const STACK_GUARD: usize = 4 << 10;

/// Nothing interrupts a thread of the host.
#[derive(Clone, Debug)]
pub struct TrapFrame(());

impl TrapFrame {
    /// Where it was interrupted.
    pub fn pc(&self) -> usize {
        0
    }
    /// Its stack pointer.
    pub fn sp(&self) -> usize {
        0
    }
}

/// For code that is compiled here and runs on machines.
impl TrapFrame {
    /// Whether it interrupted a program.
    pub fn is_user(&self) -> bool {
        false
    }
    /// A program's first state.
    pub fn program(_entry: VirtAddr, _sp: VirtAddr) -> Self {
        Self(())
    }
    /// What the program asks for.
    pub fn syscall(&self) -> Syscall {
        Syscall { number: 0, args: [0; 6] }
    }
    /// What it gets.
    pub fn set_result(&mut self, _result: Result<u64, Errno>) {}
    /// Makes it ask again.
    pub fn restart(&mut self) {}
    /// Makes it ask that.
    pub fn restart_as(&mut self, _number: usize) {}
    /// Where it continues.
    pub fn set_pc(&mut self, _pc: VirtAddr) {}
    /// Its stack pointer from now on.
    pub fn set_sp(&mut self, _sp: VirtAddr) {}
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no registers")
    }
}
