//! Read sections.
//!
//! A section is a number in the task's context (H25): how many are open. The scheduler does not take
//! the CPU from a task while it is not 0, so a section is always on one CPU; interrupts stay on, and
//! nothing is written that another CPU writes. The alternative, to let readers be preempted as
//! Linux' PREEMPT_RCU does, keeps a list of preempted readers that every grace period has to wait
//! for; our sections are walks in bounded steps, shorter than the time such a list would take.
//! Sections do not count as preemption turned off, so that what reports a stall can tell which it is,
//! and a preemption that was put off is made up for at the end of the section.

use super::global;
use crate::arch;
use crate::sync::context::{self, current};
use crate::sync::latency::{self, Off};
use crate::sync::{InIrq, IrqGuard, MaySleep, preempt};
use core::marker::PhantomData;

/// More sections open at one time than any correct code has (H44).
pub const MAX_NESTING: u32 = 256;

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::sync::MaySleep {}
    impl Sealed for crate::sync::InIrq {}
}

/// A context in which a read section may begin.
pub trait ReadContext: sealed::Sealed {}
impl ReadContext for MaySleep {}
impl ReadContext for InIrq {}

/// A read section. While it lives, nothing that was deferred after it began is freed.
///
/// # Invariants
/// The task that made it has counted one section for it.
#[derive(Debug)]
#[must_use = "the section ends when the guard is dropped"]
pub struct RcuReadGuard<'ctx>(PhantomData<&'ctx ()>, PhantomData<*mut ()>);

/// Begins a read section. Sections nest; in interrupt handlers, too.
///
/// Sleeping inside is a borrow error:
/// ```compile_fail,E0502
/// use fallow::{rcu, sync::{MaySleep, hooks}};
/// # // SAFETY: an example that does not compile.
/// let mut task = unsafe { MaySleep::mint() };
/// let section = rcu::read_lock(&task);
/// hooks::block(&mut task, "example", None);
/// drop(section);
/// ```
/// So is waiting for a grace period, which would wait for itself (H43):
/// ```compile_fail,E0502
/// use fallow::{rcu, sync::MaySleep};
/// # // SAFETY: an example that does not compile.
/// let mut task = unsafe { MaySleep::mint() };
/// let section = rcu::read_lock(&task);
/// rcu::synchronize(&mut task);
/// drop(section);
/// ```
/// What was found inside is not used after the end:
/// ```compile_fail,E0505
/// use fallow::{rcu, rcu::RcuReadGuard, sync::MaySleep};
/// fn find<'rcu>(_: &'rcu RcuReadGuard<'_>) -> &'rcu u32 { &7 }
/// # // SAFETY: an example that does not compile.
/// let task = unsafe { MaySleep::mint() };
/// let section = rcu::read_lock(&task);
/// let found = find(&section);
/// drop(section);
/// println!("{found}");
/// ```
/// A section stays with its task:
/// ```compile_fail,E0277
/// use fallow::{rcu, sync::MaySleep};
/// fn needs_send<T: Send>(_: T) {}
/// # // SAFETY: an example that does not compile.
/// let task = unsafe { MaySleep::mint() };
/// needs_send(rcu::read_lock(&task));
/// ```
/// It cannot be made without a context:
/// ```compile_fail,E0277
/// let section = fallow::rcu::read_lock(&());
/// ```
/// This is fine:
/// ```
/// use fallow::{rcu, sync::MaySleep};
/// // SAFETY: the only token of this thread.
/// let task = unsafe { MaySleep::mint() };
/// let outer = rcu::read_lock(&task);
/// let inner = rcu::read_lock(&task);
/// drop((outer, inner));
/// ```
#[inline]
#[track_caller]
pub fn read_lock<C: ReadContext>(_context: &C) -> RcuReadGuard<'_> {
    let depth = current().rcu.enter();
    if depth == 1 {
        latency::begin(Off::Section);
    }
    if depth >= MAX_NESTING {
        nested_too_deep();
    }
    if arch::HOSTED && depth == 1 {
        global::RCU.watch(arch::rcu_cpu());
    }
    // The counter is read by this CPU's interrupts only, for which `enter` orders enough. Checked
    // after the count: now the CPU cannot change.
    debug_assert!(
        depth > 1 || global::RCU.is_watched(arch::rcu_cpu()),
        "RCU read section on a CPU that RCU does not watch (idle or offline)"
    );
    RcuReadGuard(PhantomData, PhantomData)
}

impl Drop for RcuReadGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let task = current();
        if arch::HOSTED && task.rcu.get() == 1 {
            global::RCU.unwatch(arch::rcu_cpu());
        }
        if task.rcu.get() == 1 {
            latency::end(Off::Section);
        }
        match task.rcu.leave() {
            Some(0) => {
                if !arch::HOSTED && global::RCU.wants_reports() {
                    report();
                }
                if task.need_resched() {
                    preempt::preempt_if_possible();
                }
            }
            Some(_) => {}
            None => unlock_without_lock(),
        }
    }
}

/// The end of a section that a grace period may wait for.
#[cold]
fn report() {
    let _irqs_off = IrqGuard::new();
    // Between the end of the section and here the task may have moved: the report is for the CPU
    // where it is now, which is in no section of this task either.
    if current().rcu.get() == 0 {
        global::RCU.quiescent(arch::rcu_cpu());
    }
}

#[cold]
fn nested_too_deep() -> ! {
    let task = current();
    panic!("RCU read sections nested {MAX_NESTING} deep (task {})", task.name());
}

#[cold]
fn unlock_without_lock() -> ! {
    panic!("RCU read section ended that was not begun (task {})", current().name());
}

/// Panics if the running task is in a read section, naming what it was about to do.
#[inline]
#[track_caller]
pub(super) fn assert_outside(what: &str) {
    let task = context::current();
    let depth = task.rcu.get();
    if depth != 0 {
        panic!("{what} in an RCU read section (task {}, {depth} deep)", task.name());
    }
}
