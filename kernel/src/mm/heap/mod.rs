//! The kernel's heap: what `Box`, `Vec` and `Arc` allocate from.
//!
//! | bytes | from |
//! |---|---|
//! | up to a quarter frame, 8 KB at most | object caches, one for each of some sizes |
//! | up to two frames | the holes of an arena (crate `linked_list_allocator`, first fit) |
//! | more | frames of its own |
//!
//! First fit among holes is compact but walks a list: only the sizes in the middle go there. Arenas
//! are added when all are full, taken from the frame allocator without any lock of the heap held, and
//! given back when empty and memory is short.
//!
//! Allocations of the buddy lists themselves never come here: see [`reserve`].
//!
//! Out of memory is a null pointer. The kernel uses the `try_` forms of collections, or the object
//! caches, wherever a user could make it happen.

mod arenas;
mod classes;
#[cfg(test)]
mod tests;

use super::cache::RawCache;
use super::frame::{FrameAllocator, Kind, Misuse, Request, State, reserve};
use crate::addr::Pfn;
use crate::arch::current::mmu;
use crate::arch::{PAGE_SHIFT, PAGE_SIZE};
use arenas::Arenas;
use classes::{CLASSES, class_of};
use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicUsize, Ordering};

/// Where an allocation of some layout comes from; the same for allocating and freeing.
enum Source {
    Class(usize),
    Arena,
    Frames(u8),
}

fn source(layout: Layout) -> Source {
    if let Some(class) = class_of(layout) {
        return Source::Class(class);
    }
    let bytes = layout.size().max(layout.align());
    if bytes < 2 * PAGE_SIZE as usize && layout.align() <= PAGE_SIZE as usize / 2 {
        Source::Arena
    } else {
        let frames = bytes.div_ceil(PAGE_SIZE as usize).next_power_of_two();
        Source::Frames(frames.trailing_zeros() as u8)
    }
}

/// A heap. The kernel has one; tests make their own.
pub struct Heap {
    frames: &'static FrameAllocator,
    classes: [RawCache; CLASSES.len()],
    arenas: Arenas,
    /// Bytes of allocations that have frames of their own.
    whole: AtomicUsize,
}

impl Heap {
    /// An empty heap on those frames.
    pub const fn new(frames: &'static FrameAllocator) -> Self {
        Self { frames, classes: classes::caches(frames), arenas: Arenas::new(), whole: AtomicUsize::new(0) }
    }

    /// Gives back what is not in use: called when memory is short. True if that freed a frame.
    pub fn shrink(&self) -> bool {
        self.arenas.shrink()
    }

    /// Bytes in use, rounded up as the sources do. Exact while nobody allocates or frees.
    pub fn used(&self) -> usize {
        let small: usize = self.classes.iter().map(|class| class.counts().0 * class.size()).sum();
        small + self.arenas.used() + self.whole.load(Ordering::Relaxed)
    }

    /// Frames that the arenas take.
    pub fn arena_frames(&self) -> usize {
        self.arenas.frames()
    }

    /// Memory for the layout; null if there is none.
    pub fn alloc(&'static self, layout: Layout, zeroed: bool) -> *mut u8 {
        let memory = match source(layout) {
            Source::Class(class) => self.classes[class].alloc(None).map_or(null_mut(), NonNull::as_ptr),
            Source::Arena => self.arenas.alloc(layout, self.frames),
            Source::Frames(order) => return self.alloc_frames(order, zeroed),
        };
        if zeroed && !memory.is_null() {
            // SAFETY: it is ours, and that large.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    fn alloc_frames(&self, order: u8, zeroed: bool) -> *mut u8 {
        let request = Request::of(Kind::Heap).order(order);
        let request = if zeroed { request.zeroed() } else { request };
        match self.frames.alloc(request, None) {
            Ok(frame) => {
                self.whole.fetch_add(frame.size(), Ordering::Relaxed);
                let memory = frame.as_ptr().as_ptr();
                let _ = frame.into_raw();
                memory
            }
            Err(_) => null_mut(),
        }
    }

    /// Takes memory back.
    ///
    /// # Safety
    /// `alloc` of this heap gave it for the same layout, and nobody uses it any more.
    pub unsafe fn dealloc(&'static self, memory: *mut u8, layout: Layout) {
        let Some(object) = NonNull::new(memory) else { return };
        match source(layout) {
            // SAFETY: the same layout: that class gave it.
            Source::Class(class) => unsafe { self.classes[class].free(object) },
            // SAFETY: the same layout: an arena gave it.
            Source::Arena => unsafe { self.arenas.dealloc(object, layout) },
            Source::Frames(order) => {
                let start = Pfn::containing(mmu::linear_to_phys(memory));
                if let Err(misuse) = self.inspect(memory, order) {
                    self.frames.report(start, misuse);
                // SAFETY: the same layout: `alloc_frames` gave these frames up.
                } else if let Ok(frame) = unsafe { self.frames.adopt(start) } {
                    self.whole.fetch_sub(frame.size(), Ordering::Relaxed);
                }
            }
        }
    }

    /// Why the pointer is not a block of frames that the heap gave for such a layout. An arena, which
    /// has the same kind, is told from one by its size only.
    fn inspect(&self, memory: *mut u8, order: u8) -> Result<(), Misuse> {
        let word = self.frames.descriptor_of(memory).ok_or(Misuse::Foreign)?.word();
        if word.state != State::Allocated {
            return Err(Misuse::NotAllocated);
        }
        if word.kind != Kind::Heap {
            return Err(Misuse::WrongKind { is: word.kind });
        }
        if !memory.addr().is_multiple_of(PAGE_SIZE as usize) {
            return Err(Misuse::NotStart);
        }
        if word.order != order {
            return Err(Misuse::WrongOrder { is: word.order, given: order });
        }
        Ok(())
    }

    /// Whether memory for one layout may serve as memory for the other.
    fn same(old: Layout, new: Layout) -> bool {
        match (source(old), source(new)) {
            (Source::Class(old), Source::Class(new)) => old == new,
            (Source::Frames(old), Source::Frames(new)) => old == new,
            _ => false,
        }
    }
}

/// The heap as Rust's global allocator.
pub struct Global(pub &'static Heap);

// SAFETY: layouts are respected, memory is not handed out twice, nothing unwinds in a release build.
// What was allocated from the reserve is freed to it: both happen inside the same kind of section.
unsafe impl GlobalAlloc for Global {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match reserve::route() {
            Some(reserve) => reserve.alloc(layout),
            None => self.0.alloc(layout, false),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match reserve::route() {
            Some(reserve) => {
                let memory = reserve.alloc(layout);
                if !memory.is_null() {
                    // SAFETY: it is ours, and that large.
                    unsafe { memory.write_bytes(0, layout.size()) };
                }
                memory
            }
            None => self.0.alloc(layout, true),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        match reserve::route() {
            // SAFETY: what the buddy lists free, they allocated.
            Some(reserve) => unsafe { reserve.dealloc(memory, layout) },
            // SAFETY: the caller's promise.
            None => unsafe { self.0.dealloc(memory, layout) },
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The caller promises that this is a layout.
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return null_mut() };
        if Heap::same(layout, wanted) {
            return memory;
        }
        // SAFETY: the size is not zero (the caller's promise).
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both are ours, apart, and that large.
            unsafe { moved.copy_from_nonoverlapping(memory, size.min(layout.size())) };
            // SAFETY: the caller's promise.
            unsafe { self.dealloc(memory, layout) };
        }
        moved
    }
}

/// Bytes of so many frames.
const fn bytes(frames: usize) -> usize {
    frames << PAGE_SHIFT
}
