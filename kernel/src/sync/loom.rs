//! Sleeping and waking under the model checker: wait queues, the mutex, and a scheduler's part of the
//! hand-over.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fallow --lib --release --target-dir target/loom sync::loom`
//!
//! The scheduler here is a small one that keeps the promises of [`Hooks`] as `proc::sched` does: a
//! lock, under which a task is blocked and is made ready, and a mark "woken" that a wake-up leaves on
//! a task that is not blocked yet. A task without a CPU is a thread that waits at a condition
//! variable; so a wake-up that is lost is a deadlock, which loom finds. At most three preemptions.

use super::context::TaskContext;
use super::hooks::{self, Hooks};
use super::rank::{LockClass, Rank};
use super::{MaySleep, Mutex, WaitQueue};
use crate::arch::current::cpu;
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar};
use loom::thread::spawn;
use std::collections::HashMap;
use std::ptr::NonNull;

/// What the scheduler knows of a task.
struct Task {
    woken: AtomicBool,
    blocked: loom::sync::Mutex<bool>,
    ready: Condvar,
}

loom::lazy_static! {
    static ref TASKS: std::sync::Mutex<HashMap<usize, Arc<Task>>> = std::sync::Mutex::default();
    static ref BLOCKED: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
}

fn task(context: usize) -> Arc<Task> {
    let new = || Task {
        woken: AtomicBool::new(false),
        blocked: loom::sync::Mutex::new(false),
        ready: Condvar::new(),
    };
    TASKS.lock().unwrap().entry(context).or_insert_with(|| Arc::new(new())).clone()
}

fn this_task() -> Arc<Task> {
    task(cpu::current_task().addr())
}

fn block(deadline: Option<u64>) {
    let task = this_task();
    let mut blocked = task.blocked.lock().unwrap();
    if task.woken.swap(false, Ordering::Relaxed) || deadline.is_some() {
        return; // Any deadline is over at once.
    }
    *blocked = true;
    BLOCKED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    while *blocked {
        blocked = task.ready.wait(blocked).unwrap();
    }
}

unsafe fn wake(context: NonNull<TaskContext>) {
    let task = task(context.addr().get());
    let mut blocked = task.blocked.lock().unwrap();
    if *blocked {
        *blocked = false;
        task.ready.notify_one();
    } else {
        task.woken.store(true, Ordering::Release);
    }
}

static SCHEDULER: Hooks = Hooks {
    prepare_to_block: || {
        this_task().woken.swap(false, Ordering::Acquire);
    },
    cancel_block: || (),
    block,
    wake,
    preempt: || (),
};

const CLASS: LockClass = LockClass::new("test", Rank::SLEEPING);

fn token() -> MaySleep {
    // SAFETY: one for each thread of the model.
    unsafe { MaySleep::mint() }
}

/// Runs the model; says how much it tried, and fails if no task ever blocked in it.
fn bounded(name: &str, test: impl Fn() + Sync + Send + 'static) {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    hooks::set(&SCHEDULER);
    let runs = std::sync::Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = runs.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        test();
        counted.0.fetch_add(1, Relaxed);
        counted.1.fetch_add(usize::from(BLOCKED.load(Relaxed) > 0), Relaxed);
    });
    let (all, hits) = (runs.0.load(Relaxed), runs.1.load(Relaxed));
    println!("{name}: {all} interleavings, a task slept in {hits}");
    assert!(hits > 0, "nobody ever slept");
}

/// Two tasks wait for one thing, which comes with one wake-up to all: neither sleeps on.
#[test]
fn no_wake_up_is_lost() {
    bounded("two waiters, one waker", || {
        let shared = Arc::new((WaitQueue::new(), AtomicBool::new(false), UnsafeCell::new(0)));
        let wait = |shared: &(WaitQueue, AtomicBool, UnsafeCell<i32>)| {
            shared.0.wait(&mut token(), || shared.1.load(Ordering::Acquire));
            // SAFETY: loom checks that what was written before the wake-up was written before this.
            shared.2.with(|value| assert_eq!(unsafe { *value }, 7));
        };
        let theirs = shared.clone();
        let waiter = spawn(move || wait(&theirs));
        let theirs = shared.clone();
        let waker = spawn(move || {
            // SAFETY: nobody reads it before the flag is set.
            theirs.2.with_mut(|value| unsafe { *value = 7 });
            theirs.1.store(true, Ordering::Release);
            theirs.0.wake_all();
        });
        wait(&shared);
        waiter.join().unwrap();
        waker.join().unwrap();
    });
}

/// A wake-up for one reaches a task whose patience is over just then, and that has no use for it: it
/// passes it on to the task behind it.
#[test]
fn a_wake_up_for_who_gives_up_is_passed_on() {
    bounded("a waiter that gives up, one that does not, one thing", || {
        let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
        let take =
            |things: &AtomicUsize| things.compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let theirs = shared.clone();
        let impatient = spawn(move || {
            assert!(!theirs.0.wait_deadline(&mut token(), 0, || false));
        });
        let theirs = shared.clone();
        let giver = spawn(move || {
            theirs.1.store(1, Ordering::Release);
            theirs.0.wake_one();
        });
        shared.0.wait(&mut token(), || take(&shared.1));
        impatient.join().unwrap();
        giver.join().unwrap();
    });
}

/// Three tasks and one mutex: one at a time, each sees what the one before did, and nobody sleeps on
/// when it is free.
#[test]
fn a_mutex_excludes_and_wakes() {
    bounded("three tasks, one mutex", || {
        let shared = Arc::new((Mutex::new(&CLASS, ()), UnsafeCell::new(0)));
        let work = |shared: &(Mutex<()>, UnsafeCell<i32>)| {
            let guard = shared.0.lock(&mut token());
            // SAFETY: loom checks that nobody else is here.
            shared.1.with_mut(|sum| unsafe { *sum += 1 });
            drop(guard);
        };
        let others = [(); 2].map(|()| {
            let shared = shared.clone();
            spawn(move || work(&shared))
        });
        work(&shared);
        others.into_iter().for_each(|other| other.join().unwrap());
        let guard = shared.0.try_lock().expect("free");
        // SAFETY: as above.
        shared.1.with(|sum| assert_eq!(unsafe { *sum }, 3));
        drop(guard);
    });
}
