//! From what the firmware left to a heap.

use ::log::info;
use fallow::boot::{BootInfo, EarlyFrames};
use fallow::mm::frame::OnFree;
use fallow::mm::{self, heap::Global, stats::kb};
use fallow::{addr::PhysAddr, arch::current::mmu, cmdline};

#[global_allocator]
static ALLOCATOR: Global = Global(mm::kernel_heap());

/// Turns translation on and hands the memory to the frame allocator.
pub fn init(info: &BootInfo) {
    let line = cmdline::get();
    let mut early = EarlyFrames::new(info);
    if let Some(bytes) = line.size("mem") {
        early.limit(PhysAddr::new(bytes));
    }
    let bytes = early.bytes();
    if let Err(error) = mmu::enable(&mut early).and_then(|()| mm::init(early)) {
        panic!("{} kB of free memory are too little: {error:?}", bytes >> 10);
    }
    if line.text("init_on_free") == Some(b"1") {
        mm::frames().set_on_free(OnFree::Zero);
    } else if let Some(value) = line.text("page_poison") {
        let poison = value == b"1";
        mm::frames().set_on_free(if poison { OnFree::Poison } else { OnFree::Keep });
        if poison {
            mm::pgtable::audit::poison_free_tables();
        }
    }
    let all: u64 = info.memory.iter().map(|range| range.size()).sum();
    let counts = mm::frames().counts();
    let reserved = (all >> 10).saturating_sub(kb(counts.managed));
    info!(target: "mm", "{} kB of memory, {reserved} kB reserved, frames: {counts}", all >> 10);
}
