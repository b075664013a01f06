//! The ns16550a of powernv9: `uart_16550` over a register access of our own.
//!
//! The registers must be accessed without the cache, by two ways: while translation is off by the
//! instructions that say so themselves (`lbzcix`, `stbcix`: Power ISA v3.0B, Book III, "Fixed-Point
//! Facility"), later
//! through the linear map, where `mmu` maps the page as guarded and cache-inhibited. The crate's own
//! MMIO backend knows the second only. skiboot has set up speed and FIFO.

use super::LINEAR;
use super::regs::{MSR_DR, msr};
use core::arch::asm;
use uart_16550::backend::Backend;

/// Registers at a real address.
///
/// # Invariants
/// A 16550's eight registers are there, mapped by `mmu` once translation is on.
#[derive(Debug)]
pub struct Registers(u64);

impl Registers {
    /// The registers at the real address.
    ///
    /// # Safety
    /// The type's invariant.
    pub const unsafe fn new(real: u64) -> Self {
        Self(real)
    }
}

impl Backend for Registers {
    unsafe fn read(&mut self, offset: u8) -> u8 {
        let address = self.0 + u64::from(offset);
        if msr() & MSR_DR != 0 {
            let pointer = core::ptr::with_exposed_provenance::<u8>((LINEAR | address) as usize);
            // SAFETY: the type's invariant. eieio: device accesses stay in order.
            unsafe {
                asm!("eieio", options(nostack, preserves_flags));
                pointer.read_volatile()
            }
        } else {
            let value: u64;
            // SAFETY: the type's invariant; translation is off.
            unsafe {
                asm!("eieio", "lbzcix {}, 0, {}", out(reg) value, in(reg) address,
                    options(nostack, preserves_flags));
            }
            value as u8
        }
    }

    unsafe fn write(&mut self, offset: u8, value: u8) {
        let address = self.0 + u64::from(offset);
        if msr() & MSR_DR != 0 {
            let pointer = core::ptr::with_exposed_provenance_mut::<u8>((LINEAR | address) as usize);
            // SAFETY: as in `read`.
            unsafe {
                asm!("eieio", options(nostack, preserves_flags));
                pointer.write_volatile(value);
            }
        } else {
            // SAFETY: as in `read`.
            unsafe {
                asm!("eieio", "stbcix {}, 0, {}", in(reg) u64::from(value), in(reg) address,
                    options(nostack, preserves_flags));
            }
        }
    }
}
