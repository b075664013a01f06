//! What `call_rcu` and an invocation cost, for a tool that counts instructions.
//!
//! `cargo test -p fallow --release --test rcu_cost --no-run`, then the test binary under
//! `valgrind --tool=callgrind --collect-atstart=no --toggle-collect='*queue_all*' BINARY --ignored`
//! (or `invoke_all`): the count divided by [`MANY`].
#![cfg(not(loom))]

use fallow::rcu::{Deferred, Environment, HasRcuHead, Rcu, RcuHead};
use std::sync::atomic::{AtomicUsize, Ordering};

const MANY: usize = 1_000;

struct Quiet;

impl Environment for Quiet {
    fn wake_driver(&self) {}
    fn wake_invoker(&self, _cpu: usize) {}
    fn wake_waiters(&self) {}
    fn interrupt(&self, _cpu: usize) {}
    fn misuse(&self, what: &'static str) {
        panic!("{what}");
    }
}

struct Object {
    head: RcuHead,
    calls: AtomicUsize,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Object {
    const HEAD: usize = core::mem::offset_of!(Object, head);
}

impl Deferred for Object {
    fn grace_over(&'static self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

static RCU: Rcu<Quiet, 16> = Rcu::new(Quiet);
static OBJECTS: [Object; MANY] =
    [const { Object { head: RcuHead::new(), calls: AtomicUsize::new(0) } }; MANY];

#[inline(never)]
fn queue_all() {
    OBJECTS.iter().for_each(|object| RCU.call(0, object));
}

#[inline(never)]
fn invoke_all() {
    while RCU.invoke_one(0) {}
}

#[test]
#[ignore = "to be run under callgrind"]
fn cost() {
    let mut driver = RCU.driver().unwrap_or_else(|| panic!("the only driver"));
    for round in 1..=2 {
        queue_all();
        assert!(driver.begin().try_end().is_ok(), "nobody is watched");
        invoke_all();
        assert!(OBJECTS.iter().all(|object| object.calls.load(Ordering::Relaxed) == round));
    }
}
