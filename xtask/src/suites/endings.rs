//! How a run ends when something is wrong: each ending is brought about on purpose on every
//! machine, and must give the status that is promised for it.

use super::{Context, Suite, Tally, words};
use crate::guest::Patience;
use crate::kernel::Profile;
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::stop;

/// Seconds without output after which a silent guest is given up here. Until it falls silent it
/// prints all the time; a slow host must not be mistaken for that.
const SILENCE: u64 = 20;

/// What `fallow.crash=` does, and what the panic's message must name.
const CRASHES: [(&str, &str); 16] = [
    ("panic", "as the command line asks"),
    ("null-read", "null"),
    ("null-write", "null"),
    ("wild-read", "read"),
    ("wild-write", "write"),
    ("write-text", "write"),
    ("write-rodata", "write"),
    ("exec-data", "execution of the kernel's data"),
    ("exec-null", "null"),
    ("stack-overflow", "stack overflow"),
    ("nested-panic", ""),
    ("panic-other", "on another CPU"),
    ("panic-locked", "holds the console"),
    ("panic-program", "while a program runs"),
    ("double-panic", "the "),
    ("oom", "memory"),
];

/// What is tried of them in the short version where a boot takes seconds of firmware.
const FEW: [&str; 4] = ["panic", "stack-overflow", "write-text", "exec-data"];

/// One suite a machine.
pub fn suites(long: bool) -> Vec<Suite> {
    let all = [Machine::S390x, Machine::Pseries, Machine::Powernv9, Machine::PseriesSlof];
    all.map(|machine| endings(machine, long)).into()
}

fn endings(machine: Machine, long: bool) -> Suite {
    Suite::new(format!("{} endings", machine.name()), move |context, task, tally| {
        for (crash, part) in CRASHES {
            let wanted = match machine {
                Machine::S390x | Machine::Pseries => true,
                Machine::Powernv9 => long || FEW.contains(&crash),
                Machine::PseriesSlof => long || crash == "panic",
            };
            if wanted {
                panics(machine, crash, part, context, task, tally)?;
            }
        }
        if machine == Machine::PseriesSlof && !long {
            // The same kernel on the same machine as with VOF: the firmware is out of the way.
            return Ok(());
        }
        for (name, append, status) in [
            ("a failed test", "kunit.filter_glob=selftest.fail kunit_shutdown=poweroff", stop::FAILED),
            ("a panic in a test", "kunit.filter_glob=selftest.panic kunit_shutdown=poweroff", stop::PANIC),
            ("no test of that name", "kunit.filter_glob=nosuch.test kunit_shutdown=poweroff", stop::FAILED),
        ] {
            let guest = Guest { append: append.into(), ..Guest::new(machine) };
            let (_, verdict) = context.boot(&guest, Profile::Checked, Patience::Scaled, true, task, tally)?;
            let got = verdict.status;
            let why = || format!("status {got} instead of {status}: {}", verdict.reason);
            tally.check(name, got == status, why);
        }
        silent(machine, context, task, tally)
    })
}

fn panics(
    machine: Machine,
    crash: &str,
    part: &str,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let append = words(&[&format!("fallow.crash={crash}"), "kunit_shutdown=poweroff"]);
    let guest = Guest { append, ..Guest::new(machine) };
    let (finished, verdict) = context.boot(&guest, Profile::Checked, Patience::Scaled, false, task, tally)?;
    let message = finished.console.panic.clone().unwrap_or_default();
    // Status 3 with nothing to add: QEMU's status and the last line agree with the panic.
    let agreed = verdict.reason == format!("kernel panic: {message}");
    tally.check(&format!("fallow.crash={crash}"), verdict.status == stop::PANIC && agreed, || {
        format!("status {}: {}", verdict.status, verdict.reason)
    });
    tally.check(&format!("{crash} is named"), message.contains(part), || {
        format!("no '{part}' in '{message}'")
    });
    // A panic within the panic's own report cannot report: its status is all there is.
    let reporting = if crash == "nested-panic" { 0 } else { guest.cpus };
    let version = context.qemu(machine.arch()).version;
    for cpu in 0..reporting {
        if crash == "panic-locked" && cpu == 1 && !machine.reaches_deaf_cpus(version) {
            let named = format!("CPU {cpu} does not answer");
            let said = finished.console.lines().contains(&named);
            tally.check(&format!("{crash}: CPU {cpu} is named"), said, || format!("nowhere '{named}'"));
            continue;
        }
        tally.check(&format!("{crash}: CPU {cpu} is traced"), traced(finished.console.lines(), cpu), || {
            "no function of the kernel is named for it after the panic".into()
        });
    }
    Ok(())
}

/// Whether the panic's text has a back trace of that CPU with the name of a function of the kernel, or
/// says that it was in a program.
fn traced(lines: &[String], cpu: u32) -> bool {
    let panic = lines.iter().skip_while(|line| !line.contains("Kernel panic - not syncing")).skip(1);
    let own = panic.skip_while(|line| !line.starts_with(&format!("CPU {cpu}, "))).skip(1);
    own.take_while(|line| !line.starts_with("---"))
        .any(|line| line.contains("fallow::") || line == "  in a program")
}

fn silent(machine: Machine, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let append = "fallow.crash=silent kunit_shutdown=poweroff".into();
    let guest = Guest { append, ..Guest::new(machine) };
    let patience = Patience::Seconds(SILENCE);
    let (finished, verdict) = context.boot(&guest, Profile::Checked, patience, false, task, tally)?;
    let booted = finished.console.boot_ns.is_some();
    tally.check("a silent guest", verdict.status == stop::SILENT && booted, || {
        format!("status {}, booted: {booted}: {}", verdict.status, verdict.reason)
    });
    let seen = finished.console.tail(1);
    tally.check("what was last seen", seen.iter().any(|line| line.contains("boot: ready in")), || {
        format!("{seen:?} is not the last boot line")
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cpu_needs_its_own_back_trace() {
        let log = "[ 1.0] fallow::early\nKernel panic - not syncing: x\nCPU 1, task a\nCall trace:\n  \
                   fallow::one+0x2/0x4\n--- CPU 0:\nCPU 0, task b\n  0x1234\n---[ end Kernel panic ]---\n\
                   fallow::late";
        let lines: Vec<String> = log.lines().map(Into::into).collect();
        assert!(traced(&lines, 1));
        let in_program = lines.iter().map(|line| line.replace("  0x1234", "  in a program"));
        assert!(traced(&in_program.collect::<Vec<_>>(), 0));
        assert!(!traced(&lines, 0), "an address is no name, and what comes behind is not its own");
        assert!(!traced(&lines, 2));
    }
}
