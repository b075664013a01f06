//! [`Frame`]: the owner of a block of frames.

use super::{Descriptor, FrameAllocator, Kind};
use crate::addr::{Pfn, PhysAddr};
use crate::arch::{PAGE_SIZE, current::mmu};
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ptr::NonNull;

/// A block of 2^order frames, mostly one, aligned to its size. Freed when dropped.
///
/// # Invariants
/// The descriptor of its first frame is `Allocated` with its order; nobody else owns the block.
///
/// It is freed once, because it is moved:
/// ```compile_fail,E0382
/// # fn example(frame: fallow::mm::frame::Frame) {
/// drop(frame);
/// drop(frame);
/// # }
/// ```
#[must_use = "the frame is freed when this is dropped"]
pub struct Frame {
    allocator: &'static FrameAllocator,
    start: Pfn,
    order: u8,
}

impl Frame {
    /// # Safety
    /// The block is allocated from `allocator` with this order, and the caller is its only owner.
    pub(super) unsafe fn new(allocator: &'static FrameAllocator, start: Pfn, order: u8) -> Self {
        Self { allocator, start, order }
    }
    /// The number of its first frame.
    pub fn pfn(&self) -> Pfn {
        self.start
    }
    /// Where it begins in the machine's memory.
    pub fn addr(&self) -> PhysAddr {
        self.start.start()
    }
    /// Log2 of its frames.
    pub fn order(&self) -> u8 {
        self.order
    }
    /// Its bytes.
    pub fn size(&self) -> usize {
        (PAGE_SIZE as usize) << self.order
    }
    /// Where it is in the linear map. Valid for reads and writes of `size()` bytes until the frame is
    /// freed.
    pub fn as_ptr(&self) -> NonNull<u8> {
        let pointer = mmu::linear(self.addr());
        debug_assert!(!pointer.is_null());
        // SAFETY: frame 0 is never handed out: `Table::build` takes it out of the ranges.
        unsafe { NonNull::new_unchecked(pointer) }
    }
    /// Its bytes: the owner may write what he likes.
    pub fn bytes_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the block is mapped, exclusively owned, and borrowed as long as the slice.
        unsafe { core::slice::from_raw_parts_mut(self.as_ptr().cast().as_ptr(), self.size()) }
    }
    /// Zeroes it.
    pub fn zero(&mut self) {
        // SAFETY: the block is mapped, aligned to its size and exclusively owned.
        unsafe { mmu::fill(self.as_ptr().as_ptr(), 0, self.size()) };
    }
    /// The descriptor of its first frame.
    pub fn descriptor(&self) -> &'static Descriptor {
        self.allocator.descriptor_of_block(self.start)
    }
    /// What it is used for.
    pub fn kind(&self) -> Kind {
        self.descriptor().word().kind
    }
    /// Gives up ownership without freeing: its number is written into a page table, say. To be taken
    /// back with [`FrameAllocator::adopt`].
    pub fn into_raw(self) -> Pfn {
        ManuallyDrop::new(self).start
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.allocator.free(self.start, self.order);
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Frame({:#x}, order {})", self.start.get(), self.order)
    }
}
