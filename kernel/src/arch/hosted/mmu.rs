//! Simulated RAM: an allocation of the host; "physical" addresses count from 0 within it.

#![expect(clippy::expect_used, reason = "a test machine: it stops where the test is wrong")]
use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use std::alloc::{Layout, alloc_zeroed};
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of simulated RAM.
pub const RAM_SIZE: u64 = 4 << 30;
/// It is aligned so, as real RAM is at physical address 0.
const RAM_ALIGN: usize = 1 << 20;

fn ram() -> usize {
    static RAM: OnceLock<usize> = OnceLock::new();
    *RAM.get_or_init(|| {
        // A small alignment makes the host hand out untouched pages, which cost nothing until they
        // are used; the border is found by hand.
        let layout = Layout::from_size_align(RAM_SIZE as usize + RAM_ALIGN, 8).expect("constants");
        // SAFETY: the size is not zero. The memory is never freed.
        let ram = unsafe { alloc_zeroed(layout) };
        assert!(!ram.is_null(), "no memory for the simulated RAM");
        ram.expose_provenance().next_multiple_of(RAM_ALIGN)
    })
}

/// A part of the RAM that no other test gets, aligned to 1 MB; the bytes are rounded up to that.
/// Panics when none is left.
pub fn carve(bytes: u64) -> PhysRange {
    // The first part stays unused: no address in it is taken for a real one by mistake.
    static NEXT: AtomicU64 = AtomicU64::new(RAM_ALIGN as u64);
    let size = bytes.next_multiple_of(RAM_ALIGN as u64);
    let start = NEXT.fetch_add(size, Ordering::Relaxed);
    assert!(start + size <= RAM_SIZE, "simulated RAM is used up: raise RAM_SIZE");
    PhysRange::sized(PhysAddr::new(start), size).expect("below RAM_SIZE")
}
/// Pointer to simulated RAM. Panics outside it.
pub fn linear(addr: PhysAddr) -> *mut u8 {
    assert!(addr.get() < RAM_SIZE, "no RAM at {addr}");
    core::ptr::with_exposed_provenance_mut(ram() + addr.get() as usize)
}
/// The reverse of `linear`. Panics for any other pointer.
pub fn linear_to_phys(pointer: *const u8) -> PhysAddr {
    let offset = pointer.addr().checked_sub(ram()).expect("a pointer into RAM") as u64;
    assert!(offset < RAM_SIZE, "not a pointer into RAM");
    PhysAddr::new(offset)
}
/// Nothing to do.
pub fn enable(_early: &mut EarlyFrames) -> Result<(), Errno> {
    Ok(())
}
/// The host protects its own.
pub fn sections() -> [(&'static str, Range<usize>); 3] {
    [("text", 0..0), ("rodata", 0..0), ("data", 0..0)]
}
/// The end of the block; the host has no guard.
///
/// # Safety
/// As on the machines.
pub unsafe fn stack_map(block: PhysAddr) -> Result<VirtAddr, Errno> {
    Ok(VirtAddr::new(linear(block).addr() as u64 + super::STACK_SIZE as u64))
}
/// The reverse of `stack_map`.
///
/// # Safety
/// As on the machines.
pub unsafe fn stack_unmap(end: VirtAddr) -> PhysAddr {
    linear_to_phys(core::ptr::with_exposed_provenance(end.get() as usize - super::STACK_SIZE))
}
/// Fills memory with a doubleword.
///
/// # Safety
/// As on the machines.
pub unsafe fn fill(to: *mut u8, value: u64, bytes: usize) {
    for word in 0..bytes / 8 {
        // SAFETY: within the memory (the caller).
        unsafe { to.cast::<u64>().add(word).write(value) };
    }
}
/// Copies memory.
///
/// # Safety
/// As on the machines.
pub unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { to.copy_from_nonoverlapping(from, bytes) };
}
