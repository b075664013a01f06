//! Every interleaving of a few CPUs with the grace-period machine, under the memory model of a
//! machine that reorders: the code of `rcu/` as the kernel runs it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fallow --release --test loom_rcu --target-dir target/loom`
//!
//! Each test counts the interleavings in which its case really came up, and fails if there was none.
//! Bound: at most 4 involuntary switches in one run with two threads, 3 in the two tests with the longest
//! runs, 2 with three threads (`LOOM_MAX_PREEMPTIONS=n` sets another). What may go wrong is an access: the
//! object is a cell of loom's, and reading it while it is being freed, or without an order between the
//! two, is "causality violation".
#![cfg(loom)]
#![expect(clippy::unwrap_used, reason = "a test")]

use fallow::rcu::{Cookie, Driver, Environment, HasRcuHead, Rcu, RcuHead};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread::{spawn, yield_now};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize as Count;
use std::sync::atomic::Ordering::Relaxed;

/// Runs the model, with at most so many involuntary switches in one interleaving unless the
/// environment says otherwise; says how much was tried, and how often the test came to its point.
fn every_interleaving(name: &str, preemptions: usize, test: impl Fn() -> bool + Sync + Send + 'static) {
    let runs = Arc::new((Count::new(0), Count::new(0)));
    let (counted, began) = (Arc::clone(&runs), std::time::Instant::now());
    let mut model = loom::model::Builder::new();
    let bound = *model.preemption_bound.get_or_insert(preemptions);
    model.check(move || {
        counted.0.fetch_add(1, Relaxed);
        counted.1.fetch_add(usize::from(test()), Relaxed);
    });
    let (all, hits) = (runs.0.load(Relaxed), runs.1.load(Relaxed));
    println!(
        "{name}: {all} interleavings (at most {bound} preemptions), the case itself in {hits}, {:.1?}",
        began.elapsed()
    );
    assert!(hits > 0, "{name}: the case never came up");
}

/// Counts what RCU asks for; the test's threads poll.
#[derive(Default)]
struct Env {
    misused: Count,
    woken: Count,
}

impl Environment for Env {
    fn wake_driver(&self) {
        self.woken.fetch_add(1, Relaxed);
    }
    fn wake_invoker(&self, _cpu: usize) {}
    fn wake_waiters(&self) {}
    fn interrupt(&self, _cpu: usize) {}
    fn misuse(&self, _what: &'static str) {
        self.misused.fetch_add(1, Relaxed);
    }
}

/// Something that is removed and freed while others may read it.
struct Object {
    head: RcuHead,
    /// Read by readers; written when it is freed.
    data: UnsafeCell<u64>,
    freed: Count,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Object {
    const HEAD: usize = std::mem::offset_of!(Object, head);
}
// SAFETY: loom checks every access to the cell.
unsafe impl Sync for Object {}

const FREED: u64 = 0xdead;

impl Object {
    fn new() -> Self {
        Self { head: RcuHead::new(), data: UnsafeCell::new(1), freed: Count::new(0) }
    }
    fn head(&self) -> NonNull<RcuHead> {
        // SAFETY: within the object.
        unsafe { NonNull::from_ref(self).byte_add(Self::HEAD) }.cast()
    }
    fn free(&self) {
        // SAFETY: what this test is about; loom checks it.
        self.data.with_mut(|data| unsafe { *data = FREED });
        self.freed.fetch_add(1, Relaxed);
    }
    fn times_freed(&self) -> usize {
        self.freed.load(Relaxed)
    }
}

/// # Safety
/// The head is an `Object`'s.
unsafe fn free(head: NonNull<RcuHead>) -> bool {
    // SAFETY: the caller.
    unsafe { head.byte_sub(Object::HEAD).cast::<Object>().as_ref() }.free();
    false
}

/// Frees in three calls.
///
/// # Safety
/// The head is an `Object`'s.
unsafe fn free_in_parts(head: NonNull<RcuHead>) -> bool {
    // SAFETY: the caller.
    let object = unsafe { head.byte_sub(Object::HEAD).cast::<Object>().as_ref() };
    object.free();
    object.times_freed() < 3
}

/// An RCU for `N` CPUs, one object, and the pointer by which readers find it.
struct World<const N: usize> {
    rcu: Rcu<Env, N>,
    object: Object,
    /// 1: the object is reachable.
    link: AtomicUsize,
}

impl<const N: usize> World<N> {
    /// Those CPUs of the mask are watched.
    fn new(watched: usize) -> &'static Self {
        let world = Box::leak(Box::new(Self {
            rcu: Rcu::new(Env::default()),
            object: Object::new(),
            link: AtomicUsize::new(1),
        }));
        for cpu in (0..N).filter(|cpu| watched & (1 << cpu) != 0) {
            world.rcu.watch(cpu);
        }
        world
    }

    /// What a reader does in one section. True: it found the object.
    fn read(&self) -> bool {
        let found = self.link.load(Ordering::Acquire) == 1;
        if found {
            // SAFETY: what this test is about; loom checks it.
            let data = self.object.data.with(|data| unsafe { *data });
            assert_eq!(data, 1, "read after it was freed");
        }
        found
    }

    fn unlink(&self) {
        // Relaxed on purpose: that readers do not find it any more is RCU's work, not this store's.
        self.link.store(0, Ordering::Relaxed);
    }

    fn call(&self, cpu: usize) {
        // SAFETY: the world lives for ever.
        unsafe { self.rcu.call_raw(cpu, self.object.head(), free) };
    }

    fn driver(&self) -> Driver<'_, Env, N> {
        self.rcu.driver().unwrap()
    }

    /// A whole grace period, looking for idle CPUs all the time. Gives the CPUs that it waited for.
    fn grace_period(driver: &mut Driver<'_, Env, N>) -> usize {
        let mut running = driver.begin();
        let waited_for = running.waits_for();
        loop {
            running.force(true);
            match running.try_end() {
                Ok(_) => return waited_for,
                Err(again) => running = again,
            }
            yield_now();
        }
    }
}

/// A reader that runs reports between two sections: the first may see the object, the second may not
/// if the grace period counts that report (H42, and H31's other half).
#[test]
fn reports_order_sections_before_and_after() {
    every_interleaving("reports; the report counted and the first section saw the object", 4, || {
        let world = World::<2>::new(0b11);
        let reader = spawn(|| {
            let saw = world.read();
            let asked = world.rcu.wants_reports();
            world.rcu.quiescent(1);
            let counted = asked && !world.rcu.wants_reports();
            world.read();
            world.rcu.unwatch(1);
            saw && counted
        });
        world.unlink();
        world.call(0);
        world.rcu.unwatch(0);
        World::grace_period(&mut world.driver());
        assert!(world.rcu.invoke_one(0), "its grace period is over");
        assert_eq!(world.object.times_freed(), 1);
        reader.join().unwrap()
    });
}

/// A CPU leaves idle, reads, and becomes idle again, while a grace period looks at it (H36).
#[test]
fn idle_cpus_are_seen_or_see() {
    every_interleaving("idle; the reader saw the object, and the grace period did not wait", 4, || {
        let world = World::<2>::new(0);
        let reader = spawn(|| {
            world.rcu.watch(1);
            let saw = world.read();
            world.rcu.unwatch(1);
            saw
        });
        world.unlink();
        world.call(0);
        World::grace_period(&mut world.driver());
        world.rcu.invoke_one(0);
        assert_eq!(world.object.times_freed(), 1);
        reader.join().unwrap()
    });
}

/// A CPU that is busy when the grace period begins becomes idle and busy again: the passage through
/// idle counts, and the section after it sees the removal (H36).
#[test]
fn a_passage_through_idle_counts() {
    every_interleaving("passage; it ended the grace period, and the first section saw the object", 4, || {
        let world = World::<2>::new(0b10);
        let reader = spawn(|| {
            let saw = world.read();
            let before = world.rcu.wants_reports();
            world.rcu.unwatch(1);
            world.rcu.watch(1);
            world.read();
            world.rcu.unwatch(1);
            saw && before
        });
        world.unlink();
        world.call(0);
        World::grace_period(&mut world.driver());
        world.rcu.invoke_one(0);
        assert_eq!(world.object.times_freed(), 1);
        reader.join().unwrap()
    });
}

/// `call_rcu` on one CPU, a reader on another, the driver on a third: a callback that was queued when
/// a grace period had begun is not released by it (H35).
#[test]
fn call_rcu_against_the_begin_of_a_grace_period() {
    every_interleaving("call_rcu; queued too late for the first grace period", 2, || {
        let world = World::<3>::new(0b10);
        let remover = spawn(|| {
            world.unlink();
            world.call(0);
        });
        let reader = spawn(|| {
            world.rcu.quiescent(1); // Then the section that follows is not waited for.
            world.read();
            world.rcu.unwatch(1);
        });
        let mut driver = world.driver();
        World::grace_period(&mut driver);
        let early = world.rcu.invoke_one(0);
        let late = !early && world.rcu.is_wanted();
        if late {
            World::grace_period(&mut driver);
            assert!(world.rcu.invoke_one(0), "the second grace period is its own");
        }
        remover.join().unwrap();
        reader.join().unwrap();
        late
    });
}

/// A cookie is over only after a grace period that began after it was given.
#[test]
fn cookies_against_the_begin_of_a_grace_period() {
    every_interleaving("cookie; given during a grace period, over after the next", 2, || {
        let world = World::<3>::new(0b10);
        let remover = spawn(|| {
            world.unlink();
            let during = world.rcu.current().in_progress();
            let cookie: Cookie = world.rcu.poll_state();
            yield_now();
            let over = world.rcu.is_over(cookie);
            if over {
                world.object.free();
            }
            over && during
        });
        let reader = spawn(|| {
            world.rcu.quiescent(1); // Then the section that follows is not waited for.
            world.read();
            world.rcu.unwatch(1);
        });
        let mut driver = world.driver();
        World::grace_period(&mut driver);
        World::grace_period(&mut driver);
        reader.join().unwrap();
        remover.join().unwrap()
    });
}

/// Two CPUs report at the same time: one of them was the last and wakes the driver, and the end comes
/// after the sections of both.
#[test]
fn two_reporters() {
    every_interleaving("two reporters; both reported to the running grace period", 2, || {
        let world = World::<3>::new(0b110);
        let readers = [1, 2].map(|cpu| {
            spawn(move || {
                world.read();
                let asked = world.rcu.wants_reports();
                world.rcu.quiescent(cpu);
                world.rcu.unwatch(cpu);
                asked
            })
        });
        world.unlink();
        world.call(0);
        let waited_for = World::grace_period(&mut world.driver());
        world.rcu.invoke_one(0);
        assert_eq!(world.object.times_freed(), 1);
        let asked = readers.map(|reader| reader.join().unwrap());
        waited_for == 0b110 && asked == [true, true]
    });
}

/// A CPU goes offline with a callback, while a grace period begins and ends (H37): the callback is
/// invoked once, by the heir, after a grace period of its own.
#[test]
fn offline_against_the_grace_period() {
    every_interleaving("offline; the callback moved while its grace period ran", 2, || {
        let world = World::<3>::new(0b110);
        let dying = spawn(|| {
            world.unlink();
            world.call(1);
            let running = world.rcu.wants_reports();
            world.rcu.go_offline(1, 0);
            running
        });
        let reader = spawn(|| {
            world.read();
            world.rcu.unwatch(2);
        });
        let mut driver = world.driver();
        World::grace_period(&mut driver);
        world.rcu.invoke_one(0);
        let running = dying.join().unwrap();
        reader.join().unwrap();
        while world.rcu.is_wanted() {
            World::grace_period(&mut driver);
        }
        assert!(!world.rcu.has_ready(1), "a callback is stranded on the offline CPU");
        world.rcu.invoke_one(0);
        assert_eq!(world.object.times_freed(), 1);
        running
    });
}

/// `rcu_barrier` while the CPU that has the callback goes offline (H40).
#[test]
fn a_barrier_against_a_move() {
    every_interleaving("barrier; the mark was placed before the move", 4, || {
        let world = World::<2>::new(0b10);
        world.unlink();
        world.call(1);
        let dying = spawn(|| world.rcu.go_offline(1, 0));
        let placed = world.rcu.barrier_begin();
        assert_eq!(placed, 1, "one CPU has callbacks, whichever it is");
        let before = world.rcu.lengths(1).queued() == 2;
        while world.rcu.invoke_one(0) {}
        assert!(!world.rcu.barrier_is_complete(), "the barrier did not wait for it");
        World::grace_period(&mut world.driver());
        while !world.rcu.barrier_is_complete() {
            // This CPU's thread invokes; the dying CPU's has stopped.
            while world.rcu.invoke_one(0) {}
            yield_now();
        }
        assert_eq!(world.object.times_freed(), 1, "the barrier did not wait for it");
        dying.join().unwrap();
        before
    });
}

/// `rcu_barrier` while the last callback of a list runs on another CPU: the list is empty, and yet
/// there is something to wait for (H40).
#[test]
fn a_barrier_against_the_last_callback() {
    every_interleaving("barrier; it found the list empty and the callback running", 4, || {
        let world = World::<2>::new(0);
        world.call(1);
        World::grace_period(&mut world.driver());
        let invoker = spawn(|| {
            world.rcu.invoke_one(1);
            world.rcu.invoke_one(1)
        });
        let none_queued = world.rcu.lengths(1).queued() == 0;
        let placed = world.rcu.barrier_begin();
        if world.rcu.barrier_is_complete() {
            // SAFETY: the callback has returned, for us as well.
            world.object.data.with(|data| assert_eq!(unsafe { *data }, FREED));
        }
        // The CPU's thread goes on with whatever is there.
        invoker.join().unwrap();
        while world.rcu.invoke_one(1) {}
        assert!(world.rcu.barrier_is_complete());
        assert_eq!(world.object.times_freed(), 1);
        none_queued && placed == 1
    });
}

/// `rcu_barrier`, and its list's move to another CPU, while a callback that frees in parts has begun:
/// the barrier waits for the last part (H40).
#[test]
fn a_barrier_against_a_callback_in_parts() {
    every_interleaving("parts; the barrier and the move came between two parts", 3, || {
        let world = World::<2>::new(0b10);
        // SAFETY: the world lives for ever.
        unsafe { world.rcu.call_raw(1, world.object.head(), free_in_parts) };
        world.rcu.unwatch(1);
        World::grace_period(&mut world.driver());
        world.rcu.watch(1);
        let invoker = spawn(|| while world.rcu.invoke_one(1) {});
        world.rcu.barrier_begin();
        let parts = world.object.times_freed();
        world.rcu.go_offline(1, 0);
        while !world.rcu.barrier_is_complete() {
            world.rcu.invoke_one(0);
            yield_now();
        }
        assert_eq!(world.object.times_freed(), 3, "the barrier did not wait for a part");
        // SAFETY: all parts have returned, for us as well.
        world.object.data.with(|data| assert_eq!(unsafe { *data }, FREED));
        assert_eq!(world.rcu.env().misused.load(Relaxed), 0);
        invoker.join().unwrap();
        (1..3).contains(&parts)
    });
}

/// A CPU goes offline while its callback runs in its thread, which is on another CPU by now, and a
/// barrier comes in between (H37, H40).
#[test]
fn a_barrier_against_a_displaced_invoker() {
    every_interleaving("displaced; the mark moved and the barrier waited", 3, || {
        let world = World::<2>::new(0b10);
        world.call(1);
        world.rcu.unwatch(1);
        World::grace_period(&mut world.driver());
        world.rcu.watch(1);
        let invoker = spawn(|| while world.rcu.invoke_one(1) {});
        let placed = world.rcu.barrier_begin();
        world.rcu.go_offline(1, 0);
        while world.rcu.invoke_one(0) {}
        let complete = world.rcu.barrier_is_complete();
        if complete {
            // SAFETY: the callback has returned, for us as well.
            world.object.data.with(|data| assert_eq!(unsafe { *data }, FREED));
        }
        invoker.join().unwrap();
        assert!(world.rcu.barrier_is_complete());
        assert_eq!(world.object.times_freed(), 1);
        placed == 1 && complete
    });
}

/// Two CPUs defer one object (H1): one is refused, and it is freed once.
#[test]
fn two_cpus_defer_one_object() {
    every_interleaving("double call_rcu; the refused one was the other CPU's", 4, || {
        let world = World::<2>::new(0);
        let other = spawn(|| world.call(1));
        world.call(0);
        other.join().unwrap();
        assert_eq!(world.rcu.env().misused.load(Relaxed), 1);
        let ours = world.rcu.lengths(0).queued() == 1;
        World::grace_period(&mut world.driver());
        while world.rcu.invoke_one(0) {}
        while world.rcu.invoke_one(1) {}
        assert_eq!(world.object.times_freed(), 1);
        ours
    });
}

/// An object is deferred again on another CPU as soon as its callback has begun (H39): the head's
/// link passes from one list to the other in order.
#[test]
fn deferred_again_while_the_callback_begins() {
    every_interleaving("again; deferred while the callback was being taken", 4, || {
        let world = World::<2>::new(0);
        world.call(0);
        let mut driver = world.driver();
        World::grace_period(&mut driver);
        let other = spawn(|| {
            world.call(1);
            world.rcu.lengths(1).queued() == 1
        });
        assert!(world.rcu.invoke_one(0));
        let again = other.join().unwrap();
        World::grace_period(&mut driver);
        while world.rcu.invoke_one(1) {}
        assert_eq!(world.object.times_freed(), 1 + usize::from(again));
        assert_eq!(world.rcu.env().misused.load(Relaxed), usize::from(!again));
        again
    });
}

/// A callback that is queued while others wait to be invoked wakes the driver as well.
#[test]
fn ready_callbacks_hide_no_wake_up() {
    every_interleaving("wake-up; queued beside a ready one, the driver asleep", 4, || {
        let world = World::<2>::new(0);
        let other = Box::leak(Box::new(Object::new()));
        world.call(0);
        World::grace_period(&mut world.driver());
        let before = world.rcu.env().woken.load(Relaxed);
        let invoker = spawn(|| world.rcu.invoke_one(0));
        // SAFETY: the object lives for ever.
        unsafe { world.rcu.call_raw(0, other.head(), free) };
        let beside = world.rcu.lengths(0).done == 1;
        invoker.join().unwrap();
        assert!(world.rcu.is_wanted());
        assert!(world.rcu.env().woken.load(Relaxed) > before, "nobody wakes the driver");
        beside
    });
}

/// The wake-up of the driver: whoever queues the first callback wakes it, or it sees the callback.
#[test]
fn no_wake_up_is_lost() {
    every_interleaving("wake-up; the driver looked first and was woken", 4, || {
        let world = World::<2>::new(0);
        let other = spawn(|| world.call(1));
        let wanted = world.rcu.is_wanted();
        other.join().unwrap();
        assert!(wanted || world.rcu.env().woken.load(Relaxed) > 0);
        assert!(world.rcu.is_wanted());
        !wanted
    });
}
