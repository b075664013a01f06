//! What a process's signal lock protects.

use super::super::task::{Task, attention};
use super::{Actions, Pending, SigSet};
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

/// What a process has done that its parent may wait for, beside its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// It has stopped, by this signal.
    Stopped(u32),
    /// It goes on.
    Continued,
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
    /// Which stop that is: who waits for the end of one waits for another number.
    pub stop_turn: u32,
    /// How many of them wait for the end of that.
    pub parked: u32,
    /// They all do.
    pub stopped: bool,
    /// What the parent may wait for: true whenever it is seen, since what makes it true or false is
    /// under this lock too.
    pub change: Option<Change>,
    /// A signal that stops was taken, and no SIGCONT came since.
    pub stop_taken: bool,
    /// It was stopped and goes on, and the parent was not told.
    pub continued: bool,
    /// The first thread's way to end, if the process does not end as a whole.
    pub leader_ending: Ending,
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
            stop_turn: 0,
            parked: 0,
            stopped: false,
            change: None,
            stop_taken: false,
            continued: false,
            leader_ending: Ending::Exit(0),
        }
    }

    /// It is to end so, if it does not end already: all its tasks are told.
    pub fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        self.end_stop();
        self.poke_all(attention::PROCESS);
    }

    /// Nobody is to stop any more. Says whether all had.
    pub fn end_stop(&mut self) -> bool {
        self.stop = None;
        self.stop_turn = self.stop_turn.wrapping_add(1);
        self.parked = 0;
        self.change = None;
        core::mem::take(&mut self.stopped)
    }

    /// The process has stopped if all its tasks have. Says whether it has now, and had not before.
    pub fn note_stopped(&mut self) -> bool {
        let Some(signal) = self.stop else { return false };
        if self.live == 0 || self.parked != self.live || self.stopped {
            return false;
        }
        self.stopped = true;
        self.change = Some(Change::Stopped(signal.number()));
        true
    }

    /// Makes all tasks look.
    pub fn poke_all(&self, reasons: u32) {
        self.threads.iter().for_each(|task| task.poke(self, reasons));
    }

    /// Drops pending signals, everybody's.
    pub fn discard(&mut self, which: SigSet) {
        self.shared.discard(which);
        let mut place = self.threads.front().clone_pointer();
        // By reference counts, since the cells borrow the whole.
        while let Some(task) = place {
            task.pending.get_mut(self).discard(which);
            // SAFETY: the task is in this list: the lock was not given back since.
            let mut cursor = unsafe { self.threads.cursor_from_ptr(&raw const *task) };
            cursor.move_next();
            place = cursor.clone_pointer();
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
