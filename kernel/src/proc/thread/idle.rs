//! The idle threads of the CPUs that are started later.

use super::{Priority, Thread, ThreadRef, block};
use crate::addr::VirtAddr;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::sync::context::TaskContext;
use core::fmt::Write;

/// An idle thread for that CPU, and the end of the stack on which it begins. It is never freed: a
/// CPU that was started may run on it even if it was given up for dead.
pub fn idle_thread(cpu: usize) -> Result<(ThreadRef, VirtAddr), Errno> {
    let mut name = arrayvec::ArrayString::<15>::new();
    // "idle/" and two digits fit.
    let _ = write!(name, "idle/{cpu}");
    let thread = block::alloc(Thread::new(TaskContext::new(&name), Priority::Idle, cpu, 1), None)?;
    thread.set_allowed(CpuSet::one(cpu));
    let stack = block::stack_below(core::ptr::from_ref::<Thread>(&thread).cast_mut().cast());
    Ok((thread, stack))
}
