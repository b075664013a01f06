//! The machines Fallow boots on, and what QEMU must be told to be one of them.
//!
//! Every machine is named in full, CPU included: what plain `pseries` or `powernv` means changes
//! from one QEMU to the next. `-nodefaults` takes away what Fallow has no driver for; on powernv9
//! it saves the firmware six seconds of training links to empty PCI bridges, but it takes the BMC
//! as well, without which power-off hangs, so that is given back by hand.

use crate::qemu::Version;
use crate::stop;
use std::path::{Path, PathBuf};

/// An instruction set: one kernel image each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arch {
    /// IBM Z, big-endian.
    S390x,
    /// POWER9, little-endian.
    Ppc64,
}

impl Arch {
    /// Both.
    pub const ALL: [Self; 2] = [Self::S390x, Self::Ppc64];

    /// The short name, as on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S390x => "s390x",
            Self::Ppc64 => "ppc64",
        }
    }

    /// What cargo calls the target, from the folder `kernel/`.
    pub const fn target(self) -> &'static str {
        match self {
            Self::S390x => "s390x-unknown-none-softfloat",
            Self::Ppc64 => "../targets/powerpc64le-unknown-none.json",
        }
    }

    /// The folder cargo builds it in.
    pub const fn target_folder(self) -> &'static str {
        match self {
            Self::S390x => "s390x-unknown-none-softfloat",
            Self::Ppc64 => "powerpc64le-unknown-none",
        }
    }

    /// The linker the kernel's build names.
    pub const fn linker(self) -> &'static str {
        match self {
            Self::S390x => "s390x-linux-gnu-ld",
            Self::Ppc64 => "powerpc64le-linux-gnu-ld",
        }
    }

    /// The emulator.
    pub const fn qemu(self) -> &'static str {
        match self {
            Self::S390x => "qemu-system-s390x",
            Self::Ppc64 => "qemu-system-ppc64",
        }
    }
}

/// A machine of QEMU's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// `s390-ccw-virtio`: the one s390x machine.
    S390x,
    /// `powernv9`: bare POWER9 under skiboot.
    Powernv9,
    /// `pseries` with QEMU's tiny firmware (VOF).
    Pseries,
    /// `pseries` with SLOF, a real Open Firmware.
    PseriesSlof,
}

impl Machine {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::S390x, Self::Powernv9, Self::Pseries, Self::PseriesSlof];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::S390x => "s390x",
            Self::Powernv9 => "powernv9",
            Self::Pseries => "pseries",
            Self::PseriesSlof => "pseries-slof",
        }
    }

    /// Its instruction set.
    pub const fn arch(self) -> Arch {
        match self {
            Self::S390x => Arch::S390x,
            Self::Powernv9 | Self::Pseries | Self::PseriesSlof => Arch::Ppc64,
        }
    }

    /// Finds the machine from the first word and from `--machine`.
    pub fn choose(arch: Option<&str>, machine: Option<&str>) -> anyhow::Result<Self> {
        let wanted = match arch {
            None => None,
            Some("s390x") => Some(Arch::S390x),
            Some("ppc64" | "ppc64le") => Some(Arch::Ppc64),
            Some(other) => {
                return Err(stop::usage(format!("unknown architecture '{other}': s390x or ppc64")));
            }
        };
        let Some(name) = machine else {
            return Ok(match wanted {
                None | Some(Arch::S390x) => Self::S390x,
                Some(Arch::Ppc64) => Self::Powernv9,
            });
        };
        let found = Self::ALL.into_iter().find(|machine| machine.name() == name).or(
            // QEMU's own name for the only s390x machine.
            (name == "s390-ccw-virtio").then_some(Self::S390x),
        );
        match (found, wanted) {
            (None, _) => Err(stop::usage(format!(
                "unknown machine '{name}': s390x, powernv9, pseries or pseries-slof"
            ))),
            (Some(machine), Some(arch)) if machine.arch() != arch => {
                Err(stop::usage(format!("{name} is no {} machine", arch.name())))
            }
            (Some(machine), _) => Ok(machine),
        }
    }

    /// Memory if nobody says: enough for everything, little enough to start at once.
    pub const fn default_memory_mb(self) -> u32 {
        match self {
            Self::S390x => 512,
            Self::Powernv9 | Self::Pseries | Self::PseriesSlof => 1024,
        }
    }

    /// The least memory the kernel supports there; on powernv9 QEMU itself wants 1 GB.
    pub const fn least_memory_mb(self) -> u32 {
        match self {
            Self::S390x => 64,
            Self::Pseries | Self::PseriesSlof => 256,
            Self::Powernv9 => 1024,
        }
    }

    /// Whether the end of QEMU tells a panic from a power-off: powernv9 has no such way before
    /// QEMU 10, where only the console tells.
    pub fn has_status(self, version: Version) -> bool {
        self != Self::Powernv9 || version >= Version::new(10, 0)
    }

    /// Whether a CPU with interrupts off can be made to say what it does: the firmware of powernv9
    /// resets no CPU before QEMU 10.
    pub fn reaches_deaf_cpus(self, version: Version) -> bool {
        self != Self::Powernv9 || version >= Version::new(10, 0)
    }

    /// The argument of `-icount`, with which a guest's clock counts instructions; `None` where
    /// that QEMU dies of it.
    pub fn icount(self, version: Version) -> Option<&'static str> {
        match self {
            Self::S390x => Some("shift=0,sleep=off"),
            Self::Powernv9 if version < Version::new(10, 0) => None,
            Self::Powernv9 | Self::Pseries | Self::PseriesSlof => Some("shift=2,sleep=off"),
        }
    }

    /// Nanoseconds of guest clock that one instruction takes under [`Machine::icount`].
    pub const fn icount_ns(self) -> u64 {
        match self {
            Self::S390x => 1,
            Self::Powernv9 | Self::Pseries | Self::PseriesSlof => 4,
        }
    }

    /// What makes QEMU this machine.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::S390x => &["-M", "s390-ccw-virtio", "-cpu", "max"],
            Self::Powernv9 => &[
                "-M",
                "powernv9",
                "-cpu",
                "power9",
                "-device",
                "ipmi-bmc-sim,id=bmc0",
                "-device",
                "isa-ipmi-bt,bmc=bmc0,irq=10",
            ],
            // The cap- settings take back promises that TCG cannot keep and would warn about.
            Self::Pseries => &[
                "-M",
                "pseries,x-vof=on,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
                "-cpu",
                "power9",
            ],
            Self::PseriesSlof => &[
                "-M",
                "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off",
                "-cpu",
                "power9",
            ],
        }
    }
}

/// A guest to start.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The machine.
    pub machine: Machine,
    /// How many CPUs.
    pub cpus: u32,
    /// How much memory.
    pub memory_mb: u32,
    /// The kernel command line.
    pub append: String,
    /// The initial RAM disk.
    pub initrd: Option<String>,
    /// Another firmware than the machine's own.
    pub firmware: Option<PathBuf>,
    /// Another kernel than the one that was built.
    pub kernel: Option<PathBuf>,
    /// Count instructions instead of following the host's clock.
    pub icount: bool,
    /// Wait for gdb on that port.
    pub gdb: Option<u16>,
}

impl Guest {
    /// The machine as it comes.
    pub fn new(machine: Machine) -> Self {
        Self {
            machine,
            cpus: 2,
            memory_mb: machine.default_memory_mb(),
            append: String::new(),
            initrd: None,
            firmware: None,
            kernel: None,
            icount: false,
            gdb: None,
        }
    }

    /// QEMU's command line for it.
    pub fn arguments(&self, kernel: &Path, version: Version) -> anyhow::Result<Vec<String>> {
        let mut all: Vec<String> = self.machine.arguments().iter().map(ToString::to_string).collect();
        let mut add = |words: &[&str]| all.extend(words.iter().map(ToString::to_string));
        add(&["-smp", &self.cpus.to_string(), "-m", &self.memory_mb.to_string()]);
        add(&["-nodefaults", "-display", "none", "-monitor", "none", "-serial", "stdio"]);
        // Without the action a panic would look like success.
        add(&["-no-reboot", "-action", "panic=exit-failure"]);
        if let Some(firmware) = &self.firmware {
            add(&["-bios", &firmware.display().to_string()]);
        }
        add(&["-kernel", &self.kernel.as_deref().unwrap_or(kernel).display().to_string()]);
        if !self.append.is_empty() {
            add(&["-append", &self.append]);
        }
        if let Some(initrd) = &self.initrd {
            add(&["-initrd", initrd]);
        }
        if self.icount {
            let setting = self.machine.icount(version).ok_or_else(|| {
                stop::usage(format!("--icount does not work on powernv9 before QEMU 10 (this is {version})"))
            })?;
            // The date as well is the same every time, and tells how long ago the machine began: QEMU rounds
            // that of s390x, unless its seconds since 1970 are a multiple of 125.
            add(&["-icount", setting, "-rtc", "base=2000-01-01T00:01:15,clock=vm"]);
        }
        if let Some(port) = self.gdb {
            add(&["-S", "-gdb", &format!("tcp:127.0.0.1:{port}")]);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_follows_from_either_word() {
        let choose = |arch, machine| Machine::choose(arch, machine).map_err(|error| error.to_string());
        assert_eq!(choose(None, None), Ok(Machine::S390x));
        assert_eq!(choose(Some("ppc64"), None), Ok(Machine::Powernv9));
        assert_eq!(choose(None, Some("pseries")), Ok(Machine::Pseries));
        assert_eq!(choose(Some("ppc64"), Some("pseries-slof")), Ok(Machine::PseriesSlof));
        assert_eq!(choose(Some("arm"), None), Err("unknown architecture 'arm': s390x or ppc64".into()));
        assert_eq!(choose(Some("s390x"), Some("pseries")), Err("pseries is no s390x machine".into()));
        assert!(choose(None, Some("virt")).unwrap_err().starts_with("unknown machine 'virt'"));
    }

    #[test]
    fn only_powernv9_of_old_qemu_has_no_status() {
        let (old, new) = (Version::new(7, 2), Version::new(10, 0));
        assert!(!Machine::Powernv9.has_status(old) && Machine::Powernv9.has_status(new));
        assert!(Machine::S390x.has_status(old) && Machine::Pseries.has_status(old));
    }

    #[test]
    fn icount_is_refused_where_qemu_dies_of_it() {
        let mut guest = Guest::new(Machine::Powernv9);
        guest.icount = true;
        let kernel = Path::new("k");
        assert!(guest.arguments(kernel, Version::new(7, 2)).is_err());
        assert!(guest.arguments(kernel, Version::new(10, 0)).is_ok());
    }

    #[test]
    fn a_panic_never_looks_like_success() {
        for machine in Machine::ALL {
            let line = Guest::new(machine).arguments(Path::new("k"), Version::new(7, 2)).unwrap().join(" ");
            assert!(line.contains("-no-reboot -action panic=exit-failure"), "{line}");
        }
    }
}
