//! Waiting for something: [`WaitQueue`] and [`Completion`].
//!
//! How a wake-up is never lost. The waiter joins the line (under the line's lock) *before* it looks
//! at its condition; the waker makes the condition true *before* it takes that lock. Whoever has
//! the lock second sees what the other did: either the waker finds the waiter in the line, or the
//! waiter, whose lock came after the waker's, finds the condition true. And a wake-up between the
//! look at the condition and the sleep is remembered by the scheduler
//! ([`hooks::prepare_to_block`](super::hooks::prepare_to_block)).
//!
//! `wake_one` and `wake_all` may be called in every context: in an interrupt, under locks that rank
//! below [`Rank::WAIT_QUEUE`].

use super::hooks;
use super::rank::{LockClass, Rank};
use super::spin::IrqSpinLock;
use super::token::MaySleep;
use super::waiters::{Line, Waiter};
use crate::arch::current::timer;

const CLASS: LockClass = LockClass::new("wait queue", Rank::WAIT_QUEUE);

/// Tasks that wait for a condition which somebody else makes true.
///
/// The queue must outlive the last `wake`: one that lives with the thing waited for does.
#[derive(Debug)]
pub struct WaitQueue {
    line: IrqSpinLock<Line>,
}

impl WaitQueue {
    /// Nobody waits.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self::with_class(&CLASS)
    }
    /// Nobody waits; its lock is of that class.
    #[cfg(not(loom))]
    pub const fn with_class(class: &'static LockClass) -> Self {
        Self { line: IrqSpinLock::new(class, Line::new()) }
    }
    /// Nobody waits.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self::with_class(&CLASS)
    }
    /// Nobody waits; its lock is of that class.
    #[cfg(loom)]
    pub fn with_class(class: &'static LockClass) -> Self {
        Self { line: IrqSpinLock::new(class, Line::new()) }
    }

    /// Sleeps until the condition holds. It is looked at without a lock, any number of times.
    #[track_caller]
    pub fn wait(&self, ctx: &mut MaySleep, condition: impl FnMut() -> bool) {
        self.wait_until(ctx, None, condition);
    }

    /// The same, but not beyond the time (nanoseconds as `timer::now`). Says whether the condition
    /// holds.
    #[track_caller]
    pub fn wait_deadline(&self, ctx: &mut MaySleep, deadline: u64, condition: impl FnMut() -> bool) -> bool {
        self.wait_until(ctx, Some(deadline), condition)
    }

    #[track_caller]
    fn wait_until(
        &self,
        ctx: &mut MaySleep,
        deadline: Option<u64>,
        mut condition: impl FnMut() -> bool,
    ) -> bool {
        if condition() {
            return true;
        }
        let waiter = Waiter::new();
        let place = Place { queue: self, waiter: &waiter };
        loop {
            hooks::prepare_to_block(ctx);
            // SAFETY: `place` takes it out when this function ends.
            unsafe { self.line.lock().join(&waiter) };
            if condition() {
                hooks::cancel_block(ctx);
                return true;
            }
            if deadline.is_some_and(|deadline| timer::now() >= deadline) {
                hooks::cancel_block(ctx);
                // A wake-up that was meant for one, and came too late for this one, is another's.
                if place.leave() {
                    return false;
                }
                self.wake_one();
                return condition();
            }
            hooks::block(ctx, "wait queue", deadline);
        }
    }

    #[cfg(not(loom))]
    pub(super) fn with_line<R>(&self, work: impl FnOnce(&mut Line) -> R) -> R {
        work(&mut self.line.lock())
    }

    /// Makes the one who has waited longest look at its condition.
    pub fn wake_one(&self) {
        self.line.lock().wake_one();
    }

    /// Makes all who wait look at their conditions.
    pub fn wake_all(&self) {
        self.line.lock().wake_all();
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// A waiter's place in a queue: left when this is dropped, also by a panicking condition of a test.
struct Place<'a> {
    queue: &'a WaitQueue,
    waiter: &'a Waiter,
}

impl Place<'_> {
    /// Leaves; says whether nobody had taken the waiter out to wake it.
    fn leave(&self) -> bool {
        // SAFETY: the waiter joined no other line.
        unsafe { self.queue.line.lock().leave(self.waiter) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Something that happens once.
///
/// It may end as soon as a waiter has seen it done: "done" is told under the lock that the waiter
/// takes to look, so the waker is through with it by then. (A flag beside a wait queue is not safe
/// so: the waiter sees the flag, returns and frees the queue before the waker comes to it.)
#[derive(Debug)]
pub struct Completion {
    state: IrqSpinLock<State>,
}

#[derive(Debug)]
struct State {
    done: bool,
    line: Line,
}

impl Completion {
    /// It has not happened.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { state: IrqSpinLock::new(&CLASS, State { done: false, line: Line::new() }) }
    }
    /// It has not happened.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { state: IrqSpinLock::new(&CLASS, State { done: false, line: Line::new() }) }
    }

    /// It has happened: everybody may go on. In any context.
    pub fn complete(&self) {
        let mut state = self.state.lock();
        state.done = true;
        state.line.wake_all();
    }

    /// Whether it has happened.
    pub fn is_done(&self) -> bool {
        self.state.lock().done
    }

    /// Sleeps until it has happened.
    #[track_caller]
    pub fn wait(&self, ctx: &mut MaySleep) {
        self.wait_until(ctx, None);
    }

    /// The same, but not beyond the time. Says whether it has happened.
    #[track_caller]
    pub fn wait_deadline(&self, ctx: &mut MaySleep, deadline: u64) -> bool {
        self.wait_until(ctx, Some(deadline))
    }

    #[track_caller]
    fn wait_until(&self, ctx: &mut MaySleep, deadline: Option<u64>) -> bool {
        let waiter = Waiter::new();
        loop {
            hooks::prepare_to_block(ctx);
            let mut state = self.state.lock();
            let late = deadline.is_some_and(|deadline| timer::now() >= deadline);
            if state.done || late {
                // SAFETY: the waiter joined no other line.
                unsafe { state.line.leave(&waiter) };
                let done = state.done;
                drop(state);
                hooks::cancel_block(ctx);
                return done;
            }
            // SAFETY: this function returns only above, after it has left.
            unsafe { state.line.join(&waiter) };
            drop(state);
            hooks::block(ctx, "completion", deadline);
        }
    }
}

impl Default for Completion {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};

    // No scheduler here: sleeping is polling, so these show the lines and the conditions, not the
    // wake-ups. Those are shown in the guest.

    fn token() -> MaySleep {
        // SAFETY: a thread of the host's tests may sleep; one token per test.
        unsafe { MaySleep::mint() }
    }

    #[test]
    fn a_condition_made_true_elsewhere_ends_the_wait() {
        static QUEUE: WaitQueue = WaitQueue::new();
        static VALUE: AtomicU32 = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| QUEUE.wait(&mut token(), || VALUE.load(Ordering::Acquire) == 3));
            }
            for value in 1..=3 {
                VALUE.store(value, Ordering::Release);
                QUEUE.wake_all();
            }
        });
        assert!(!QUEUE.line.lock().wake_one(), "nobody is left in the line");
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let queue = WaitQueue::new();
        let deadline = timer::now() + 1_000_000;
        assert!(!queue.wait_deadline(&mut token(), deadline, || false));
        assert!(timer::now() >= deadline);
        assert!(!queue.line.lock().wake_one());
        assert!(queue.wait_deadline(&mut token(), 0, || true), "a true condition is not late");
    }

    #[test]
    fn a_completion_may_end_when_it_is_seen() {
        for _ in 0..200 {
            let mut token = token();
            std::thread::scope(|scope| {
                let completion = Box::new(Completion::new());
                // Not a reference: the waiter frees it as soon as it is done.
                let address = core::ptr::from_ref(&*completion).expose_provenance();
                scope.spawn(move || {
                    let completion = core::ptr::with_exposed_provenance::<Completion>(address);
                    // SAFETY: alive until `complete` has told the waiter, which is what is tested.
                    unsafe { (*completion).complete() };
                });
                completion.wait(&mut token);
                drop(completion);
            });
        }
    }

    #[test]
    fn a_late_waiter_sees_that_it_happened() {
        let completion = Completion::new();
        assert!(!completion.wait_deadline(&mut token(), 0));
        completion.complete();
        assert!(completion.is_done());
        completion.wait(&mut token());
    }
}
