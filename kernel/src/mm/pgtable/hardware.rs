//! The machine's part: replacing entries that it may use, and making all CPUs forget.
//!
//! A thin wall before `arch::current::space`. A build for loom has no machine behind it: there the
//! entries are loom's, and what the checker looks for is the order of the kernel's own accesses.

use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::Page;
use crate::error::Errno;
use crate::sync::atomic::AtomicU64;

#[cfg(not(loom))]
pub use crate::arch::current::space::Space;

/// An address space as the hardware names it.
#[cfg(loom)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space(());

#[cfg(not(loom))]
mod imp {
    use super::*;
    use crate::arch::current::space;

    /// # Safety
    /// As `arch::current::space::create`.
    pub unsafe fn create(root: PhysAddr) -> Result<Space, Errno> {
        // SAFETY: the caller's promise.
        unsafe { space::create(root) }
    }
    /// # Safety
    /// As `arch::current::space::destroy`.
    pub unsafe fn destroy(dead: Space) {
        // SAFETY: the caller's promise.
        unsafe { space::destroy(dead) }
    }
    /// # Safety
    /// As `arch::current::space::activate`.
    pub unsafe fn activate(next: Space) {
        // SAFETY: the caller's promise.
        unsafe { space::activate(next) }
    }
    /// # Safety
    /// As `arch::current::space::replace_page`.
    pub unsafe fn replace_page(of: Space, slot: &AtomicU64, va: VirtAddr, new: u64) {
        // SAFETY: the caller's promise.
        unsafe { space::replace_page(of, slot, va, new) }
    }
    /// # Safety
    /// As `arch::current::space::replace_table`.
    pub unsafe fn replace_table(of: Space, level: usize, slot: &AtomicU64, va: VirtAddr, new: u64) {
        // SAFETY: the caller's promise.
        unsafe { space::replace_table(of, level, slot, va, new) }
    }
    pub fn flush_pages(of: Space, pages: &[VirtAddr], leaf_shift: u32) {
        space::flush_pages(of, pages, leaf_shift);
    }
    pub fn flush_all(of: Space) {
        space::flush_all(of);
    }
    pub fn deactivate() {
        space::deactivate();
    }
    /// An entry is about to refer to the page: if it may be executed, what was written there is what
    /// will be.
    pub fn new_code(page: Page, bytes: usize) {
        if page.access.execute {
            // SAFETY: a whole page, which the caller holds.
            unsafe { space::sync_code(page.addr, bytes) };
        }
    }
}

#[cfg(loom)]
mod imp {
    use super::*;
    use crate::arch::paging::to_memory;
    use crate::sync::atomic::Ordering;

    /// # Safety
    /// None.
    pub unsafe fn create(_root: PhysAddr) -> Result<Space, Errno> {
        Ok(Space(()))
    }
    /// # Safety
    /// None.
    pub unsafe fn destroy(_dead: Space) {}
    /// # Safety
    /// None.
    pub unsafe fn activate(_next: Space) {}
    /// # Safety
    /// None.
    pub unsafe fn replace_page(_of: Space, slot: &AtomicU64, _va: VirtAddr, new: u64) {
        slot.store(new, Ordering::Release);
    }
    /// # Safety
    /// None.
    pub unsafe fn replace_table(_of: Space, _level: usize, slot: &AtomicU64, _va: VirtAddr, new: u64) {
        slot.store(to_memory(new), Ordering::Release);
    }
    pub fn flush_pages(_of: Space, _pages: &[VirtAddr], _leaf_shift: u32) {}
    pub fn flush_all(_of: Space) {}
    pub fn deactivate() {}
    pub fn new_code(_page: Page, _bytes: usize) {}
}

pub(in crate::mm) use imp::*;
