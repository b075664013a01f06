//! What a process's signal lock protects.

use super::super::task::Task;
use super::{Actions, Pending};
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(pub(in super::super) Threads = Arc<Task>: Task { thread_link => LinkedListAtomicLink });

/// How a process ends or has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// By `exit`, with this status.
    Exit(u8),
    /// By this signal.
    Signal(u32),
}

impl Ending {
    /// As `wait4` gives it.
    pub fn wait_status(self) -> u32 {
        match self {
            Self::Exit(status) => u32::from(status) << 8,
            Self::Signal(number) => number,
        }
    }
}

/// What the lock protects, beside the [`Owned`] cells of the process's tasks.
pub struct Signals {
    /// Whose this is.
    key: usize,
    /// Pending for the process as a whole.
    pub shared: Pending,
    /// What it does about signals.
    pub actions: Arc<Actions>,
    /// Its tasks that have not ended.
    pub threads: LinkedList<Threads>,
    /// How many those are.
    pub live: u32,
    /// It is to end so, all its tasks.
    pub ending: Option<Ending>,
    /// All tasks but this one are to end: it executes a new program.
    pub execs: Option<u32>,
    /// All tasks are to stop, by this signal.
    pub stop: Option<super::Signal>,
    /// How many tasks have not stopped yet of those that are to.
    pub running: u32,
}

impl Signals {
    pub(in super::super) fn new(key: usize, actions: Arc<Actions>) -> Self {
        Self {
            key,
            shared: Pending::new(),
            actions,
            threads: LinkedList::new(Threads::NEW),
            live: 0,
            ending: None,
            execs: None,
            stop: None,
            running: 0,
        }
    }
}

/// A value of a task that may be used only with its process's signal lock held.
pub struct Owned<T> {
    key: usize,
    value: UnsafeCell<T>,
}

// SAFETY: used by who holds the lock only.
unsafe impl<T: Send> Sync for Owned<T> {}

impl<T> Owned<T> {
    pub(in super::super) const fn new(key: usize, value: T) -> Self {
        Self { key, value: UnsafeCell::new(value) }
    }
    /// To look at.
    pub fn get<'a>(&'a self, signals: &'a Signals) -> &'a T {
        assert!(signals.key == self.key, "the lock of another process");
        // SAFETY: the lock is held, and a reference to change a value of this process borrows its
        // `Signals` exclusively, so there is none.
        unsafe { &*self.value.get() }
    }
    /// To change.
    #[expect(clippy::mut_from_ref, reason = "the borrow of the signals is the exclusive one")]
    pub fn get_mut<'a>(&'a self, signals: &'a mut Signals) -> &'a mut T {
        assert!(signals.key == self.key, "the lock of another process");
        // SAFETY: the lock is held, and no other reference to such a value lives: it would borrow
        // `Signals`, which is borrowed exclusively.
        unsafe { &mut *self.value.get() }
    }
}

impl<T> fmt::Debug for Owned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owned")
    }
}
