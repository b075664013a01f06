//! Objects of one size: a small slab allocator.
//!
//! ```text
//!   alloc, free
//!     |
//!   magazine: free objects at hand, one for each CPU
//!     |  in batches of half a magazine
//!   slabs: frames cut into objects
//!     |
//!   frames
//! ```
//!
//! The hot path is an uncontended lock, a pop or a push. A general heap that looks for the first fit
//! among holes costs thousands of instructions where this costs some dozens, and its free paths
//! walk lists. `free` allocates nothing: it pushes, or gives objects back to their slabs and an empty
//! slab's frame to the frame allocator. Both may happen in an interrupt.
//!
//! [`ObjectCache`] is typed; [`RawCache`] is what it and the heap's size classes are made of.

mod check;
mod object;
mod registry;
mod slab;
#[cfg(test)]
mod tests;

pub use object::{Object, ObjectCache};
pub use registry::{for_each, shrink_all};

use super::frame::{FrameAllocator, Kind, Request};
use crate::addr::Pfn;
use crate::arch::current::{cpu, mmu};
use crate::arch::{MAX_CPUS, PAGE_SIZE};
use crate::error::Errno;
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, PerCpu, Rank};
use arrayvec::ArrayVec;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use slab::{Slab, Slabs};

const MAGAZINE: LockClass = LockClass::new("object magazine", Rank::OBJECT_MAGAZINE);
const SLABS: LockClass = LockClass::new("object slabs", Rank::OBJECT_SLABS);

/// Objects that a magazine has room for; with the lock it fills a CPU's 256 bytes.
const ROOM: usize = 24;
/// Bytes that a magazine holds at most, so that caches of large objects do not hoard.
const HOARD: usize = 16 << 10;
/// Slabs without an object in use that a cache keeps, against going back and forth.
const KEEP: usize = 1;

/// Free objects at hand on one CPU.
///
/// # Invariants
/// Each is taken from a slab of the cache, is used by nobody, and is in one magazine once.
struct Magazine(ArrayVec<NonNull<u8>, ROOM>);

// SAFETY: free objects belong to no thread.
unsafe impl Send for Magazine {}

/// Objects of one size and alignment, without a type.
pub struct RawCache {
    name: &'static str,
    size: usize,
    align: usize,
    frames: &'static FrameAllocator,
    magazines: PerCpu<IrqSpinLock<Magazine>>,
    slabs: IrqSpinLock<Slabs>,
    misuses: AtomicUsize,
    registered: AtomicBool,
    next: AtomicPtr<RawCache>,
}

impl RawCache {
    /// An empty cache for objects of that size and alignment (a power of two), on those frames. Does
    /// not compile, in a constant, if no object fits a frame.
    pub const fn new(name: &'static str, size: usize, align: usize, frames: &'static FrameAllocator) -> Self {
        let align = if align < 16 { 16 } else { align };
        let size = if size < slab::SMALLEST { slab::SMALLEST } else { size }.next_multiple_of(align);
        assert!(align < PAGE_SIZE as usize && slab::first(align) + size <= PAGE_SIZE as usize);
        Self {
            name,
            size,
            align,
            frames,
            magazines: PerCpu::new(
                [const { Slot::new(IrqSpinLock::new(&MAGAZINE, Magazine(ArrayVec::new_const()))) }; MAX_CPUS],
            ),
            slabs: IrqSpinLock::new(&SLABS, Slabs::new()),
            misuses: AtomicUsize::new(0),
            registered: AtomicBool::new(false),
            next: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
    /// Where its slabs come from.
    pub fn frames(&self) -> &'static FrameAllocator {
        self.frames
    }
    /// Bytes of an object, padding included.
    pub fn size(&self) -> usize {
        self.size
    }
    /// Objects in a frame.
    pub fn capacity(&self) -> usize {
        slab::capacity(self.size, self.align)
    }
    fn first(&self) -> usize {
        slab::first(self.align)
    }
    /// Objects that a magazine holds at most.
    fn limit(&self) -> usize {
        (HOARD / self.size).clamp(4, ROOM)
    }

    /// An object, not initialised. ENOMEM if there is none; with the token, after waiting for what RCU
    /// still holds.
    #[inline]
    pub fn alloc(&'static self, ctx: Option<&mut MaySleep>) -> Result<NonNull<u8>, Errno> {
        // Not pinned: should this task move in between, it uses another CPU's magazine, under its lock.
        let mut magazine = self.magazines.of(cpu::id()).lock();
        let object = match magazine.0.pop() {
            Some(object) => Some(object),
            None => self.refill(&mut magazine),
        };
        drop(magazine);
        let object = match object {
            Some(object) => object,
            None => self.grow(ctx)?,
        };
        if check::ON {
            // SAFETY: nobody uses the object.
            if let Some(offset) = unsafe { check::clear(object, self.size) } {
                self.misuses.fetch_add(1, Ordering::Relaxed);
                super::misuse(format_args!(
                    "{} {object:p}: written at offset {offset:#x} after it was freed",
                    self.name
                ));
            }
        }
        Ok(object)
    }

    /// One object; more of them go into the magazine, which is empty and locked.
    #[cold]
    fn refill(&self, magazine: &mut Magazine) -> Option<NonNull<u8>> {
        let mut slabs = self.slabs.lock();
        let first = slabs.take()?;
        for _ in 1..self.limit() / 2 {
            let Some(object) = slabs.take() else { break };
            magazine.0.push(object);
        }
        Some(first)
    }

    /// One object of a new slab. No lock is held: the frame allocator may ask all caches to shrink.
    #[cold]
    fn grow(&'static self, ctx: Option<&mut MaySleep>) -> Result<NonNull<u8>, Errno> {
        registry::add(self);
        let frame = self.frames.alloc(Request::of(Kind::Slab), ctx)?;
        let memory = frame.as_ptr();
        // SAFETY: the frame is ours; it is the slab's from here on.
        let slab = unsafe { Slab::write(memory, self) };
        frame.descriptor().set_owner(slab.as_ptr().cast());
        let _ = frame.into_raw();
        if check::ON {
            for index in 0..self.capacity() {
                // SAFETY: within the frame; nobody uses it.
                unsafe { check::set(memory.add(self.first() + index * self.size), self.size) };
            }
        }
        // SAFETY: no other CPU knows the slab yet.
        let object = unsafe { Slab::take(slab) }.ok_or(Errno::ENOMEM)?;
        let mut slabs = self.slabs.lock();
        // SAFETY: new, ours, on no list.
        unsafe { slabs.add(slab) };
        Ok(object)
    }

    /// Takes an object back. Misuse is reported by name in debug builds, and then nothing is freed.
    ///
    /// # Safety
    /// `alloc` of this cache gave it, and nobody uses it any more.
    #[inline]
    pub unsafe fn free(&self, object: NonNull<u8>) {
        if check::ON {
            if let Err(what) = self.inspect(object) {
                self.misuses.fetch_add(1, Ordering::Relaxed);
                super::misuse(format_args!("{} {object:p}: {what}", self.name));
                return;
            }
            // SAFETY: `inspect` saw that it is an object of ours; nobody uses it (the caller).
            unsafe { check::set(object, self.size) };
        }
        let mut magazine = self.magazines.of(cpu::id()).lock();
        if magazine.0.len() >= self.limit() {
            self.give_back(&mut magazine, self.limit() / 2);
        }
        // Never fails: there is room now.
        let _ = magazine.0.try_push(object);
    }

    /// Why the pointer is not an object of this cache that is in use.
    fn inspect(&self, object: NonNull<u8>) -> Result<(), &'static str> {
        let slab = Slab::of(self.frames, object).ok_or("free of a pointer outside any cache")?;
        // SAFETY: `of` gives live slabs.
        if !core::ptr::eq(unsafe { Slab::cache(slab) }, self) {
            return Err("free of another cache's object");
        }
        let offset = object.as_ptr().addr() - slab.as_ptr().addr();
        if offset < self.first()
            || !(offset - self.first()).is_multiple_of(self.size)
            || (offset - self.first()) / self.size >= self.capacity()
        {
            return Err("free of a pointer into the middle of an object");
        }
        // SAFETY: it is an object of a slab.
        if unsafe { check::is_marked(object) } { Err("double free") } else { Ok(()) }
    }

    /// Moves the `count` oldest objects of the locked magazine to their slabs.
    #[cold]
    fn give_back(&self, magazine: &mut Magazine, count: usize) {
        let mut slabs = self.slabs.lock();
        for object in magazine.0.drain(..count) {
            let Some(slab) = Slab::of(self.frames, object) else { continue };
            // SAFETY: the magazine's objects were taken from their slabs, and nobody uses them.
            if let Some(empty) = unsafe { slabs.put(slab, object, KEEP) } {
                self.release(empty);
            }
        }
    }

    /// Frees the frame of an empty slab that is on no list.
    fn release(&self, slab: NonNull<Slab>) {
        let frame = Pfn::containing(mmu::linear_to_phys(slab.as_ptr().cast()));
        // SAFETY: `grow` gave the frame up to the slab, which nobody knows any more.
        drop(unsafe { self.frames.adopt(frame) });
    }

    /// Gives back all that is not in use. True if that freed a frame.
    pub fn shrink(&self) -> bool {
        for magazine in self.magazines.iter() {
            let mut magazine = magazine.lock();
            let count = magazine.0.len();
            if count > 0 {
                self.give_back(&mut magazine, count);
            }
        }
        let mut any = false;
        loop {
            let empty = self.slabs.lock().remove_empty();
            let Some(slab) = empty else { break };
            self.release(slab);
            any = true;
        }
        any
    }

    /// Objects in use, and frames. Exact while nobody allocates or frees.
    pub fn counts(&self) -> (usize, usize) {
        let idle: usize = self.magazines.iter().map(|magazine| magazine.lock().0.len()).sum();
        let slabs = self.slabs.lock();
        (slabs.taken.saturating_sub(idle), slabs.slabs)
    }

    /// How often something was freed that was not to be, or written after it was freed; counted in
    /// debug builds.
    pub fn misuses(&self) -> usize {
        self.misuses.load(Ordering::Relaxed)
    }
}

impl Slab {
    /// The slab that the object lies in; `None` if it lies in none.
    #[inline(always)]
    fn of(frames: &FrameAllocator, object: NonNull<u8>) -> Option<NonNull<Self>> {
        let descriptor = frames.descriptor_of(object.as_ptr())?;
        // Only slabs set an owner on frames of this kind.
        if descriptor.word().kind != Kind::Slab {
            return None;
        }
        NonNull::new(descriptor.owner().cast())
    }
}
