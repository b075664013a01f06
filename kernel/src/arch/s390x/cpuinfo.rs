//! `/proc/cpuinfo`, as Linux prints it on this machine.

use super::control;
use crate::cpus::CpuSet;
use core::arch::asm;
use core::fmt;

/// Facilities that Linux names in the line `features`.
const FEATURES: [(usize, &str); 9] = [
    (0, "esan3"),
    (2, "zarch"),
    (7, "stfle"),
    (17, "msa"),
    (18, "ldisp"),
    (21, "eimm"),
    (34, "highgprs"),
    (129, "vx"),
    (135, "vxe"),
];

/// STORE CPU ID: version, identification, machine type.
fn id() -> (u64, u64, u64) {
    let mut id = 0_u64;
    // SAFETY: stores eight bytes in `id`.
    unsafe { asm!("stidp 0({})", in(reg_addr) &raw mut id, options(nostack, preserves_flags)) };
    (id >> 56, id >> 32 & 0xff_ffff, id >> 16 & 0xffff)
}

/// The file.
pub fn print(to: &mut dyn fmt::Write, cpus: CpuSet) -> fmt::Result {
    let (version, identification, machine) = id();
    writeln!(to, "vendor_id       : IBM/S390")?;
    writeln!(to, "# processors    : {}", cpus.len())?;
    writeln!(to, "bogomips per cpu: 0.00")?;
    writeln!(to, "max thread id   : 0")?;
    write!(to, "features\t: ")?;
    for (facility, name) in FEATURES {
        if control::has_facility(facility) {
            write!(to, "{name} ")?;
        }
    }
    write!(to, "\nfacilities      :")?;
    for facility in (0..256).filter(|&facility| control::has_facility(facility)) {
        write!(to, " {facility}")?;
    }
    writeln!(to)?;
    for cpu in cpus.iter() {
        writeln!(
            to,
            "processor {cpu}: version = {version:02X},  identification = {identification:06X},  machine = {machine:04X}"
        )?;
    }
    for cpu in cpus.iter() {
        writeln!(to, "\ncpu number      : {cpu}\nversion         : {version:02X}")?;
        writeln!(to, "identification  : {identification:06X}\nmachine         : {machine:04X}")?;
    }
    Ok(())
}
