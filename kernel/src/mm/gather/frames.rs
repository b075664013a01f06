//! Frames that wait for a grace period: a list through their descriptors, and one callback.
//!
//! The state machine of page-table fragments, for things without number: what is *covered* by the
//! callback on its way, and what came *late*. One head serves any number of frames, and nothing is
//! allocated. The link is the pointer that a frame's descriptor has for its owner; the frame has
//! none any more. It does not lie in the page, which some CPU may still be storing to.

use crate::addr::{Pfn, PhysAddr};
use crate::mm::frame::FrameAllocator;
use crate::rcu::{Deferred, HasRcuHead, RcuHead};
use crate::sync::{IrqSpinLock, LockClass, Rank};

const LOCK: LockClass = LockClass::new("frames that wait", Rank::FRAGMENTS);

/// Frames in a row.
#[derive(Default)]
struct Chain {
    first: Option<Pfn>,
}

impl Chain {
    fn push(&mut self, frames: &FrameAllocator, frame: Pfn) {
        // A frame number plus one, so that null is the end.
        let next = self.first.map_or(0, |pfn| pfn.get() as usize + 1);
        if let Some(descriptor) = frames.descriptor(frame) {
            descriptor.set_owner(core::ptr::without_provenance_mut(next));
            self.first = Some(frame);
        }
    }

    fn pop(&mut self, frames: &FrameAllocator) -> Option<Pfn> {
        let frame = self.first?;
        let next = frames.descriptor(frame).map_or(0, |descriptor| descriptor.owner().addr());
        self.first = next.checked_sub(1).map(|number| Pfn::new(number as u64));
        Some(frame)
    }
}

#[derive(Default)]
struct Chains {
    covered: Chain,
    late: Chain,
    waiting: usize,
}

impl Chains {
    /// What came late is covered from here on. True if a callback is owed.
    fn arm(&mut self) -> bool {
        self.covered = core::mem::take(&mut self.late);
        self.covered.first.is_some()
    }
}

/// Frames that wait for a grace period.
///
/// # Invariants
/// The callback is queued, or about to be, exactly while a frame is covered.
pub struct FrameQueue {
    frames: &'static FrameAllocator,
    call_rcu: fn(&'static Self),
    chains: IrqSpinLock<Chains>,
    rcu: RcuHead,
}

// SAFETY: the offset of the head.
unsafe impl HasRcuHead for FrameQueue {
    const HEAD: usize = core::mem::offset_of!(Self, rcu);
}

impl FrameQueue {
    /// Without frames; they come from that allocator. `call_rcu` queues it.
    pub const fn new(frames: &'static FrameAllocator, call_rcu: fn(&'static Self)) -> Self {
        let chains = Chains { covered: Chain { first: None }, late: Chain { first: None }, waiting: 0 };
        Self { frames, call_rcu, chains: IrqSpinLock::new(&LOCK, chains), rcu: RcuHead::new() }
    }

    /// Frees the frames a grace period after this call.
    ///
    /// # Safety
    /// Each is an allocated single frame that was given up with `Frame::into_raw`, and is not given
    /// to anybody else.
    pub unsafe fn free_later(&'static self, pages: &[PhysAddr]) {
        if pages.is_empty() {
            return;
        }
        let mut chains = self.chains.lock();
        for page in pages {
            chains.late.push(self.frames, Pfn::containing(*page));
        }
        chains.waiting += pages.len();
        // A callback on its way does not count for these: its grace period may have begun before.
        let owed = chains.covered.first.is_none() && chains.arm();
        drop(chains);
        if owed {
            (self.call_rcu)(self);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.chains.lock().waiting
    }
}

impl Deferred for FrameQueue {
    fn grace_over(&'static self) {
        let mut chains = self.chains.lock();
        let mut due = core::mem::take(&mut chains.covered);
        let owed = chains.arm();
        drop(chains);
        if owed {
            (self.call_rcu)(self);
        }
        let mut freed = 0;
        while let Some(frame) = due.pop(self.frames) {
            freed += 1;
            // SAFETY: given up to us (`free_later`), and taken off the chain just now. Misuse is
            // reported there, and then nothing is freed.
            drop(unsafe { self.frames.adopt(frame) });
        }
        self.chains.lock().waiting -= freed;
    }
}

impl core::fmt::Debug for FrameQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FrameQueue({} waiting)", self.waiting())
    }
}
