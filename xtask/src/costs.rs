//! `run-qemu.sh costs`: what the kernel's services cost in guest instructions, on one CPU under
//! icount, where a run is the same every time. With `--linux` the same program on Debian's Linux.

use crate::cputime::Turns;
use crate::guest::{self, Input, Manner, Patience};
use crate::kernel::{self, Profile};
use crate::machine::{Arch, Guest, Machine};
use crate::needs::{self, Purpose};
use crate::progress::Progress;
use crate::qemu::Qemu;
use crate::toolchain::Toolchain;
use crate::userland::{self, Contents};
use crate::{debian, programs, stop};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Prints a table; the result is the runner's exit status.
pub fn costs(linux: bool, folder: Option<&Path>) -> anyhow::Result<u8> {
    let progress = Progress::new();
    needs::provide(Purpose::All, folder, &progress)?;
    let toolchain = Toolchain::find()?;
    let mut columns = Vec::new();
    for machine in [Machine::S390x, Machine::Pseries] {
        let bench = Bench::new(machine, linux, &toolchain, folder, &progress)?;
        columns.push(bench.counted()?);
    }
    println!("{:<48} {:>10} {:>10}", format!("instructions, {}", name(linux)), "s390x", "pseries");
    for Figure { name, value, unit } in &columns[0] {
        let other = columns[1].iter().find(|other| other.name == *name).map_or(0, |other| other.value);
        println!("{name:<48} {value:>10} {other:>10} {unit}");
    }
    Ok(stop::PASS)
}

/// The system's name.
pub const fn name(linux: bool) -> &'static str {
    if linux { "Linux" } else { "Fallow" }
}

/// What a program of the guest has measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figure {
    /// Of what.
    pub name: String,
    /// How much; instructions, if there is no unit.
    pub value: u64,
    /// `kB`, or nothing.
    pub unit: &'static str,
}

impl Figure {
    /// From a line `cost NAME: N ns` or `cost NAME: N kB`.
    fn read(line: &str, machine: Machine) -> Option<Self> {
        let (name, rest) = line.strip_prefix("cost ")?.rsplit_once(": ")?;
        let (number, unit) = rest.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        let (value, unit) = match unit {
            "ns" => (number / machine.icount_ns(), ""),
            "kB" => (number, "kB"),
            _ => return None,
        };
        Some(Self { name: name.to_owned(), value, unit })
    }
}

/// A machine with a system, to measure on.
pub struct Bench<'a> {
    /// Which machine.
    pub machine: Machine,
    linux: bool,
    image: PathBuf,
    program: PathBuf,
    busybox: PathBuf,
    qemu: Qemu,
    progress: &'a Progress,
}

impl<'a> Bench<'a> {
    /// Builds, or fetches, what is needed.
    pub fn new(
        machine: Machine,
        linux: bool,
        toolchain: &Toolchain,
        folder: Option<&Path>,
        progress: &'a Progress,
    ) -> anyhow::Result<Self> {
        let arch: Arch = machine.arch();
        let image = match linux {
            true => debian::linux(arch, progress)?,
            false => kernel::build(arch, Profile::Release, toolchain, progress)?,
        };
        let program = programs::build(arch, toolchain, progress)?;
        let busybox = debian::busybox(arch, progress)?;
        Ok(Self { machine, linux, image, program, busybox, qemu: Qemu::find(arch, folder)?, progress })
    }

    /// The costs, counted.
    pub fn counted(&self) -> anyhow::Result<Vec<Figure>> {
        let guest = Guest { cpus: 1, icount: true, ..Guest::new(self.machine) };
        let lines = self.run(guest, Some("costs"))?;
        Ok(lines.iter().filter_map(|line| Figure::read(line, self.machine)).collect())
    }

    /// Instructions from the machine's start to the first program's.
    pub fn boot(&self) -> anyhow::Result<Figure> {
        let path = format!("/bin/{}", programs::NAME);
        // Linux has two words for it. What follows the dashes are the program's words.
        let word = if self.linux { "rdinit" } else { "init" };
        let append = format!("{word}={path} -- boot");
        let guest = Guest { cpus: 1, icount: true, append, ..Guest::new(self.machine) };
        let lines = self.run(guest, None)?;
        lines.iter().find_map(|line| Figure::read(line, self.machine)).context("the boot was not measured")
    }

    /// The lines of a race of so many seconds with so many readers, as many CPUs as that wants. The last says
    /// how much of its rate the writer keeps for the time that its CPU has.
    pub fn race(&self, seconds: u64, readers: u32) -> anyhow::Result<Vec<String>> {
        let guest = Guest { cpus: 1 + readers, ..Guest::new(self.machine) };
        let mut turns = Turns::default();
        let words = format!("race {seconds} {readers}");
        let mut lines = self.run_and_hear(guest, Some(&words), &mut |line| turns.hear(line))?;
        lines.retain(|line| line.starts_with("race "));
        lines.extend(turns.kept().map(|kept| format!("race rate for the CPU's time: {kept:.3}")));
        Ok(lines)
    }

    /// Runs the program with these words; or as the first program, with those of the command line.
    fn run(&self, guest: Guest, words: Option<&str>) -> anyhow::Result<Vec<String>> {
        self.run_and_hear(guest, words, &mut |_| ())
    }

    /// The same, and `hear` gets each line as it comes.
    fn run_and_hear(
        &self,
        mut guest: Guest,
        words: Option<&str>,
        hear: &mut dyn FnMut(&str),
    ) -> anyhow::Result<Vec<String>> {
        let (system, machine) = (name(self.linux), self.machine.name());
        let what = words.unwrap_or("boot");
        let task = self.progress.start(&format!("measuring {what} of {system} on {machine}"));
        let command = words.map(|words| format!("{} {words}", programs::NAME));
        let contents = Contents {
            busybox: self.busybox.clone(),
            programs: vec![(programs::NAME, self.program.clone())],
            run: command.as_deref(),
            terminal: None,
        };
        let disk = userland::disk(&contents)?;
        if self.linux {
            // What Linux does against leaks of real processors is not what is compared.
            guest.append = format!("{} mitigations=off {}", debian::WORDS, guest.append);
        }
        guest.initrd = Some(disk.path());
        let mut arguments = guest.arguments(&self.image, self.qemu.version)?;
        arguments.extend(["-name", "bench,debug-threads=on"].map(String::from));
        let manner = Manner { patience: Patience::Scaled, input: Input::None, catch_signals: true };
        let mut rest = String::new();
        let finished = guest::run(&self.qemu, &arguments, manner, |bytes| {
            rest.push_str(&String::from_utf8_lossy(bytes));
            while let Some((line, more)) = rest.split_once('\n') {
                task.at(line);
                hear(line.trim_end_matches('\r'));
                rest = more.to_owned();
            }
            Ok(())
        })?;
        if words.is_some() && finished.console.command_status != Some(0) {
            let tail = finished.console.tail(5).join(" | ");
            return Err(stop::with(
                stop::FAILED,
                format!("{system} on {machine}: {what}; last seen: {tail}"),
            ));
        }
        Ok(finished.console.lines().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let read = |line| Figure::read(line, Machine::Pseries);
        let figure = |name: &str, value, unit| Some(Figure { name: name.into(), value, unit });
        assert_eq!(read("cost null call: 1608 ns"), figure("null call", 402, ""));
        assert_eq!(read("cost a: b: 12 kB"), figure("a: b", 12, "kB"));
        for line in ["cost x: ns", "cost x: 1 s", "costs x: 1 ns", "cost x 1 ns"] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
