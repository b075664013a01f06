//! Sleeping, waking, mutexes: what the host cannot show, since nothing sleeps there.

use crate::arch::current::timer;
use crate::ktest::{Case, Outcome, Suite, Test};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::sync::{Completion, IrqSpinLock, LockClass, Mutex, Rank, WaitQueue};
use crate::{check, check_eq};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "waiting",
    tests: &[
        Test::new("ping_pong", ping_pong),
        Test::new("wake_all", wake_all),
        Test::new("wake_one_is_not_lost", wake_one_is_not_lost),
        Test::new("deadline", deadline),
        Test::new("sleep_order", sleep_order),
        Test::new("mutex", mutex),
        Test::new("mutex_sleeps", mutex_sleeps),
        Test::new("wake_from_interrupt", wake_from_interrupt),
    ],
};

/// Two threads hand a turn back and forth; a lost wake-up would hang here.
fn ping_pong(case: &mut Case<'_>) -> Outcome {
    const TURNS: usize = 1000;
    let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0)));
    let theirs = Arc::clone(&shared);
    let thread = Spawn::new("pong").spawn(move |ctx| {
        let (queue, turn) = &*theirs;
        for n in 0..TURNS {
            queue.wait(ctx, || turn.load(Ordering::Acquire) == 2 * n + 1);
            turn.store(2 * n + 2, Ordering::Release);
            queue.wake_all();
        }
    });
    let Ok(thread) = thread else { crate::skip!("no memory for a stack") };
    let (queue, turn) = &*shared;
    for n in 0..TURNS {
        turn.store(2 * n + 1, Ordering::Release);
        queue.wake_all();
        queue.wait(case.ctx, || turn.load(Ordering::Acquire) == 2 * n + 2);
    }
    thread.join(case.ctx);
    Ok(())
}

fn wake_all(case: &mut Case<'_>) -> Outcome {
    let go = Arc::new(Completion::new());
    let count = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for _ in 0..6 {
        let (go, count) = (Arc::clone(&go), Arc::clone(&count));
        threads.extend(Spawn::new("waiter").spawn(move |ctx| {
            go.wait(ctx);
            count.fetch_add(1, Ordering::Relaxed);
        }));
    }
    check_eq!(threads.len(), 6);
    sched::sleep(case.ctx, 2_000_000);
    check_eq!(count.load(Ordering::Relaxed), 0, "nobody goes before the word is given");
    go.complete();
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(count.load(Ordering::Relaxed), 6);
    Ok(())
}

/// Each item wakes one consumer; all items are taken though consumers come and go.
fn wake_one_is_not_lost(case: &mut Case<'_>) -> Outcome {
    const ITEMS: usize = 300;
    let shared = Arc::new((WaitQueue::new(), AtomicUsize::new(0), AtomicUsize::new(0)));
    let mut threads = Vec::new();
    for _ in 0..3 {
        let shared = Arc::clone(&shared);
        threads.extend(Spawn::new("consumer").spawn(move |ctx| {
            let (queue, items, taken) = &*shared;
            let take =
                || items.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok();
            for _ in 0..ITEMS / 3 {
                queue.wait(ctx, take);
                taken.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    check_eq!(threads.len(), 3);
    for n in 0..ITEMS {
        shared.1.fetch_add(1, Ordering::AcqRel);
        shared.0.wake_one();
        if n % 7 == 0 {
            sched::yield_now(case.ctx);
        }
    }
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(shared.2.load(Ordering::Relaxed), ITEMS);
    Ok(())
}

fn deadline(case: &mut Case<'_>) -> Outcome {
    let never = Completion::new();
    let until = timer::now() + 3_000_000;
    check!(!never.wait_deadline(case.ctx, until));
    check!(timer::now() >= until, "the wait ended early");
    let queue = WaitQueue::new();
    let until = timer::now() + 1_000_000;
    check!(!queue.wait_deadline(case.ctx, until, || false));
    check!(timer::now() >= until);
    Ok(())
}

/// Sleepers wake in the order of their times, whatever the order in which they fell asleep, and not
/// before. They share a CPU: with several, the order of their ends is not that of their wake-ups.
fn sleep_order(case: &mut Case<'_>) -> Outcome {
    const CLASS: LockClass = LockClass::new("test order", Rank::new(66));
    let order = Arc::new(IrqSpinLock::new(&CLASS, Vec::with_capacity(8)));
    let start = timer::now() + 20_000_000;
    let mut threads = Vec::new();
    for n in [3_u64, 1, 4, 0, 2] {
        let order = Arc::clone(&order);
        let one = crate::cpus::CpuSet::one(0);
        threads.extend(Spawn::new("sleeper").on(one).spawn(move |ctx| {
            let until = start + n * 1_000_000;
            sched::sleep_until(ctx, until);
            order.lock().push((n, timer::now() >= until));
        }));
    }
    check_eq!(threads.len(), 5);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    let order = order.lock();
    check_eq!(order[..], [(0, true), (1, true), (2, true), (3, true), (4, true)]);
    Ok(())
}

const MUTEX: LockClass = LockClass::new("test mutex", Rank::SLEEPING);

fn mutex(case: &mut Case<'_>) -> Outcome {
    let shared = Arc::new(Mutex::new(&MUTEX, (0_u64, 0_u64)));
    let mut threads = Vec::new();
    for _ in 0..4 {
        let shared = Arc::clone(&shared);
        threads.extend(Spawn::new("mutex").spawn(move |ctx| {
            for n in 0..250 {
                let mut value = shared.lock(ctx);
                value.0 += 1;
                if n % 10 == 0 {
                    // Held over a switch.
                    sched::yield_now(ctx);
                }
                value.1 += 1;
            }
        }));
    }
    check_eq!(threads.len(), 4);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    let value = *shared.lock(case.ctx);
    check_eq!(value, (1000, 1000));
    Ok(())
}

/// Who waits for a mutex leaves the CPU: the owner sleeps with it, and on one CPU nothing would go
/// on otherwise.
fn mutex_sleeps(case: &mut Case<'_>) -> Outcome {
    let shared = Arc::new(Mutex::new(&MUTEX, 0));
    let theirs = Arc::clone(&shared);
    let guard = shared.lock(case.ctx);
    let thread = Spawn::new("second").spawn(move |ctx| *theirs.lock(ctx) += 1);
    let Ok(thread) = thread else { crate::skip!("no memory for a stack") };
    sched::sleep(case.ctx, 3_000_000);
    check_eq!(*guard, 0, "the second waits");
    drop(guard);
    thread.join(case.ctx);
    check_eq!(*shared.lock(case.ctx), 1);
    Ok(())
}

/// A function called on every CPU, in interrupt context on the others, wakes this thread.
fn wake_from_interrupt(case: &mut Case<'_>) -> Outcome {
    static DONE: IrqSpinLock<Option<Arc<Completion>>> = IrqSpinLock::new(&HOLDER, None);
    const HOLDER: LockClass = LockClass::new("test holder", Rank::new(66));
    for _ in 0..20 {
        let done = Arc::new(Completion::new());
        *DONE.lock() = Some(Arc::clone(&done));
        let caller = Spawn::new("caller").spawn(move |_| {
            crate::proc::smp::call_on(
                sched::online_cpus(),
                |_| {
                    if let Some(done) = DONE.lock().as_ref() {
                        done.complete();
                    }
                },
                0,
            );
        });
        let Ok(caller) = caller else { crate::skip!("no memory for a stack") };
        done.wait(case.ctx);
        caller.join(case.ctx);
        *DONE.lock() = None;
    }
    Ok(())
}
