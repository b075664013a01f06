//! A kernel thread.
//!
//! A thread is one block of memory: its stack, and at the high end the [`Thread`] itself. One
//! allocation makes a thread and one frees it, and a thread that runs off its stack hits the guard
//! page at the low end, never its own description. Rejected: a description on the heap, whose
//! allocation is a second thing that can fail, and a table of all threads, which bounds their
//! number.
//!
//! # Who keeps the block alive
//! The thread itself, until it has left its stack for the last time, and the [`JoinHandle`], if
//! there is one. The thread's own share is given up not by the thread but by the one that runs
//! after it on that CPU, when the switch is over: nobody frees the stack he stands on.

mod block;
mod idle;
mod spawn;
pub mod user;

pub use idle::idle_thread;
pub use spawn::{JoinHandle, NewThread, Spawn};
pub use user::User;

use crate::arch::current::context::Context;
use crate::arch::current::cpu;
use crate::cpus::{AtomicCpuSet, CpuSet};
use crate::mm::frame::Frame;
use crate::sync::Completion;
use crate::sync::context::{TaskContext, TaskName};
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use intrusive_collections::{LinkedListAtomicLink, UnsafeRef};

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// It runs on its CPU.
    Running,
    /// It is in its CPU's run queue, or on its way into one.
    Ready,
    /// It waits to be woken.
    Blocked,
    /// It will not run again.
    Dead,
}

/// Who runs first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Priority {
    /// When nobody else wants the CPU: the CPU's idle thread.
    Idle,
    /// In turn.
    Normal,
    /// Before all normal ones: what the kernel's progress hangs on, such as RCU's threads.
    High,
}

/// A thread. It begins with the context that the locks count on: `cpu::current_task` points to
/// both.
///
/// # Invariants
/// * `cpu` changes only under the lock of the run queue that it names; so do `state`, the links and
///   `wake_at` (a thread's run queue is the one that `cpu` names).
/// * It is in the ready list of that run queue only if `state` is Ready, and in its list of
///   sleepers only if `state` is Blocked.
/// * `saved` is valid whenever the thread does not run and no switch from it is under way.
#[repr(C)]
pub struct Thread {
    context: TaskContext,
    pub(super) saved: UnsafeCell<MaybeUninit<Context>>,
    pub(super) ready_link: LinkedListAtomicLink,
    pub(super) sleep_link: LinkedListAtomicLink,
    state: AtomicU8,
    priority: Priority,
    cpu: AtomicUsize,
    allowed: AtomicCpuSet,
    /// A wake-up came since `prepare_to_block`.
    pub(super) woken: AtomicBool,
    /// When to wake it, while it is among the sleepers.
    pub(super) wake_at: AtomicU64,
    /// The program's part; null for a kernel thread. It lives as long as it stands here.
    user: AtomicPtr<User>,
    shares: AtomicUsize,
    exited: Completion,
    /// The memory that this thread lies in; `None` if it is static.
    block: Option<Frame>,
}

/// A pointer to a thread that its holder knows to be alive.
pub type ThreadRef = UnsafeRef<Thread>;

// SAFETY: everything but `saved` is atomic or a lock; `saved` is touched by the CPU that switches
// from or to the thread, with the run queue's lock held.
unsafe impl Sync for Thread {}
// SAFETY: a thread moves between CPUs by the same rules.
unsafe impl Send for Thread {}

impl Thread {
    /// A thread that does not exist outside this structure yet.
    pub(super) const fn new(context: TaskContext, priority: Priority, cpu: usize, shares: usize) -> Self {
        Self {
            context,
            saved: UnsafeCell::new(MaybeUninit::uninit()),
            ready_link: LinkedListAtomicLink::new(),
            sleep_link: LinkedListAtomicLink::new(),
            state: AtomicU8::new(State::Ready as u8),
            priority,
            cpu: AtomicUsize::new(cpu),
            allowed: AtomicCpuSet::new(),
            woken: AtomicBool::new(false),
            wake_at: AtomicU64::new(u64::MAX),
            user: AtomicPtr::new(core::ptr::null_mut()),
            shares: AtomicUsize::new(shares),
            exited: Completion::new(),
            block: None,
        }
    }

    /// What the locks count on.
    pub fn context(&self) -> &TaskContext {
        &self.context
    }
    /// Its name.
    pub fn name(&self) -> TaskName {
        self.context.name()
    }
    /// Its priority; it never changes.
    pub fn priority(&self) -> Priority {
        self.priority
    }
    /// What it is doing; old by the time one looks, but under its run queue's lock.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Running,
            1 => State::Ready,
            2 => State::Blocked,
            _ => State::Dead,
        }
    }
    pub(super) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
    /// The CPU whose run queue it belongs to.
    pub fn cpu(&self) -> usize {
        // Acquire: pairs with the Release in `set_cpu`: what was done to the thread under the lock
        // of its former run queue is seen under the lock of its new one.
        self.cpu.load(Ordering::Acquire)
    }
    pub(super) fn set_cpu(&self, cpu: usize) {
        self.cpu.store(cpu, Ordering::Release);
    }
    /// The CPUs that it may run on. If none of them is online it runs on any.
    pub fn allowed(&self) -> CpuSet {
        self.allowed.get()
    }
    pub(super) fn set_allowed(&self, cpus: CpuSet) {
        self.allowed.set(cpus);
    }

    /// The program's part, or null. Changed by the thread itself only.
    #[inline(always)]
    pub fn user(&self) -> *const User {
        self.user.load(Ordering::Relaxed)
    }

    /// The running thread is a kernel thread again.
    pub fn leave_user() {
        Self::current().user.store(core::ptr::null_mut(), Ordering::Relaxed);
    }
    pub(super) fn set_user(&self, user: *const User) {
        self.user.store(user.cast_mut(), Ordering::Relaxed);
    }

    /// The running thread.
    #[inline(always)]
    pub fn current() -> ThreadRef {
        // SAFETY: called with the scheduler running: the current task is the context at the start
        // of a `Thread`, which lives while it runs.
        unsafe { UnsafeRef::from_raw(cpu::current_task().cast()) }
    }

    /// The thread is off its stack for good; called by the one that runs next on its CPU.
    ///
    /// # Safety
    /// The thread is Dead, the switch from it is over, and this is called once.
    pub(super) unsafe fn bury(thread: ThreadRef) {
        thread.exited.complete();
        // SAFETY: the thread's own share (the caller).
        unsafe { Self::release(thread) };
    }

    /// Gives a share up; the last one frees the block.
    ///
    /// # Safety
    /// The caller has a share, and does not use it again.
    unsafe fn release(thread: ThreadRef) {
        // Release and Acquire pair with each other: all uses come before the end.
        if thread.shares.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: nobody else has a share.
            unsafe { block::free(thread) };
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thread({}, {:?}, CPU {})", self.name(), self.state(), self.cpu())
    }
}
