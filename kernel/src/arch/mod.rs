//! The machines. This file alone looks at the target.
//!
//! `current` is the machine that the kernel is built for, or `hosted` (threads as CPUs) for tests
//! on the host; `interface` lists what neutral code may use of it. `s390x_format` and
//! `ppc64_format` are pure, and are compiled, with their tests, on every host.

pub mod abi;
pub mod handlers;
pub mod interface;
pub mod paging;
pub mod samples;
pub mod signals;

#[path = "ppc64/format.rs"]
pub mod ppc64_format;
#[path = "ppc64/interrupt.rs"]
pub mod ppc64_interrupt;
#[path = "ppc64/timebase.rs"]
pub mod ppc64_timebase;
#[path = "ppc64/tree.rs"]
pub mod ppc64_tree;
#[path = "ppc64/vdso.rs"]
pub mod ppc64_vdso;
#[path = "s390x/clock.rs"]
pub mod s390x_clock;
#[path = "s390x/format.rs"]
pub mod s390x_format;
#[path = "s390x/params.rs"]
pub mod s390x_params;
#[path = "s390x/program.rs"]
pub mod s390x_program;
#[path = "s390x/sccb.rs"]
pub mod s390x_sccb;
#[path = "s390x/sigframe.rs"]
pub mod s390x_sigframe;

#[cfg(all(target_os = "none", target_arch = "s390x"))]
#[path = "s390x/mod.rs"]
pub mod current;

#[cfg(all(target_os = "none", target_arch = "powerpc64"))]
#[path = "ppc64/mod.rs"]
pub mod current;

#[cfg(not(target_os = "none"))]
#[path = "hosted/mod.rs"]
pub mod current;

/// The most CPUs that are used; more are reported and left stopped.
pub const MAX_CPUS: usize = 16;

/// Whether threads of a host stand for CPUs. Nothing interrupts them, so RCU watches them only while
/// they read.
pub const HOSTED: bool = cfg!(not(target_os = "none"));

/// The number by which RCU knows this CPU; on the host, this thread, whatever CPU it plays.
#[cfg(target_os = "none")]
pub use current::cpu::id as rcu_cpu;
#[cfg(not(target_os = "none"))]
pub use current::cpu::thread_number as rcu_cpu;

/// How many such numbers there are.
#[cfg(target_os = "none")]
pub const RCU_CPUS: usize = MAX_CPUS;
#[cfg(not(target_os = "none"))]
pub use current::cpu::THREADS as RCU_CPUS;

/// Words that hold a bit for each page table of a page. On s390x two tables of 2 KB share 4 KB; on
/// ppc64 up to 256 of 256 bytes share 64 KB. The host tests both formats.
#[cfg(all(target_os = "none", target_arch = "s390x"))]
pub const TABLE_WORDS: usize = 1;
/// Words that hold a bit for each page table of a page.
#[cfg(not(all(target_os = "none", target_arch = "s390x")))]
pub const TABLE_WORDS: usize = 4;

/// Log2 of the bytes of a frame: 12 on s390x, 16 on ppc64.
pub const PAGE_SHIFT: u32 = current::PAGE_SHIFT;

/// Bytes of a frame, the unit in which memory is handed out.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

/// `Arc::new`, or ENOMEM: the standard one ends the kernel instead. (Not yet stable in Rust, so only
/// where the kernel is built, whose build asks for such things anyhow.)
#[cfg(target_os = "none")]
pub fn try_arc<T>(value: T) -> Result<alloc::sync::Arc<T>, crate::error::Errno> {
    alloc::sync::Arc::try_new(value).map_err(|_| crate::error::Errno::ENOMEM)
}
/// `Arc::new`: a test's host has memory.
#[cfg(not(target_os = "none"))]
pub fn try_arc<T>(value: T) -> Result<alloc::sync::Arc<T>, crate::error::Errno> {
    Ok(alloc::sync::Arc::new(value))
}

/// `Box::new`, or ENOMEM.
#[cfg(target_os = "none")]
pub fn try_box<T>(value: T) -> Result<alloc::boxed::Box<T>, crate::error::Errno> {
    alloc::boxed::Box::try_new(value).map_err(|_| crate::error::Errno::ENOMEM)
}
/// `Box::new`: a test's host has memory.
#[cfg(not(target_os = "none"))]
pub fn try_box<T>(value: T) -> Result<alloc::boxed::Box<T>, crate::error::Errno> {
    Ok(alloc::boxed::Box::new(value))
}
