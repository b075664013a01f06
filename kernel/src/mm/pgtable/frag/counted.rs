//! A shared value with a count, as `Arc`, but made without panic: no memory is an answer.
//!
//! `alloc::sync::Arc` has no stable constructor that reports failure, and its weak count is of no
//! use here.

use crate::sync::atomic::{AtomicUsize, Ordering, fence};
use alloc::alloc::Layout;
use core::ops::Deref;
use core::ptr::NonNull;

#[cfg(not(loom))]
use alloc::alloc::{alloc, dealloc};
#[cfg(loom)]
use loom::alloc::{alloc, dealloc};

/// What owners are shared by. In a build for loom it is loom's `Arc`: the model checker takes its
/// count as given there, which keeps the other tests small, and checks [`Counted`] in a test of its
/// own.
#[cfg(not(loom))]
pub type Shared<T> = Counted<T>;
/// What owners are shared by; see the module.
#[cfg(loom)]
pub type Shared<T> = loom::sync::Arc<T>;

/// A shared value with a count of one; `None` if there is no memory.
pub fn share<T>(value: T) -> Option<Shared<T>> {
    #[cfg(not(loom))]
    return Counted::new(value);
    #[cfg(loom)]
    return Some(loom::sync::Arc::new(value));
}

struct Inner<T> {
    count: AtomicUsize,
    value: T,
}

/// One count of a shared value; the value goes with the last.
///
/// # Invariants
/// The pointer came from `alloc` with the layout of `Inner<T>`, and `count` is the number of
/// `Counted`s that have it, so it stays while this one lives.
#[derive(Debug)]
pub struct Counted<T>(NonNull<Inner<T>>);

// SAFETY: the counts share the value, and any of them may drop it.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: likewise.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

impl<T> Counted<T> {
    /// The value, with a count of one; `None` if there is no memory.
    pub fn new(value: T) -> Option<Self> {
        // SAFETY: the layout is not empty: there is a count in it.
        let memory = unsafe { alloc(Layout::new::<Inner<T>>()) };
        let inner = NonNull::new(memory.cast::<Inner<T>>())?;
        // SAFETY: new memory of that layout.
        unsafe { inner.write(Inner { count: AtomicUsize::new(1), value }) };
        Some(Self(inner))
    }

    /// A count of a value that may be about to go; `None` if its last count is gone.
    ///
    /// # Safety
    /// The value stands in a `Counted`, whose memory stays during the call.
    pub unsafe fn revive(value: NonNull<T>) -> Option<Self> {
        // SAFETY: the value is a field of an `Inner` (the caller).
        let inner: NonNull<Inner<T>> =
            unsafe { value.byte_sub(core::mem::offset_of!(Inner<T>, value)) }.cast();
        let more = |count: usize| (count != 0).then(|| count + 1);
        // SAFETY: the memory stays (the caller). Relaxed: as in `clone`; what the value's holders did is
        // seen by whoever found it.
        let count = unsafe { &(*inner.as_ptr()).count };
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(inner))
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: it stays while this count lives (invariant).
        unsafe { self.0.as_ref() }
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Self {
        // Relaxed: whoever copies a count has one, so the value cannot go meanwhile. It does not
        // wrap: each count is held by a page-table page or an address space.
        self.inner().count.fetch_add(1, Ordering::Relaxed);
        Self(self.0)
    }
}

impl<T> Deref for Counted<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        // Release: pairs with the fence below on whichever CPU drops the last count: what we did
        // with the value was before its end.
        if self.inner().count.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Acquire: pairs with the Release of every other count's drop.
        fence(Ordering::Acquire);
        // SAFETY: the last count: nobody else has the pointer. Memory and layout are those of `new`.
        unsafe {
            self.0.drop_in_place();
            dealloc(self.0.as_ptr().cast(), Layout::new::<Inner<T>>());
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::cell::UnsafeCell;

    struct Value(UnsafeCell<u32>);
    // SAFETY: loom checks that accesses do not race: that is the test.
    unsafe impl Sync for Value {}

    impl Drop for Value {
        fn drop(&mut self) {
            self.0.with_mut(|value| {
                // SAFETY: the last count.
                unsafe { *value += 1 }
            });
        }
    }

    /// Three counts on three threads: the value is dropped once, after the last use. Loom reports a
    /// leak, a second drop, and a use that is not ordered before the drop.
    #[test]
    fn the_last_count_drops_the_value() {
        loom::model(|| {
            let counted = Counted::new(Value(UnsafeCell::new(0))).expect("memory");
            let threads = [counted.clone(), counted.clone()].map(|counted| {
                loom::thread::spawn(move || {
                    let copy = counted.clone();
                    drop(counted);
                    Deref::deref(&copy).0.with(|value| {
                        // SAFETY: written before the threads began, and by the drop of the last count.
                        assert_eq!(unsafe { *value }, 0);
                    });
                })
            });
            drop(counted);
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
    }
}
