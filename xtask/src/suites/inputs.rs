//! Bad input to the kernel: it must say what is wrong and go on, or say why it cannot. Never
//! silence.

use super::{Context, Suite, Tally};
use crate::guest::Patience;
use crate::kernel::{self, Profile};
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::stop;

/// One suite a machine.
pub fn suites() -> Vec<Suite> {
    [Machine::S390x, Machine::Pseries, Machine::Powernv9]
        .map(|machine| {
            Suite::new(format!("{} bad input", machine.name()), move |context, task, tally| {
                inputs(machine, context, task, tally)
            })
        })
        .into()
}

/// Boots with this input; wants the status and all these words on the console.
struct Case<'a> {
    name: &'a str,
    guest: Guest,
    status: u8,
    says: &'a [&'a str],
}

fn inputs(machine: Machine, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let guest =
        |append: &str| Guest { append: format!("{append} kunit_shutdown=poweroff"), ..Guest::new(machine) };
    let garbage = "=;= nr_cpus=zero \u{fc}\u{20ac} loglevel= a=b=c mem=lots ,,, nosuchword";
    let initrd = initrd()?;
    for case in [
        Case {
            name: "a garbage command line",
            guest: guest(garbage),
            status: stop::PASS,
            says: &["bad value in 'nr_cpus=zero'", "unknown parameter 'nosuchword'"],
        },
        Case {
            name: "a command line of 800 bytes",
            guest: guest(&"x".repeat(800)),
            status: stop::PASS,
            says: &["boot: ready in"],
        },
        Case {
            name: "an unknown crash",
            guest: guest("fallow.crash=nosuch"),
            status: stop::PASS,
            says: &["nosuch", "boot: ready in"],
        },
        Case {
            name: "an initrd of zeros",
            guest: Guest { initrd: Some(initrd), ..guest("") },
            status: stop::PASS,
            says: &["boot: initrd: 1024 kB at", "boot: ready in"],
        },
        Case {
            name: "fewer CPUs than there are",
            guest: guest("nr_cpus=1"),
            status: stop::PASS,
            says: &["boot: ready in", " 1 CPU,"],
        },
        Case {
            name: "more CPUs than 16",
            guest: Guest { cpus: 20, ..guest("") },
            status: stop::PASS,
            says: &["20", "16 CPUs", "boot: ready in"],
        },
    ] {
        run(&case, context, task, tally)?;
    }
    // Too little memory for anything, then sizes around what is just enough.
    for (words, must_fail) in [("mem=1M", true), ("mem=2M", false), ("mem=4M", false), ("mem=8M", false)] {
        little_memory(words, must_fail, &guest(words), context, task, tally)?;
    }
    Ok(())
}

fn initrd() -> anyhow::Result<String> {
    let path = kernel::root().join("target/test/zeros.img");
    if !path.is_file() {
        std::fs::create_dir_all(kernel::root().join("target/test"))?;
        std::fs::write(&path, vec![0; 1 << 20])?;
    }
    Ok(path.display().to_string())
}

fn run(case: &Case<'_>, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let (finished, verdict) =
        context.boot(&case.guest, Profile::Checked, Patience::Scaled, false, task, tally)?;
    tally.check(case.name, verdict.status == case.status, || {
        format!("status {} instead of {}: {}", verdict.status, case.status, verdict.reason)
    });
    for words in case.says {
        tally.check(case.name, finished.console.contains(words), || format!("nowhere '{words}'"));
    }
    Ok(())
}

/// A kernel that is given little memory boots all the same, or panics and says that memory is short.
fn little_memory(
    words: &str,
    must_fail: bool,
    guest: &Guest,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (finished, verdict) = context.boot(guest, Profile::Checked, Patience::Scaled, false, task, tally)?;
    let said = finished.console.panic.as_deref().is_some_and(|message| message.contains("memory"));
    let named = verdict.status == stop::PANIC && said;
    tally.check(words, named || (verdict.status == stop::PASS && !must_fail), || {
        format!("status {}: {}", verdict.status, verdict.reason)
    });
    Ok(())
}
