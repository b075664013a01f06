//! The buddy lists: crate `buddy_system_allocator` under our lock, with our reserve for its nodes.
//!
//! It works on absolute frame numbers, so a block of order n is aligned to its own size. It believes
//! whatever it is told: a block freed twice would be handed out twice. Nothing reaches it that the
//! descriptor has not let pass.

use crate::addr::Pfn;
use buddy_system_allocator::FrameAllocator as Lists;

/// Orders that blocks can have, from 0 up: the largest is 2 GB with 4 KB frames.
pub const ORDERS: usize = 20;

/// The free blocks.
///
/// # Invariants
/// The caller of each method is inside [`Reserve::enter`](super::reserve::Reserve::enter).
pub(super) struct Buddy {
    lists: Lists<ORDERS>,
    free: usize,
}

impl Buddy {
    pub(super) const fn new() -> Self {
        Self { lists: Lists::new(), free: 0 }
    }
    /// Frames in the lists.
    pub(super) fn free(&self) -> usize {
        self.free
    }
    /// New memory, whole frames from `start` up to `end`.
    pub(super) fn add(&mut self, start: Pfn, end: Pfn) {
        self.lists.add_frame(start.get() as usize, end.get() as usize);
        self.free += (end.get() - start.get()) as usize;
    }
    /// A block, aligned to its size.
    pub(super) fn take(&mut self, order: u8) -> Option<Pfn> {
        let start = self.lists.alloc(1 << order)?;
        self.free -= 1 << order;
        Some(Pfn::new(start as u64))
    }
    /// Gives a block back that nobody owns.
    pub(super) fn put(&mut self, start: Pfn, order: u8) {
        self.lists.dealloc(start.get() as usize, 1 << order);
        self.free += 1 << order;
    }
}
