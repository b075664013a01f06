//! Programs: the guest tests, the applets of busybox, storms. With `--oracle` the same on Debian's
//! Linux, which must say the same: a test that Linux fails is a wrong test.

use super::{Context, Suite, Tally};
use crate::debian;
use crate::guest::{self, Finished, Input, Manner, Patience};
use crate::kernel::{self, Profile};
use crate::ktap::{self, Outcome};
use crate::machine::{Guest, Machine};
use crate::options::Test;
use crate::progress::Task;
use crate::userland::{self, Contents};
use crate::verdict::End;
use crate::{programs, stop};

/// The machines; VOF and SLOF make no difference to programs.
pub const MACHINES: [Machine; 3] = [Machine::S390x, Machine::Pseries, Machine::Powernv9];

/// What a guest boots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum System {
    /// Our kernel, with its debug checks.
    Fallow,
    /// Debian's.
    Linux,
}

impl System {
    /// In front of a suite's name.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Fallow => "programs:",
            Self::Linux => "programs on Linux:",
        }
    }

    /// Which systems to run on.
    pub fn wanted(options: &Test) -> &'static [Self] {
        if options.oracle { &[Self::Fallow, Self::Linux] } else { &[Self::Fallow] }
    }
}

/// With how many CPUs the tests run there. All counts on one machine in the short run, which is to stay
/// under 20 minutes; on the others two, and between them all.
const fn counts(machine: Machine, long: bool) -> &'static [u32] {
    match machine {
        Machine::Pseries if !long => &[2, 4],
        Machine::Powernv9 if !long => &[1, 2],
        _ => &[1, 2, 4],
    }
}

/// All suites.
pub fn suites(options: &Test) -> Vec<Suite> {
    let mut all = Vec::new();
    let seconds = options.seconds.unwrap_or(if options.long { 60 } else { 2 });
    for &system in System::wanted(options) {
        for machine in MACHINES {
            let name = |what: &str| format!("{} {} {what}", system.prefix(), machine.name());
            for cpus in counts(machine, options.long).iter().copied() {
                let guest = Guest { cpus, ..Guest::new(machine) };
                let suite = Suite::new(name(&format!("{cpus} CPU")), move |context, task, tally| {
                    guest_tests(system, guest, context, task, tally)
                });
                // Linux: once, to judge the tests. They need not pass there with any number of CPUs.
                match (system, cpus) {
                    (System::Fallow, 4) => all.push(suite.alone()),
                    (System::Fallow, _) | (System::Linux, 2) => all.push(suite),
                    (System::Linux, _) => {}
                }
            }
            all.push(Suite::new(name("applets"), move |context, task, tally| {
                applets(system, machine, context, task, tally)
            }));
            if system == System::Fallow {
                let storms = move |context: &Context, task: &Task, tally: &mut Tally| {
                    storms(machine, seconds, context, task, tally)
                };
                all.push(Suite::new(name("storms"), storms).alone());
            }
        }
    }
    all
}

/// Boots a system with the programs on its disk. Gives what became of it and the command's status;
/// a machine that did not end well is a failed check and `None`.
pub fn boot(
    system: System,
    mut guest: Guest,
    command: Option<&str>,
    input: Input,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<Option<(Finished, Option<u8>)>> {
    let arch = guest.machine.arch();
    let image = match system {
        System::Fallow => context.kernel(arch, Profile::Checked)?,
        System::Linux => debian::linux(arch, &context.progress)?,
    };
    let contents = Contents {
        busybox: debian::busybox(arch, &context.progress)?,
        programs: programs::all(&context.programs(arch)?)
            .into_iter()
            .chain(
                ["applets.sh", "copy-proc.sh"]
                    .map(|name| (name, kernel::root().join("tests/guest").join(name))),
            )
            .collect(),
        run: command,
        terminal: None,
    };
    let disk = userland::disk(&contents)?;
    guest.initrd = Some(disk.path());
    guest.append = if system == System::Linux { debian::WORDS.into() } else { guest.append };
    let qemu = context.qemu(arch);
    let arguments = guest.arguments(&image, qemu.version)?;
    tally.log(&format!("$ {} {}", qemu.path().display(), arguments.join(" ")));
    let manner = Manner { patience: Patience::Scaled, input, catch_signals: false };
    let finished = guest::run(qemu, &arguments, manner, |bytes| {
        if let Some(line) = String::from_utf8_lossy(bytes).lines().last() {
            task.at(line);
        }
        Ok(())
    })?;
    finished.console.lines().iter().for_each(|line| tally.log(line));
    tally.log(&finished.complaints);
    let verdict = crate::boot::judge(&finished, &guest, qemu.version, false)
        .map_err(|cut| stop::with(stop::INTERRUPTED, format!("{cut:?}")))?;
    let ended = match system {
        System::Fallow => verdict.status == stop::PASS,
        System::Linux => finished.end == Ok(End::Exited(0)),
    };
    if !ended {
        tally.fail_with_log(guest.machine.name(), &verdict.reason);
        return Ok(None);
    }
    let status = finished.console.command_status;
    Ok(Some((finished, status)))
}

fn guest_tests(
    system: System,
    guest: Guest,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let Some((finished, status)) =
        boot(system, guest, Some(programs::NAME), Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    let report = ktap::parse(finished.console.lines().iter().map(String::as_str));
    let counted = report.counted();
    tally.passed += counted.pass;
    tally.skipped += counted.skip;
    for test in report.tests.iter().filter(|test| test.outcome == Outcome::Fail) {
        tally.fail(&test.name, "see the log");
    }
    if (status != Some(0) || !report.passed()) && counted.fail == 0 {
        let problem = report.problems.first().map_or("", String::as_str);
        tally.fail_with_log("the run", &format!("status {status:?}; {problem}"));
    }
    Ok(())
}

/// The output of some 40 applets, the same on every machine and as Linux gives it: what is written
/// down here was checked against Linux by `--oracle`.
const APPLETS: &str = include_str!("../../../tests/guest/applets.expected");

fn applets(
    system: System,
    machine: Machine,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let command = Some("sh /bin/applets.sh");
    let guest = Guest::new(machine);
    let Some((finished, status)) = boot(system, guest, command, Input::None, context, task, tally)? else {
        return Ok(());
    };
    tally.check("the script's status", status == Some(0), || format!("{status:?}"));
    let seen = sections(finished.console.lines().iter().map(String::as_str));
    let wanted = sections(APPLETS.lines());
    for (name, text) in &wanted {
        let own = seen.iter().find(|(other, _)| other == name).map(|(_, text)| text);
        // What stands at a line's end is not seen, and not kept in the file.
        let same = |own: &Vec<String>| own.iter().map(|line| line.trim_end()).eq(text);
        tally.check(name, own.is_some_and(same), || match own {
            None => "it did not run".into(),
            Some(own) => {
                let mut pairs = own.iter().zip(text);
                let differ = pairs.find(|(own, wanted)| own.trim_end() != *wanted);
                let counts = format!("{} lines, not {}", own.len(), text.len());
                differ.map_or(counts, |(own, wanted)| format!("'{own}' instead of '{wanted}'"))
            }
        });
    }
    let more = seen.len().saturating_sub(wanted.len());
    tally.check("no other output", more == 0, || format!("{more} more; the new list is in the log"));
    Ok(())
}

/// `=== name` and the lines behind it. The kernel's own lines are left out.
pub fn sections<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        if line.starts_with("init: ") && !all.is_empty() {
            break;
        }
        if let Some(name) = line.strip_prefix("=== ") {
            all.push((name.into(), Vec::new()));
        } else if let Some((_, text)) = all.last_mut()
            && !line.starts_with('[')
        {
            text.push(line.into());
        }
    }
    all
}

fn storms(
    machine: Machine,
    seconds: u64,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let kinds = ["fork", "exec", "thread", "pipe", "map"];
    let commands: Vec<String> =
        kinds.iter().map(|kind| format!("{} storm {kind} {seconds} || exit 1", programs::NAME)).collect();
    let guest = Guest { cpus: 4, ..Guest::new(machine) };
    let command = commands.join("\n");
    let Some((finished, status)) =
        boot(System::Fallow, guest, Some(&command), Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    for kind in kinds {
        let begin = format!("{kind} storm: ");
        let said = finished.console.lines().iter().find_map(|line| line.strip_prefix(&begin));
        let good = said.is_some_and(|text| text.ends_with("nothing lost"));
        tally.check(kind, good, || said.unwrap_or("it did not come to its end").into());
    }
    tally.check("the status", status == Some(0), || format!("{status:?}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_cut_at_their_heads() {
        let text = "boot\n=== a\none\n[    0.1] log\ntwo\n=== b\ninit: exit status 0\nmore";
        let wanted = [("a".into(), vec!["one".into(), "two".into()]), ("b".into(), vec![])];
        assert_eq!(sections(text.lines()), wanted);
    }

    #[test]
    fn the_expected_output_has_its_forty_applets() {
        let sections = sections(APPLETS.lines());
        assert!(sections.len() >= 40, "{}", sections.len());
    }
}
