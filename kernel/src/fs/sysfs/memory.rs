//! `/sys/kernel/debug/memory`: what of the kernel's memory is in use, by owner.
//!
//! Free memory tells of no leak of some bytes: a frame of small objects is kept for the next ones, each CPU
//! has objects and frames at hand, and on which CPU a program runs is chance. So this counts what somebody
//! has: objects by cache, bytes of the heap, frames by kind. What waits for a grace period is somebody's, and
//! gone in a moment, so that moment is waited for. Two equal readings: nothing was left behind in between.

use crate::error::Errno;
use crate::fs::pseudo::Text;
use crate::mm::pgtable::counters;
use crate::mm::stats;
use crate::rcu;
use crate::sync::MaySleep;

/// What a callback gives back may wait for a grace period itself: tables, their pages, their descriptors.
const BARRIERS: usize = 3;

pub(super) fn in_use(ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    (0..BARRIERS).for_each(|_| rcu::barrier(ctx));
    let tables = counters::in_use();
    // Before anything is printed, which takes memory.
    let snapshot = stats::snapshot();
    to.print(format_args!("page tables: {tables}\n"));
    snapshot.for_each(|name, count| to.print(format_args!("{name}: {count}\n")));
    Ok(())
}
