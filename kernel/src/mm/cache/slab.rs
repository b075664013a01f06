//! One frame full of objects of one size.
//!
//! ```text
//!   header | object 0 | object 1 | ...          free ones are linked through their first word
//! ```
//!
//! The header lies in the frame, and the frame's descriptor points to it: that is how a slab is
//! found from an object. Objects that were never handed out are counted, not linked, so a new slab
//! costs nothing but its header.
//!
//! No reference to a whole header is ever made: which cache a slab belongs to is read without the
//! lock, by whoever frees an object, while another CPU changes the rest under the lock. Nor would a
//! reference to the header give the right to point to the objects behind it.

use super::RawCache;
use crate::arch::PAGE_SIZE;
use core::ptr::NonNull;

/// A free object's first words.
#[repr(C)]
pub(super) struct FreeObject {
    next: Option<NonNull<FreeObject>>,
    /// Says that it is free; see `check`.
    pub(super) mark: u64,
}

/// The header.
///
/// # Invariants
/// Lies at the beginning of a frame of kind `Slab` that belongs to `cache`, which never changes; the
/// rest is protected by that cache's lock of slabs. A pointer to it may be used for the whole frame.
pub(super) struct Slab {
    cache: &'static RawCache,
    uses: Uses,
}

/// What is in use of a slab.
///
/// # Invariants
/// `taken` objects are with users or in magazines.
pub(super) struct Uses {
    prev: Option<NonNull<Slab>>,
    next: Option<NonNull<Slab>>,
    free: Option<NonNull<FreeObject>>,
    /// Objects from this index on were never handed out.
    fresh: u32,
    taken: u32,
}

/// Bytes of the smallest object: what is kept in a free one.
pub(super) const SMALLEST: usize = size_of::<FreeObject>();

/// Where the first object of such alignment lies.
pub(super) const fn first(align: usize) -> usize {
    size_of::<Slab>().next_multiple_of(align)
}

/// Objects in a slab.
pub(super) const fn capacity(size: usize, align: usize) -> usize {
    (PAGE_SIZE as usize - first(align)) / size
}

impl Slab {
    /// Makes a frame a slab. Nothing is taken.
    ///
    /// # Safety
    /// The pointer is the beginning of a frame that the caller owns.
    pub(super) unsafe fn write(frame: NonNull<u8>, cache: &'static RawCache) -> NonNull<Self> {
        let slab = frame.cast::<Self>();
        let uses = Uses { prev: None, next: None, free: None, fresh: 0, taken: 0 };
        let header = Self { cache, uses };
        // SAFETY: the frame is the caller's, is larger and more aligned than the header.
        unsafe { slab.write(header) };
        slab
    }

    /// Whose it is; without any lock.
    ///
    /// # Safety
    /// The slab is alive.
    #[inline(always)]
    pub(super) unsafe fn cache(slab: NonNull<Self>) -> &'static RawCache {
        // SAFETY: alive (the caller); the field never changes, and no `&mut` covers it.
        unsafe { (&raw const (*slab.as_ptr()).cache).read() }
    }

    /// What is in use of it.
    ///
    /// # Safety
    /// The slab is alive, its cache's lock of slabs is held or nobody else knows the slab, and no
    /// other reference that this gave for the slab is used any more.
    unsafe fn uses<'a>(slab: NonNull<Self>) -> &'a mut Uses {
        // SAFETY: alive, and exclusively the caller's (the caller).
        unsafe { &mut (*slab.as_ptr()).uses }
    }

    /// An object; `None` if all are taken.
    ///
    /// # Safety
    /// As for `uses`.
    pub(super) unsafe fn take(slab: NonNull<Self>) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        let (cache, uses) = unsafe { (Self::cache(slab), Self::uses(slab)) };
        let object = if let Some(object) = uses.free {
            // SAFETY: a linked object is free and its first words are a `FreeObject`.
            uses.free = unsafe { (&raw const (*object.as_ptr()).next).read() };
            object.cast()
        } else if (uses.fresh as usize) < cache.capacity() {
            let offset = cache.first() + uses.fresh as usize * cache.size();
            uses.fresh += 1;
            // SAFETY: below the frame's end; the pointer may be used for the frame (invariant).
            unsafe { slab.cast::<u8>().add(offset) }
        } else {
            return None;
        };
        uses.taken += 1;
        Some(object)
    }

    /// # Safety
    /// As for `uses`.
    unsafe fn is_full(slab: NonNull<Self>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { Self::uses(slab).taken as usize == Self::cache(slab).capacity() }
    }
}

impl Uses {
    /// Takes an object back.
    ///
    /// # Safety
    /// It was taken from this slab and is not used any more.
    unsafe fn put(&mut self, object: NonNull<u8>) {
        let object = object.cast::<FreeObject>();
        // SAFETY: the object is ours, large and aligned enough. The mark stays as it is.
        unsafe { (&raw mut (*object.as_ptr()).next).write(self.free) };
        self.free = Some(object);
        self.taken -= 1;
    }
}

/// The slabs of a cache that have a free object. Full ones are found through their objects only.
///
/// # Invariants
/// Each slab on the list is alive and on this list alone. `empty` of them have nothing taken.
pub(super) struct Slabs {
    head: Option<NonNull<Slab>>,
    /// Slabs in all, full ones included.
    pub(super) slabs: usize,
    pub(super) empty: usize,
    /// Objects taken from all slabs.
    pub(super) taken: usize,
}

// SAFETY: the slabs belong to the cache, which reaches them under its lock only.
unsafe impl Send for Slabs {}

impl Slabs {
    pub(super) const fn new() -> Self {
        Self { head: None, slabs: 0, empty: 0, taken: 0 }
    }

    /// # Safety
    /// The slab is alive, on no list, and no reference to it exists.
    unsafe fn link(&mut self, slab: NonNull<Slab>) {
        if let Some(head) = self.head {
            // SAFETY: on the list, hence alive; the lock of slabs is held, which is all that `&mut
            // self` stands for.
            unsafe { Slab::uses(head).prev = Some(slab) };
        }
        // SAFETY: alive, and nobody else has a reference (the caller).
        let uses = unsafe { Slab::uses(slab) };
        (uses.prev, uses.next) = (None, self.head);
        self.head = Some(slab);
    }

    /// # Safety
    /// The slab is on this list, and no reference to it exists.
    unsafe fn unlink(&mut self, slab: NonNull<Slab>) {
        // SAFETY: alive, and nobody else has a reference (the caller).
        let uses = unsafe { Slab::uses(slab) };
        let (prev, next) = (uses.prev.take(), uses.next.take());
        if let Some(next) = next {
            // SAFETY: a neighbour on the list, hence alive, and another slab.
            unsafe { Slab::uses(next).prev = prev };
        }
        match prev {
            // SAFETY: as above.
            Some(prev) => unsafe { Slab::uses(prev).next = next },
            None => self.head = next,
        }
    }

    /// Adds a new slab.
    ///
    /// # Safety
    /// It is alive, of this cache, on no list, and not full.
    pub(super) unsafe fn add(&mut self, slab: NonNull<Slab>) {
        // SAFETY: alive; nobody has a reference.
        let taken = unsafe { Slab::uses(slab).taken } as usize;
        self.slabs += 1;
        self.taken += taken;
        self.empty += usize::from(taken == 0);
        // SAFETY: the caller's promise.
        unsafe { self.link(slab) };
    }

    /// An object of any slab.
    pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
        let slab = self.head?;
        // SAFETY: on the list, hence alive; the lock is held.
        self.empty -= usize::from(unsafe { Slab::uses(slab) }.taken == 0);
        // SAFETY: as above.
        let (object, full) = unsafe { (Slab::take(slab), Slab::is_full(slab)) };
        if full {
            // SAFETY: it is on this list.
            unsafe { self.unlink(slab) };
        }
        self.taken += usize::from(object.is_some());
        object
    }

    /// Takes an object back. Gives the slab if it is empty now and more than `keep` are: the caller
    /// frees its frame.
    ///
    /// # Safety
    /// The object was taken from the slab, which is one of this cache, and is not used any more.
    pub(super) unsafe fn put(
        &mut self,
        slab: NonNull<Slab>,
        object: NonNull<u8>,
        keep: usize,
    ) -> Option<NonNull<Slab>> {
        // SAFETY: a slab with an object taken is alive; the lock is held.
        let was_full = unsafe { Slab::is_full(slab) };
        // SAFETY: as above.
        let uses = unsafe { Slab::uses(slab) };
        // SAFETY: the caller's promise.
        unsafe { uses.put(object) };
        let is_empty = uses.taken == 0;
        self.taken -= 1;
        if was_full {
            // SAFETY: a full slab is on no list; `uses` is not used any more.
            unsafe { self.link(slab) };
        }
        if !is_empty {
            return None;
        }
        self.empty += 1;
        (self.empty > keep).then(|| {
            // SAFETY: it has a free object, so it is on the list; `uses` is not used any more.
            unsafe { self.unlink(slab) };
            self.empty -= 1;
            self.slabs -= 1;
            slab
        })
    }

    /// Takes an empty slab off the list for the caller to free.
    pub(super) fn remove_empty(&mut self) -> Option<NonNull<Slab>> {
        let mut at = self.head;
        while let Some(slab) = at.filter(|_| self.empty > 0) {
            // SAFETY: on the list, hence alive; the lock is held.
            let uses = unsafe { Slab::uses(slab) };
            at = uses.next;
            if uses.taken == 0 {
                // SAFETY: it is on this list; `uses` is not used any more.
                unsafe { self.unlink(slab) };
                self.empty -= 1;
                self.slabs -= 1;
                return Some(slab);
            }
        }
        None
    }
}
