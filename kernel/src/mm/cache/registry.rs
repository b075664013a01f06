//! All caches that have ever had a slab, for statistics and for giving memory back.

use super::RawCache;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A list that only grows: caches are static.
static CACHES: AtomicPtr<RawCache> = AtomicPtr::new(core::ptr::null_mut());

/// Puts the cache on the list, once.
pub(super) fn add(cache: &'static RawCache) {
    if cache.registered.swap(true, Ordering::Relaxed) {
        return;
    }
    let own = core::ptr::from_ref(cache).cast_mut();
    let mut head = CACHES.load(Ordering::Relaxed);
    loop {
        cache.next.store(head, Ordering::Relaxed);
        // Release: pairs with the Acquire in `for_each`: `next` is written before.
        match CACHES.compare_exchange_weak(head, own, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return,
            Err(seen) => head = seen,
        }
    }
}

/// Calls with each cache.
pub fn for_each(mut visit: impl FnMut(&'static RawCache)) {
    let mut at = CACHES.load(Ordering::Acquire);
    // SAFETY: null, or from a `&'static RawCache` given to `add`.
    while let Some(cache) = unsafe { at.as_ref() } {
        visit(cache);
        // Relaxed: the head's Acquire covers the whole list, each element was on it before the next.
        at = cache.next.load(Ordering::Relaxed);
    }
}

/// Gives back what no cache needs. True if that freed a frame.
pub fn shrink_all() -> bool {
    let mut any = false;
    for_each(|cache| any |= cache.shrink());
    any
}
