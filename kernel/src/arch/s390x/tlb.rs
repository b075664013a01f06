//! Invalidation of translations (POP chapter 3, "Translation-Lookaside Buffer"; chapter 10, the
//! instructions). All three act on every CPU.
//!
//! QEMU flushes late: IPTE and IDTE take effect at the end of its translation block, on this CPU
//! too. Each is therefore alone in a function that is not inlined: the function's return, a branch
//! to a register, ends the block, and what follows sees no old translation on any CPU. And QEMU's
//! IPTE flushes just the address that it is given: it must be the whole virtual address, not only
//! the page's index in the table, and no page table may serve two addresses.

use crate::arch::s390x_format::{ASCE_REGION_THIRD, REGION_LEVEL};
use core::arch::asm;

/// IDTE, bit 52 of the second operand: clear by ASCE, invalidate no entry.
const CLEAR_BY_ASCE: u64 = 1 << (63 - 52);
/// IDTE: bits 0-43 of the second operand tell the entry; the rest must be zero or counts further
/// entries.
const IDTE_ADDRESS: u64 = !0xf_ffff;

/// INVALIDATE PAGE TABLE ENTRY: sets the invalid bit of the page's entry and flushes the page in
/// all address spaces. `table` is the page table's origin, 2 KB aligned.
///
/// # Safety
/// `table` is the page table that translates `va` (whole pages), and no one uses the page any more.
#[inline(never)]
pub unsafe fn invalidate_page(table: u64, va: u64) {
    // SAFETY: the caller's promise.
    unsafe { asm!("ipte {t}, {v}", t = in(reg) table, v = in(reg) va, options(nostack)) };
}

/// INVALIDATE DAT TABLE ENTRY: sets the invalid bit of the entry for `va` in a region-third or
/// segment table, and flushes what was made through it. `table` is the table's origin.
///
/// # Safety
/// `table` is the table of that level which translates `va` in the space `asce`, and no one uses
/// what the entry maps any more.
#[inline(never)]
pub unsafe fn invalidate_table(level: usize, table: u64, asce: u64, va: u64) {
    // Bits 60-61 of the first operand: the table's type, as in an ASCE; a segment table's is 00.
    let table = table | if level == REGION_LEVEL { ASCE_REGION_THIRD } else { 0 };
    // SAFETY: the caller's promise. LLVM's operands are R1, R3, R2.
    unsafe {
        asm!("idte {t}, {a}, {v}", t = in(reg) table, a = in(reg) asce, v = in(reg) va & IDTE_ADDRESS,
             options(nostack));
    }
}

/// INVALIDATE DAT TABLE ENTRY, clearing by ASCE: flushes what was made through the space.
#[inline(never)]
pub fn flush_space(asce: u64) {
    // SAFETY: forgetting translations changes nothing that is mapped.
    unsafe {
        asm!("idte {z}, {a}, {o}", z = in(reg) 0u64, a = in(reg) asce, o = in(reg) CLEAR_BY_ASCE,
             options(nostack));
    }
}
