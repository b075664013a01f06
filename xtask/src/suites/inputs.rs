//! Bad input to the kernel: it must say what is wrong and go on, or say why it cannot. Never
//! silence.

use super::{Context, Suite, Tally, damage};
use crate::cpio::Archive;
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
pub(super) struct Case<'a> {
    pub(super) name: &'a str,
    pub(super) guest: Guest,
    pub(super) status: u8,
    pub(super) says: &'a [&'a str],
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
            name: "an initrd that is cut off",
            guest: Guest { initrd: Some(cut_off()?), ..Guest::new(machine) },
            status: stop::PANIC,
            says: &["the archive ends within a file: what comes after is missing", "No working init"],
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
    damage::damage(machine, context, task, tally)?;
    // Too little memory for anything, sizes around what is just enough, and enough.
    for (words, allowed) in [
        ("mem=1M", &[stop::PANIC][..]),
        ("mem=2M", &[stop::PASS, stop::PANIC]),
        ("mem=4M", &[stop::PASS, stop::PANIC]),
        ("mem=8M", &[stop::PASS]),
    ] {
        little_memory(words, allowed, &guest(words), context, task, tally)?;
    }
    if machine == Machine::S390x {
        // The machine itself that small; the others have QEMU's own least sizes, far above ours. QEMU
        // 10 refuses it as well: its firmware would lie over the kernel.
        let small = Guest { memory_mb: 4, ..guest("") };
        little_memory("-m 4", &[stop::PASS, stop::PANIC, stop::USAGE], &small, context, task, tally)?;
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

/// An archive whose last file ends too early.
fn cut_off() -> anyhow::Result<String> {
    let mut archive = Archive::default();
    archive.folder("etc", 0o755);
    archive.file("init", 0o755, &[b'x'; 5000]);
    let mut bytes = archive.finish();
    bytes.truncate(3000);
    let path = kernel::root().join("target/test/cut-off.img");
    std::fs::create_dir_all(kernel::root().join("target/test"))?;
    // Of another suite's run perhaps at the same time: the same bytes, in one step.
    let new = path.with_extension(format!("{:?}", std::thread::current().id()));
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, &path)?;
    Ok(path.display().to_string())
}

pub(super) fn run(case: &Case<'_>, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
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

/// A kernel that is given little memory boots all the same, or panics and says that it is too little.
fn little_memory(
    words: &str,
    allowed: &[u8],
    guest: &Guest,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let (finished, verdict) = context.boot(guest, Profile::Checked, Patience::Scaled, false, task, tally)?;
    let named = finished.console.panic.as_deref().is_some_and(|message| message.contains("are too little"));
    let explained = verdict.status != stop::PANIC || named;
    tally.check(words, allowed.contains(&verdict.status) && explained, || {
        format!("status {}: {}", verdict.status, verdict.reason)
    });
    Ok(())
}
