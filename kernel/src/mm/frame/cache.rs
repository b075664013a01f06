//! A few single frames at hand on each CPU, and the CPU's share of the statistics.
//!
//! Taking one costs an uncontended lock and a pop, no walk of the buddy lists. Frames come and go in
//! batches of half the capacity, so that alternating requests at either border do not go to the
//! lists each time. Larger blocks are rare and skip the cache.

use super::descriptor::Kind;
use crate::addr::Pfn;
use arrayvec::ArrayVec;

/// Frames a CPU keeps at most: 128 KB with 4 KB frames, 2 MB with 64 KB frames.
pub(super) const CAPACITY: usize = 32;
/// Frames that are moved at once.
pub(super) const BATCH: usize = CAPACITY / 2;

/// One CPU's cache.
pub(super) struct Cache {
    /// Last in, first out: the hottest frame is handed out first.
    pub(super) frames: ArrayVec<u32, CAPACITY>,
    /// Frames allocated minus frames freed *on this CPU*, by kind: only the sum over all CPUs is a
    /// number of frames. 64 bits: where one CPU allocates what another frees, both move away from 0
    /// for as long as the kernel runs.
    pub(super) used: [i64; Kind::ALL.len()],
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self { frames: ArrayVec::new_const(), used: [0; Kind::ALL.len()] }
    }
    pub(super) fn count(&mut self, kind: Kind, frames: i64) {
        self.used[kind as usize] += frames;
    }
    pub(super) fn pop(&mut self) -> Option<Pfn> {
        self.frames.pop().map(|number| Pfn::new(u64::from(number)))
    }
    /// False if it is full.
    pub(super) fn push(&mut self, frame: Pfn) -> bool {
        self.frames.try_push(frame.get() as u32).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where one CPU allocates what another frees, each count goes one way for as long as the kernel
    /// runs.
    #[test]
    fn counts_of_one_cpu_do_not_overflow() {
        let mut cache = Cache::new();
        for _ in 0..4 {
            cache.count(Kind::User, 1 << 30);
        }
        assert_eq!(cache.used[Kind::User as usize], 4 << 30);
    }
}
