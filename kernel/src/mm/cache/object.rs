//! [`ObjectCache`]: a cache of values of one type, and [`Object`], their owner.

use super::RawCache;
use super::slab::Slab;
use crate::error::Errno;
use crate::mm::frame::FrameAllocator;
use crate::sync::MaySleep;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;

/// Values of one type. It is static: its objects find it by their address.
pub struct ObjectCache<T> {
    raw: RawCache,
    _values: PhantomData<fn(T) -> T>,
}

impl<T> ObjectCache<T> {
    /// An empty cache on those frames. Does not compile, in a constant, if no value fits a frame.
    pub const fn new(name: &'static str, frames: &'static FrameAllocator) -> Self {
        Self { raw: RawCache::new(name, size_of::<T>(), align_of::<T>(), frames), _values: PhantomData }
    }

    /// The value, in memory of its own. ENOMEM if there is none (the value is dropped); with the
    /// token, after waiting for what RCU still holds.
    #[inline]
    pub fn alloc(&'static self, value: T, ctx: Option<&mut MaySleep>) -> Result<Object<T>, Errno> {
        let object = self.raw.alloc(ctx)?.cast::<T>();
        // SAFETY: the object is ours, large and aligned enough for a `T`.
        unsafe { object.write(value) };
        Ok(Object { value: object, frames: self.raw.frames, _owns: PhantomData })
    }

    /// What is below.
    pub fn raw(&self) -> &RawCache {
        &self.raw
    }

    /// Takes back an object that [`Object::into_raw`] gave up.
    ///
    /// # Safety
    /// It came from this cache, was given up, and is taken back once.
    pub unsafe fn adopt(&'static self, value: NonNull<T>) -> Object<T> {
        Object { value, frames: self.raw.frames, _owns: PhantomData }
    }
}

/// A value in an object of a cache; dropped and freed with this, in any context.
///
/// # Invariants
/// `value` points to an initialised object of an `ObjectCache<T>` on `frames`; nobody else owns it.
#[must_use = "the object is freed when this is dropped"]
pub struct Object<T> {
    value: NonNull<T>,
    frames: &'static FrameAllocator,
    _owns: PhantomData<T>,
}

// SAFETY: it owns the value, as a box does.
unsafe impl<T: Send> Send for Object<T> {}
// SAFETY: it gives out references as a box does.
unsafe impl<T: Sync> Sync for Object<T> {}

impl<T> Object<T> {
    /// Gives up ownership without freeing. To be taken back with [`ObjectCache::adopt`].
    pub fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).value
    }
    /// The value's address, which does not change.
    pub fn as_ptr(&self) -> NonNull<T> {
        self.value
    }
}

impl<T> Deref for Object<T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: initialised and owned (invariant).
        unsafe { self.value.as_ref() }
    }
}

impl<T> DerefMut for Object<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: initialised and owned (invariant), borrowed exclusively.
        unsafe { self.value.as_mut() }
    }
}

impl<T> Drop for Object<T> {
    fn drop(&mut self) {
        // SAFETY: initialised and owned; not used after this.
        unsafe { self.value.drop_in_place() };
        let object = self.value.cast();
        if let Some(slab) = Slab::of(self.frames, object) {
            // SAFETY: the slab of a live object is alive.
            let cache = unsafe { Slab::cache(slab) };
            // SAFETY: that cache gave the object; nobody uses it any more.
            unsafe { cache.free(object) };
        }
    }
}

impl<T: core::fmt::Debug> core::fmt::Debug for Object<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Debug::fmt(&**self, f)
    }
}
