//! RCU's torture with the scheduler's threads.

use super::{Outcome, Stop};
use crate::arch::current::timer;
use crate::proc::sched;
use crate::proc::thread::{JoinHandle, Spawn};
use crate::rcu;
use crate::rcu::torture::{OLD, Torture};
use crate::sync::MaySleep;
use crate::{check, log};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Writers that replace nothing.
const FAKE_WRITERS: u64 = 2;
/// Between two lines of progress, in nanoseconds: the runner takes silence for a hang.
const PROGRESS: u64 = 5_000_000_000;

/// Writers, two readers for each CPU, and CPUs that come and go, for so many seconds.
pub fn run(ctx: &mut MaySleep, seconds: u64) -> Outcome {
    let memory = Box::into_raw(Box::new(Torture::new()));
    // SAFETY: not null; it is freed below, when the threads have ended and no callback is left.
    let torture: &'static Torture = unsafe { &*memory };
    torture.begin(true);
    let mut threads = Vec::new();
    let ended = start(torture, &mut threads);
    if ended.is_ok() {
        let end = timer::now() + seconds * 1_000_000_000;
        while timer::now() < end {
            sched::sleep_until(ctx, end.min(timer::now() + PROGRESS));
            log::raw(format_args!("    # torture: {} grace periods\n", torture.verdict().grace_periods()));
        }
    }
    torture.stop();
    STOP.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join(ctx));
    (0..OLD).for_each(|_| rcu::barrier(ctx));
    let verdict = torture.verdict();
    print(format_args!("{verdict}"));
    let (success, errors) = (verdict.is_success(), verdict.errors());
    let changes = CHANGES.swap(0, Ordering::Relaxed);
    log::raw(format_args!("    # torture: CPUs went offline and came back {changes} times\n"));
    // SAFETY: from `into_raw`; the threads have ended, and as many barriers have passed as an element
    // has callbacks.
    drop(unsafe { Box::from_raw(memory) });
    ended?;
    check!(success, "torture: {errors} errors; see the lines above");
    Ok(())
}

fn start(torture: &'static Torture, threads: &mut Vec<JoinHandle>) -> Result<(), Stop> {
    let no_memory = |_| Stop::Skipped("no memory for a stack");
    STOP.store(false, Ordering::Relaxed);
    let seed = timer::now();
    let mut add = |thread: Result<JoinHandle, _>| thread.map(|t| threads.push(t)).map_err(no_memory);
    add(Spawn::new("torture writer").spawn(move |ctx| torture.write(ctx, seed)))?;
    for number in 0..FAKE_WRITERS {
        let seed = seed ^ (number + 1) << 40;
        add(Spawn::new("torture waiter").spawn(move |ctx| torture.write_nothing(ctx, seed)))?;
    }
    let cpus = sched::online_cpus().len() as u64;
    for number in 0..2 * cpus {
        let seed = seed ^ (number + 1) << 48;
        add(Spawn::new("torture reader").spawn(move |ctx| torture.read(ctx, seed)))?;
    }
    if cpus > 1 {
        add(Spawn::new("torture onoff").spawn(on_and_off))?;
    }
    Ok(())
}

static STOP: AtomicBool = AtomicBool::new(false);
static CHANGES: AtomicUsize = AtomicUsize::new(0);

/// Takes one CPU after another offline and back, all but the boot CPU.
fn on_and_off(ctx: &mut MaySleep) {
    let all = sched::online_cpus();
    while !STOP.load(Ordering::Relaxed) {
        for cpu in all.iter().filter(|&cpu| cpu != 0) {
            if sched::offline(ctx, cpu).is_ok() {
                sched::sleep(ctx, 5_000_000);
                // It was taken offline just now, by the only thread that does so.
                let back = sched::online(ctx, cpu);
                CHANGES.fetch_add(usize::from(back.is_ok()), Ordering::Relaxed);
            }
            sched::sleep(ctx, 20_000_000);
        }
    }
}

/// Each line of the text as a diagnostic line of KTAP.
fn print(text: fmt::Arguments<'_>) {
    struct Lines {
        at_begin: bool,
    }
    impl fmt::Write for Lines {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for piece in text.split_inclusive('\n') {
                if core::mem::replace(&mut self.at_begin, piece.ends_with('\n')) {
                    log::raw(format_args!("    # torture: "));
                }
                log::raw(format_args!("{piece}"));
            }
            Ok(())
        }
    }
    // It never fails.
    let _ = fmt::write(&mut Lines { at_begin: true }, text);
    log::raw(format_args!("\n"));
}
