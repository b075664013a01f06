//! Threads: beginning, end, memory, preemption, CPUs.

use super::support::{Countdown, Hoard, spin_until};
use crate::arch::PAGE_SIZE;
use crate::arch::current::{STACK_SIZE, timer};
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Suite, Test, failed};
use crate::mm::frame::{Kind, Request};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::sync::{Completion, IrqGuard, Pinned, PreemptGuard};
use crate::{check, check_eq, mm, rcu, skip};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "threads",
    tests: &[
        Test::new("spawn_and_join", spawn_and_join),
        Test::new("storm", storm),
        Test::new("no_memory", no_memory),
        Test::new("grandchildren", grandchildren),
        Test::new("detached", detached),
        Test::new("preemption", preemption),
        Test::new("no_preemption_while_it_is_off", no_preemption_while_it_is_off),
        Test::new("high_runs_first", high_runs_first),
        Test::new("affinity", affinity).min_cpus(2),
        Test::new("idle_cpus_take_work", idle_cpus_take_work).min_cpus(2),
        Test::new("a_yield_finds_an_idle_cpu", a_yield_finds_an_idle_cpu).min_cpus(2),
    ],
};

fn spawn_and_join(case: &mut Case<'_>) -> Outcome {
    let value = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&value);
    let thread = Spawn::new("child").spawn(move |_| theirs.store(42, Ordering::Relaxed));
    let Ok(thread) = thread else { skip!("no memory for a stack") };
    check_eq!(&*thread.thread().name(), "child");
    thread.join(case.ctx);
    check_eq!(value.load(Ordering::Relaxed), 42);
    check_eq!(Arc::strong_count(&value), 1, "the closure was dropped");
    Ok(())
}

/// More threads than CPUs, over and over: each runs once, and all stacks come back (the runner
/// looks).
fn storm(case: &mut Case<'_>) -> Outcome {
    let runs = Arc::new(AtomicUsize::new(0));
    for round in 1..=25 {
        let mut threads = Vec::new();
        for _ in 0..8 {
            let runs = Arc::clone(&runs);
            match Spawn::new("storm").spawn(move |ctx| {
                sched::yield_now(ctx);
                runs.fetch_add(1, Ordering::Relaxed);
            }) {
                Ok(thread) => threads.push(thread),
                Err(error) => check!(false, "round {round}: {error:?}"),
            }
        }
        threads.into_iter().for_each(|thread| thread.join(case.ctx));
        check_eq!(runs.load(Ordering::Relaxed), 8 * round);
    }
    Ok(())
}

/// With no free memory, but some that waits for a grace period: who may sleep gets a thread (H38), who
/// may not is told that there is none.
fn no_memory(case: &mut Case<'_>) -> Outcome {
    let stack = Request::of(Kind::Kernel).order((STACK_SIZE / PAGE_SIZE as usize).ilog2() as u8);
    let Ok(block) = mm::frames().alloc(stack, Some(case.ctx)) else {
        return Err(failed(format_args!("no memory for one stack")));
    };
    let block = mm::shared_frames().share(block);
    let ran = Arc::new(AtomicUsize::new(0));
    let (refused, waits) = (Arc::clone(&ran), Arc::clone(&ran));
    let hoard = Hoard::all();
    let section = rcu::read_lock(case.ctx);
    // SAFETY: the reference of `share`; nobody else has one.
    unsafe { mm::shared_frames().put(block) };
    let refused = Spawn::new("refused").spawn(move |_| drop(refused));
    drop(section);
    let waited = Spawn::new("waits").spawn_waiting(case.ctx, move |_| {
        waits.fetch_add(1, Ordering::Relaxed);
    });
    drop(hoard);
    check!(refused.is_err(), "a thread out of memory that a reader holds up");
    match waited {
        Ok(thread) => thread.join(case.ctx),
        Err(error) => check!(false, "{error:?}"),
    }
    check_eq!(ran.load(Ordering::Relaxed), 1);
    Ok(())
}

/// Threads that make threads: a binary tree of 31.
fn grandchildren(case: &mut Case<'_>) -> Outcome {
    fn grow(depth: usize, count: Arc<AtomicUsize>, ctx: &mut crate::sync::MaySleep) {
        count.fetch_add(1, Ordering::Relaxed);
        let children = (0..if depth < 4 { 2 } else { 0 }).map(|_| {
            let count = Arc::clone(&count);
            Spawn::new("tree").spawn(move |ctx| grow(depth + 1, count, ctx))
        });
        let children: Vec<_> = children.flatten().collect();
        children.into_iter().for_each(|child| child.join(ctx));
    }
    let count = Arc::new(AtomicUsize::new(0));
    grow(0, Arc::clone(&count), case.ctx);
    check_eq!(count.load(Ordering::Relaxed), 31);
    Ok(())
}

/// A thread that nobody joins ends all the same, and gives its stack back.
fn detached(case: &mut Case<'_>) -> Outcome {
    let done = Arc::new(Completion::new());
    for _ in 0..4 {
        let done = Arc::clone(&done);
        let thread = Spawn::new("detached").spawn(move |_| done.complete());
        check!(thread.is_ok());
        drop(thread);
    }
    done.wait(case.ctx);
    Ok(())
}

/// A thread that never lets go does not keep others from the CPU.
fn preemption(case: &mut Case<'_>) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = Vec::new();
    for cpu in sched::online_cpus().iter() {
        let stop = Arc::clone(&stop);
        let spinner = Spawn::new("spinner").on(CpuSet::one(cpu)).spawn(move |_| {
            spin_until(|| stop.load(Ordering::Relaxed));
        });
        check!(spinner.is_ok());
        threads.extend(spinner);
    }
    // This thread comes to run again only by preemption; so does one more on each CPU.
    for cpu in sched::online_cpus().iter() {
        let other = Spawn::new("other").on(CpuSet::one(cpu)).spawn(|_| ());
        let Ok(other) = other else { continue };
        other.join(case.ctx);
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    Ok(())
}

fn no_preemption_while_it_is_off(case: &mut Case<'_>) -> Outcome {
    let ran = Arc::new(AtomicBool::new(false));
    let seen = {
        let pin = PreemptGuard::new();
        let theirs = Arc::clone(&ran);
        let thread = Spawn::new("eager")
            .high()
            .on(CpuSet::one(pin.cpu()))
            .spawn(move |_| theirs.store(true, Ordering::Relaxed));
        check!(thread.is_ok());
        drop(thread);
        let end = timer::now() + 3 * sched::TICK;
        spin_until(|| timer::now() > end);
        let seen = ran.load(Ordering::Relaxed);
        drop(pin);
        // The guard's end let the one of higher priority run. Another CPU may have taken this thread
        // meanwhile, so it may go on first.
        spin_until(|| ran.load(Ordering::Relaxed));
        check!(ran.load(Ordering::Relaxed), "preemption did not come with the guard's end");
        seen
    };
    check!(!seen, "preempted while preemption was off");
    sched::yield_now(case.ctx);
    Ok(())
}

/// A thread of high priority runs before those that have waited longer.
fn high_runs_first(case: &mut Case<'_>) -> Outcome {
    let order = Arc::new(crate::sync::IrqSpinLock::new(&ORDER, Vec::with_capacity(4)));
    let mut threads = Vec::new();
    {
        let pin = PreemptGuard::new();
        let here = CpuSet::one(pin.cpu());
        for (name, high) in [("n", false), ("m", false), ("h", true)] {
            let order = Arc::clone(&order);
            let spawn = Spawn::new(name).on(here);
            let spawn = if high { spawn.high() } else { spawn };
            threads.extend(spawn.spawn(move |_| order.lock().push(name)));
        }
    }
    check_eq!(threads.len(), 3);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(order.lock()[..], ["h", "n", "m"]);
    Ok(())
}

const ORDER: crate::sync::LockClass = crate::sync::LockClass::new("test order", crate::sync::Rank::new(66));

fn affinity(case: &mut Case<'_>) -> Outcome {
    let wrong = Arc::new(AtomicUsize::new(0));
    let mut threads = Vec::new();
    for cpu in sched::online_cpus().iter().chain(sched::online_cpus().iter()) {
        let wrong = Arc::clone(&wrong);
        threads.extend(Spawn::new("bound").on(CpuSet::one(cpu)).spawn(move |ctx| {
            for _ in 0..50 {
                if IrqGuard::new().cpu() != cpu {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
                sched::yield_now(ctx);
            }
            sched::sleep(ctx, 100_000);
            if IrqGuard::new().cpu() != cpu {
                wrong.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    check_eq!(threads.len(), 2 * sched::online_cpus().len());
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(wrong.load(Ordering::Relaxed), 0);
    Ok(())
}

/// As many threads as CPUs, all started on this one: they come to run at the same time, since each
/// waits for the others without letting go.
fn idle_cpus_take_work(case: &mut Case<'_>) -> Outcome {
    let cpus = sched::online_cpus().len();
    let all = Arc::new(Countdown::new(cpus));
    let mut threads = Vec::new();
    for _ in 0..cpus {
        let all = Arc::clone(&all);
        threads.extend(Spawn::new("meet").spawn(move |_| {
            let _pin = PreemptGuard::new();
            all.arrive();
            spin_until(|| all.is_over());
        }));
    }
    check_eq!(threads.len(), cpus);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    Ok(())
}

/// Who yields to a thread that then keeps the CPU with interrupts off goes on elsewhere.
fn a_yield_finds_an_idle_cpu(case: &mut Case<'_>) -> Outcome {
    /// Far more than an idle CPU needs to come, on a loaded host too.
    const PATIENCE: u64 = 5_000_000_000;
    let shared = Arc::new((AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false)));
    let theirs = Arc::clone(&shared);
    let here = CpuSet::one(PreemptGuard::new().cpu());
    let keeper = Spawn::new("keeper").on(here).spawn(move |_| {
        let (keeps, go, went) = &*theirs;
        let _irqs = IrqGuard::new();
        keeps.store(true, Ordering::Release);
        let end = timer::now() + PATIENCE;
        spin_until(|| go.load(Ordering::Acquire) || timer::now() > end);
        went.store(go.load(Ordering::Acquire), Ordering::Release);
    });
    let Ok(keeper) = keeper else { skip!("no memory for a stack") };
    let (keeps, go, went) = &*shared;
    while !keeps.load(Ordering::Acquire) {
        sched::yield_now(case.ctx);
    }
    go.store(true, Ordering::Release);
    keeper.join(case.ctx);
    check!(went.load(Ordering::Acquire), "this thread waited for the one that kept the CPU");
    Ok(())
}
