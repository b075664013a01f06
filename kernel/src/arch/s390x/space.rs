//! Address spaces of programs, as the hardware knows them: an ASCE in CR1 and CR7.
//!
//! The kernel runs in home space and reaches the program's, the primary one, by MOVE WITH OPTIONAL
//! SPECIFICATIONS. CR7 holds the same ASCE because a program may switch itself to secondary space.
//!
//! TLB entries carry no number that could run out, so `create` cannot fail here; the result is for
//! ppc64, whose spaces are numbered.

use super::{control, mmu, tlb, usercopy};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::handlers::Fault;
use crate::arch::paging::{PagingFormat, to_memory};
use crate::arch::s390x_format::S390Dat;
use crate::error::Errno;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// An address space: its ASCE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space(u64);

impl Space {
    /// The ASCE.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// Makes a root known to the hardware.
///
/// # Safety
/// The root is a table of the format, and stays one until the space is destroyed.
pub unsafe fn create(root: PhysAddr) -> Result<Space, Errno> {
    Ok(Space(S390Dat::root(root)))
}

/// Forgets it.
///
/// # Safety
/// No CPU has it active.
pub unsafe fn destroy(space: Space) {
    tlb::flush_space(space.0);
}

/// This CPU's user accesses go through it from now on.
///
/// # Safety
/// Preemption is off, or the scheduler knows. The space is not destroyed while it is active.
pub unsafe fn activate(space: Space) {
    // SAFETY: the kernel runs in home space, which these do not concern.
    unsafe { set(space.0) };
}

/// This CPU has no user space: every user access faults.
pub fn deactivate() {
    // SAFETY: as above.
    unsafe { set(mmu::empty_space()) };
}

/// # Safety
/// The ASCE's tables live as long as it is loaded.
unsafe fn set(asce: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        control::set_cr1(asce);
        control::set_cr7(asce);
    }
}

/// Replaces a valid entry of a page table. IPTE flushes on all CPUs while it invalidates, so no
/// translation through the old value is left.
/// `new` is what is to stand in memory.
///
/// # Safety
/// `slot` is the entry that translates `va` in the space; its table's lock is held.
pub unsafe fn replace_page(_space: Space, slot: &AtomicU64, va: VirtAddr, new: u64) {
    let table = slot.as_ptr().addr() as u64 & !(TABLE_BYTES - 1);
    // SAFETY: the caller's promise; tables are aligned to their size.
    unsafe { tlb::invalidate_page(table, va.align_down(crate::arch::PAGE_SIZE).get()) };
    // Release: whoever reads the entry sees what was written to the page before.
    slot.store(new, Ordering::Release);
}
const TABLE_BYTES: u64 = S390Dat::LEVELS[S390Dat::LEVELS.len() - 1].bytes() as u64;

/// Replaces an entry of an upper table, which pointed to a table, by IDTE.
///
/// # Safety
/// `slot` is the entry of that level that translates `va` in the space; its table's lock is held.
pub unsafe fn replace_table(space: Space, level: usize, slot: &AtomicU64, va: VirtAddr, new: u64) {
    let bytes = S390Dat::LEVELS[level].bytes() as u64;
    let table = slot.as_ptr().addr() as u64 & !(bytes - 1);
    // SAFETY: the caller's promise; tables are aligned to their size.
    unsafe { tlb::invalidate_table(level, table, space.0, va.get()) };
    // Release: whoever reads the entry sees what was written to the new table before.
    slot.store(to_memory(new), Ordering::Release);
}

/// The functions that flush end QEMU's block ([`tlb`]); no stale read was ever seen behind them.
pub const FLUSH_ENDS: bool = true;

/// Nothing is left to do: `replace_page` has flushed each page on all CPUs, and had to, for IPTE
/// changes the entry and flushes in one.
pub fn flush_pages(_space: Space, _pages: &[VirtAddr], _leaf_shift: u32) {}

/// No CPU uses any old translation of the space when it returns.
pub fn flush_all(space: Space) {
    tlb::flush_space(space.0);
}

/// What was written to these pages is what will be executed there. The architecture wants nothing for
/// it; QEMU before 8.0 does: an instruction that stores a string of bytes (MVC, XC, MVCOS; the
/// compiler copies by the first) makes it forget translated code that contains the *first* byte, and
/// old code from the rest runs on if a program has the same address in the same frame. Stores of
/// doublewords are seen in full, so each is compared and swapped with itself: no store of another CPU
/// is lost. (A few microseconds a page, for pages with code.)
///
/// # Safety
/// Whole pages of memory.
#[inline(never)]
pub unsafe fn sync_code(page: PhysAddr, bytes: usize) {
    // SAFETY: in the pages; changes no byte.
    unsafe {
        asm!("2: lg {v}, 0({a})", "csg {v}, {v}, 0({a})", "la {a}, 8({a})", "brctg {n}, 2b",
             v = out(reg) _, a = inout(reg_addr) mmu::linear(page) => _, n = inout(reg) bytes / 8 => _,
             options(nostack));
    }
}

/// Loads a doubleword from the active user space.
pub fn user_load(va: VirtAddr) -> Result<u64, Fault> {
    let mut value = 0_u64;
    // SAFETY: eight bytes of `value`.
    unsafe { usercopy::from_user((&raw mut value).cast(), va, size_of::<u64>())? };
    Ok(value)
}

/// Stores a doubleword to the active user space.
///
/// # Safety
/// If it can be stored, it may.
pub unsafe fn user_store(va: VirtAddr, value: u64) -> Result<(), Fault> {
    // SAFETY: eight bytes of `value`.
    unsafe { usercopy::to_user(va, (&raw const value).cast(), size_of::<u64>()) }
}
