//! One thread of a program.

use super::creds::Creds;
use super::pid::Pid;
use super::signal::{Owned, Pending, SigSet, Signals};
use super::state::Process;
use crate::arch::current::user::UserState;
use crate::arch::signals::AltStack;
use crate::error::Errno;
use crate::fs::{FdTable, FsContext};
use crate::proc::sched;
use crate::proc::thread::{State, ThreadRef, User};
use crate::sync::context::TaskName;
use crate::sync::{IrqSpinLock, LockClass, Rank, WaitQueue};
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering};
use intrusive_collections::LinkedListAtomicLink;

const OWN: LockClass = LockClass::new("what a task owns", Rank::PIDS);

/// Reasons for a task's attention before it goes on as its program.
pub mod attention {
    /// A signal that it does not block may be pending.
    pub const SIGNAL: u32 = 1;
    /// Its process stops, continues or ends.
    pub const PROCESS: u32 = 2;
    /// The mask that was in force before `sigsuspend` and its like is to be put back.
    pub const RESTORE_MASK: u32 = 4;
    /// Its last call ended with one of the ERESTART numbers.
    pub const RESTART: u32 = 8;
    /// All that end a wait.
    pub const INTERRUPTS: u32 = SIGNAL | PROCESS;
}

/// A reference that a task replaces and others copy.
///
/// # Invariants
/// Replaced by the task itself only, with the lock held; read by the task without it.
pub(super) struct Slot<T> {
    lock: IrqSpinLock<()>,
    value: UnsafeCell<Option<Arc<T>>>,
}

// SAFETY: the invariant.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T> Slot<T> {
    fn new(value: Arc<T>) -> Self {
        Self { lock: IrqSpinLock::new(&OWN, ()), value: UnsafeCell::new(Some(value)) }
    }
    /// For anybody.
    pub fn copy(&self) -> Option<Arc<T>> {
        let _lock = self.lock.lock();
        // SAFETY: the lock is held, so it is not replaced.
        unsafe { (*self.value.get()).clone() }
    }
    /// For the task itself.
    ///
    /// # Safety
    /// Called by the task itself; not used after `replace`.
    #[inline(always)]
    pub unsafe fn mine(&self) -> Option<&T> {
        // SAFETY: nobody else replaces it.
        unsafe { (*self.value.get()).as_deref() }
    }
    /// Replaces it; gives the old one.
    ///
    /// # Safety
    /// Called by the task itself, which has no reference from `mine` any more.
    pub unsafe fn replace(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        let _lock = self.lock.lock();
        // SAFETY: the lock is held.
        unsafe { core::mem::replace(&mut *self.value.get(), value) }
    }
}

/// What a new task gets from the one that makes it.
pub(super) struct Parts {
    pub process: Arc<Process>,
    pub pid: Arc<Pid>,
    pub state: UserState,
    pub creds: Arc<Creds>,
    pub files: Arc<FdTable>,
    pub fs: Arc<FsContext>,
    pub blocked: SigSet,
    pub alt_stack: AltStack,
}

/// That a child of `vfork` has left its maker's memory.
pub(super) struct Released {
    pub done: AtomicBool,
    pub queue: WaitQueue,
}

impl Released {
    pub fn new() -> Self {
        Self { done: AtomicBool::new(false), queue: WaitQueue::new() }
    }
    /// It has.
    pub fn tell(&self) {
        // Release: pairs with the Acquire of the maker's look: it may use its memory again.
        self.done.store(true, Ordering::Release);
        self.queue.wake_all();
    }
}

/// What a call goes on with that a stop interrupted: `restart_syscall`.
#[derive(Clone, Copy, Debug, Default)]
pub enum Resume {
    /// Nothing.
    #[default]
    Nothing,
    /// `nanosleep`, until then; what is left goes to the address.
    Sleep {
        /// On the monotonic clock.
        until: u64,
        /// 0: nowhere.
        left_to: u64,
    },
    /// `poll`: its arguments, and the end of its time.
    Poll {
        /// The array.
        fds: u64,
        /// Its length.
        count: u64,
        /// On the monotonic clock.
        until: u64,
    },
    /// `futex` wait.
    Futex {
        /// The word.
        addr: u64,
        /// What it must hold.
        value: u32,
        /// On the monotonic clock.
        until: u64,
        /// Which wakers count.
        bits: u32,
        /// Whether no other process shares it.
        private: bool,
    },
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
    name: IrqSpinLock<Option<TaskName>>,
    pub(super) files: Slot<FdTable>,
    pub(super) fs: Slot<FsContext>,
    /// Signals it does not want now. Changed by itself, under the signal lock.
    blocked: AtomicU64,
    /// Signals that `sigtimedwait` waits for, though they are blocked. Likewise.
    awaited: AtomicU64,
    /// The mask to put back (`attention::RESTORE_MASK`).
    pub(super) saved_mask: AtomicU64,
    /// Which ERESTART number its last call ended with (`attention::RESTART`).
    pub(super) restart: AtomicU16,
    pub(super) resume: IrqSpinLock<Resume>,
    alt_stack: IrqSpinLock<AltStack>,
    /// Where to write 0 and wake a futex at its end.
    pub(super) clear_tid: AtomicU64,
    /// The head of its list of robust futexes.
    pub(super) robust_list: AtomicU64,
    /// Whom to tell that it does not use its maker's memory any more.
    pub(super) released: IrqSpinLock<Option<Arc<Released>>>,
    /// It waits so that a signal ends the wait.
    pub(super) interruptible: AtomicBool,
    /// Clock ticks that found it running its program, or in the kernel.
    pub(super) user_ticks: AtomicU64,
    pub(super) system_ticks: AtomicU64,
    /// Faults that needed no file.
    pub(super) faults: AtomicU64,
    /// Pending for it alone.
    pub(super) pending: Owned<Pending>,
    /// The kernel's thread, from its beginning until it has nothing of a program any more.
    pub(super) thread: Owned<Option<ThreadRef>>,
    /// Which stop of its process it waits for the end of, or waited last (`Signals::stop_turn`).
    pub(super) parked_in: Owned<Option<u32>>,
    pub(super) table_link: LinkedListAtomicLink,
    pub(super) thread_link: LinkedListAtomicLink,
}

impl Task {
    pub(super) fn new(parts: Parts) -> Result<Arc<Self>, Errno> {
        let key = parts.process.key();
        crate::arch::try_arc(Self {
            user: User::new(parts.state),
            tid: AtomicU32::new(parts.pid.number()),
            pid: IrqSpinLock::new(&OWN, parts.pid),
            creds: IrqSpinLock::new(&OWN, parts.creds),
            name: IrqSpinLock::new(&OWN, None),
            files: Slot::new(parts.files),
            fs: Slot::new(parts.fs),
            blocked: AtomicU64::new(parts.blocked.bits()),
            awaited: AtomicU64::new(0),
            saved_mask: AtomicU64::new(0),
            restart: AtomicU16::new(0),
            resume: IrqSpinLock::new(&OWN, Resume::Nothing),
            alt_stack: IrqSpinLock::new(&OWN, parts.alt_stack),
            clear_tid: AtomicU64::new(0),
            robust_list: AtomicU64::new(0),
            released: IrqSpinLock::new(&OWN, None),
            interruptible: AtomicBool::new(false),
            user_ticks: AtomicU64::new(0),
            system_ticks: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            pending: Owned::new(key, Pending::new()),
            thread: Owned::new(key, None),
            parked_in: Owned::new(key, None),
            table_link: LinkedListAtomicLink::new(),
            thread_link: LinkedListAtomicLink::new(),
            process: parts.process,
        })
    }

    /// Its number.
    pub fn tid(&self) -> u32 {
        self.tid.load(Ordering::Relaxed)
    }
    /// Another number; gives the old one. It is not in the table.
    pub(super) fn set_pid(&self, pid: Arc<Pid>) -> Arc<Pid> {
        self.tid.store(pid.number(), Ordering::Relaxed);
        core::mem::replace(&mut *self.pid.lock(), pid)
    }
    /// What `/proc/PID/task/TID/comm` shows: the process's name, unless it has one of its own.
    pub fn name(&self) -> TaskName {
        let own = *self.name.lock();
        own.unwrap_or_else(|| self.process.name())
    }
    /// Sets it. The first thread's is the process's.
    pub fn set_name(&self, name: TaskName) {
        if self.is_leader() {
            self.process.set_name(name);
        } else {
            *self.name.lock() = Some(name);
        }
    }
    /// The process whose thread it is.
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }
    /// Whether it is the process's first thread, which has its number.
    pub fn is_leader(&self) -> bool {
        self.tid() == self.process.pid()
    }
    /// Who it acts as.
    pub fn creds(&self) -> Arc<Creds> {
        self.creds.lock().clone()
    }
    /// It acts as somebody else.
    pub fn set_creds(&self, creds: Arc<Creds>) {
        let old = core::mem::replace(&mut *self.creds.lock(), creds);
        // Dropped without the lock.
        drop(old);
    }
    /// Where to write 0 and wake a futex at its end; 0: nowhere.
    pub fn set_clear_tid(&self, at: u64) {
        self.clear_tid.store(at, Ordering::Relaxed);
    }
    /// The head of its list of robust futexes; 0: none.
    pub fn robust_list(&self) -> u64 {
        self.robust_list.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set_robust_list(&self, head: u64) {
        self.robust_list.store(head, Ordering::Relaxed);
    }
    /// What `restart_syscall` goes on with.
    pub fn resume(&self) -> Resume {
        *self.resume.lock()
    }
    /// Says that.
    pub fn set_resume(&self, resume: Resume) {
        *self.resume.lock() = resume;
    }
    /// Its files; `None` once it has ended.
    pub fn files_of(&self) -> Option<Arc<FdTable>> {
        self.files.copy()
    }
    /// Its root and working directory; `None` once it has ended.
    pub fn fs_of(&self) -> Option<Arc<FsContext>> {
        self.fs.copy()
    }
    /// Signals it does not want now.
    pub fn blocked(&self) -> SigSet {
        SigSet::new(self.blocked.load(Ordering::Relaxed))
    }
    /// Signals that it would take now.
    pub(super) fn wanted(&self) -> SigSet {
        let awaited = SigSet::new(self.awaited.load(Ordering::Relaxed));
        SigSet::ALL.without(self.blocked()) | awaited
    }
    /// Changes the mask. Signals that are pending and wanted now get its attention.
    pub(super) fn set_blocked(&self, signals: &Signals, blocked: SigSet) {
        self.blocked.store(blocked.without(SigSet::ABSOLUTE).bits(), Ordering::Relaxed);
        self.look(signals);
    }
    pub(super) fn set_awaited(&self, signals: &Signals, awaited: SigSet) {
        self.awaited.store(awaited.bits(), Ordering::Relaxed);
        self.look(signals);
    }
    /// Whether a signal is pending that it wants; sets its attention accordingly.
    pub(super) fn look(&self, signals: &Signals) {
        let pending = self.pending.get(signals).set() | signals.shared.set();
        if (pending & self.wanted()).is_empty() {
            self.user.answered(attention::SIGNAL);
        } else {
            self.user.ask(attention::SIGNAL);
        }
    }
    /// Gives it reasons to look up, and makes it look.
    pub(super) fn poke(&self, signals: &Signals, reasons: u32) {
        self.user.ask(reasons);
        if let Some(thread) = self.thread.get(signals) {
            sched::poke(thread);
        }
    }
    /// The alternate stack as it was set.
    pub fn alt_stack(&self) -> AltStack {
        *self.alt_stack.lock()
    }
    /// Sets it.
    pub fn set_alt_stack(&self, stack: AltStack) {
        *self.alt_stack.lock() = stack;
    }
    /// What the scheduler knows of it.
    #[inline(always)]
    pub(super) fn user(&self) -> &User {
        &self.user
    }
    /// Whether it should stop waiting and look at its signals.
    #[inline(always)]
    pub fn signal_pending(&self) -> bool {
        self.user.attention() & attention::INTERRUPTS != 0
    }
    /// Nanoseconds that it has run: as its program, in the kernel. Ticks say how the whole is divided.
    pub fn times(&self) -> (u64, u64) {
        let (user, system) =
            (self.user_ticks.load(Ordering::Relaxed), self.system_ticks.load(Ordering::Relaxed));
        let ran = self.user.ran();
        let in_kernel = match user + system {
            0 => ran / 2,
            all => (u128::from(ran) * u128::from(system) / u128::from(all)) as u64,
        };
        (ran - in_kernel, in_kernel)
    }
    /// What it does, by the letter of `/proc/PID/stat`: `R`, `S`, `D`, `T`, `Z`.
    pub fn state_letter(&self) -> char {
        let signals = self.process.signals.lock();
        let Some(thread) = self.thread.get(&signals) else { return 'Z' };
        // Not what the scheduler says: the parent learns of the stop before the last task sleeps.
        if signals.stop.is_some() && *self.parked_in.get(&signals) == Some(signals.stop_turn) {
            return 'T';
        }
        match thread.state() {
            State::Running | State::Ready => 'R',
            State::Dead => 'Z',
            State::Blocked if self.interruptible.load(Ordering::Relaxed) => 'S',
            State::Blocked => 'D',
        }
    }
    /// The CPU it runs on, or ran on last.
    pub fn cpu(&self) -> usize {
        let signals = self.process.signals.lock();
        self.thread.get(&signals).as_ref().map_or(0, |thread| thread.cpu())
    }
    /// Calls with its thread, if it has not ended.
    pub fn with_thread<R>(&self, work: impl FnOnce(&ThreadRef) -> R) -> Option<R> {
        let signals = self.process.signals.lock();
        self.thread.get(&signals).as_ref().map(work)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({} of process {})", self.tid(), self.process.pid())
    }
}
