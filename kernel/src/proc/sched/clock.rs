//! The clock: time slices and sleepers.
//!
//! Each CPU has one timer, which interrupts once at a time; it is set to the end of the slice or to
//! the first sleeper's time, whichever is earlier. An idle CPU has no slice, so it is interrupted
//! only if somebody sleeps there.
//!
//! Sleepers stand in a sorted list: inserting is linear in those with a later deadline. A tree
//! would pay from some hundreds of sleepers on; this kernel has a handful.

use super::queue::QUEUES;
use super::wake;
use crate::arch::current::timer;
use crate::cpus::CpuSet;
use crate::sync::{InIrq, MaySleep, PreemptGuard, hooks};

/// A time slice, in nanoseconds.
pub const TICK: u64 = 4_000_000;

/// This CPU's timer interrupted: wakes sleepers, ends the slice. Says whether one ended.
pub fn timer_interrupt(_irq: &mut InIrq) -> bool {
    let pin = PreemptGuard::new();
    let mut queue = QUEUES.this(&pin).lock();
    let now = timer::now();
    queue.timer_fired();
    while let Some(thread) = queue.take_due(now) {
        // They blocked on this CPU, so they belong to this queue. One that may not run here any more is
        // moved when it has been here for its first instruction.
        let misplaced = wake::is_misplaced(&thread, queue.cpu);
        if misplaced {
            thread.context().set_need_resched();
        }
        queue.put(thread);
    }
    let ticked = queue.tick(now);
    queue.arm();
    let (cpu, waiting) = (queue.cpu, queue.waiting());
    drop(queue);
    if ticked && waiting > 0 {
        wake::call_for_help(CpuSet::ALL, cpu);
    }
    ticked
}

/// Sleeps until the time, in nanoseconds as `timer::now`.
#[track_caller]
pub fn sleep_until(ctx: &mut MaySleep, deadline: u64) {
    loop {
        hooks::prepare_to_block(ctx);
        if timer::now() >= deadline {
            hooks::cancel_block(ctx);
            return;
        }
        hooks::block(ctx, "sleep", Some(deadline));
    }
}

/// Sleeps for that many nanoseconds, or somewhat longer.
#[track_caller]
pub fn sleep(ctx: &mut MaySleep, nanoseconds: u64) {
    sleep_until(ctx, timer::now().saturating_add(nanoseconds));
}
