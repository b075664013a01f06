//! Forgetting translations: `tlbie` (Power ISA v3.0B, Book III, "TLB Management
//! Instructions"), on all CPUs.
//!
//! | operand | meaning |
//! |---|---|
//! | RB | address, actual page size in bits 56-58; or what is meant by it in bits 52-53 (IS) |
//! | RS | PID in the upper half, LPID (0) in the lower |
//! | RIC | 0: TLB only; 1: page-walk cache only; 2: both, and cached process-table entries |
//! | PRS = 1, R = 1 | process-scoped, radix |
//!
//! Every store to a table must be followed by `ptesync` before the `tlbie`, and the end is waited for by
//! `eieio; tlbsync; ptesync` (5.10.1, "Translation Table Updates"). QEMU 7.2 does not wait: another CPU goes on with the old
//! translation to the end of its block of instructions.

use core::arch::asm;

/// IS = 1: all of the PID.
const ALL_OF_PID: u64 = 1 << 10;
/// IS = 2: all of the LPID.
const ALL_OF_LPID: u64 = 2 << 10;

fn begin() {
    // SAFETY: only orders.
    unsafe { asm!("ptesync", options(nostack, preserves_flags)) };
}

fn end() {
    // SAFETY: only orders.
    unsafe { asm!("eieio", "tlbsync", "ptesync", options(nostack, preserves_flags)) };
}

fn everything(rb: u64, pid: u64) {
    begin();
    // SAFETY: translations are only forgotten.
    unsafe {
        asm!("tlbie {}, {}, 2, 1, 1", in(reg) rb, in(reg) pid << 32, options(nostack, preserves_flags))
    };
    end();
}

/// All translations of this partition.
pub fn flush_all() {
    everything(ALL_OF_LPID, 0);
}

/// All translations of the PID, with its page-walk cache and process-table entry.
pub fn flush_pid(pid: u64) {
    everything(ALL_OF_PID, pid);
}

/// The translations of these pages, whose size has that logarithm: 12 or 16.
pub fn flush_pages(pid: u64, pages: impl Iterator<Item = u64>, shift: u32) {
    // Actual page size, as the device tree lists them for POWER9 (`ibm,processor-radix-AP-encodings`).
    let size: u64 = if shift == 16 { 5 } else { 0 };
    begin();
    for page in pages {
        let rb = page & !0xfff | size << 5;
        // SAFETY: translations are only forgotten.
        unsafe {
            asm!("tlbie {}, {}, 0, 1, 1", in(reg) rb, in(reg) pid << 32, options(nostack, preserves_flags))
        };
    }
    end();
}
