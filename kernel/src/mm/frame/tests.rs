//! The allocator against a model, on simulated RAM.

use super::*;
use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu::carve;
use crate::mm::testing::{early, frames, part};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn one() -> Request {
    Request::of(Kind::Kernel)
}

/// After a drain everything is in the lists, and nothing is allocated.
#[track_caller]
fn assert_whole(allocator: &FrameAllocator) {
    allocator.drain();
    let counts = allocator.counts();
    assert_eq!((counts.free, counts.cached, counts.used), (counts.managed, 0, Default::default()));
    assert_eq!(allocator.misuses(), 0);
}

#[test]
fn reserved_frames_are_never_handed_out() {
    let memory = carve(1 << 20);
    let holes = [part(memory, 40, 3), part(memory, 100, 1), part(memory, 255, 1)];
    let allocator: &'static FrameAllocator = Box::leak(Box::new(FrameAllocator::new()));
    allocator.init(early(memory, &holes)).expect("memory");
    let mut taken = vec![];
    while let Ok(frame) = allocator.alloc(one(), None) {
        let range = crate::addr::PhysRange::sized(frame.addr(), frame.size() as u64).expect("a block");
        assert!(memory.start() <= range.start() && range.end() <= memory.end());
        assert!(holes.iter().all(|hole| !hole.overlaps(range)), "{range} is reserved");
        taken.push(frame);
    }
    assert_eq!(taken.len(), allocator.counts().managed);
    // The descriptors and the reserve of 256 frames take 5 frames or so.
    assert!((240..=251).contains(&taken.len()), "{}", taken.len());
    taken.clear();
    assert_whole(allocator);
    assert_eq!(allocator.init(early(memory, &holes)), Err(Errno::EEXIST));
}

#[test]
fn too_little_memory_is_an_error() {
    let memory = carve(1 << 20);
    let allocator: &'static FrameAllocator = Box::leak(Box::new(FrameAllocator::new()));
    assert_eq!(allocator.init(early(memory, &[memory])), Err(Errno::ENOMEM));
    assert_eq!(allocator.init(early(part(memory, 0, 1), &[])), Err(Errno::ENOMEM));
    assert_eq!(allocator.alloc(one(), None).err(), Some(Errno::ENOMEM));
}

#[test]
fn blocks_have_kind_owner_and_zeros() {
    let allocator = frames(256);
    let mut frame = allocator.alloc(Request::of(Kind::Stack).order(3), None).expect("memory");
    assert!(frame.addr().is_aligned(8 * PAGE_SIZE));
    frame.bytes_mut().fill(core::mem::MaybeUninit::new(0xff));
    let mut owner = 5u32;
    frame.descriptor().set_owner((&raw mut owner).cast());
    let inside = frame.as_ptr().as_ptr().wrapping_add(17);
    let found = allocator.descriptor_of(inside).expect("our memory");
    assert_eq!((found.word().kind, found.owner()), (Kind::Stack, (&raw mut owner).cast()));
    assert_eq!(allocator.counts().used[Kind::Stack as usize], 8);
    let start = frame.pfn();
    drop(frame);
    assert!(allocator.descriptor(start).expect("our memory").owner().is_null());
    let frame = allocator.alloc(Request::of(Kind::PageTable).order(3).zeroed(), None).expect("memory");
    // SAFETY: zeroed, and exclusively ours.
    let bytes = unsafe { core::slice::from_raw_parts(frame.as_ptr().as_ptr(), frame.size()) };
    assert!(bytes.iter().all(|&byte| byte == 0));
    assert_eq!(allocator.alloc(one().order(ORDERS as u8), None).err(), Some(Errno::EINVAL));
    drop(frame);
    assert_whole(allocator);
}

#[test]
fn misuse_has_a_name_and_frees_nothing() {
    let allocator = frames(256);
    let frame = allocator.alloc(one(), None).expect("memory");
    let pair = allocator.alloc(one().order(1), None).expect("memory");
    let number = frame.pfn();
    let inside = Pfn::new(pair.pfn().get() + 1);
    assert_eq!(allocator.try_free(inside, 0), Err(Misuse::NotAllocated));
    assert_eq!(allocator.try_free(pair.pfn(), 0), Err(Misuse::WrongOrder { is: 1, given: 0 }));
    assert_eq!(allocator.try_free(Pfn::new(1), 0), Err(Misuse::Foreign));
    assert_eq!(allocator.try_free(Pfn::new(u64::MAX >> crate::arch::PAGE_SHIFT), 0), Err(Misuse::Foreign));
    drop(frame);
    // In the cache, and back in the lists.
    assert_eq!(allocator.try_free(number, 0), Err(Misuse::NotAllocated));
    allocator.drain();
    assert_eq!(allocator.try_free(number, 0), Err(Misuse::NotAllocated));
    drop(pair);
    assert_whole(allocator);
}

#[test]
fn a_reserved_frame_is_not_freed() {
    let memory = carve(1 << 20);
    let hole = part(memory, 100, 1);
    let allocator: &'static FrameAllocator = Box::leak(Box::new(FrameAllocator::new()));
    allocator.init(early(memory, &[hole])).expect("memory");
    assert_eq!(allocator.try_free(Pfn::containing(hole.start()), 0), Err(Misuse::Reserved));
    assert_whole(allocator);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "double free")]
fn a_double_free_stops_a_debug_build() {
    let allocator = frames(256);
    let number = allocator.alloc(one(), None).expect("memory").into_raw();
    allocator.free(number, 0);
    allocator.free(number, 0);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "written at offset 0x40 after it was freed")]
fn a_write_after_free_stops_a_debug_build() {
    let allocator = frames(256);
    let frame = allocator.alloc(one(), None).expect("memory");
    let stale = frame.as_ptr().cast::<u64>();
    drop(frame);
    // SAFETY: simulated RAM stays mapped; that nobody may write there is what is tested.
    unsafe { stale.add(8).write(1) };
    let _frame = allocator.alloc(one(), None);
}

#[test]
fn contents_are_zeroed_on_free_if_asked() {
    let allocator = frames(256);
    allocator.set_on_free(OnFree::Zero);
    let mut frame = allocator.alloc(one(), None).expect("memory");
    frame.bytes_mut().fill(core::mem::MaybeUninit::new(0xff));
    let memory = frame.as_ptr();
    drop(frame);
    // SAFETY: simulated RAM stays mapped; no other thread uses this allocator.
    let bytes = unsafe { core::slice::from_raw_parts(memory.as_ptr(), PAGE_SIZE as usize) };
    assert!(bytes.iter().all(|&byte| byte == 0));
    assert_whole(allocator);
}

#[test]
fn raw_frames_are_taken_back_once() {
    let allocator = frames(256);
    let number = allocator.alloc(one().order(2), None).expect("memory").into_raw();
    // SAFETY: given up above.
    let frame = unsafe { allocator.adopt(number) }.expect("allocated");
    assert_eq!((frame.pfn(), frame.order()), (number, 2));
    drop(frame);
    assert_whole(allocator);
}

#[test]
fn shortage_drains_the_caches_and_asks_the_hooks() {
    use std::sync::Mutex;
    static HELD: Mutex<Vec<Frame>> = Mutex::new(Vec::new());
    fn give_one() -> bool {
        HELD.lock().expect("no panic").pop().is_some()
    }
    fn wait_for_one(_: &mut MaySleep) -> bool {
        give_one()
    }
    let allocator = frames(256);
    // All but what another CPU's cache holds.
    std::thread::spawn(move || drop(allocator.alloc(one(), None))).join().expect("no panic");
    assert!(allocator.counts().cached > 0);
    let mut held = HELD.lock().expect("no panic");
    while let Ok(frame) = allocator.alloc(one(), None) {
        held.push(frame);
    }
    assert_eq!(held.len(), allocator.counts().managed, "the other CPU's cache was emptied");
    let held_count = held.len();
    drop(held);
    assert!(allocator.on_shortage(Reclaim::Wait(wait_for_one)));
    assert_eq!(allocator.alloc(one(), None).err(), Some(Errno::ENOMEM));
    // SAFETY: this thread is the task, and has no other token.
    let mut ctx = unsafe { MaySleep::mint() };
    let first = allocator.alloc(one(), Some(&mut ctx)).expect("the hook gave one");
    assert!(allocator.on_shortage(Reclaim::Shrink(give_one)));
    let second = allocator.alloc(one(), None).expect("the hook gave one");
    assert_eq!(HELD.lock().expect("no panic").len(), held_count - 2);
    drop((first, second));
    HELD.lock().expect("no panic").clear();
    assert_whole(allocator);
}

#[test]
fn every_allocation_can_fail() {
    let allocator = frames(256);
    let work = || -> Result<Vec<Frame>, Errno> {
        [0, 0, 3, 0, 1].iter().map(|&order| allocator.alloc(one().order(order), None)).collect()
    };
    if cfg!(debug_assertions) {
        for nth in 1..=5 {
            allocator.inject_failure(nth);
            assert_eq!(work().err(), Some(Errno::ENOMEM));
            assert_whole(allocator);
        }
    }
    assert_eq!(work().map(|blocks| blocks.len()), Ok(5));
    assert_whole(allocator);
}

#[test]
fn threads_share_without_overlap() {
    let allocator = frames(1024);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15 ^ thread;
                let mut own: Vec<Frame> = vec![];
                for step in 0..20_000u64 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let order = if random >> 60 == 0 { (random >> 40) as u8 % 4 } else { 0 };
                    if random >> 32 & 1 == 0 && own.len() < 60 {
                        let Ok(frame) = allocator.alloc(one().order(order), None) else { continue };
                        // SAFETY: exclusively ours, at least a frame long.
                        unsafe { frame.as_ptr().cast::<[u64; 2]>().write([thread, step]) };
                        frame.descriptor().set_owner(core::ptr::without_provenance_mut(step as usize));
                        own.push(frame);
                    } else if !own.is_empty() {
                        let frame = own.swap_remove((random >> 33) as usize % own.len());
                        // SAFETY: exclusively ours; written above.
                        let [owner, when] = unsafe { frame.as_ptr().cast::<[u64; 2]>().read() };
                        assert_eq!(owner, thread, "somebody else wrote into our frame");
                        assert_eq!(frame.descriptor().owner().addr(), when as usize);
                    }
                }
            });
        }
    });
    assert_whole(allocator);
}

/// Others move the last free frames from cache to cache all the time; none of that is a shortage.
#[test]
fn a_frame_in_a_cache_is_found() {
    let allocator = frames(256);
    let mut held: Vec<Frame> = core::iter::from_fn(|| allocator.alloc(one(), None).ok()).collect();
    held.truncate(held.len() - 8);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    // Four of the eight are free at any time.
                    drop(allocator.alloc(one(), None).expect("frames are free"));
                }
            });
        }
    });
    drop(held);
    assert_whole(allocator);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, failure_persistence: None, ..Default::default() })]

    /// Any sequence of requests: blocks are aligned, lie in managed memory, never overlap, and when
    /// all are freed the memory is whole.
    #[test]
    fn sequences_agree_with_the_model(steps in prop::collection::vec((any::<bool>(), 0u8..6, any::<prop::sample::Index>()), 1..400)) {
        use std::sync::OnceLock;
        static SHARED: OnceLock<&'static FrameAllocator> = OnceLock::new();
        let allocator = *SHARED.get_or_init(|| frames(512));
        let mut model: BTreeMap<u64, Frame> = BTreeMap::new();
        let mut used = 0;
        for (take, order, which) in steps {
            if take {
                match allocator.alloc(one().order(order), None) {
                    Ok(frame) => {
                        let start = frame.pfn().get();
                        let end = start + (1 << order);
                        prop_assert_eq!(start % (1 << order), 0);
                        if let Some((&below, other)) = model.range(..end).next_back() {
                            prop_assert!(below + (1 << other.order()) <= start, "overlap");
                        }
                        used += 1usize << order;
                        model.insert(start, frame);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, Errno::ENOMEM);
                        let counts = allocator.counts();
                        prop_assert!(order > 0 || counts.free + counts.cached == 0, "{:?}", counts);
                    }
                }
            } else if !model.is_empty() {
                let key = *which.get(&model.keys().copied().collect::<Vec<_>>());
                let frame = model.remove(&key).expect("a key of the model");
                used -= 1 << frame.order();
            }
            let counts = allocator.counts();
            prop_assert_eq!(counts.used[Kind::Kernel as usize], used);
            prop_assert_eq!(counts.free + counts.cached + used, counts.managed);
        }
        drop(model);
        assert_whole(allocator);
    }
}
