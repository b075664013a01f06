//! The object caches on simulated RAM.

use super::*;
use crate::mm::testing::frames;
use proptest::prelude::*;

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

#[track_caller]
fn assert_whole(cache: &RawCache) {
    cache.shrink();
    assert_eq!(cache.counts(), (0, 0));
    assert_eq!(cache.misuses(), 0);
    cache.frames.drain();
    let counts = cache.frames.counts();
    assert_eq!(counts.free, counts.managed);
}

#[test]
fn objects_are_apart_and_aligned() {
    let frames = frames(256);
    for (size, align) in [(1, 1), (16, 16), (24, 8), (100, 64), (1000, 8), (2000, 1024)] {
        let cache = leak(RawCache::new("test", size, align, frames));
        let mut all: Vec<usize> = vec![];
        for _ in 0..3 * cache.capacity() + 1 {
            all.push(cache.alloc(None).expect("memory").as_ptr().expose_provenance());
        }
        assert_eq!(cache.counts(), (all.len(), 4));
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= size), "{size}");
        assert!(all.iter().all(|object| object % align == 0), "{align}");
        let page = PAGE_SIZE as usize;
        assert!(all.iter().all(|object| object / page == (object + size - 1) / page));
        for object in all {
            let object = NonNull::new(core::ptr::with_exposed_provenance_mut(object)).expect("an object");
            // SAFETY: given by `alloc` above, and not used.
            unsafe { cache.free(object) };
        }
        assert_whole(cache);
    }
}

#[test]
fn values_are_dropped_once() {
    use std::sync::Arc;
    let cache: &'static ObjectCache<Arc<u32>> = leak(ObjectCache::new("arcs", frames(256)));
    let shared = Arc::new(7);
    let objects: Vec<_> = (0..100).map(|_| cache.alloc(Arc::clone(&shared), None).expect("memory")).collect();
    assert_eq!(Arc::strong_count(&shared), 101);
    assert!(objects.iter().all(|object| ***object == 7));
    drop(objects);
    assert_eq!(Arc::strong_count(&shared), 1);
    let raw = cache.alloc(Arc::clone(&shared), None).expect("memory").into_raw();
    assert_eq!(Arc::strong_count(&shared), 2);
    // SAFETY: given up above.
    drop(unsafe { cache.adopt(raw) });
    assert_eq!(Arc::strong_count(&shared), 1);
    assert_whole(cache.raw());
}

#[test]
fn shortage_is_an_error_and_slabs_come_back() {
    let frames = frames(256);
    let cache = leak(RawCache::new("test", 64, 64, frames));
    let mut all = vec![];
    let error = loop {
        match cache.alloc(None) {
            Ok(object) => all.push(object),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::ENOMEM);
    assert_eq!(all.len(), frames.counts().managed * cache.capacity());
    for object in all.drain(..) {
        // SAFETY: given by `alloc` above.
        unsafe { cache.free(object) };
    }
    let (live, slabs) = cache.counts();
    assert_eq!(live, 0);
    assert!(slabs <= 2, "{slabs} slabs are kept although nothing is in use");
    if cfg!(debug_assertions) {
        assert_whole(cache);
        frames.inject_failure(1);
        assert_eq!(cache.alloc(None), Err(Errno::ENOMEM));
        assert!(cache.alloc(None).map(|object| all.push(object)).is_ok());
        // SAFETY: given by `alloc` above.
        unsafe { cache.free(all[0]) };
    }
    assert_whole(cache);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "double free")]
fn a_double_free_stops_a_debug_build() {
    let cache = leak(RawCache::new("test", 64, 64, frames(256)));
    let object = cache.alloc(None).expect("memory");
    // SAFETY: the second is wrong on purpose; it is refused.
    unsafe { (cache.free(object), cache.free(object)) };
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "another cache's object")]
fn a_foreign_object_stops_a_debug_build() {
    let frames = frames(256);
    let (one, other) = (leak(RawCache::new("a", 64, 64, frames)), leak(RawCache::new("b", 64, 64, frames)));
    let object = one.alloc(None).expect("memory");
    // SAFETY: wrong on purpose; it is refused.
    unsafe { other.free(object) };
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "middle of an object")]
fn a_pointer_into_an_object_stops_a_debug_build() {
    let cache = leak(RawCache::new("test", 64, 64, frames(256)));
    let object = cache.alloc(None).expect("memory");
    // SAFETY: wrong on purpose; it is refused.
    unsafe { cache.free(object.add(16)) };
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "written at offset 0x20 after it was freed")]
fn a_write_after_free_stops_a_debug_build() {
    let cache = leak(RawCache::new("test", 64, 64, frames(256)));
    let object = cache.alloc(None).expect("memory");
    // SAFETY: given by `alloc`; the write is wrong on purpose, to memory that stays mapped.
    unsafe {
        cache.free(object);
        object.as_ptr().add(0x20).write(1);
    }
    let _ = cache.alloc(None);
}

#[test]
fn threads_share_without_overlap() {
    let frames = frames(1024);
    let cache: &'static ObjectCache<[u64; 6]> = leak(ObjectCache::new("test", frames));
    std::thread::scope(|scope| {
        // Objects wander: what one thread allocates, another frees.
        let (send, receive) = std::sync::mpsc::channel::<Object<[u64; 6]>>();
        let receive = leak(std::sync::Mutex::new(receive));
        for thread in 0..4u64 {
            let send = send.clone();
            scope.spawn(move || {
                let mut random = thread + 1;
                for step in 0..20_000u64 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if random >> 40 & 3 != 0 {
                        let value = [thread, step, 0, 0, thread, step];
                        send.send(cache.alloc(value, None).expect("memory")).expect("a receiver");
                    } else {
                        for _ in 0..4 {
                            let Ok(object) = receive.lock().expect("no panic").try_recv() else { break };
                            assert_eq!(object[..2], object[4..], "written by two");
                        }
                    }
                }
            });
        }
        drop(send);
    });
    assert!(cache.raw().counts().0 > 0 || cache.raw().counts().1 > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, failure_persistence: None, ..Default::default() })]

    /// Any sequence: no object is handed out twice, what is written stays, all comes back.
    #[test]
    fn sequences_agree_with_the_model(
        steps in prop::collection::vec((0u8..3, any::<prop::sample::Index>()), 1..600),
    ) {
        use std::sync::OnceLock;
        static SHARED: OnceLock<&'static ObjectCache<[usize; 9]>> = OnceLock::new();
        let cache = *SHARED.get_or_init(|| leak(ObjectCache::new("model", frames(256))));
        let mut model: Vec<(usize, Object<[usize; 9]>)> = vec![];
        for (number, (action, which)) in steps.into_iter().enumerate() {
            if action < 2 {
                let object = cache.alloc([number; 9], None).expect("memory");
                prop_assert!(model.iter().all(|(_, other)| other.as_ptr() != object.as_ptr()));
                model.push((number, object));
            } else if !model.is_empty() {
                let (number, object) = model.swap_remove(which.index(model.len()));
                prop_assert_eq!(*object, [number; 9]);
            }
            prop_assert_eq!(cache.raw().counts().0, model.len());
        }
        drop(model);
        assert_whole(cache.raw());
    }
}
