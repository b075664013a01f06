//! Other CPUs: calls, and going offline.

use super::support::spin_until;
use crate::arch::MAX_CPUS;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::ktest::{Case, Outcome, Suite, Test};
use crate::proc::thread::Spawn;
use crate::proc::{sched, smp};
use crate::sync::{IrqGuard, Pinned};
use crate::{check, check_eq};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "smp",
    tests: &[
        Test::new("call_all", call_all),
        Test::new("calls_cross", calls_cross).min_cpus(2),
        Test::new("offline_and_back", offline_and_back).min_cpus(2),
        Test::new("offline_moves_threads", offline_moves_threads).min_cpus(2),
        Test::new("boot_cpu_stays", boot_cpu_stays),
    ],
};

static SUM: AtomicUsize = AtomicUsize::new(0);

fn add(argument: usize) {
    SUM.fetch_add(argument << (8 * IrqGuard::new().cpu().min(7)), Ordering::Relaxed);
}

/// Every CPU runs the function once.
fn call_all(_case: &mut Case<'_>) -> Outcome {
    let cpus = sched::online_cpus();
    let want: usize = cpus.iter().map(|cpu| 1 << (8 * cpu.min(7))).sum();
    for n in 1..=20 {
        SUM.store(0, Ordering::Relaxed);
        smp::call_on(cpus, add, n);
        check_eq!(SUM.load(Ordering::Relaxed), n * want);
    }
    smp::call_on(CpuSet::NONE, add, 1);
    check_eq!(SUM.load(Ordering::Relaxed), 20 * want);
    Ok(())
}

/// All CPUs call all others at the same time: nobody waits for himself.
fn calls_cross(case: &mut Case<'_>) -> Outcome {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    COUNT.store(0, Ordering::Relaxed);
    let cpus = sched::online_cpus();
    let mut threads = Vec::new();
    for cpu in cpus.iter() {
        threads.extend(Spawn::new("caller").on(CpuSet::one(cpu)).spawn(move |_| {
            for _ in 0..20 {
                smp::call_on(cpus, |_| _ = COUNT.fetch_add(1, Ordering::Relaxed), 0);
            }
        }));
    }
    check_eq!(threads.len(), cpus.len());
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(COUNT.load(Ordering::Relaxed), 20 * cpus.len() * cpus.len());
    Ok(())
}

fn last() -> usize {
    sched::online_cpus().iter().last().unwrap_or(0)
}

fn offline_and_back(case: &mut Case<'_>) -> Outcome {
    let (all, cpu) = (sched::online_cpus(), last());
    for _ in 0..5 {
        check_eq!(sched::offline(case.ctx, cpu), Ok(()));
        check_eq!(sched::online_cpus(), all.without(CpuSet::one(cpu)));
        check_eq!(sched::offline(case.ctx, cpu), Err(Errno::ENODEV));
        // A thread bound to it runs elsewhere.
        let ran_on = Arc::new(AtomicUsize::new(usize::MAX));
        let theirs = Arc::clone(&ran_on);
        let bound = Spawn::new("bound").on(CpuSet::one(cpu)).spawn(move |_| {
            theirs.store(IrqGuard::new().cpu(), Ordering::Relaxed);
        });
        let Ok(bound) = bound else { crate::skip!("no memory for a stack") };
        bound.join(case.ctx);
        check!(ran_on.load(Ordering::Relaxed) < cpu);
        check_eq!(sched::online(case.ctx, cpu), Ok(()));
        check_eq!(sched::online_cpus(), all);
        check_eq!(sched::online(case.ctx, cpu), Err(Errno::ENODEV));
    }
    Ok(())
}

/// A CPU with a running thread, a sleeping one and one that calls for its own CPU's end.
fn offline_moves_threads(case: &mut Case<'_>) -> Outcome {
    let cpu = last();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&stop);
    let spinner = Spawn::new("spinner").on(CpuSet::one(cpu)).spawn(move |_| {
        spin_until(|| theirs.load(Ordering::Relaxed));
    });
    let sleeper = Spawn::new("sleeper").on(CpuSet::one(cpu)).spawn(|ctx| {
        for _ in 0..10 {
            sched::sleep(ctx, 1_000_000);
        }
    });
    let result = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&result);
    let suicide = Spawn::new("suicide").on(CpuSet::one(cpu)).spawn(move |ctx| {
        let done = sched::offline(ctx, cpu).is_ok();
        theirs.store(1 + usize::from(done), Ordering::Relaxed);
    });
    let (Ok(spinner), Ok(sleeper), Ok(suicide)) = (spinner, sleeper, suicide) else {
        crate::skip!("no memory for a stack")
    };
    suicide.join(case.ctx);
    sleeper.join(case.ctx);
    check_eq!(result.load(Ordering::Relaxed), 2);
    check!(!sched::online_cpus().contains(cpu));
    stop.store(true, Ordering::Relaxed);
    spinner.join(case.ctx);
    check_eq!(sched::online(case.ctx, cpu), Ok(()));
    Ok(())
}

fn boot_cpu_stays(case: &mut Case<'_>) -> Outcome {
    check_eq!(sched::offline(case.ctx, 0), Err(Errno::EBUSY));
    // The first number that no CPU can have.
    check_eq!(sched::offline(case.ctx, MAX_CPUS), Err(Errno::ENODEV));
    Ok(())
}
