//! Quiescent states: how a CPU says that it is in no read section, and how it need not say so.
//!
//! A CPU that is *watched* reports for each grace period once, from wherever it happens to be outside
//! all read sections: a context switch, the tick or any other interrupt that found the task's nesting
//! at 0, the end of an outermost section. The report is one atomic instruction on one word, made
//! by the CPU itself at that moment, so it cannot be late: if the grace period that it meant is over
//! and another runs, it is a true report for that one too.
//!
//! A CPU that is idle would have to be woken to say that it does nothing (H36). So it says once, on
//! its way into idle, that it is *unwatched*: its own counter becomes even, and odd on the way out.
//! A grace period does not wait for a CPU whose counter is even or has changed since it began. A CPU
//! that is offline, or was never online, is unwatched likewise: there is no mask of online CPUs
//! that a CPU could be in when it is gone (H37), and no lock on the way into idle.
//!
//! User mode is not unwatched: that would cost two fences for each system call. A CPU that loops in
//! user mode is interrupted by its tick or by the grace period (H36), and an interrupt that finds
//! the nesting at 0 reports.

use super::instance::{Environment, Rcu};
use crate::sync::atomic::{AtomicUsize, Ordering, fence, spin_hint};
use crate::trace::{self, Event, Group};

/// Whether a CPU is watched: odd, or not: even.
///
/// # Invariants
/// Written by its own CPU alone.
#[derive(Debug)]
pub(super) struct Watch(AtomicUsize);

impl Watch {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
    #[cfg(loom)]
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
    /// The counter, for the driver.
    pub(super) fn sample(&self) -> usize {
        // Acquire: pairs with the Release in `unwatch`. If it is even or has changed, the sections
        // of that CPU before it are over, and what they read was read.
        self.0.load(Ordering::Acquire)
    }
    /// Whether a sample says watched.
    pub(super) const fn says_watched(sample: usize) -> bool {
        sample & 1 == 1
    }
    fn is_watched(&self) -> bool {
        // Relaxed: the CPU's own value, or a report for somebody who looks on.
        Self::says_watched(self.0.load(Ordering::Relaxed))
    }
}

impl<E: Environment, const N: usize> Rcu<E, N> {
    /// This CPU is in no read section: reports it, if the running grace period waits for it.
    /// Interrupts are off.
    #[inline]
    pub fn quiescent(&self, cpu: usize) {
        // Relaxed: only a reason to look closer; `report` has the order.
        if self.pending.load(Ordering::Relaxed) & (1 << cpu) != 0 {
            self.report(1 << cpu);
        }
    }

    /// Whether the running grace period waits for any CPU: then whoever leaves a section reports.
    #[inline]
    pub fn wants_reports(&self) -> bool {
        // Relaxed: a hint. Who misses a grace period that has just begun reports at the next occasion.
        self.pending.load(Ordering::Relaxed) != 0
    }

    /// The CPUs that the running grace period waits for, a bit each.
    pub fn waited_for(&self) -> usize {
        // Relaxed: for reports.
        self.pending.load(Ordering::Relaxed)
    }

    /// Clears bits of `pending`.
    pub(super) fn report(&self, bits: usize) {
        // Release: the sections of this CPU come before it; pairs with the Acquire in
        // `GracePeriod::is_quiet`. Acquire: the sections to come come after it; pairs with the
        // Release in `Driver::begin`, so that they do not see what was removed before.
        let before = self.pending.fetch_and(!bits, Ordering::AcqRel);
        let reported = before & bits;
        if reported != 0 {
            trace::emit(Group::Rcu, || Event::Quiescent {
                cpus: reported as u64,
                left: (before & !bits) as u64,
            });
        }
        if before & bits != 0 && before & !bits == 0 {
            self.env.wake_driver();
        }
    }

    /// Whether RCU watches this CPU: a section on a CPU that it does not is no section.
    pub fn is_watched(&self, cpu: usize) -> bool {
        self.cpus[cpu].watch.is_watched()
    }

    /// From now on this CPU is in no read section until [`watch`](Self::watch). Interrupts are off,
    /// and it is in none. No change if it is unwatched.
    pub fn unwatch(&self, cpu: usize) {
        self.quiescent(cpu);
        let watch = &self.cpus[cpu].watch.0;
        // Relaxed: no other CPU writes it.
        let now = watch.load(Ordering::Relaxed);
        if Watch::says_watched(now) {
            // Release: pairs with the Acquire in `sample`: the sections before it are over.
            watch.store(now.wrapping_add(1), Ordering::Release);
        }
    }

    /// This CPU may read again. Interrupts are off. False: it was watched.
    pub fn watch(&self, cpu: usize) -> bool {
        let watch = &self.cpus[cpu].watch.0;
        // Relaxed: no other CPU writes it.
        let now = watch.load(Ordering::Relaxed);
        if Watch::says_watched(now) {
            return false;
        }
        // Release: pairs with the Acquire in `sample`, which may find this value instead of the one
        // before: the sections before our pause are over all the same.
        watch.store(now.wrapping_add(1), Ordering::Release);
        // The counter comes before the fence, the sections to come after it. Pairs with the fence in
        // `Driver::begin`, which comes before the sample: either that sees us watched, or we see
        // what was removed before that grace period began. The release does not do that: it orders what
        // comes before it, and the sections come after.
        fence(Ordering::SeqCst);
        true
    }

    /// This CPU goes offline: it is in no section any more, and its callbacks move to another one
    /// that is online (H37). The last thing that it does, with interrupts off.
    pub fn go_offline(&self, cpu: usize, heir: usize) {
        let mut orphans = loop {
            let all = self.topology.lock();
            let mut list = self.cpus[cpu].list.lock();
            // Its thread may have been driven to another CPU and run a callback there: a barrier's
            // mark that moved would not be behind it any more.
            if !self.cpus[cpu].is_invoking() {
                break (list.take_all(), all);
            }
            drop((list, all));
            spin_hint();
        };
        let ready = {
            let mut list = self.cpus[heir].list.lock();
            list.adopt(&mut orphans.0);
            list.has_done()
        };
        drop(orphans);
        self.unwatch(cpu);
        if ready {
            self.env.wake_invoker(heir);
        }
        self.env.wake_driver();
    }
}
