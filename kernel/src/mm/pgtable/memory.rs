//! Entries in memory: one atomic doubleword each, never a reference to a table (H21).
//!
//! Outside a build for loom they are reached through the linear map. Loom must make every atomic
//! itself, so there the memory is a small array of its own, one for each run of the model.

use crate::addr::PhysAddr;
use crate::sync::atomic::AtomicU64;

/// The entry at that address.
///
/// # Safety
/// A page-table page covers it for `'a`, and nothing but entries is stored there meanwhile.
#[cfg(not(loom))]
#[inline(always)]
pub unsafe fn entry<'a>(at: PhysAddr) -> &'a AtomicU64 {
    debug_assert!(at.is_aligned(8));
    // SAFETY: memory in the linear map, aligned, and atomic for all who use it (the caller).
    unsafe { &*crate::arch::current::mmu::linear(at).cast() }
}

/// The entry at that address.
///
/// # Safety
/// None here: the memory is there for the whole run.
#[cfg(loom)]
pub unsafe fn entry<'a>(at: PhysAddr) -> &'a AtomicU64 {
    let word: &AtomicU64 = &MEMORY[(at.get() / 8) as usize];
    // SAFETY: loom keeps its statics until the run is over, and the tests keep nothing longer.
    unsafe { &*core::ptr::from_ref(word) }
}

/// Fills so many entries, from that address on, which nobody else sees.
///
/// # Safety
/// A page-table page covers them, and they are the caller's alone.
#[cfg(not(loom))]
pub unsafe fn fill(at: PhysAddr, entry: u64, entries: usize) {
    use crate::arch::current::mmu;
    // SAFETY: memory in the linear map, the caller's; a table is aligned to its size, 256 bytes at least.
    unsafe { mmu::fill(mmu::linear(at), entry, entries * crate::arch::paging::ENTRY_BYTES) };
}

/// Fills so many entries, from that address on, which nobody else sees.
///
/// # Safety
/// None here.
#[cfg(loom)]
pub unsafe fn fill(at: PhysAddr, value: u64, entries: usize) {
    for index in 0..entries as u64 {
        // SAFETY: none is needed.
        let word = unsafe { entry(PhysAddr::new(at.get() + 8 * index)) };
        word.store(value, crate::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(loom)]
loom::lazy_static! {
    static ref MEMORY: [AtomicU64; 48] = core::array::from_fn(|_| AtomicU64::new(0));
}
