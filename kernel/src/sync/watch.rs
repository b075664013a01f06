//! Waiting for one of several things: a place in more than one line at a time.

use super::hooks;
use super::token::MaySleep;
use super::wait::WaitQueue;
use super::waiters::Waiter;
use crate::error::Errno;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

/// The running task's place in a queue's line, kept while it does other things, such as waiting in
/// other lines. A wake-up takes it out of the line: that it came is told by [`fired`](Self::fired).
///
/// # Invariants
/// The waiter stays where it is on the heap, and is in no line but the queue's.
pub struct Watch {
    queue: Arc<WaitQueue>,
    waiter: Box<[Waiter]>,
    _own_task: PhantomData<*mut ()>,
}

impl Watch {
    /// Joins the queue's line. ENOMEM if there is no memory for it.
    ///
    /// # Safety
    /// It is dropped before the running task ends.
    pub unsafe fn new(queue: Arc<WaitQueue>) -> Result<Self, Errno> {
        let mut waiter = Vec::new();
        waiter.try_reserve_exact(1).map_err(|_| Errno::ENOMEM)?;
        waiter.push(Waiter::new());
        let watch = Self { queue, waiter: waiter.into_boxed_slice(), _own_task: PhantomData };
        watch.join();
        Ok(watch)
    }

    /// Joins the line again, if a wake-up took it out.
    pub fn join(&self) {
        // SAFETY: `drop` takes it out, before it ends; on the heap it does not move.
        self.waiter.iter().for_each(|waiter| unsafe { self.queue.with_line(|line| line.join(waiter)) });
    }

    /// Whether there was a wake-up since it joined.
    pub fn fired(&self) -> bool {
        self.waiter.iter().any(|waiter| self.queue.with_line(|_| !waiter.is_linked()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for waiter in &self.waiter {
            // SAFETY: in this line or in none (invariant).
            unsafe { self.queue.with_line(|line| line.leave(waiter)) };
        }
    }
}

/// Sleeps until one of the watches has fired, until `stop` says true, which is asked whenever the task
/// is woken, or until the time (nanoseconds as `timer::now`). Says whether it was not the time.
#[track_caller]
pub fn wait_for_any(
    ctx: &mut MaySleep,
    watches: &[Watch],
    deadline: Option<u64>,
    mut stop: impl FnMut() -> bool,
) -> bool {
    loop {
        hooks::prepare_to_block(ctx);
        let woken = watches.iter().any(Watch::fired) || stop();
        let late = deadline.is_some_and(|deadline| crate::arch::current::timer::now() >= deadline);
        if woken || late {
            hooks::cancel_block(ctx);
            return woken;
        }
        hooks::block(ctx, "poll", deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wake_up_of_either_queue_ends_the_wait() {
        // SAFETY: this thread's only token.
        let mut ctx = unsafe { MaySleep::mint() };
        let queues = [Arc::new(WaitQueue::new()), Arc::new(WaitQueue::new())];
        // SAFETY: dropped in this test.
        let watches: Vec<Watch> =
            queues.iter().map(|q| unsafe { Watch::new(q.clone()) }.expect("memory")).collect();
        assert!(!wait_for_any(&mut ctx, &watches, Some(0), || false));
        for queue in &queues {
            std::thread::scope(|scope| {
                scope.spawn(|| queue.wake_all());
                assert!(wait_for_any(&mut ctx, &watches, None, || false));
            });
            watches.iter().for_each(Watch::join);
            assert!(!watches.iter().any(Watch::fired));
        }
        assert!(wait_for_any(&mut ctx, &watches, None, || true), "asked to stop");
        drop(watches);
        queues[0].wake_all();
    }
}
