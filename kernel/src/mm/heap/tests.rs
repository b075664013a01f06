//! The heap on simulated RAM.

use super::*;
use crate::mm::testing::frames;
use proptest::prelude::*;

fn heap(megabytes: u64) -> &'static Heap {
    Box::leak(Box::new(Heap::new(frames(megabytes * 256))))
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

#[track_caller]
fn assert_whole(heap: &'static Heap) {
    assert_eq!(heap.used(), 0);
    heap.shrink();
    assert_eq!(heap.arena_frames(), 0);
    for class in &heap.classes {
        class.shrink();
    }
    heap.frames.drain();
    let counts = heap.frames.counts();
    assert_eq!((counts.free, heap.frames.misuses()), (counts.managed, 0));
}

#[test]
fn each_size_comes_from_its_source() {
    let heap = heap(2);
    let page = PAGE_SIZE as usize;
    for (size, align) in
        [(1, 1), (24, 8), (page / 4, 16), (page / 4 + 1, 8), (page, 8), (2 * page - 1, 1), (2 * page, 8)]
    {
        let layout = layout(size, align);
        let memory = heap.alloc(layout, true);
        assert!(!memory.is_null() && memory.addr().is_multiple_of(align));
        // SAFETY: just allocated, zeroed.
        assert!(unsafe { core::slice::from_raw_parts(memory, size) }.iter().all(|&byte| byte == 0));
        assert!(heap.used() >= size, "{layout:?}");
        // SAFETY: allocated above.
        unsafe {
            memory.write_bytes(0xff, size);
            heap.dealloc(memory, layout);
        }
        assert_eq!(heap.used(), 0, "{layout:?}");
    }
    assert_whole(heap);
}

#[test]
fn shortage_is_null_and_everything_comes_back() {
    let heap = heap(2);
    for size in [16, 1000, 5000, 20_000, 300_000] {
        let layout = layout(size, 8);
        let mut all = vec![];
        loop {
            let memory = heap.alloc(layout, false);
            if memory.is_null() {
                break;
            }
            all.push(memory);
        }
        // Half of the memory at least was of use, whatever the size.
        assert!(all.len() * size > heap.frames.counts().managed * PAGE_SIZE as usize / 3, "{size}");
        for memory in all {
            // SAFETY: allocated above.
            unsafe { heap.dealloc(memory, layout) };
        }
        assert_whole(heap);
    }
    assert!(heap.alloc(layout(1 << 40, 8), false).is_null());
}

/// Large pointers that are no block of the heap: each is reported, and nothing is freed.
#[test]
fn a_wrong_large_pointer_is_reported() {
    let (heap, other) = (heap(2), heap(2));
    let page = PAGE_SIZE as usize;
    let pair = layout(2 * page, 8);
    let (memory, foreign) = (heap.alloc(pair, false), other.alloc(pair, false));
    let user = heap.frames.alloc(Request::of(Kind::User).order(1), None).expect("memory");
    let before = heap.frames.counts().used;
    let wrong = [
        ("another allocator's", foreign, pair),
        ("of another kind", user.as_ptr().as_ptr(), pair),
        ("the middle of the first frame", memory.wrapping_add(16), pair),
        ("a frame inside the block", memory.wrapping_add(page), pair),
        ("of another size", memory, layout(4 * page, 8)),
    ];
    for (number, (what, pointer, layout)) in wrong.into_iter().enumerate() {
        // SAFETY: wrong on purpose; it is refused.
        let free = || unsafe { heap.dealloc(pointer, layout) };
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(free)).is_err();
        assert_eq!(stopped, cfg!(debug_assertions), "{what}");
        assert_eq!(heap.frames.misuses(), number + 1, "{what}");
        assert_eq!(heap.frames.counts().used, before, "{what}");
    }
    drop(user);
    // SAFETY: allocated above.
    unsafe { (heap.dealloc(memory, pair), other.dealloc(foreign, pair)) };
    assert_eq!((heap.used(), other.used()), (0, 0));
}

#[test]
fn realloc_keeps_the_contents() {
    let global = Global(heap(2));
    let mut size = 1;
    // SAFETY: layouts as they were given; the contents are written before they are read.
    unsafe {
        let mut memory = global.alloc(layout(size, 8));
        memory.write_bytes(1, size);
        for step in 0..16 {
            let larger = size * 2 + step;
            memory = global.realloc(memory, layout(size, 8), larger);
            assert!(!memory.is_null());
            assert!((0..size).all(|at| memory.add(at).read() == 1), "{size} to {larger}");
            memory.write_bytes(1, larger);
            size = larger;
        }
        memory = global.realloc(memory, layout(size, 8), 3);
        assert!((0..3).all(|at| memory.add(at).read() == 1));
        global.dealloc(memory, layout(3, 8));
    }
    assert_whole(global.0);
}

#[test]
fn threads_share_without_overlap() {
    let heap = heap(8);
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                let mut random = u64::from(thread) + 1;
                let mut own: Vec<(*mut u8, Layout)> = vec![];
                for _ in 0..10_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    if random >> 40 & 1 == 0 && own.len() < 40 {
                        let size = 1 << (random >> 50 & 7) << (random >> 60 & 7) | (random >> 33 & 15);
                        let layout = layout(size as usize, 8);
                        let memory = heap.alloc(layout, false);
                        assert!(!memory.is_null());
                        // SAFETY: just allocated.
                        unsafe { memory.write_bytes(thread, layout.size()) };
                        own.push((memory, layout));
                    } else if !own.is_empty() {
                        let (memory, layout) = own.swap_remove((random >> 34) as usize % own.len());
                        // SAFETY: allocated and written above.
                        let bytes = unsafe { core::slice::from_raw_parts(memory, layout.size()) };
                        assert!(bytes.iter().all(|&byte| byte == thread));
                        // SAFETY: allocated above.
                        unsafe { heap.dealloc(memory, layout) };
                    }
                }
                for (memory, layout) in own {
                    // SAFETY: allocated above.
                    unsafe { heap.dealloc(memory, layout) };
                }
            });
        }
    });
    assert_whole(heap);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 5, failure_persistence: None, ..Default::default() })]

    /// Any sequence of layouts: aligned, apart, contents stay, failures injected anywhere are nulls,
    /// all comes back.
    #[test]
    fn sequences_agree_with_the_model(
        steps in prop::collection::vec((0u8..3, 0u32..15, 0u32..8, any::<prop::sample::Index>()), 1..300),
        fail in 0u32..40,
    ) {
        use std::sync::OnceLock;
        static SHARED: OnceLock<&'static Heap> = OnceLock::new();
        let heap = *SHARED.get_or_init(|| heap(4));
        let mut model: Vec<(*mut u8, Layout, u8)> = vec![];
        heap.frames.inject_failure(fail);
        for (number, (action, size, align, which)) in steps.into_iter().enumerate() {
            if action < 2 {
                let layout = layout((1 << size) + number % 7, 1 << align);
                let memory = heap.alloc(layout, false);
                if memory.is_null() {
                    prop_assert!(cfg!(debug_assertions) && fail > 0);
                    continue;
                }
                prop_assert_eq!(memory.addr() % layout.align(), 0);
                let range = memory.addr()..memory.addr() + layout.size();
                for (other, old, _) in &model {
                    let other = other.addr()..other.addr() + old.size();
                    prop_assert!(range.end <= other.start || other.end <= range.start);
                }
                // SAFETY: just allocated.
                unsafe { memory.write_bytes(number as u8, layout.size()) };
                model.push((memory, layout, number as u8));
            } else if !model.is_empty() {
                let (memory, layout, value) = model.swap_remove(which.index(model.len()));
                // SAFETY: allocated and written above.
                let bytes = unsafe { core::slice::from_raw_parts(memory, layout.size()) };
                prop_assert!(bytes.iter().all(|&byte| byte == value));
                // SAFETY: allocated above.
                unsafe { heap.dealloc(memory, layout) };
            }
        }
        heap.frames.inject_failure(0);
        for (memory, layout, _) in model {
            // SAFETY: allocated above.
            unsafe { heap.dealloc(memory, layout) };
        }
        assert_whole(heap);
    }
}
