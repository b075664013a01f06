//! Blocks of frames with holes in them, for the sizes between the classes and whole frames.

use super::bytes;
use crate::arch::PAGE_SHIFT;
use crate::mm::frame::{Frame, FrameAllocator, Kind, Request};
use crate::sync::{IrqSpinLock, LockClass, Rank};
use arrayvec::ArrayVec;
use core::alloc::Layout;
use core::ptr::{NonNull, null_mut};
use linked_list_allocator::Heap as Holes;

const HEAP: LockClass = LockClass::new("heap", Rank::HEAP);

/// Log2 of an arena's bytes: 256 KB, or 1 MB with 64 KB frames.
const ARENA_SHIFT: u32 = if PAGE_SHIFT + 4 > 18 { PAGE_SHIFT + 4 } else { 18 };
/// Log2 of the frames of an arena, and of the smallest one that is taken when memory is in pieces: it
/// must hold the largest request, which is below two frames.
const ARENA_ORDER: u8 = (ARENA_SHIFT - PAGE_SHIFT) as u8;
const SMALLEST_ORDER: u8 = 2;
/// More arenas than that are never needed: by then 16 MB are in middle-sized pieces.
const MOST: usize = 64;

/// # Invariants
/// `holes` manages exactly the frame's bytes.
struct Arena {
    frame: Frame,
    holes: Holes,
}

impl Arena {
    fn new(frame: Frame) -> Self {
        // SAFETY: the frame is ours for as long as the arena lives, which owns it.
        let holes = unsafe { Holes::new(frame.as_ptr().as_ptr(), frame.size()) };
        Self { frame, holes }
    }
    fn contains(&self, memory: NonNull<u8>) -> bool {
        let start = self.frame.as_ptr().as_ptr().addr();
        (start..start + self.frame.size()).contains(&memory.as_ptr().addr())
    }
}

pub(super) struct Arenas(IrqSpinLock<ArrayVec<Arena, MOST>>);

impl Arenas {
    pub(super) const fn new() -> Self {
        Self(IrqSpinLock::new(&HEAP, ArrayVec::new_const()))
    }

    /// Memory for the layout; null if there is none.
    pub(super) fn alloc(&self, layout: Layout, frames: &'static FrameAllocator) -> *mut u8 {
        if let Some(memory) = self.try_alloc(layout) {
            return memory.as_ptr();
        }
        // No lock is held: the frame allocator may ask this heap to shrink.
        let Some(mut arena) = (SMALLEST_ORDER..=ARENA_ORDER)
            .rev()
            .find_map(|order| frames.alloc(Request::of(Kind::Heap).order(order), None).ok())
            .map(Arena::new)
        else {
            return null_mut();
        };
        let memory = arena.holes.allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr);
        let refused = self.0.lock().try_push(arena).is_err();
        // A refused arena is dropped, and with it what was allocated in it.
        if refused { null_mut() } else { memory }
    }

    fn try_alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.0.lock().iter_mut().find_map(|arena| arena.holes.allocate_first_fit(layout).ok())
    }

    /// # Safety
    /// `alloc` gave it for that layout, and nobody uses it any more.
    pub(super) unsafe fn dealloc(&self, memory: NonNull<u8>, layout: Layout) {
        let mut arenas = self.0.lock();
        match arenas.iter_mut().find(|arena| arena.contains(memory)) {
            // SAFETY: the arena gave it for that layout (the caller).
            Some(arena) => unsafe { arena.holes.deallocate(memory, layout) },
            None => {
                drop(arenas);
                crate::mm::misuse(format_args!("heap {memory:p}: free of a pointer outside the heap"));
            }
        }
    }

    /// Gives back arenas in which nothing is allocated. True if there was one.
    pub(super) fn shrink(&self) -> bool {
        let mut any = false;
        loop {
            let mut arenas = self.0.lock();
            let Some(unused) = arenas.iter().position(|arena| arena.holes.used() == 0) else { break };
            let arena = arenas.swap_remove(unused);
            drop(arenas);
            drop(arena);
            any = true;
        }
        any
    }

    pub(super) fn used(&self) -> usize {
        self.0.lock().iter().map(|arena| arena.holes.used()).sum()
    }

    pub(super) fn frames(&self) -> usize {
        self.0.lock().iter().map(|arena| arena.frame.size() / bytes(1)).sum()
    }
}
