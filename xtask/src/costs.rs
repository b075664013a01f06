//! `run-qemu.sh costs`: what the kernel's services cost in guest instructions, on one CPU under
//! icount, where a run is the same every time. With `--linux` the same program on Debian's Linux.

use crate::guest::{self, Input, Manner, Patience};
use crate::kernel::{self, Profile};
use crate::machine::{Arch, Guest, Machine};
use crate::needs::{self, Purpose};
use crate::progress::Progress;
use crate::qemu::Qemu;
use crate::toolchain::Toolchain;
use crate::userland::{self, Contents};
use crate::{debian, programs, stop};
use std::path::Path;

/// Prints a table; the result is the runner's exit status.
pub fn costs(linux: bool, folder: Option<&Path>) -> anyhow::Result<u8> {
    let progress = Progress::new();
    needs::provide(Purpose::All, folder, &progress)?;
    let toolchain = Toolchain::find()?;
    let mut columns = Vec::new();
    for machine in [Machine::S390x, Machine::Pseries] {
        let arch = machine.arch();
        let image = match linux {
            true => debian::linux(arch, &progress)?,
            false => kernel::build(arch, Profile::Release, &toolchain, &progress)?,
        };
        let program = programs::build(arch, &toolchain, &progress)?;
        columns.push(measure(machine, linux, &image, &program, folder, &progress)?);
    }
    let system = if linux { "Linux" } else { "Fallow" };
    println!("{:<42} {:>10} {:>10}", format!("instructions, {system}"), "s390x", "pseries");
    for (name, count) in &columns[0] {
        let other = columns[1].iter().find(|(own, _)| own == name).map_or(0, |(_, count)| *count);
        println!("{name:<42} {count:>10} {other:>10}");
    }
    Ok(stop::PASS)
}

/// The figures of one machine: names and instructions.
fn measure(
    machine: Machine,
    linux: bool,
    image: &Path,
    program: &Path,
    folder: Option<&Path>,
    progress: &Progress,
) -> anyhow::Result<Vec<(String, u64)>> {
    let arch: Arch = machine.arch();
    let task = progress.start(&format!("counting on {}", machine.name()));
    let command = format!("{} costs", programs::NAME);
    let contents = Contents {
        busybox: debian::busybox(arch, progress)?,
        programs: vec![(programs::NAME, program.to_path_buf())],
        run: Some(&command),
        terminal: None,
    };
    let disk = userland::disk(&contents)?;
    // What Linux does against leaks of real processors is not what is compared.
    let append = if linux { format!("{} mitigations=off", debian::WORDS) } else { String::new() };
    let guest = Guest { cpus: 1, icount: true, append, initrd: Some(disk.path()), ..Guest::new(machine) };
    let qemu = Qemu::find(arch, folder)?;
    let arguments = guest.arguments(image, qemu.version)?;
    let manner = Manner { patience: Patience::Scaled, input: Input::None, catch_signals: true };
    let finished = guest::run(&qemu, &arguments, manner, |bytes| {
        if let Some(line) = String::from_utf8_lossy(bytes).lines().last() {
            task.at(line);
        }
        Ok(())
    })?;
    if finished.console.command_status != Some(0) {
        let tail = finished.console.tail(5).join(" | ");
        return Err(stop::with(stop::FAILED, format!("{}: not counted; last seen: {tail}", machine.name())));
    }
    let figure = |line: &String| {
        let (name, rest) = line.strip_prefix("cost ")?.split_once(": ")?;
        let ns: u64 = rest.strip_suffix(" ns")?.parse().ok()?;
        Some((name.to_owned(), ns / machine.icount_ns()))
    };
    Ok(finished.console.lines().iter().filter_map(figure).collect())
}
