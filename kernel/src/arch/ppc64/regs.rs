//! Special-purpose registers and bits of the MSR (Power ISA v3.0B, Book III, chapters 4, 5 and 6).
//! IBM numbers bits from the left: MSR bit n is the mask `1 << (63 - n)`.

use core::arch::asm;

/// Data Storage Interrupt Status Register.
pub const DSISR: u32 = 18;
/// Data Address Register.
pub const DAR: u32 = 19;
/// Decrementer.
pub const DEC: u32 = 22;
/// Save/Restore Registers.
pub const SRR0: u32 = 26;
/// Save/Restore Registers.
pub const SRR1: u32 = 27;
/// Process Identification Register.
pub const PIDR: u32 = 48;
/// Facility Status and Control Register.
pub const FSCR: u32 = 153;
/// Hypervisor Facility Status and Control Register.
pub const HFSCR: u32 = 190;
/// Time Base.
pub const TB: u32 = 268;
/// Holds the CPU's area.
pub const SPRG0: u32 = 272;
/// Scratch of the interrupt entry.
pub const SPRG2: u32 = 274;
/// Hypervisor Save/Restore Registers.
pub const HSRR0: u32 = 314;
/// Hypervisor Save/Restore Registers.
pub const HSRR1: u32 = 315;
/// Logical Partitioning Control Register.
pub const LPCR: u32 = 318;
/// Logical Partition Identification Register.
pub const LPIDR: u32 = 319;
/// Partition Table Control Register.
pub const PTCR: u32 = 464;
/// Processor Stop Status and Control Register.
pub const PSSCR: u32 = 855;
/// Hardware Implementation Dependent register 0.
pub const HID0: u32 = 1008;
/// Processor Identification Register.
pub const PIR: u32 = 1023;

/// Bit 3: hypervisor state.
pub const MSR_HV: u64 = 1 << 60;
/// Bit 48: external interrupts.
pub const MSR_EE: u64 = 1 << 15;
/// Bit 58: translation of instruction fetches.
pub const MSR_IR: u64 = 1 << 5;
/// Bit 59: translation of loads and stores.
pub const MSR_DR: u64 = 1 << 4;
/// Bit 62: an interrupt can be recovered from.
pub const MSR_RI: u64 = 1 << 1;

/// HID0 bit 4 of POWER9: hypervisor interrupts arrive little-endian.
pub const HID0_HILE: u64 = 1 << 59;
/// HID0 bit 3 of POWER9: `attn` stops the machine.
pub const HID0_ATTN: u64 = 1 << 60;

/// Reads a special-purpose register.
pub fn mfspr<const N: u32>() -> u64 {
    let value: u64;
    // SAFETY: reading the registers above changes nothing.
    unsafe {
        asm!("mfspr {}, {n}", out(reg) value, n = const N, options(nomem, nostack, preserves_flags));
    };
    value
}

/// Writes a special-purpose register, and waits until that has its effect.
///
/// # Safety
/// As the register's meaning demands.
pub unsafe fn mtspr<const N: u32>(value: u64) {
    // SAFETY: the caller's.
    unsafe { asm!("mtspr {n}, {}", "isync", in(reg) value, n = const N, options(nostack, preserves_flags)) };
}

/// The machine state register.
pub fn msr() -> u64 {
    let value: u64;
    // SAFETY: reading changes nothing.
    unsafe { asm!("mfmsr {}", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The time base.
pub fn time_base() -> u64 {
    mfspr::<TB>()
}
