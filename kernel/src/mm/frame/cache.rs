//! Small blocks at hand on each CPU, and the CPU's share of the statistics.
//!
//! Taking one costs an uncontended lock and a pop, no walk of the buddy lists. What is missing is cut out
//! of one larger block, which costs the lists as much as one frame. What is too much goes back in
//! batches of half the capacity, so that alternating requests at either border do not go to the lists
//! each time. Kept are single frames, and blocks of four: with 4 KB frames those are kernel stacks and
//! upper page tables, of which every process takes several. Other blocks are rare and skip the cache.

use super::descriptor::Kind;
use crate::addr::Pfn;
use crate::arch::PAGE_SIZE;
use arrayvec::ArrayVec;

/// Single frames that a CPU keeps at most: 1 MB of 4 KB frames, 2 MB of 64 KB frames.
const FRAMES: usize = if PAGE_SIZE < 1 << 16 { 256 } else { 32 };
/// Blocks of four that a CPU keeps at most.
const BLOCKS: usize = 16;
/// Log2 of the frames of such a block.
const BLOCK_ORDER: u8 = 2;
/// Log2 of the frames that an empty list is filled with.
pub(super) const BATCH_ORDER: u8 = 4;

/// One CPU's cache. Last in, first out: the hottest block is handed out first.
pub(super) struct Cache {
    singles: ArrayVec<u32, FRAMES>,
    blocks: ArrayVec<u32, BLOCKS>,
    /// Frames allocated minus frames freed *on this CPU*, by kind: only the sum over all CPUs is a
    /// number of frames. 64 bits: where one CPU allocates what another frees, both move away from 0
    /// for as long as the kernel runs.
    pub(super) used: [i64; Kind::ALL.len()],
}

impl Cache {
    pub(super) const fn new() -> Self {
        Self { singles: ArrayVec::new_const(), blocks: ArrayVec::new_const(), used: [0; Kind::ALL.len()] }
    }
    /// Whether blocks of that order are kept.
    pub(super) const fn keeps(order: u8) -> bool {
        matches!(order, 0 | BLOCK_ORDER)
    }
    pub(super) fn count(&mut self, kind: Kind, frames: i64) {
        self.used[kind as usize] += frames;
    }
    pub(super) fn pop(&mut self, order: u8) -> Option<Pfn> {
        let number = match order {
            0 => self.singles.pop(),
            BLOCK_ORDER => self.blocks.pop(),
            _ => None,
        };
        number.map(|number| Pfn::new(u64::from(number)))
    }
    /// False if there is no room, or no list of that order.
    pub(super) fn push(&mut self, order: u8, block: Pfn) -> bool {
        let number = block.get() as u32;
        match order {
            0 => self.singles.try_push(number).is_ok(),
            BLOCK_ORDER => self.blocks.try_push(number).is_ok(),
            _ => false,
        }
    }
    /// Makes room: the coldest half of that order's blocks.
    pub(super) fn give_back(&mut self, order: u8, mut put: impl FnMut(Pfn)) {
        let mut each = |number: u32| put(Pfn::new(u64::from(number)));
        match order {
            0 => self.singles.drain(..FRAMES / 2).for_each(&mut each),
            BLOCK_ORDER => self.blocks.drain(..BLOCKS / 2).for_each(&mut each),
            _ => {}
        }
    }
    /// Gives all back.
    pub(super) fn drain(&mut self, mut put: impl FnMut(Pfn, u8)) {
        for order in [0, BLOCK_ORDER] {
            while let Some(block) = self.pop(order) {
                put(block, order);
            }
        }
    }
    /// How many frames are in it.
    pub(super) fn frames(&self) -> usize {
        self.singles.len() + (self.blocks.len() << BLOCK_ORDER)
    }
}

const _: () = assert!(FRAMES / 2 >= 1 << BATCH_ORDER && BLOCKS >= 1 << (BATCH_ORDER - BLOCK_ORDER));

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
