//! `rcu_barrier`: waits until every callback that was queued has returned.
//!
//! It is not a grace period: a callback may wait long after that for its turn, and with no callback
//! anywhere nothing is waited for (H40). It puts a mark behind the last callback of each CPU that
//! has any; the marks are callbacks themselves, which count down. They look at all lists under the
//! lock that moves of callbacks between CPUs hold, so a callback on the way from an offline CPU's
//! list to another's is before the mark or in front of it, never in between.
//!
//! A callback that queues itself again is queued behind the mark: what is wanted then is a second
//! barrier.

use super::head::{HasRcuHead, RcuHead, head_of, object_of};
use super::instance::{Environment, Rcu};
use crate::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use core::ptr::{self, NonNull};

/// A mark on one CPU's list.
struct Mark {
    head: RcuHead,
    /// The `Rcu` that it belongs to.
    owner: AtomicPtr<()>,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Mark {
    const HEAD: usize = core::mem::offset_of!(Mark, head);
}

/// The state of the one barrier that can be on its way.
pub(super) struct Barrier<const N: usize> {
    /// Marks that have not been reached, and one while they are being placed.
    left: AtomicUsize,
    marks: [Mark; N],
}

impl<const N: usize> Barrier<N> {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        let marks = [const { Mark { head: RcuHead::new(), owner: AtomicPtr::new(ptr::null_mut()) } }; N];
        Self { left: AtomicUsize::new(0), marks }
    }
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        let mark = || Mark { head: RcuHead::new(), owner: AtomicPtr::new(ptr::null_mut()) };
        Self { left: AtomicUsize::new(0), marks: core::array::from_fn(|_| mark()) }
    }
}

impl<E: Environment, const N: usize> Rcu<E, N> {
    /// Places the marks. One barrier at a time: the caller holds a lock until
    /// [`barrier_is_complete`](Self::barrier_is_complete). Gives the number of CPUs that had callbacks.
    pub fn barrier_begin(&'static self) -> usize {
        let barrier = &self.barrier;
        // Relaxed, and so the store below: the lock that the caller holds orders one barrier after the
        // other, and the list's lock orders them before a mark's callback.
        if barrier.left.load(Ordering::Relaxed) != 0 {
            self.env.misuse("rcu_barrier: one is on its way");
            return 0;
        }
        // One for ourselves: no mark that is reached early completes the barrier.
        barrier.left.store(1, Ordering::Relaxed);
        let (mut placed, mut ready) = (0, 0);
        {
            let _all = self.topology.lock();
            for (number, cpu) in self.cpus.iter().enumerate() {
                let mark = &barrier.marks[number];
                // Relaxed: likewise.
                mark.owner.store(ptr::from_ref(self).cast_mut().cast(), Ordering::Relaxed);
                let mut list = cpu.list.lock();
                let idle = list.len() == 0 && !cpu.is_invoking();
                if idle || !mark.head.claim(Self::mark_reached) {
                    continue;
                }
                // Relaxed: the list's lock orders it before the mark's callback.
                barrier.left.fetch_add(1, Ordering::Relaxed);
                // SAFETY: claimed here, so it is on no list; `self` is static.
                unsafe { list.queue_behind_all(head_of(NonNull::from_ref(mark))) };
                placed += 1;
                ready |= usize::from(list.has_done()) << number;
            }
        }
        for number in (0..N).filter(|n| ready & (1 << n) != 0) {
            self.env.wake_invoker(number);
        }
        self.barrier_count_down();
        placed
    }

    /// Whether every callback queued before `barrier_begin` has returned.
    pub fn barrier_is_complete(&self) -> bool {
        // Acquire: pairs with the Release of every count-down: the callbacks have returned for us.
        self.barrier.left.load(Ordering::Acquire) == 0
    }

    fn barrier_count_down(&self) {
        // Release: pairs with the Acquire in `barrier_is_complete`; the counts continue each other's
        // release sequence.
        if self.barrier.left.fetch_sub(1, Ordering::Release) == 1 {
            self.env.wake_waiters();
        }
    }

    /// # Safety
    /// The head is a mark's of an `Rcu` of this type.
    unsafe fn mark_reached(head: NonNull<RcuHead>) -> bool {
        // SAFETY: the caller; marks live in a static `Rcu`.
        let mark = unsafe { object_of::<Mark>(head).as_ref() };
        // Relaxed: stored before the mark came on the list, whose lock we held.
        let owner: *const Self = mark.owner.load(Ordering::Relaxed).cast_const().cast();
        // SAFETY: `barrier_begin` stored a `&'static Self`.
        unsafe { &*owner }.barrier_count_down();
        false
    }
}
