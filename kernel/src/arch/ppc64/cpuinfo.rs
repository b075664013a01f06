//! `/proc/cpuinfo`, as Linux prints it on this machine.

use super::platform::{self, Platform};
use crate::cpus::CpuSet;
use core::arch::asm;
use core::fmt;

/// The Processor Version Register: version and revision.
fn version() -> (u64, u64) {
    let pvr: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mfspr {}, 287", out(reg) pvr, options(nomem, nostack, preserves_flags)) };
    (pvr >> 16 & 0xffff, pvr & 0xffff)
}

/// The file.
pub fn print(to: &mut dyn fmt::Write, cpus: CpuSet) -> fmt::Result {
    let (version, revision) = version();
    let name = match version {
        0x004e => "POWER9",
        0x0080 => "POWER10",
        _ => "POWER",
    };
    let (name_behind, platform, model) = match platform::get() {
        Platform::Pseries => (" (architected)", "pSeries", "IBM pSeries (emulated by qemu)"),
        Platform::PowerNv => ("", "PowerNV", "IBM PowerNV (emulated by qemu)"),
    };
    for cpu in cpus.iter() {
        writeln!(to, "processor\t: {cpu}\ncpu\t\t: {name}{name_behind}, altivec supported")?;
        let (major, minor) = (revision >> 8 & 0xf, revision & 0xff);
        writeln!(to, "revision\t: {major}.{minor} (pvr {version:04x} {revision:04x})\n")?;
    }
    writeln!(to, "timebase\t: 512000000\nplatform\t: {platform}\nmodel\t\t: {model}")?;
    writeln!(to, "machine\t\t: CHRP {model}\nMMU\t\t: Radix")
}
