//! `run-qemu.sh [s390x|ppc64]`: build, boot, give the guest's status back.

use crate::command;
use crate::debian;
use crate::firmware::Filter;
use crate::guest::{self, Cut, Finished, Input, Manner, Patience};
use crate::ktap;
use crate::machine::{Guest, Machine};
use crate::needs::{self, Purpose};
use crate::options::Boot;
use crate::programs;
use crate::progress::Progress;
use crate::qemu::{Qemu, Version};
use crate::terminal::{self, Raw};
use crate::toolchain::Toolchain;
use crate::userland::{self, Contents, Disk};
use crate::verdict::{self, End, Facts, Verdict};
use crate::{kernel, stop};
use std::io::{IsTerminal, Write};

/// Boots as the options say; the result is the runner's exit status.
pub fn boot(mut options: Boot) -> anyhow::Result<u8> {
    let progress = Progress::new();
    let arch = options.guest.machine.arch();
    needs::provide(Purpose::Boot(arch), options.qemu.as_deref(), &progress)?;
    let qemu = Qemu::find(arch, options.qemu.as_deref())?;
    let toolchain = Toolchain::find()?;
    let kernel = match options.linux {
        true => debian::linux(arch, &progress)?,
        false => kernel::build(arch, options.profile, &toolchain, &progress)?,
    };

    let interactive = terminal::is_interactive() && options.tests.is_none();
    let disk = programs_for(&options, interactive, &toolchain, &progress)?;
    if let Some(disk) = &disk {
        options.guest.initrd = Some(disk.path());
    }
    let programs = options.guest.initrd.is_some();
    let (words, power_off) = add_words(&options, interactive);
    options.guest.append = words;
    let input = match (interactive, programs) {
        (true, _) => Input::Terminal { interrupt_is_guests: programs },
        (false, true) if options.run.is_none() => Input::Inherit,
        (false, _) => Input::None,
    };
    let patience = match options.silence {
        _ if options.guest.gdb.is_some() => Patience::Endless,
        Some(0) => Patience::Endless,
        Some(seconds) => Patience::Seconds(seconds),
        None if power_off || (options.run.is_some() && !interactive) => Patience::Scaled,
        None => Patience::UntilBooted,
    };
    let arguments = options.guest.arguments(&kernel, qemu.version)?;
    announce(&options, &qemu, interactive, &progress);
    let manner = Manner { patience, input, catch_signals: true };
    let raw = interactive.then(Raw::enter).flatten();
    let mut out = std::io::stdout();
    let piped = !out.is_terminal();
    let mut filter = (options.guest.machine == Machine::Powernv9).then(Filter::default);
    let mut command = options.run.is_some().then(command::Filter::default);
    let finished = guest::run(&qemu, &arguments, manner, |bytes| {
        let mut shown = filter.as_mut().map_or_else(|| bytes.to_vec(), |filter| filter.pass(bytes));
        if let Some(command) = &mut command {
            shown = command.pass(&shown);
        }
        if piped {
            // A file wants lines, not a teletype's carriage.
            shown.retain(|&byte| byte != b'\r');
        }
        out.write_all(&shown)?;
        out.flush()
    })?;
    drop((raw, disk));
    conclude(&finished, &options, qemu.version)
}

/// The initial RAM disk, unless the user gave one or there is nobody to use it.
fn programs_for(
    options: &Boot,
    interactive: bool,
    toolchain: &Toolchain,
    progress: &Progress,
) -> anyhow::Result<Option<Disk>> {
    let wanted = options.run.is_some() || options.linux || interactive;
    if options.guest.initrd.is_some() || !wanted {
        return Ok(None);
    }
    let arch = options.guest.machine.arch();
    let busybox = match debian::busybox(arch, progress) {
        Ok(busybox) => busybox,
        Err(error) if options.run.is_some() || options.linux => return Err(error),
        Err(error) => {
            progress.note(&format!("no programs: {error:#}"));
            return Ok(None);
        }
    };
    let mut contents = Contents { busybox, run: options.run.as_deref(), ..Contents::default() };
    let named = options.run.as_deref().is_some_and(programs::are_named_in);
    if interactive || named {
        match programs::build(arch, toolchain, progress) {
            Ok(tests) => contents.programs.extend(programs::all(&tests)),
            Err(error) if named => return Err(error),
            // A shell without them is better than none.
            Err(error) => progress.note(&format!("no demo: {error:#}")),
        }
    }
    contents.terminal = interactive.then(terminal::size).flatten();
    userland::disk(&contents).map(Some)
}

/// The kernel's command line: the runner's words, then the user's, so that his come last and win.
fn add_words(options: &Boot, interactive: bool) -> (String, bool) {
    let mut words: Vec<String> = Vec::new();
    if let Some(glob) = &options.tests {
        words.push(format!("kunit.filter_glob={glob}"));
    }
    // Nobody could end it, or nobody wants to go on.
    let power_off = options.tests.is_some()
        || (!interactive && options.guest.initrd.is_none() && options.guest.gdb.is_none());
    if options.linux {
        words.push(debian::WORDS.into());
    } else if power_off {
        words.push("kunit_shutdown=poweroff".into());
    }
    if !options.guest.append.is_empty() {
        words.push(options.guest.append.clone());
    }
    (words.join(" "), power_off)
}

fn announce(options: &Boot, qemu: &Qemu, interactive: bool, progress: &Progress) {
    let guest = &options.guest;
    let (cpus, memory) = (guest.cpus, guest.memory_mb);
    let leave = if interactive { "; Ctrl-A x leaves" } else { "" };
    progress.note(&format!(
        "booting {}{} on QEMU {}: {cpus} CPU{}, {memory} MB{leave}",
        if options.linux { "Linux on " } else { "" },
        guest.machine.name(),
        qemu.version,
        if cpus == 1 { "" } else { "s" },
    ));
    if let Some(port) = guest.gdb {
        let arch = guest.machine.arch();
        let image = kernel::root().join("target").join(arch.target_folder());
        progress.note(&format!(
            "QEMU waits: gdb-multiarch {}/release/fallow -ex 'target remote :{port}'",
            image.display()
        ));
    }
}

/// What became of a run, with the KTAP results read if `tests` says that there should be some.
pub fn judge(finished: &Finished, guest: &Guest, version: Version, tests: bool) -> Result<Verdict, Cut> {
    let end = finished.end?;
    let console = &finished.console;
    let report = tests.then(|| ktap::parse(console.lines().iter().map(String::as_str)));
    Ok(verdict::judge(&Facts {
        end,
        has_status: guest.machine.has_status(version),
        exit_status: console.exit_status,
        panic: console.panic.as_deref(),
        tests: report.as_ref(),
        spoke: !console.tail(1).is_empty(),
    }))
}

fn conclude(finished: &Finished, options: &Boot, version: Version) -> anyhow::Result<u8> {
    // QEMU's own words, if it had any: the guest's are on standard output.
    if !finished.complaints.is_empty() {
        eprint!("{}", finished.complaints);
    }
    let listing = options.guest.append.contains("kunit.action=list");
    let verdict = match judge(finished, &options.guest, version, options.tests.is_some() && !listing) {
        // Linux has no last line of ours; nobody but init tells how it went.
        Ok(_) if options.linux && finished.end == Ok(End::Exited(0)) => command_verdict(finished, options),
        Ok(verdict) if verdict.status == stop::PASS => command_verdict(finished, options),
        Ok(verdict) => verdict,
        Err(Cut::Left) => {
            eprintln!("\nleft; QEMU is stopped");
            return Ok(stop::PASS);
        }
        Err(Cut::Interrupted) => return Err(stop::with(stop::INTERRUPTED, "interrupted; QEMU is stopped")),
        // What a shell says of a program that wrote into a closed pipe.
        Err(Cut::Closed) => return Err(stop::with(141, "nobody reads the output; QEMU is stopped")),
    };
    if verdict.status == stop::PASS {
        return Ok(stop::PASS);
    }
    if verdict.status == stop::SILENT || verdict.status == stop::PANIC && options.run.is_some() {
        eprintln!("last seen:");
        finished.console.tail(5).iter().for_each(|line| eprintln!("  {line}"));
    }
    Err(stop::with(verdict.status, verdict.reason))
}

/// What a machine that ended well makes of the command: its status.
fn command_verdict(finished: &Finished, options: &Boot) -> Verdict {
    match (&options.run, finished.console.command_status) {
        (None, _) | (Some(_), Some(stop::PASS)) => Verdict { status: stop::PASS, reason: String::new() },
        (Some(_), Some(status)) => Verdict { status, reason: String::new() },
        (Some(_), None) => {
            let tail = finished.console.tail(5).join(" | ");
            Verdict { status: stop::FAILED, reason: format!("the guest ran no command; last seen: {tail}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Command, parse};

    fn words(line: &[&str], interactive: bool) -> (String, bool) {
        match parse(line.iter().map(Into::into)) {
            Ok(Command::Boot(boot)) => add_words(&boot, interactive),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_that_nobody_can_end_ends_itself() {
        assert_eq!(words(&[], true), (String::new(), false));
        assert_eq!(words(&[], false), ("kunit_shutdown=poweroff".into(), true));
        assert_eq!(words(&["--append", "quiet"], false).0, "kunit_shutdown=poweroff quiet");
        assert_eq!(
            words(&["--test", "rcu.*"], true),
            ("kunit.filter_glob=rcu.* kunit_shutdown=poweroff".into(), true)
        );
    }
}
