//! How a grace period is held: when the driver sleeps, when it looks for idle CPUs, when it
//! interrupts those that run, and when it says that one is stuck.

use super::gp::Driver;
use super::instance::Environment;
use super::stall::Stall;

/// How patient grace periods are, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two looks for CPUs that were idle.
    pub look: u64,
    /// CPUs that have not reported after this long are interrupted: an unlucky CPU has seen a few
    /// ticks by then, which report for nothing.
    pub interrupt: u64,
    /// A grace period that takes longer is a stall, and is reported each time this long.
    pub stall: u64,
}

impl Pace {
    /// What the kernel uses; the stall time-out is Linux' default of 21 s.
    pub const KERNEL: Self = Self { look: 5_000_000, interrupt: 30_000_000, stall: 21_000_000_000 };
}

/// The thread that drives: its clock and its bed.
pub trait Clockwork {
    /// Nanoseconds.
    fn now(&self) -> u64;
    /// Sleeps until the time, or until `woken` is true, which is asked again at each
    /// [`wake_driver`](Environment::wake_driver). May return early.
    fn sleep(&mut self, until: u64, woken: &dyn Fn() -> bool);
    /// A grace period is stuck.
    fn stalled(&mut self, stall: &Stall);
}

impl<E: Environment, const N: usize> Driver<'_, E, N> {
    /// Holds one grace period, from its begin to its end.
    pub fn hold(&mut self, pace: &Pace, clockwork: &mut impl Clockwork) {
        let rcu = self.rcu;
        let began = clockwork.now();
        let mut report_at = began.saturating_add(pace.stall);
        let mut grace = self.begin();
        loop {
            let hurried = rcu.is_hurried();
            let now = clockwork.now();
            grace.force(hurried || now.saturating_sub(began) >= pace.interrupt);
            grace = match grace.try_end() {
                Ok(_) => return,
                Err(running) => running,
            };
            if now >= report_at {
                report_at = now.saturating_add(pace.stall);
                clockwork.stalled(&Stall::new(rcu, grace.waits_for(), now - began));
            }
            clockwork
                .sleep(now.saturating_add(pace.look), &|| grace.is_quiet() || (!hurried && rcu.is_hurried()));
        }
    }
}
