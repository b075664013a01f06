//! The calls upwards: what the scheduler does for locks and waits below it.
//!
//! One table, set once. Before it is set (early boot, one CPU), and on the host, where no scheduler
//! runs, waiting is polling: `block` returns at once and its caller looks at its condition again,
//! which it must do anyhow, since `block` may return early.

use super::context::{TaskContext, assert_may_sleep};
use super::token::MaySleep;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What the scheduler gives.
pub struct Hooks {
    /// From now on a wake-up of this task is not lost: `block` returns at once after one.
    pub prepare_to_block: fn(),
    /// Takes that back: the condition was true after all.
    pub cancel_block: fn(),
    /// Gives up the CPU until a wake-up since `prepare_to_block`, or until the time (nanoseconds as
    /// `timer::now`), if there is one. May return early.
    pub block: fn(deadline: Option<u64>),
    /// Makes a task that is blocked, or about to block, runnable; nothing else happens to one that
    /// runs. In any context, under any lock of a rank below the run queue's. The task must stay
    /// alive during the call: whoever wakes holds the lock under which it is found.
    pub wake: unsafe fn(NonNull<TaskContext>),
    /// Gives the CPU to another task that is ready, if one is.
    pub preempt: fn(),
}

static HOOKS: AtomicPtr<Hooks> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the table. Called once, at boot.
pub fn set(hooks: &'static Hooks) {
    // Release: pairs with the Acquire in `get`, on CPUs started later.
    HOOKS.store(core::ptr::from_ref(hooks).cast_mut(), Ordering::Release);
}

fn get() -> Option<&'static Hooks> {
    // SAFETY: null or the `&'static Hooks` given to `set`.
    unsafe { HOOKS.load(Ordering::Acquire).as_ref() }
}

/// Whether there is a scheduler: if so, the current task is a thread of its.
#[inline(always)]
pub fn are_set() -> bool {
    get().is_some()
}

/// See [`Hooks::prepare_to_block`]. To be called before the condition is looked at.
pub fn prepare_to_block(_ctx: &mut MaySleep) {
    if let Some(hooks) = get() {
        (hooks.prepare_to_block)();
    }
}

/// See [`Hooks::cancel_block`].
pub fn cancel_block(_ctx: &mut MaySleep) {
    if let Some(hooks) = get() {
        (hooks.cancel_block)();
    }
}

/// See [`Hooks::block`]. Panics, naming `what`, where sleeping is forbidden.
#[track_caller]
pub fn block(_ctx: &mut MaySleep, what: &str, deadline: Option<u64>) {
    assert_may_sleep(what);
    match get() {
        Some(hooks) => (hooks.block)(deadline),
        None => super::atomic::spin_hint(),
    }
}

/// See [`Hooks::wake`].
///
/// # Safety
/// The task is alive during the call.
pub unsafe fn wake(task: NonNull<TaskContext>) {
    if let Some(hooks) = get() {
        // SAFETY: the caller's promise is the hook's.
        unsafe { (hooks.wake)(task) };
    }
}

/// Lets another task that is ready run first. Panics where sleeping is forbidden.
#[track_caller]
pub fn yield_now(_ctx: &mut MaySleep) {
    assert_may_sleep("yielding");
    match get() {
        Some(hooks) => (hooks.preempt)(),
        None => super::atomic::spin_hint(),
    }
}

pub(super) fn preempt() {
    if let Some(hooks) = get() {
        (hooks.preempt)();
    }
}
