//! Out of memory: one process ends so that the others can go on.
//!
//! It is the one with the most resident memory, after adding what its `oom_score_adj` says: thousandths
//! of all memory. Init and those with -1000 are spared. One at a time: nobody else is ended while a
//! victim has not given its memory back.

use super::signal::Ending;
use super::state::Process;
use super::{Signal, current, for_each};
use crate::mm;
use crate::mm::stats::kb;
use crate::proc::sched;
use crate::sync::{LockClass, MaySleep, Mutex, Rank};
use alloc::sync::Arc;

const CLASS: LockClass = LockClass::new("out of memory", Rank::new(11));
/// The last victim.
static VICTIM: Mutex<Option<Arc<Process>>> = Mutex::new(&CLASS, None);

/// The least `oom_score_adj`: never this one.
const SPARED: i32 = -1000;
/// How long the memory of a victim may take to come back, in nanoseconds, before the next is chosen.
const PATIENCE: u64 = 1_000_000_000;

/// Ends a process, or waits for the end of the last victim. Returns when it is worth trying again, or
/// the running task is to end itself.
pub(super) fn end_somebody(ctx: &mut MaySleep) {
    let running = current();
    let mut last = VICTIM.lock(ctx);
    let alive = last.as_ref().is_some_and(|victim| victim.thread_count() > 0);
    if !alive {
        let Some((victim, pages)) = choose(ctx) else {
            panic!("Out of memory and no killable processes");
        };
        log::error!(
            target: "mm",
            "Out of memory: Killed process {} ({}) {} kB resident, oom_score_adj {}",
            victim.pid(),
            victim.name().as_str(),
            kb(pages as usize),
            victim.oom_score_adj(),
        );
        victim.signals.lock().end(Ending::Signal(Signal::SIGKILL.number()));
        *last = Some(victim);
    }
    let victim = last.clone();
    drop(last);
    let Some(victim) = victim else { return };
    let deadline = crate::arch::current::timer::now() + PATIENCE;
    while !running.signal_pending()
        && victim.thread_count() > 0
        && crate::arch::current::timer::now() < deadline
    {
        sched::sleep(ctx, 1_000_000);
    }
    let mut last = VICTIM.lock(ctx);
    if last.as_ref().is_some_and(|last| last.thread_count() == 0) {
        *last = None;
    }
}

/// The process to end, and its resident pages.
fn choose(ctx: &mut MaySleep) -> Option<(Arc<Process>, u64)> {
    let all = mm::frames().counts().managed as i64;
    let mut best: Option<(i64, Arc<Process>, u64)> = None;
    for_each(|process| {
        if process.pid() == 1 || process.oom_score_adj() <= SPARED || process.thread_count() == 0 {
            return;
        }
        let Some(space) = process.space() else { return };
        let resident = space.stats().resident();
        space.end_use(ctx);
        let score = (resident as i64).saturating_add(all / 1000 * i64::from(process.oom_score_adj()));
        if best.as_ref().is_none_or(|(most, ..)| score > *most) {
            best = Some((score, Arc::clone(process), resident));
        }
    });
    best.map(|(_, process, resident)| (process, resident))
}
