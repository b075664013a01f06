//! The two kinds of blocks, leaf and index, and what they have in common.

use super::Vma;
use crate::rcu::{HasRcuHead, RcuHead};
use arrayvec::ArrayVec;
use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

/// The most mappings in a leaf. With 24 bytes of attributes, four leaves fit a frame of 4 KB. The
/// library's own tests have smaller ones, which split and join all the time.
pub const CAP: usize = if cfg!(test) { 4 } else { 23 };

/// A leaf with fewer mappings is joined with a neighbour when it is rewritten.
pub(super) const FEW: usize = CAP / 4 + 1;

/// The alignment of every block.
const ALIGN: usize = align_of::<Head>();

/// How every block begins.
#[repr(C)]
pub struct Head {
    /// RCU's, once the block is retired. Readers never look at it: that it is written while they read
    /// the rest of the block does not disturb them.
    rcu: RcuHead,
    /// Threads the block on the writer's list; once it is retired, the memory's own.
    link: AtomicPtr<()>,
    /// The draft that made this block.
    pub(super) version: u64,
    size: usize,
}

// SAFETY: the offset of the head.
unsafe impl HasRcuHead for Head {
    const HEAD: usize = offset_of!(Self, rcu);
}

impl Head {
    fn new(version: u64, layout: Layout) -> Self {
        let size = layout.size();
        Self { rcu: RcuHead::new(), link: AtomicPtr::new(ptr::null_mut()), version, size }
    }

    /// How the block was allocated.
    pub fn layout(&self) -> Layout {
        // SAFETY: the size is that of a layout of this alignment.
        unsafe { Layout::from_size_align_unchecked(self.size, ALIGN) }
    }

    /// For [`Memory::retire`](super::memory::Memory::retire), which has the block's link to itself.
    pub fn link(&self) -> &AtomicPtr<()> {
        &self.link
    }
}

/// A run of neighbouring mappings, never empty.
///
/// It begins as an index whose only slot is its own, and serves as the index of a set with one leaf:
/// a process with few mappings has one block, and a change writes one.
#[repr(C)]
pub(super) struct Leaf<A> {
    index: Index<A>,
    slot: Slot<A>,
    pub(super) vmas: ArrayVec<Vma<A>, CAP>,
}

impl<A: Copy> Leaf<A> {
    pub(super) const LAYOUT: Layout = {
        assert!(align_of::<Self>() == ALIGN, "attributes of 8-byte alignment at most");
        Layout::new::<Self>()
    };

    /// Fills a block with the next `count` mappings of `parts`, which are moved on.
    ///
    /// # Safety
    /// `block` is nobody else's, and of the layout of a leaf. `count` is at most `CAP`, and 1 at least.
    pub(super) unsafe fn write(
        block: NonNull<u8>,
        version: u64,
        parts: &mut [&[Vma<A>]],
        mut count: usize,
    ) -> Slot<A> {
        let leaf: NonNull<Self> = block.cast();
        // SAFETY: the block is ours, and that large (the caller). A vector is written before it is
        // referred to.
        let vmas = unsafe {
            leaf.cast().write(Index::<A>::header(version, Self::LAYOUT, 1));
            (&raw mut (*leaf.as_ptr()).vmas).write(ArrayVec::new_const());
            &mut (*leaf.as_ptr()).vmas
        };
        for part in parts {
            if !part.is_empty() {
                let (now, later) = part.split_at(count.min(part.len()));
                let fits = vmas.try_extend_from_slice(now);
                debug_assert!(fits.is_ok(), "the count is at most CAP");
                count -= now.len();
                *part = later;
            }
        }
        let slot = Slot::new(leaf, vmas);
        // SAFETY: as above.
        unsafe { (&raw mut (*leaf.as_ptr()).slot).write(slot) };
        slot
    }
}

/// A leaf as the index describes it.
pub(super) struct Slot<A> {
    /// Where the leaf's first mapping starts.
    pub(super) start: u64,
    /// Where its last mapping ends.
    pub(super) end: u64,
    /// The widest unmapped gap between two of its mappings.
    pub(super) gap: u64,
    pub(super) leaf: NonNull<Leaf<A>>,
}

// Not derived: derive would ask for `A: Copy`, which a pointer to a leaf does not need.
impl<A> Clone for Slot<A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for Slot<A> {}

impl<A> Slot<A> {
    pub(super) fn new(leaf: NonNull<Leaf<A>>, vmas: &[Vma<A>]) -> Self {
        let start = vmas.first().map_or(0, |vma| vma.start);
        let (mut gap, mut end) = (0, start);
        for vma in vmas {
            gap = gap.max(vma.start - end);
            end = vma.end;
        }
        Self { start, end, gap, leaf }
    }
}

/// All leaves of a version, in order. `len` slots follow. (One leaf is its own index.)
#[repr(C)]
pub(super) struct Index<A> {
    head: Head,
    len: usize,
    slots: [Slot<A>; 0],
}

impl<A> Index<A> {
    /// A power of two, as the caches have it: 6, 14, 30, ... slots.
    pub(super) fn layout(len: usize) -> Layout {
        let size = (size_of::<Self>() + len * size_of::<Slot<A>>()).next_power_of_two().max(256);
        // SAFETY: ALIGN is a power of two, and the size of what fits in memory is no overflow.
        unsafe { Layout::from_size_align_unchecked(size, ALIGN) }
    }

    fn header(version: u64, layout: Layout, len: usize) -> Self {
        Self { head: Head::new(version, layout), len, slots: [] }
    }

    /// Fills a block with an index whose slots are those of `parts`, one after the other.
    ///
    /// # Safety
    /// `block` is nobody else's, and of the layout for this number of slots.
    pub(super) unsafe fn write(block: NonNull<u8>, version: u64, parts: [&[Slot<A>]; 3]) -> NonNull<Self> {
        let index: NonNull<Self> = block.cast();
        let len = parts.iter().map(|part| part.len()).sum();
        // SAFETY: the block is ours, and has room for the header and that many slots (the caller).
        unsafe {
            index.write(Self::header(version, Self::layout(len), len));
            let mut to = (&raw mut (*index.as_ptr()).slots).cast::<Slot<A>>();
            for part in parts {
                if !part.is_empty() {
                    to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                    to = to.add(part.len());
                }
            }
        }
        index
    }

    /// Writes over a slot.
    ///
    /// # Safety
    /// The index is the caller's alone, no reference to its slots is used any more, and it has that many.
    pub(super) unsafe fn set(index: NonNull<Self>, at: usize, slot: Slot<A>) {
        // SAFETY: the caller's promise; see `slots` for the way.
        unsafe { (&raw mut (*index.as_ptr()).slots).cast::<Slot<A>>().add(at).write(slot) };
    }

    /// # Safety
    /// The index is alive and not written for `'a`.
    #[inline]
    pub(super) unsafe fn slots<'a>(index: NonNull<Self>) -> &'a [Slot<A>] {
        // SAFETY: `write` has put `len` slots behind the header. No reference to the header alone is
        // made on the way: it would not reach over the slots.
        unsafe {
            let first = (&raw const (*index.as_ptr()).slots).cast();
            core::slice::from_raw_parts(first, (*index.as_ptr()).len)
        }
    }
}

/// A stack of blocks, threaded through their links. Owns nothing.
pub(super) struct List {
    top: *mut Head,
}

impl List {
    pub(super) const fn new() -> Self {
        Self { top: ptr::null_mut() }
    }

    /// # Safety
    /// The block is alive and on no other list that is still used.
    pub(super) unsafe fn push(&mut self, block: NonNull<Head>) {
        // SAFETY: alive (the caller). Readers may hold references to the block, but do not look at its
        // link: Relaxed will do.
        unsafe { (*block.as_ptr()).link.store(self.top.cast(), Ordering::Relaxed) };
        self.top = block.as_ptr();
    }

    pub(super) fn pop(&mut self) -> Option<NonNull<Head>> {
        let block = NonNull::new(self.top)?;
        // SAFETY: a block on the list is alive.
        self.top = unsafe { (*block.as_ptr()).link.load(Ordering::Relaxed) }.cast();
        Some(block)
    }
}
