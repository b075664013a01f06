//! Where a page keeps its [`FragState`]: exact for the holder of the list lock, and for anybody else a
//! look that waits for nobody.
//!
//! `/proc/PID/page_tables` tells each table's stage and may not take the list lock, which turns
//! interrupts off and which freeing needs. So the two planes are stored as atomic words. Each step of a
//! fragment's life changes one of its two bits: who loads one bit and then the other finds the stage
//! before a step or the one after it. Of two steps in between he may make a third, which the fragment
//! had as well, or would have next: good enough for who only tells, and nothing is decided by it.
//!
//! The words are core's atomics under loom as well: they have no order of their own that could be
//! wrong. What loom watches there is the cell beside them, which says who holds the lock.

use super::state::{FragState, Stage};
#[cfg(loom)]
use crate::sync::cell::UnsafeCell;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// The state of a page's fragments, that the list lock of its owner protects.
pub(super) struct StateCell<const W: usize> {
    used: [AtomicU64; W],
    dead: [AtomicU64; W],
    count: AtomicU16,
    #[cfg(loom)]
    watch: UnsafeCell<()>,
}

// SAFETY: `watch` is touched by `get` and `set` only, under the lock; the rest is atomic.
#[cfg(loom)]
unsafe impl<const W: usize> Sync for StateCell<W> {}

impl<const W: usize> StateCell<W> {
    pub(super) fn new(state: FragState<W>) -> Self {
        let (used, dead) = state.planes();
        Self {
            used: used.map(AtomicU64::new),
            dead: dead.map(AtomicU64::new),
            count: AtomicU16::new(state.count()),
            #[cfg(loom)]
            watch: UnsafeCell::new(()),
        }
    }

    /// # Safety
    /// The list lock of the page's owner is held.
    pub(super) unsafe fn get(&self) -> FragState<W> {
        #[cfg(loom)]
        self.watch.with(|_| ());
        self.words()
    }

    /// # Safety
    /// The list lock of the page's owner is held.
    pub(super) unsafe fn set(&self, state: FragState<W>) {
        #[cfg(loom)]
        self.watch.with_mut(|_| ());
        let (used, dead) = state.planes();
        let store = |words: &[AtomicU64; W], values: [u64; W]| {
            words.iter().zip(values).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        };
        store(&self.used, used);
        store(&self.dead, dead);
        self.count.store(state.count(), Ordering::Relaxed);
    }

    /// The stage of one fragment, and how many are in each, without the lock: see the module.
    pub(super) fn look(&self, index: u16) -> (Option<Stage>, [u16; 4]) {
        let state = self.words();
        (state.stage(index), Stage::ALL.map(|stage| state.count_in(stage)))
    }

    // Relaxed: under the lock that is the order; without it nothing follows from what is seen.
    fn words(&self) -> FragState<W> {
        let load = |words: &[AtomicU64; W]| core::array::from_fn(|at| words[at].load(Ordering::Relaxed));
        FragState::from_planes(load(&self.used), load(&self.dead), self.count.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_seen() {
        let mut state = FragState::<4>::fresh(200);
        for _ in 0..99 {
            state = state.alloc().expect("room").0;
        }
        let cell = StateCell::new(state);
        assert_eq!(cell.look(99), (Some(Stage::Live), [100, 100, 0, 0]));
        for index in [70, 71] {
            state = state.retire(index).expect("it lives").0;
        }
        // SAFETY: nobody else has the cell.
        unsafe { cell.set(state) };
        assert_eq!(cell.look(70), (Some(Stage::Covered), [100, 98, 1, 1]));
        assert_eq!(cell.look(71).0, Some(Stage::Late));
        assert_eq!(cell.look(200).0, None);
        // SAFETY: as above.
        assert_eq!(unsafe { cell.get() }, state);
    }
}
