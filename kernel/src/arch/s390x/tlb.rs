//! Invalidation of translations (POP chapter 3, "Translation-Lookaside Buffer").
//!
//! QEMU flushes late: IPTE, IDTE and CSPG take effect at the end of its translation block, on
//! this CPU too. Each is therefore alone in a function that is not inlined: the function's
//! return, a branch to a register, ends the block. And QEMU's IPTE flushes just the address that it is
//! given: it must be the whole virtual address, not only the page's index in the table.

use core::arch::asm;

/// INVALIDATE PAGE TABLE ENTRY: sets the invalid bit of the page's entry and flushes the page on
/// all CPUs, in all address spaces. `table` is the page table's origin (2 KB aligned).
///
/// # Safety
/// `table` is the page table that translates `va`, and no one uses the page any more.
#[inline(never)]
pub unsafe fn invalidate_page(table: u64, va: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("ipte {t}, {v}", t = in(reg) table, v = in(reg) va, options(nostack)) };
}
