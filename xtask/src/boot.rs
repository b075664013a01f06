//! `run-qemu.sh [s390x|ppc64]`: build, boot, give the guest's status back.

use crate::firmware::Filter;
use crate::guest::{self, Cut, Finished, Input, Manner, Patience};
use crate::ktap;
use crate::machine::{Guest, Machine};
use crate::needs::{self, Purpose};
use crate::options::Boot;
use crate::progress::Progress;
use crate::qemu::{Qemu, Version};
use crate::terminal::{self, Raw};
use crate::toolchain::Toolchain;
use crate::verdict::{self, Facts, Verdict};
use crate::{kernel, stop};
use std::io::{IsTerminal, Write};

/// Boots as the options say; the result is the runner's exit status.
pub fn boot(mut options: Boot) -> anyhow::Result<u8> {
    let progress = Progress::new();
    let arch = options.guest.machine.arch();
    needs::provide(Purpose::Boot(arch), options.qemu.as_deref(), &progress)?;
    let qemu = Qemu::find(arch, options.qemu.as_deref())?;
    let toolchain = Toolchain::find()?;
    let kernel = kernel::build(arch, options.profile, &toolchain, &progress)?;

    let interactive = terminal::is_interactive() && options.tests.is_none();
    let programs = options.guest.initrd.is_some();
    let (words, power_off) = add_words(&options, interactive);
    options.guest.append = words;
    let input = match (interactive, programs) {
        (true, _) => Input::Terminal { interrupt_is_guests: programs },
        (false, true) => Input::Inherit,
        (false, false) => Input::None,
    };
    let patience = match options.silence {
        _ if options.guest.gdb.is_some() => Patience::Endless,
        Some(0) => Patience::Endless,
        Some(seconds) => Patience::Seconds(seconds),
        None if power_off => Patience::Scaled,
        None => Patience::UntilBooted,
    };
    let arguments = options.guest.arguments(&kernel, qemu.version)?;
    announce(&options.guest, &qemu, interactive, &progress);
    let manner = Manner { patience, input, catch_signals: true };
    let raw = interactive.then(Raw::enter).flatten();
    let mut out = std::io::stdout();
    let piped = !out.is_terminal();
    let mut filter = (options.guest.machine == Machine::Powernv9).then(Filter::default);
    let finished = guest::run(&qemu, &arguments, manner, |bytes| {
        let mut shown = filter.as_mut().map_or_else(|| bytes.to_vec(), |filter| filter.pass(bytes));
        if piped {
            // A file wants lines, not a teletype's carriage.
            shown.retain(|&byte| byte != b'\r');
        }
        out.write_all(&shown)?;
        out.flush()
    })?;
    drop(raw);
    conclude(&finished, &options, qemu.version)
}

/// The kernel's command line: the runner's words, then the user's, so that his come last and win.
fn add_words(options: &Boot, interactive: bool) -> (String, bool) {
    let mut words = Vec::new();
    if let Some(glob) = &options.tests {
        words.push(format!("kunit.filter_glob={glob}"));
    }
    // Nobody could end it, or nobody wants to go on.
    let power_off = options.tests.is_some()
        || (!interactive && options.guest.initrd.is_none() && options.guest.gdb.is_none());
    if power_off {
        words.push("kunit_shutdown=poweroff".into());
    }
    if !options.guest.append.is_empty() {
        words.push(options.guest.append.clone());
    }
    (words.join(" "), power_off)
}

fn announce(guest: &Guest, qemu: &Qemu, interactive: bool, progress: &Progress) {
    let (cpus, memory) = (guest.cpus, guest.memory_mb);
    let leave = if interactive { "; Ctrl-A x leaves" } else { "" };
    progress.note(&format!(
        "booting {} on QEMU {}: {cpus} CPU{}, {memory} MB{leave}",
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
    if verdict.status == stop::SILENT {
        eprintln!("last seen:");
        finished.console.tail(5).iter().for_each(|line| eprintln!("  {line}"));
    }
    Err(stop::with(verdict.status, verdict.reason))
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
