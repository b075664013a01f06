//! Special-purpose registers and bits of the MSR (Power ISA v3.0B, Book III).
//! IBM numbers bits from the left: MSR bit n is the mask `1 << (63 - n)`.

use core::arch::asm;

/// Authority Mask Register: keys that may not be used, in pages that no entry here gives one.
pub const AMR: u32 = 29;
/// Instruction Authority Mask Register.
pub const IAMR: u32 = 61;
/// User Authority Mask Override Register: what a program may change of the AMR.
pub const UAMOR: u32 = 157;
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
/// Vector Save Register: what software says of the vector registers.
pub const VRSAVE: u32 = 256;
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
/// Target Address Register.
pub const TAR: u32 = 815;
/// Processor Stop Status and Control Register.
pub const PSSCR: u32 = 855;
/// Hardware Implementation Dependent register 0.
pub const HID0: u32 = 1008;
/// Program Priority Register.
pub const PPR: u32 = 896;
/// Processor Identification Register.
pub const PIR: u32 = 1023;

/// Bit 0: 64-bit.
pub const MSR_SF: u64 = 1 << 63;
/// Bit 3: hypervisor state.
pub const MSR_HV: u64 = 1 << 60;
/// Bit 38: vector.
pub const MSR_VEC: u64 = 1 << 25;
/// Bit 40: VSX.
pub const MSR_VSX: u64 = 1 << 23;
/// Bit 48: external interrupts.
pub const MSR_EE: u64 = 1 << 15;
/// Bit 49: problem state.
pub const MSR_PR: u64 = 1 << 14;
/// Bit 50: floating point.
pub const MSR_FP: u64 = 1 << 13;
/// Bit 51: machine checks.
pub const MSR_ME: u64 = 1 << 12;
/// Bits 52 and 55: both on, floating-point exceptions are precise.
pub const MSR_FE0: u64 = 1 << 11;
/// See `MSR_FE0`.
pub const MSR_FE1: u64 = 1 << 8;
/// Bit 58: translation of instruction fetches.
pub const MSR_IR: u64 = 1 << 5;
/// Bit 59: translation of loads and stores.
pub const MSR_DR: u64 = 1 << 4;
/// Bit 62: an interrupt can be recovered from.
pub const MSR_RI: u64 = 1 << 1;
/// Bit 63: little-endian.
pub const MSR_LE: u64 = 1;

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
