//! `/proc/cpuinfo` of the simulation.

use crate::cpus::CpuSet;
use core::fmt;

/// The file.
pub fn print(to: &mut dyn fmt::Write, cpus: CpuSet) -> fmt::Result {
    cpus.iter().try_for_each(|cpu| writeln!(to, "processor\t: {cpu}\nmodel\t\t: simulated\n"))
}
