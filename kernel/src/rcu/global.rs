//! The kernel's RCU: the instance, and what the rest of the kernel calls.

use super::head::{Callback, Deferred, HasRcuHead, RcuHead};
use super::instance::{Cookie, Environment, Rcu};
use super::kernel::Kernel;
use super::list::Lengths;
use super::section::assert_outside;
use super::seq::Seq;
use crate::arch::{RCU_CPUS, rcu_cpu};
use crate::sync::context::assert_may_sleep;
use crate::sync::{IrqGuard, MaySleep};
use alloc::boxed::Box;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The kernel's instance.
pub static RCU: Rcu<Kernel, RCU_CPUS> = Rcu::new(Kernel::new());

/// [`Deferred::grace_over`] of the object is called after a grace period that begins after now.
/// In any context, also with interrupts off; never on the spot.
pub fn call<T: Deferred>(object: &'static T) {
    let _pin = IrqGuard::new();
    RCU.call(rcu_cpu(), object);
}

/// Drops the box after a grace period that begins after now. In any context.
pub fn call_drop<T: HasRcuHead + Send + 'static>(object: Box<T>) {
    let _pin = IrqGuard::new();
    RCU.call_drop(rcu_cpu(), object);
}

/// Calls `callback(head)` after a grace period that begins after now, once, in a kernel thread with
/// preemption off. In any context.
///
/// # Safety
/// As [`Rcu::call_raw`]: the object around the head lives until its callback runs.
pub unsafe fn call_raw(head: NonNull<RcuHead>, callback: Callback) {
    let _pin = IrqGuard::new();
    // SAFETY: interrupts are off; the rest is the caller's promise.
    unsafe { RCU.call_raw(rcu_cpu(), head, callback) };
}

/// So many bytes wait for a grace period from now on: when there is much, grace periods hurry. In any context
/// that holds no lock of the scheduler or of RCU.
#[inline]
pub fn hold(bytes: usize) {
    RCU.hold(bytes);
}

/// They are free.
#[inline]
pub fn let_go(bytes: usize) {
    RCU.let_go(bytes);
}

/// Bytes that wait for a grace period: page tables and frames.
pub fn held() -> usize {
    RCU.held()
}

/// A cookie to ask later whether a grace period has passed since now. It asks for none.
pub fn poll_state() -> Cookie {
    RCU.poll_state()
}

/// The same, and a grace period will be held.
pub fn start_poll() -> Cookie {
    RCU.request()
}

/// Whether the cookie's grace period is over.
pub fn poll(cookie: Cookie) -> bool {
    RCU.is_over(cookie)
}

/// Waits until every section is over that has begun by now. All who wait at the same time wait for
/// the same grace period.
#[track_caller]
pub fn synchronize(ctx: &mut MaySleep) {
    check("synchronize_rcu");
    let cookie = RCU.request();
    wait_for(ctx, cookie);
}

/// The same, and the CPUs that are waited for are interrupted at once.
#[track_caller]
pub fn synchronize_expedited(ctx: &mut MaySleep) {
    check("synchronize_rcu_expedited");
    let cookie = RCU.poll_state();
    RCU.hurry(cookie);
    wait_for(ctx, cookie);
}

/// Waits until the cookie's grace period is over; at once, if it is already.
#[track_caller]
pub fn cond_synchronize(ctx: &mut MaySleep, cookie: Cookie) {
    check("cond_synchronize_rcu");
    if !RCU.is_over(cookie) {
        // The cookie's may have been asked for by nobody: one that begins now is late enough.
        let later = RCU.request();
        RCU.env().wait(ctx, || RCU.is_over(cookie) || RCU.is_over(later));
    }
}

fn wait_for(ctx: &mut MaySleep, cookie: Cookie) {
    RCU.env().wait(ctx, || RCU.is_over(cookie));
}

/// Counts barriers as grace periods are counted: odd while one is on its way.
static BARRIERS: AtomicUsize = AtomicUsize::new(Seq::START.raw());
static BARRIER_BUSY: AtomicBool = AtomicBool::new(false);

/// Waits until every callback that was queued before has returned. A callback that queues its object
/// again needs a second one.
#[track_caller]
pub fn barrier(ctx: &mut MaySleep) {
    check("rcu_barrier");
    // A barrier whose count we do not see here takes the lock of each list after it has counted, so after
    // whoever queued a callback that we know of: it finds that callback. SeqCst: nothing depends on more
    // than one order of the three accesses to this word.
    let goal = Seq::from_raw(BARRIERS.load(Ordering::SeqCst)).after_a_full_one();
    let done = || Seq::from_raw(BARRIERS.load(Ordering::SeqCst)).has_reached(goal);
    let mut ours = false;
    RCU.env().wait(ctx, || {
        // Acquire: pairs with the Release at the end: the barrier before is over.
        done() || {
            ours = !BARRIER_BUSY.swap(true, Ordering::Acquire);
            ours
        }
    });
    if !ours {
        return;
    }
    BARRIERS.fetch_add(1, Ordering::SeqCst);
    if RCU.barrier_begin() > 0 {
        // The callbacks' grace period is waited for now: it does not gather more of them.
        let _ = RCU.request();
    }
    RCU.env().wait(ctx, || RCU.barrier_is_complete());
    BARRIERS.fetch_add(1, Ordering::SeqCst);
    BARRIER_BUSY.store(false, Ordering::Release);
    RCU.env().wake_waiters();
}

/// What the frame allocator does before it says that there is no memory: hurries a grace period and
/// waits until what was queued by now has been invoked (H38). False: nothing was queued, so asking
/// again would not help; callbacks that were being invoked have returned.
#[track_caller]
pub fn reclaim(ctx: &mut MaySleep) -> bool {
    if !RCU.is_driven() {
        return false;
    }
    let any = totals().queued() > 0;
    if any {
        RCU.hurry(RCU.poll_state());
    }
    // A callback that is being invoked is on no list; the barrier waits for it all the same.
    barrier(ctx);
    any
}

/// The callbacks of all CPUs together.
pub fn totals() -> Lengths {
    let mut all = Lengths::default();
    (0..RCU_CPUS).for_each(|cpu| all.add(&RCU.lengths(cpu)));
    all
}

/// The CPUs that the running grace period waits for, a bit each; 0 while none runs.
pub fn waited_for() -> usize {
    RCU.waited_for()
}

/// How many grace periods have ended since boot.
pub fn grace_periods() -> usize {
    RCU.current().raw().wrapping_sub(Seq::START.raw()) / 2
}

#[track_caller]
fn check(what: &str) {
    assert_outside(what);
    assert_may_sleep(what);
    assert!(RCU.is_driven(), "{what} before the grace-period thread runs");
}
