//! The host as a machine, for tests: a thread is a CPU, interrupts are a flag of the thread.

use std::fmt;

pub mod backtrace;
pub mod console;
pub mod context;
pub mod cpu;
pub mod mmu;
pub mod power;
pub mod probe;
pub mod space;
pub mod timer;

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
#[derive(Debug)]
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

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no registers")
    }
}
