//! The grace period: from the moment when all that was removed is removed for everybody who begins
//! to read, to the moment when all who began before are done.
//!
//! One thread, the *driver*, begins and ends all of them. The rejected alternative, where whichever
//! CPU reports last ends the grace period and begins the next (as the softirqs of early Linux RCU
//! did), saves a context switch and puts the most delicate transition into every context that can
//! report.
//!
//! The order of things, and what it stands on (each pair is named where it is; `docs/rcu.md` has
//! the whole argument):
//!
//! ```text
//! remover     remove x; call_rcu ---- list lock ----.
//! driver                         seq odd; next -> wait; FENCE; sample the CPUs; pending = watched
//! reader      a section that may see x; report ------- release --.
//! driver                                             pending == 0, acquire; wait -> done; seq even
//! invoker     ------------------------------------------- list lock --- free x
//! ```

use super::instance::{Environment, Rcu};
use super::quiescent::Watch;
use super::seq::Seq;
use crate::sync::atomic::{Ordering, fence};
use crate::trace::{self, Event, Group};

/// The right to begin grace periods of an [`Rcu`]: there is one.
pub struct Driver<'a, E: Environment, const N: usize> {
    pub(super) rcu: &'a Rcu<E, N>,
    /// What each CPU's watch counter was when the grace period began.
    samples: [usize; N],
}

/// A grace period that runs. It ends by [`try_end`](Self::try_end).
#[must_use = "a grace period that nobody ends stops all later ones"]
pub struct GracePeriod<'d, 'a, E: Environment, const N: usize> {
    driver: &'d mut Driver<'a, E, N>,
}

impl<E: Environment, const N: usize> Rcu<E, N> {
    /// The driver, the first time that it is asked for.
    pub fn driver(&self) -> Option<Driver<'_, E, N>> {
        // Relaxed: it guards against a second driver, not data.
        let taken = self.has_driver.swap(true, Ordering::Relaxed);
        (!taken).then_some(Driver { rcu: self, samples: [0; N] })
    }
}

impl<'a, E: Environment, const N: usize> Driver<'a, E, N> {
    /// Begins a grace period for all callbacks queued and all cookies given up to now.
    pub fn begin(&mut self) -> GracePeriod<'_, 'a, E, N> {
        let rcu = self.rcu;
        debug_assert!(!rcu.current().in_progress() && !rcu.wants_reports(), "two grace periods");
        // Release: pairs with the Acquire in `is_over`, which may find this value instead of the one
        // that ended the grace period before. For cookies, the fence below orders it.
        rcu.seq.store(rcu.current().next().raw(), Ordering::Release);
        {
            let _all = rcu.topology.lock();
            for cpu in &rcu.cpus {
                cpu.list.lock().grace_begins();
            }
        }
        // What was removed before a `call_rcu` (by the list's lock) and before a cookie (by its
        // fence) comes before this fence, the samples after it. Pairs with the fence in `watch`: a CPU
        // that we see unwatched will see all that is removed; and with the one in `poll_state`.
        fence(Ordering::SeqCst);
        let mut watched = 0;
        for (number, cpu) in rcu.cpus.iter().enumerate() {
            self.samples[number] = cpu.watch.sample();
            if Watch::says_watched(self.samples[number]) {
                watched |= 1 << number;
            }
        }
        // Release: pairs with the Acquire in `report`: sections after a report come after what was
        // removed. (The fence is a release, too; this one also passes on what the fences of others
        // published, in a model that counts fences as an order of their own.)
        let seq = rcu.current().raw() as u64;
        trace::emit(Group::Rcu, || Event::GraceBegin { seq, cpus: watched as u64 });
        rcu.pending.store(watched, Ordering::Release);
        GracePeriod { driver: self }
    }
}

impl<E: Environment, const N: usize> GracePeriod<'_, '_, E, N> {
    /// The CPUs it waits for, a bit each. Old news by the time it is read.
    pub fn waits_for(&self) -> usize {
        // Relaxed: whom to look at, or for reports; `is_quiet` has the order.
        self.driver.rcu.pending.load(Ordering::Relaxed)
    }

    /// Whether every CPU has been in no section since it began.
    pub fn is_quiet(&self) -> bool {
        // Acquire: pairs with the Release of every `report`, each of which continues the release
        // sequence of those before: what any section read was read before what we do next.
        self.driver.rcu.pending.load(Ordering::Acquire) == 0
    }

    /// Looks for CPUs that have been unwatched since it began, and interrupts the others if asked.
    pub fn force(&mut self, interrupt: bool) {
        let rcu = self.driver.rcu;
        let pending = self.waits_for();
        let mut passed = 0;
        for (number, cpu) in rcu.cpus.iter().enumerate().filter(|(n, _)| pending & (1 << n) != 0) {
            if cpu.watch.sample() != self.driver.samples[number] {
                passed |= 1 << number;
            } else if interrupt {
                rcu.env.interrupt(number);
            }
        }
        if passed != 0 {
            rcu.report(passed);
        }
    }

    /// Ends it, if it is quiet: its callbacks become ready, its cookies are over.
    pub fn try_end(self) -> Result<Seq, Self> {
        if !self.is_quiet() {
            return Err(self);
        }
        let rcu = self.driver.rcu;
        let mut ready = 0;
        {
            let _all = rcu.topology.lock();
            for (number, cpu) in rcu.cpus.iter().enumerate() {
                ready |= usize::from(cpu.list.lock().grace_is_over()) << number;
            }
        }
        let ended = rcu.current().next();
        // Release: pairs with the Acquire in `is_over`: it comes after `is_quiet`'s Acquire, so whoever
        // finds his cookie over comes after every section that could see what he removed.
        rcu.seq.store(ended.raw(), Ordering::Release);
        trace::emit(Group::Rcu, || Event::GraceEnd { seq: ended.raw() as u64 });
        for number in (0..N).filter(|n| ready & (1 << n) != 0) {
            rcu.env.wake_invoker(number);
        }
        rcu.env.wake_waiters();
        Ok(ended)
    }
}
