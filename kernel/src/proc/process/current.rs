//! The running task, and waiting so that a signal ends the wait.

use super::signal::{Info, Signal, signal_task};
use super::task::Task;
use crate::error::Errno;
use crate::fs::{FdTable, FsContext};
use crate::mm::space::MmRef;
use crate::proc::thread::Thread;
use crate::sync::{MaySleep, WaitQueue, hooks};
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::Ordering;

/// The running task. It stays with the task that asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Current(*const Task, PhantomData<*mut ()>);

impl Current {
    /// Its address space. It keeps it until it executes a program or ends: neither returns to whoever
    /// has this reference.
    #[inline(always)]
    #[track_caller]
    pub fn mm(&self) -> &MmRef {
        // SAFETY: the running task; it is replaced in `exec` and `exit` only, which are called where the
        // task has no such reference.
        match unsafe { self.user().space() } {
            Some(space) => space,
            None => panic!("a task that ends has no address space"),
        }
    }
    /// Its files. The same holds.
    #[inline(always)]
    pub fn files(&self) -> &FdTable {
        // SAFETY: as above.
        match unsafe { self.files.mine() } {
            Some(files) => files,
            None => panic!("a task that ends has no files"),
        }
    }
    /// Its root and working directory. The same holds.
    #[inline(always)]
    pub fn fs(&self) -> &FsContext {
        // SAFETY: as above.
        match unsafe { self.fs.mine() } {
            Some(fs) => fs,
            None => panic!("a task that ends has no working directory"),
        }
    }
}

impl Deref for Current {
    type Target = Task;
    #[inline(always)]
    fn deref(&self) -> &Task {
        // SAFETY: a thread's `User` is a task's first field, and the task lives while it stands there.
        // `Current` is not `Send`: it is used by this task alone.
        unsafe { &*self.0 }
    }
}

/// The running task; `None` in a kernel thread, and in a thread of the host, which is none of ours.
#[inline(always)]
pub fn try_current() -> Option<Current> {
    if !hooks::are_set() {
        return None;
    }
    let user = Thread::current().user();
    (!user.is_null()).then_some(Current(user.cast(), PhantomData))
}

/// The running task. Panics in a kernel thread: for what a program's thread alone does.
#[inline(always)]
#[track_caller]
pub fn current() -> Current {
    match try_current() {
        Some(current) => current,
        None => panic!("a kernel thread is no process"),
    }
}

/// Whether the running task should stop waiting; never in a kernel thread.
pub fn signal_pending() -> bool {
    try_current().is_some_and(|task| task.signal_pending())
}

/// The running task wrote to what nobody reads: SIGPIPE.
pub fn broken_pipe() {
    if let Some(task) = try_current() {
        // Refused is only what queues; this does not.
        let _ = signal_task(&task, Info::kernel(Signal::SIGPIPE));
    }
}

/// While it lives the running task's waits are told as such that a signal ends (letter `S`).
pub struct Interruptible(Option<Current>);

impl Interruptible {
    /// From now on. What waits looks at [`signal_pending`] itself.
    pub fn begin() -> Self {
        let task = try_current();
        if let Some(task) = &task {
            task.interruptible.store(true, Ordering::Relaxed);
        }
        Self(task)
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.interruptible.store(false, Ordering::Relaxed);
        }
    }
}

/// Sleeps until the condition holds, or a signal arrives. In a kernel thread none does.
///
/// # Errors
/// ERESTARTSYS: a signal arrived and the condition does not hold. Return it: the call is made again
/// if the handler is such, else the program sees EINTR.
#[track_caller]
pub fn wait_interruptible(
    ctx: &mut MaySleep,
    queue: &WaitQueue,
    condition: impl FnMut() -> bool,
) -> Result<(), Errno> {
    wait_interruptible_until(ctx, queue, None, condition).map(|_| ())
}

/// The same, but not beyond the time (nanoseconds as `timer::now`). Says whether the condition holds.
///
/// # Errors
/// The same.
#[track_caller]
pub fn wait_interruptible_until(
    ctx: &mut MaySleep,
    queue: &WaitQueue,
    deadline: Option<u64>,
    mut condition: impl FnMut() -> bool,
) -> Result<bool, Errno> {
    let task = try_current();
    if let Some(task) = &task {
        task.interruptible.store(true, Ordering::Relaxed);
    }
    let mut holds = false;
    let mut look = || {
        holds = condition();
        holds || signal_pending()
    };
    match deadline {
        Some(deadline) => {
            queue.wait_deadline(ctx, deadline, &mut look);
        }
        None => queue.wait(ctx, &mut look),
    }
    if let Some(task) = &task {
        task.interruptible.store(false, Ordering::Relaxed);
    }
    if !holds && signal_pending() { Err(Errno::ERESTARTSYS) } else { Ok(holds) }
}
