//! Frame allocators for tests, each on simulated RAM of its own.
#![expect(clippy::expect_used, reason = "tests stop where the test is wrong")]

use super::frame::FrameAllocator;
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::current::mmu::carve;
use crate::boot::{BootInfo, EarlyFrames, Reserved};
use arrayvec::ArrayVec;

/// What boot code would say of the range, with parts of it reserved.
pub fn early(memory: PhysRange, reserved: &[PhysRange]) -> EarlyFrames {
    EarlyFrames::new(&BootInfo {
        machine: "test",
        cmdline: b"",
        memory: [memory].into_iter().collect(),
        reserved: reserved.iter().map(|&range| Reserved { range, owner: "test" }).collect(),
        initrd: None,
        cpus: ArrayVec::new(),
        cpus_found: 0,
        complaints: ArrayVec::new(),
    })
}

/// `frames` frames (rounded up to 1 MB), less what the descriptors take.
pub fn frames(frames: u64) -> &'static FrameAllocator {
    let allocator: &'static FrameAllocator = Box::leak(Box::new(FrameAllocator::new()));
    let memory = carve(frames * crate::arch::PAGE_SIZE);
    allocator.init(early(memory, &[])).expect("enough memory");
    allocator
}

/// A range of `frames` frames, `first` frames into `memory`.
pub fn part(memory: PhysRange, first: u64, frames: u64) -> PhysRange {
    let page = crate::arch::PAGE_SIZE;
    let start = PhysAddr::new(memory.start().get() + first * page);
    PhysRange::sized(start, frames * page).expect("inside memory")
}
