//! The buddy lists allocate from their reserve and from nowhere else, and the reserve suffices for
//! the worst fragmentation. A test of its own process: it replaces the global allocator.

use fallow::addr::PhysRange;
use fallow::arch::current::mmu::carve;
use fallow::boot::{BootInfo, EarlyFrames};
use fallow::mm::frame::{Frame, FrameAllocator, Kind, Request, reserve};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

/// As the kernel's: the reserve first.
struct Routed;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static ROUTED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: both are allocators; what one gave is given back to the same one, as the reserve is entered
// exactly while the lists work.
unsafe impl GlobalAlloc for Routed {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match reserve::route() {
            Some(reserve) => {
                LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
                ROUTED.fetch_add(1, Ordering::Relaxed);
                reserve.alloc(layout)
            }
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc(layout) },
        }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match reserve::route() {
            // SAFETY: what is freed while the lists work came from the reserve.
            Some(reserve) => unsafe { reserve.dealloc(pointer, layout) },
            // SAFETY: the caller's promise.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }
}

#[global_allocator]
static ALLOCATOR: Routed = Routed;

fn early(memory: PhysRange) -> EarlyFrames {
    EarlyFrames::new(&BootInfo {
        machine: "test",
        cmdline: b"",
        memory: [memory].into_iter().collect(),
        reserved: Default::default(),
        initrd: None,
        cpus: Default::default(),
        cpus_found: 0,
        complaints: Default::default(),
    })
}

static FRAMES: FrameAllocator = FrameAllocator::new();

#[test]
fn the_worst_fragmentation_fits_the_reserve() {
    FRAMES.init(early(carve(32 << 20))).expect("memory");
    let managed = FRAMES.counts().managed;
    assert!(LARGEST.load(Ordering::Relaxed) <= 208, "a node of the B-tree has grown");
    let one = Request::of(Kind::Kernel);
    for round in 0..6u64 {
        let mut all: Vec<Option<Frame>> = vec![];
        while let Ok(frame) = FRAMES.alloc(one, None) {
            all.push(Some(frame));
        }
        assert_eq!(all.len(), managed);
        // Every other frame, in an order that differs by round: ascending, descending, or scattered.
        all.sort_by_key(|frame| frame.as_ref().map(|f| f.pfn().get()));
        let count = all.len() as u64;
        for i in 0..count {
            let at = match round % 3 {
                0 => i,
                1 => count - 1 - i,
                _ => i * 7919 % count,
            };
            if at % 2 == round / 3 {
                all[at as usize] = None;
            }
        }
        FRAMES.drain();
        assert!(FRAMES.counts().free >= managed / 2 - 1);
        drop(all);
        FRAMES.drain();
        assert_eq!(FRAMES.counts().free, managed);
    }
    assert_eq!(FRAMES.misuses(), 0);
    let used = FRAMES.most_nodes();
    let most = reserve::most_nodes(managed, 1);
    println!("{managed} frames: {used:?} nodes of {most:?}, {} requests", ROUTED.load(Ordering::Relaxed));
    assert!(used[0] > most[0] / 4, "the worst case was not even approached: {used:?} of {most:?}");
    assert!(used[1] > 0 && LARGEST.load(Ordering::Relaxed) > 112, "no inner node was ever needed");
}
