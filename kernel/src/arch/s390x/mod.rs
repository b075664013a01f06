//! The s390x machine (QEMU's s390-ccw-virtio).
//!
//! The kernel runs in home space: new PSWs and CR13 select it, and an interruption's PSW swap
//! enters it without loading a control register. Programs run in primary space (CR1, CR7).
//! The home space maps all memory where it lies (virtual = real), text read-only and executable,
//! all else not executable; page 0 is not mapped. The rejected alternative, a kernel in primary
//! space, loads CR1 twice for each system call, and each load empties QEMU's whole TLB.
//!
//! Low core, the architecture's page of PSWs and parameters, is at real address 0 of each CPU.
//! Virtual page 0 being unmapped, translated code sees its own CPU's at [`lowcore::ALIAS`].
//!
//! Manual: z/Architecture Principles of Operation, SA22-7832 ("POP").

pub mod abi;
pub mod backtrace;
pub mod console;
pub mod context;
mod control;
pub mod cpu;
pub mod cpuinfo;
mod entry;
mod extable;
mod external;
mod lowcore;
pub mod mmu;
pub mod power;
pub mod probe;
mod psw;
pub mod random;
pub mod samples;
mod sclp;
mod setup;
pub mod signal;
mod sigp;
mod smp;
pub mod space;
pub mod timer;
mod tlb;
mod trap;
pub mod user;
pub mod usercopy;

/// The format of programs' page tables, in the layouts `page` and `group`.
pub use crate::arch::s390x_format::S390Dat as Format;
/// The same in the layout `frag`.
pub use crate::arch::s390x_format::S390Dat as FragFormat;
pub use trap::TrapFrame;

/// 4 KB frames.
pub const PAGE_SHIFT: u32 = 12;
/// 32 KB.
pub const STACK_SIZE: usize = 32 << 10;
/// The lowest page of a stack.
pub const STACK_GUARD: usize = 4 << 10;
