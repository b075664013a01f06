//! Memory that waits makes grace periods hurry.
#![cfg(not(loom))]

use fallow::rcu::instance::HEAVY;
use fallow::rcu::{Deferred, Environment, HasRcuHead, Rcu, RcuHead};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts how often the driver was woken and CPUs were interrupted.
#[derive(Default)]
struct Counting {
    woken: AtomicUsize,
    interrupts: AtomicUsize,
}

impl Environment for Counting {
    fn wake_driver(&self) {
        self.woken.fetch_add(1, Ordering::Relaxed);
    }
    fn wake_invoker(&self, _cpu: usize) {}
    fn wake_waiters(&self) {}
    fn interrupt(&self, _cpu: usize) {
        self.interrupts.fetch_add(1, Ordering::Relaxed);
    }
    fn misuse(&self, what: &'static str) {
        panic!("{what}");
    }
}

/// Something that holds a mebibyte until its grace period is over.
struct Large {
    head: RcuHead,
    of: &'static Rcu<Counting, 2>,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Large {
    const HEAD: usize = core::mem::offset_of!(Large, head);
}

impl Deferred for Large {
    fn grace_over(&'static self) {
        self.of.let_go(2 * HEAVY);
    }
}

fn rcu() -> &'static Rcu<Counting, 2> {
    let env = Counting { woken: AtomicUsize::new(0), interrupts: AtomicUsize::new(0) };
    Box::leak(Box::new(Rcu::new(env)))
}

#[test]
fn the_driver_is_woken_when_the_limit_is_passed_and_once() {
    let rcu = rcu();
    rcu.hold(HEAVY);
    assert!(!rcu.is_hurried());
    assert_eq!(rcu.env().woken.load(Ordering::Relaxed), 0);
    rcu.hold(1);
    rcu.hold(1);
    assert!(rcu.is_hurried());
    assert_eq!(rcu.env().woken.load(Ordering::Relaxed), 1);
    rcu.let_go(2);
    assert!(!rcu.is_hurried());
    rcu.hold(1);
    assert_eq!(rcu.env().woken.load(Ordering::Relaxed), 2, "again, as it was below meanwhile");
    assert_eq!(rcu.held(), HEAVY + 1);
}

#[test]
fn it_hurries_until_the_memory_is_free() {
    let rcu = rcu();
    let large: &'static Large = Box::leak(Box::new(Large { head: RcuHead::new(), of: rcu }));
    rcu.watch(1);
    rcu.hold(2 * HEAVY);
    rcu.call(0, large);
    let mut driver = rcu.driver().unwrap();
    let mut grace = driver.begin();
    // As the driver does at its first look: it asks at once the CPU that may read.
    grace.force(rcu.is_hurried());
    assert_eq!(rcu.env().interrupts.load(Ordering::Relaxed), 1);
    rcu.quiescent(1);
    assert!(grace.try_end().is_ok());
    assert!(rcu.is_hurried(), "it waits still, for its callback");
    assert!(rcu.invoke_one(0));
    assert!(!rcu.is_hurried());
    assert_eq!(rcu.held(), 0);
}
