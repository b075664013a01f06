//! What was done with page tables since boot, all address spaces together.
//!
//! Each count is one atomic word that all CPUs share: they are touched once for a table, never for a
//! page. Sums of several are not of one moment.

use core::sync::atomic::{AtomicUsize, Ordering};

/// A count.
#[derive(Debug)]
pub struct Count(AtomicUsize);

impl Count {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
    /// So many more.
    #[inline]
    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }
    /// How many.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// Tables (or groups) handed out.
pub static HANDED_OUT: Count = Count::new();
/// Those of them that had been used before, in the same page.
pub static REUSED: Count = Count::new();
/// Tables that were free at once: never linked, or freed by a scheme that does not wait.
pub static RELEASED: Count = Count::new();
/// Tables given to RCU.
pub static RETIRED: Count = Count::new();
/// Tables whose grace period is over.
pub static FREED: Count = Count::new();
/// Tables that somebody has, or that wait for their grace period. Exact while none comes or goes.
pub fn in_use() -> usize {
    // What was never linked was handed out as well: the loser's, of two CPUs that needed the same one.
    HANDED_OUT.get().saturating_sub(RELEASED.get() + FREED.get())
}

/// Interrupts sent by the scheme `ipi`.
pub static INTERRUPTS: Count = Count::new();
/// Flushes of whole address spaces.
pub static FULL_FLUSHES: Count = Count::new();
/// Leaves that were flushed by themselves.
pub static LEAF_FLUSHES: Count = Count::new();
/// Entries of freed tables that walkers met. Seen only where free tables are overwritten
/// ([`poisons`](super::audit::poisons)).
pub static TOUCHED_AFTER_FREE: Count = Count::new();
/// Words of free tables that somebody wrote to; likewise.
pub static WRITTEN_WHILE_FREE: Count = Count::new();
