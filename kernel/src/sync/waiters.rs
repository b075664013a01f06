//! Tasks in a line: the part that wait queues, completions and mutexes share.
//!
//! A waiter stands on the waiting task's own stack, so waiting allocates nothing and cannot fail.
//! It is in a line only while its task is inside the function that made it; both the function's end
//! and whoever wakes the task change the line under its lock, so a waker that finds a waiter finds
//! a task that lives.

use super::context::{TaskContext, current};
use super::hooks;
use core::fmt;
use core::ptr::NonNull;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, UnsafeRef, intrusive_adapter};

/// A task that waits.
///
/// # Invariants
/// It does not move and does not end while it is linked.
#[derive(Debug)]
pub(super) struct Waiter {
    link: LinkedListAtomicLink,
    task: NonNull<TaskContext>,
}

// SAFETY: the task's context is shared by design; the link changes under the line's lock only.
unsafe impl Send for Waiter {}
// SAFETY: likewise.
unsafe impl Sync for Waiter {}

impl Waiter {
    /// A waiter for the running task, in no line yet.
    pub(super) fn new() -> Self {
        Self { link: LinkedListAtomicLink::new(), task: NonNull::from(&*current()) }
    }
    /// Whether it is in a line. To be asked under the line's lock.
    pub(super) fn is_linked(&self) -> bool {
        self.link.is_linked()
    }
}

intrusive_adapter!(InLine = UnsafeRef<Waiter>: Waiter { link => LinkedListAtomicLink });

/// Waiters in the order in which they came. Lives behind a lock.
pub(super) struct Line(LinkedList<InLine>);

impl Line {
    pub(super) const fn new() -> Self {
        Self(LinkedList::new(InLine::NEW))
    }

    /// Puts a waiter at the end, if it is in no line.
    ///
    /// # Safety
    /// The waiter is removed from this line before it ends or moves.
    pub(super) unsafe fn join(&mut self, waiter: &Waiter) {
        if !waiter.is_linked() {
            // SAFETY: it stays where it is until it is removed (the caller).
            self.0.push_back(unsafe { UnsafeRef::from_raw(waiter) });
        }
    }

    /// Takes a waiter out. Says whether it was still in the line: if not, somebody woke it.
    ///
    /// # Safety
    /// The waiter is in this line or in none.
    pub(super) unsafe fn leave(&mut self, waiter: &Waiter) -> bool {
        let linked = waiter.is_linked();
        if linked {
            // SAFETY: it is in this line (the caller).
            unsafe { self.0.cursor_mut_from_ptr(waiter) }.remove();
        }
        linked
    }

    /// Takes the first out and makes its task runnable.
    pub(super) fn wake_one(&mut self) -> bool {
        let Some(waiter) = self.0.pop_front() else { return false };
        // SAFETY: the task is alive: it cannot leave before it gets the lock that the caller holds.
        unsafe { hooks::wake(waiter.task) };
        true
    }

    /// Takes all out and makes their tasks runnable.
    pub(super) fn wake_all(&mut self) {
        while self.wake_one() {}
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Line(empty)" } else { "Line(waiters)" })
    }
}
