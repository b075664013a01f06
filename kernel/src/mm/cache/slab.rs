//! One frame full of objects of one size.
//!
//! ```text
//!   header | object 0 | object 1 | ...          free ones are linked through their first word
//! ```
//!
//! The header lies in the frame, and the frame's descriptor points to it: that is how a slab is
//! found from an object. Objects that were never handed out are counted, not linked, so a new slab
//! costs nothing but its header.

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
/// Lies at the beginning of a frame of kind `Slab` that belongs to `cache`. All but `cache` is
/// protected by that cache's lock of slabs. `taken` objects are with users or in magazines.
pub(super) struct Slab {
    pub(super) cache: &'static RawCache,
    prev: Option<NonNull<Slab>>,
    next: Option<NonNull<Slab>>,
    free: Option<NonNull<FreeObject>>,
    /// Objects from this index on were never handed out.
    fresh: u32,
    pub(super) taken: u32,
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
        let header = Self { cache, prev: None, next: None, free: None, fresh: 0, taken: 0 };
        // SAFETY: the frame is the caller's, is larger and more aligned than the header.
        unsafe { slab.write(header) };
        slab
    }

    /// An object; `None` if all are taken.
    pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
        let object = if let Some(object) = self.free {
            // SAFETY: a linked object is free and its first words are a `FreeObject`.
            self.free = unsafe { object.as_ref().next };
            object.cast()
        } else if (self.fresh as usize) < self.cache.capacity() {
            let offset = self.cache.first() + self.fresh as usize * self.cache.size();
            self.fresh += 1;
            // SAFETY: below the frame's end.
            unsafe { NonNull::from(&mut *self).cast::<u8>().add(offset) }
        } else {
            return None;
        };
        self.taken += 1;
        Some(object)
    }

    /// Takes an object back.
    ///
    /// # Safety
    /// It was taken from this slab and is not used any more.
    pub(super) unsafe fn put(&mut self, object: NonNull<u8>) {
        let object = object.cast::<FreeObject>();
        // SAFETY: the object is ours, large and aligned enough. The mark stays as it is.
        unsafe { (&raw mut (*object.as_ptr()).next).write(self.free) };
        self.free = Some(object);
        self.taken -= 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.taken as usize == self.cache.capacity()
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
    unsafe fn link(&mut self, mut slab: NonNull<Slab>) {
        if let Some(mut head) = self.head {
            // SAFETY: on the list, hence alive; the lock of slabs is held, which is all that `&mut
            // self` stands for.
            unsafe { head.as_mut().prev = Some(slab) };
        }
        // SAFETY: alive, and nobody else has a reference (the caller).
        let header = unsafe { slab.as_mut() };
        (header.prev, header.next) = (None, self.head);
        self.head = Some(slab);
    }

    /// # Safety
    /// The slab is on this list, and no reference to it exists.
    unsafe fn unlink(&mut self, mut slab: NonNull<Slab>) {
        // SAFETY: alive, and nobody else has a reference (the caller).
        let header = unsafe { slab.as_mut() };
        let (prev, next) = (header.prev.take(), header.next.take());
        if let Some(mut next) = next {
            // SAFETY: a neighbour on the list, hence alive, and another slab.
            unsafe { next.as_mut().prev = prev };
        }
        match prev {
            // SAFETY: as above.
            Some(mut prev) => unsafe { prev.as_mut().next = next },
            None => self.head = next,
        }
    }

    /// Adds a new slab.
    ///
    /// # Safety
    /// It is alive, of this cache, on no list, and not full.
    pub(super) unsafe fn add(&mut self, slab: NonNull<Slab>) {
        // SAFETY: alive; nobody has a reference.
        let taken = unsafe { slab.as_ref().taken } as usize;
        self.slabs += 1;
        self.taken += taken;
        self.empty += usize::from(taken == 0);
        // SAFETY: the caller's promise.
        unsafe { self.link(slab) };
    }

    /// An object of any slab.
    pub(super) fn take(&mut self) -> Option<NonNull<u8>> {
        let mut slab = self.head?;
        // SAFETY: on the list, hence alive; the lock is held.
        let header = unsafe { slab.as_mut() };
        self.empty -= usize::from(header.taken == 0);
        let object = header.take();
        if header.is_full() {
            // SAFETY: it is on this list; `header` is not used any more.
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
        mut slab: NonNull<Slab>,
        object: NonNull<u8>,
        keep: usize,
    ) -> Option<NonNull<Slab>> {
        // SAFETY: a slab with an object taken is alive; the lock is held.
        let header = unsafe { slab.as_mut() };
        let was_full = header.is_full();
        // SAFETY: the caller's promise.
        unsafe { header.put(object) };
        let is_empty = header.taken == 0;
        self.taken -= 1;
        if was_full {
            // SAFETY: a full slab is on no list; `header` is not used any more.
            unsafe { self.link(slab) };
        }
        if !is_empty {
            return None;
        }
        self.empty += 1;
        (self.empty > keep).then(|| {
            // SAFETY: it has a free object, so it is on the list; `header` is not used any more.
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
            let header = unsafe { slab.as_ref() };
            at = header.next;
            if header.taken == 0 {
                // SAFETY: it is on this list; `header` is not used any more.
                unsafe { self.unlink(slab) };
                self.empty -= 1;
                self.slabs -= 1;
                return Some(slab);
            }
        }
        None
    }
}
