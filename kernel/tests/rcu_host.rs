//! The kernel's own RCU on the host: threads are CPUs, one thread holds the grace periods.
#![cfg(not(loom))]
#![expect(clippy::unwrap_used, reason = "a test")]

use fallow::rcu::section::MAX_NESTING;
use fallow::rcu::torture::{OLD, Torture, Verdict};
use fallow::rcu::{self, Deferred, HasRcuHead, RcuHead, global};
use fallow::sync::context::current;
use fallow::sync::{IrqGuard, MaySleep, PreemptGuard, token};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Once};
use std::thread;

/// The token of a test's thread, with RCU running.
fn task() -> MaySleep {
    static START: Once = Once::new();
    START.call_once(|| {
        thread::spawn(|| {
            // SAFETY: the thread begins here.
            let mut ctx = unsafe { MaySleep::mint() };
            rcu::kernel::hosted_main(&mut ctx);
        });
        while !global::RCU.is_driven() {
            thread::yield_now();
        }
    });
    // SAFETY: once for each test, each in its own thread; threads that tests start make their own.
    unsafe { MaySleep::mint() }
}

struct Counted {
    head: RcuHead,
    calls: AtomicUsize,
    /// How often it defers itself again.
    again: AtomicUsize,
}

impl Counted {
    fn leaked(again: usize) -> &'static Self {
        Box::leak(Box::new(Self {
            head: RcuHead::new(),
            calls: AtomicUsize::new(0),
            again: AtomicUsize::new(again),
        }))
    }
    fn calls(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Counted {
    const HEAD: usize = core::mem::offset_of!(Counted, head);
}

impl Deferred for Counted {
    fn grace_over(&'static self) {
        self.calls.fetch_add(1, Ordering::Release);
        if self.again.load(Ordering::Relaxed) > 0 {
            self.again.fetch_sub(1, Ordering::Relaxed);
            rcu::call(self);
        }
    }
}

#[test]
fn a_head_is_a_link_and_a_function() {
    assert_eq!(size_of::<RcuHead>(), 2 * size_of::<usize>());
}

/// H36: the grace period waits for the thread that reads, and only for that.
#[test]
fn a_reader_holds_up_the_grace_period_until_it_ends() {
    let mut ctx = task();
    let (reading, begun) = channel();
    let (stop, stopped) = channel::<()>();
    let reader = thread::spawn(move || {
        let ctx = task();
        let section = rcu::read_lock(&ctx);
        reading.send(()).unwrap();
        stopped.recv().unwrap();
        drop(section);
    });
    begun.recv().unwrap();
    let cookie = rcu::start_poll();
    let object = Counted::leaked(0);
    rcu::call(object);
    for _ in 0..1_000 {
        thread::yield_now();
        assert!(!rcu::poll(cookie), "a reader is left");
        assert_eq!(object.calls(), 0);
    }
    stop.send(()).unwrap();
    rcu::cond_synchronize(&mut ctx, cookie);
    assert!(rcu::poll(cookie));
    reader.join().unwrap();
    rcu::barrier(&mut ctx);
    assert_eq!(object.calls(), 1);
}

/// H39: a callback defers its own object; each barrier covers what was queued before it.
#[test]
fn a_callback_defers_its_object_again() {
    let mut ctx = task();
    let object = Counted::leaked(2);
    rcu::call(object);
    for least in 1..=3 {
        rcu::barrier(&mut ctx);
        assert!(object.calls() >= least, "{} calls after {least} barriers", object.calls());
    }
    rcu::barrier(&mut ctx);
    assert_eq!(object.calls(), 3);
}

/// Never on the spot, also where interrupts are off and nobody reads.
#[test]
fn call_rcu_with_interrupts_off() {
    let mut ctx = task();
    let object = Counted::leaked(0);
    let off = IrqGuard::new();
    token::interrupt(|_| rcu::call(object));
    assert!(!fallow::arch::current::cpu::irqs_enabled());
    drop(off);
    rcu::barrier(&mut ctx);
    assert_eq!(object.calls(), 1);
}

/// H1: the second one is refused by name, and the first one goes through.
#[test]
fn deferring_twice_panics_by_name() {
    let mut ctx = task();
    let (reading, begun) = channel();
    let (stop, stopped) = channel::<()>();
    let reader = thread::spawn(move || {
        let ctx = task();
        let _section = rcu::read_lock(&ctx);
        reading.send(()).unwrap();
        stopped.recv().unwrap();
    });
    begun.recv().unwrap();
    let object = Counted::leaked(0);
    rcu::call(object);
    let second = thread::spawn(|| rcu::call(object)).join();
    assert_eq!(message(second), "RCU misused: call_rcu: the object is queued already");
    stop.send(()).unwrap();
    reader.join().unwrap();
    rcu::barrier(&mut ctx);
    assert_eq!(object.calls(), 1);
}

fn message<T>(ended: thread::Result<T>) -> String {
    let Err(said) = ended else { return "no panic".into() };
    match said.downcast::<String>() {
        Ok(said) => *said,
        Err(said) => said.downcast::<&str>().map_or("?".into(), |said| (*said).into()),
    }
}

/// H43, by the counts: a token of one's own makes what the types forbid compile.
#[test]
fn waiting_inside_a_section_panics_by_name() {
    type Wait = fn(&mut MaySleep);
    let waits: [(Wait, &str); 4] = [
        (rcu::synchronize, "synchronize_rcu"),
        (rcu::synchronize_expedited, "synchronize_rcu_expedited"),
        (rcu::barrier, "rcu_barrier"),
        (|ctx| rcu::cond_synchronize(ctx, rcu::poll_state()), "cond_synchronize_rcu"),
    ];
    for (wait, name) in waits {
        let in_section = thread::spawn(move || {
            let (ctx, mut other) = (task(), task());
            let _section = rcu::read_lock(&ctx);
            wait(&mut other);
        });
        let said = message(in_section.join());
        assert!(said.starts_with(&format!("{name} in an RCU read section (task ")), "{said}");
        let atomic = thread::spawn(move || {
            let mut ctx = task();
            let _pin = PreemptGuard::new();
            wait(&mut ctx);
        });
        let said = message(atomic.join());
        assert!(said.starts_with(&format!("{name} may sleep, and was called with preemption off")), "{said}");
    }
}

/// H25: a task that would be switched away inside a section is a bug of its own.
#[test]
fn a_context_switch_inside_a_section_panics_by_name() {
    for (act, name) in [(rcu::note_context_switch as fn(), "schedule"), (rcu::idle_enter, "idle")] {
        let inside = thread::spawn(move || {
            let ctx = task();
            let _section = rcu::read_lock(&ctx);
            act();
        });
        let said = message(inside.join());
        assert!(said.starts_with(&format!("{name} in an RCU read section")), "{said}");
    }
}

/// H44: too deep, and an end without a begin.
#[test]
fn wrong_nesting_panics_by_name() {
    let deep = thread::spawn(|| {
        let ctx = task();
        let nest = || (0..MAX_NESTING).for_each(|_| core::mem::forget(rcu::read_lock(&ctx)));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(nest));
        // Nobody ends those sections: the thread's number must not hold up other tests.
        global::RCU.unwatch(fallow::arch::rcu_cpu());
        if let Err(said) = ended {
            std::panic::resume_unwind(said);
        }
    });
    let said = message(deep.join());
    assert!(said.starts_with("RCU read sections nested 256 deep"), "{said}");

    let unbalanced = thread::spawn(|| {
        let ctx = task();
        let section = rcu::read_lock(&ctx);
        // SAFETY: not sound: the section ends twice, which is what is to be caught.
        drop(unsafe { core::ptr::read(&raw const section) });
        drop(section);
    });
    let said = message(unbalanced.join());
    assert!(said.starts_with("RCU read section ended that was not begun"), "{said}");
}

#[test]
fn sections_nest() {
    let ctx = task();
    let outer = rcu::read_lock(&ctx);
    let inner = rcu::read_lock(&ctx);
    assert_eq!(current().rcu.get(), 2);
    drop(outer);
    assert_eq!(current().rcu.get(), 1);
    drop(inner);
    assert_eq!(current().rcu.get(), 0);
}

/// All who wait at the same time share a grace period.
#[test]
fn waiters_share_grace_periods() {
    let mut ctx = task();
    rcu::synchronize(&mut ctx);
    let before = rcu::grace_periods();
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                let mut ctx = task();
                for _ in 0..20 {
                    rcu::synchronize(&mut ctx);
                }
            })
        })
        .collect();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    // Other tests of this process ask for some as well; alone it would be about 20 to 40.
    let held = rcu::grace_periods() - before;
    println!("160 waits, {held} grace periods");
    assert!(held < 160, "nobody shared: {held}");
}

/// H40: with nothing queued a barrier waits for nothing; with a lot, for all of it.
#[test]
fn a_barrier_waits_for_every_callback() {
    let mut ctx = task();
    for round in 0..20 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                thread::spawn(|| {
                    let objects = [(); 25].map(|()| Counted::leaked(0));
                    objects.into_iter().for_each(rcu::call);
                    objects
                })
            })
            .collect();
        let objects: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        rcu::barrier(&mut ctx);
        let called = objects.iter().filter(|object| object.calls() == 1).count();
        assert_eq!(called, objects.len(), "round {round}");
    }
}

/// A box is dropped once, by the callback; and H38: `reclaim` waits for that.
#[test]
fn boxes_are_dropped_and_reclaim_waits_for_them() {
    struct Boxed {
        head: RcuHead,
        dropped: Arc<AtomicBool>,
    }
    // SAFETY: the offset is that of `head`.
    unsafe impl HasRcuHead for Boxed {
        const HEAD: usize = core::mem::offset_of!(Boxed, head);
    }
    impl Drop for Boxed {
        fn drop(&mut self) {
            assert!(!self.dropped.swap(true, Ordering::Release));
        }
    }
    let mut ctx = task();
    let dropped = Arc::new(AtomicBool::new(false));
    let reader = rcu::read_lock(&ctx);
    rcu::call_drop(Box::new(Boxed { head: RcuHead::new(), dropped: Arc::clone(&dropped) }));
    assert!(!dropped.load(Ordering::Acquire));
    drop(reader);
    assert!(rcu::reclaim(&mut ctx), "something was queued");
    assert!(dropped.load(Ordering::Acquire));
}

/// A torture of two seconds; `honest` is whether elements wait for grace periods at all.
fn torture(honest: bool, enough: impl Fn(&Verdict) -> bool) -> Verdict {
    let mut ctx = task();
    let torture: &'static Torture = Box::leak(Box::new(Torture::new()));
    torture.begin(honest);
    let threads: Vec<_> = (1..=7)
        .map(|number| {
            thread::spawn(move || {
                let mut ctx = task();
                match number {
                    1 => torture.write(&mut ctx, number),
                    2 | 3 => torture.write_nothing(&mut ctx, number),
                    _ => torture.read(&mut ctx, number),
                }
            })
        })
        .collect();
    for _ in 0..100 {
        thread::sleep(std::time::Duration::from_millis(100));
        if enough(&torture.verdict()) {
            break;
        }
    }
    torture.stop();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    (0..OLD).for_each(|_| rcu::barrier(&mut ctx));
    let verdict = torture.verdict();
    println!("{verdict}");
    verdict
}

#[test]
fn torture_finds_nothing() {
    let verdict = torture(true, |now| now.close_calls() > 100 && now.returned() > 1_000);
    assert!(verdict.is_success(), "{verdict}");
    assert!(verdict.close_calls() > 0, "no reader ever saw an element that was being replaced");
}

/// The torture sees what it is there to see: without grace periods it fails.
#[test]
fn torture_without_grace_periods_fails() {
    let verdict = torture(false, |now| now.errors() > 0);
    assert!(verdict.errors() > 0, "{verdict}");
    assert!(!verdict.is_success());
}
