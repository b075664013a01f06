//! One thread of a program.

use super::creds::Creds;
use super::pid::Pid;
use super::signal::{Owned, Pending, SigSet};
use super::state::Process;
use crate::proc::thread::{ThreadRef, User};
use crate::sync::{IrqSpinLock, LockClass, Rank};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use intrusive_collections::LinkedListAtomicLink;

const OWN: LockClass = LockClass::new("what a task owns", Rank::PIDS);

/// Reasons for a task's attention before it goes on as its program.
pub mod attention {
    /// A signal that it does not block may be pending.
    pub const SIGNAL: u32 = 1;
    /// Its process stops or ends.
    pub const PROCESS: u32 = 2;
    /// The mask that was in force before `sigsuspend` and its like is to be put back.
    pub const RESTORE_MASK: u32 = 4;
}

/// One thread of a program: what the scheduler runs, and what Linux calls a task.
///
/// # Invariants
/// `user` is the first field: the thread's pointer to it is one to the task.
#[repr(C)]
pub struct Task {
    user: User,
    process: Arc<Process>,
    tid: AtomicU32,
    pid: IrqSpinLock<Arc<Pid>>,
    creds: IrqSpinLock<Arc<Creds>>,
    /// Signals it does not want now. Changed by itself, under the signal lock.
    blocked: AtomicU64,
    /// Pending for it alone.
    pub(super) pending: Owned<Pending>,
    /// The kernel's thread, from its beginning until it has nothing of a program any more.
    pub(super) thread: Owned<Option<ThreadRef>>,
    pub(super) table_link: LinkedListAtomicLink,
    pub(super) thread_link: LinkedListAtomicLink,
}

impl Task {
    /// Its number.
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }
    /// The process whose thread it is.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }
    /// Who it acts as.
    pub fn creds(&self) -> Arc<Creds> {
        self.creds.lock().clone()
    }
    /// Signals it does not want now.
    pub fn blocked(&self) -> SigSet {
        SigSet::new(self.blocked.load(Ordering::Relaxed))
    }
    /// What the scheduler knows of it.
    pub(super) fn user(&self) -> &User {
        &self.user
    }
    /// Whether it should stop waiting and look at its signals.
    pub fn signal_pending(&self) -> bool {
        self.user.attention() & (attention::SIGNAL | attention::PROCESS) != 0
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} of process {})", self.tid(), self.process.pid())
    }
}
