//! Memory: frames, small objects, the heap.

#[cfg(not(loom))]
pub mod cache;
#[cfg(not(loom))]
pub mod frame;
pub mod gather;
#[cfg(not(loom))]
pub mod heap;
#[cfg(not(loom))]
pub mod object;
#[cfg(not(loom))]
pub mod pagemap;
pub mod pgtable;
#[cfg(not(loom))]
pub mod shared;
#[cfg(not(loom))]
pub mod space;
#[cfg(not(loom))]
pub mod stats;
#[cfg(all(test, not(loom)))]
pub mod testing;
#[cfg(not(loom))]
pub mod tracing;
#[cfg(not(loom))]
pub mod vma;

#[cfg(not(loom))]
mod global {
    use super::cache;
    use super::frame::{FrameAllocator, Reclaim};
    use super::heap::Heap;
    use super::shared::SharedFrames;
    use crate::boot::EarlyFrames;
    use crate::error::Errno;

    static FRAMES: FrameAllocator = FrameAllocator::new();
    static HEAP: Heap = Heap::new(&FRAMES);
    static SHARED: SharedFrames = SharedFrames::new(&FRAMES);

    /// The machine's frames.
    #[inline(always)]
    pub const fn frames() -> &'static FrameAllocator {
        &FRAMES
    }

    /// The machine's frames that page-table entries refer to.
    pub const fn shared_frames() -> &'static SharedFrames {
        &SHARED
    }

    /// The kernel's heap; `main` makes it Rust's global allocator.
    pub const fn heap() -> &'static Heap {
        &HEAP
    }

    /// Hands the memory over to the frame allocator, once, after translation is on. From here on there
    /// are frames, caches, and a heap.
    pub fn init(early: EarlyFrames) -> Result<(), Errno> {
        FRAMES.init(early)?;
        // Never refused: these are the first.
        let _ = FRAMES.on_shortage(Reclaim::Shrink(cache::shrink_all));
        let _ = FRAMES.on_shortage(Reclaim::Shrink(|| HEAP.shrink()));
        Ok(())
    }
}
#[cfg(not(loom))]
pub use global::{frames, heap as kernel_heap, init, shared_frames};

/// Reports misuse of memory, by name. A debug build stops there; otherwise the kernel goes on, and
/// what was misused is left alone: a free path does not panic.
#[cfg(not(loom))]
#[track_caller]
fn misuse(what: core::fmt::Arguments<'_>) {
    log::error!(target: "mm", "{what}");
    if cfg!(debug_assertions) {
        panic!("{what}");
    }
}
