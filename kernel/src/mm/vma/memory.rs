//! Where the blocks of the sets come from and where they go: object caches, and RCU.
//!
//! A first-fit heap costs a change several times what the change itself costs as soon as there are
//! holes in it. An index of more leaves than the largest cache serves (some 350 mappings and more) has
//! frames of its own.

use super::Head;
use super::block::Leaf;
use crate::addr::Pfn;
use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu;
use crate::mm::cache::RawCache;
use crate::mm::frame::{FrameAllocator, Kind, Request};
use crate::rcu::{self, RcuHead};
use crate::sync::MaySleep;
use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// Where blocks come from and where they go.
///
/// # Safety
/// `alloc` gives memory that is nobody else's. `retire` does not free a block before every
/// [`Guard`](super::Guard) that existed at the call is gone.
pub unsafe trait Memory {
    /// Uninitialised memory. With the token it may wait.
    fn alloc(&self, layout: Layout, ctx: Option<&mut MaySleep>) -> Option<NonNull<u8>>;
    /// Takes back, at once, a block that no reader ever saw or that its grace period has passed.
    ///
    /// # Safety
    /// The block came from `alloc` with this layout, and nothing points to it any more.
    unsafe fn free(&self, block: NonNull<u8>, layout: Layout);
    /// Takes back, after a grace period, a block that readers may still see: `free` it then, with
    /// [`Head::layout`]. Does not allocate.
    ///
    /// # Safety
    /// The block came from `alloc`, and no reader that starts from now on can reach it.
    unsafe fn retire(&self, block: NonNull<Head>);
}

/// The attributes that the caches are made for.
type Attributes = [u64; 3];

const LEAF: usize = Leaf::<Attributes>::LAYOUT.size();

/// The kernel's blocks.
pub struct Blocks {
    frames: &'static FrameAllocator,
    leaves: RawCache,
    small: RawCache,
    medium: RawCache,
    large: RawCache,
}

impl Blocks {
    /// Out of these frames. It is static: blocks find their way back to it.
    pub const fn new(frames: &'static FrameAllocator) -> Self {
        Self {
            frames,
            leaves: RawCache::new("vma leaves", LEAF, 8, frames),
            small: RawCache::new("vma index 256", 256, 8, frames),
            medium: RawCache::new("vma index 512", 512, 8, frames),
            large: RawCache::new("vma index 1024", 1024, 8, frames),
        }
    }

    fn cache(&'static self, size: usize) -> Option<&'static RawCache> {
        match size {
            _ if size == LEAF => Some(&self.leaves),
            ..=256 => Some(&self.small),
            257..=512 => Some(&self.medium),
            513..=1024 => Some(&self.large),
            _ => None,
        }
    }

    /// The callback of a retired block.
    ///
    /// # Safety
    /// The head begins a block that `retire` gave to RCU, and no reader is left.
    unsafe fn grace_over(head: NonNull<RcuHead>) -> bool {
        let block: NonNull<Head> = head.cast();
        // SAFETY: alive until it is freed below; `retire` left the address of a static `Blocks`.
        let (home, layout) = unsafe {
            let head = block.as_ref();
            (&*head.link().load(Ordering::Relaxed).cast::<Self>().cast_const(), head.layout())
        };
        // SAFETY: from `alloc`, with that layout; nobody reads it any more.
        unsafe { home.free(block.cast(), layout) };
        false
    }
}

// A block begins with its `RcuHead`: `grace_over` finds the one from the other.
const _: () = assert!(<Head as rcu::HasRcuHead>::HEAD == 0);

// SAFETY: the caches and the frame allocator hand out what is free; `retire` goes through RCU.
unsafe impl Memory for &'static Blocks {
    fn alloc(&self, layout: Layout, ctx: Option<&mut MaySleep>) -> Option<NonNull<u8>> {
        if let Some(cache) = self.cache(layout.size()) {
            return cache.alloc(ctx).ok();
        }
        let order = (layout.size() as u64).div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros() as u8;
        let frame = self.frames.alloc(Request::of(Kind::Kernel).order(order), ctx).ok()?;
        let memory = frame.as_ptr();
        let _ = frame.into_raw();
        Some(memory)
    }

    unsafe fn free(&self, block: NonNull<u8>, layout: Layout) {
        match self.cache(layout.size()) {
            // SAFETY: that cache gave it (the caller).
            Some(cache) => unsafe { cache.free(block) },
            None => {
                let start = Pfn::containing(mmu::linear_to_phys(block.as_ptr()));
                // SAFETY: given up in `alloc`, and taken back once (the caller).
                drop(unsafe { self.frames.adopt(start) });
            }
        }
    }

    unsafe fn retire(&self, block: NonNull<Head>) {
        let home = core::ptr::from_ref::<Blocks>(self).cast_mut().cast();
        // SAFETY: alive (the caller).
        unsafe { block.as_ref() }.link().store(home, Ordering::Relaxed);
        // SAFETY: the block lives until its callback runs; the head is its first field.
        unsafe { rcu::call_raw(block.cast(), Blocks::grace_over) };
    }
}
