//! The kernel's own tests on every machine, with 1, 2 and 4 CPUs, with the least memory and with
//! plenty.

use super::{Context, Suite, Tally, words};
use crate::guest::Patience;
use crate::kernel::Profile;
use crate::ktap::{self, Outcome};
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::stop;

/// One suite per machine and size.
pub fn suites(long: bool) -> Vec<Suite> {
    let mut all = Vec::new();
    for machine in [Machine::S390x, Machine::Pseries, Machine::Powernv9] {
        for cpus in [1, 2, 4] {
            all.push(kernel_tests(Guest { cpus, ..Guest::new(machine) }, &format!("{cpus} CPU")));
        }
        // 1 GB is both the usual and the least on powernv9.
        if machine.least_memory_mb() != machine.default_memory_mb() {
            all.push(sized(machine, machine.least_memory_mb()));
        }
        all.push(sized(machine, 4096));
    }
    // SLOF differs from VOF in how the kernel is entered and described, so a boot tells; its
    // interpreter takes a while.
    let slof = Guest::new(Machine::PseriesSlof);
    all.push(if long { kernel_tests(slof, "2 CPU") } else { plain_boot(slof) });
    all
}

fn sized(machine: Machine, memory_mb: u32) -> Suite {
    kernel_tests(Guest { memory_mb, ..Guest::new(machine) }, &format!("{memory_mb} MB"))
}

fn kernel_tests(guest: Guest, size: &str) -> Suite {
    let suite = Suite::new(format!("{} {size}", guest.machine.name()), {
        let guest = guest.clone();
        move |context, task, tally| in_kernel(guest, context, task, tally)
    });
    if guest.cpus > 2 { suite.alone() } else { suite }
}

fn in_kernel(mut guest: Guest, context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let torture = match (context.options.long, context.options.seconds) {
        (false, None) => String::new(),
        (true, None) => "torture=60".into(),
        (_, Some(seconds)) => format!("torture={seconds}"),
    };
    guest.append = words(&["kunit.filter_glob=*", "kunit_shutdown=poweroff", &torture]);
    let (finished, verdict) = context.boot(&guest, Profile::Checked, Patience::Scaled, true, task, tally)?;
    let report = ktap::parse(finished.console.lines().iter().map(String::as_str));
    let counted = report.counted();
    tally.passed += counted.pass;
    tally.skipped += counted.skip;
    for test in report.tests.iter().filter(|test| test.outcome == Outcome::Fail) {
        tally.fail(&test.name, "see the log");
    }
    // A panic, silence, a broken log: failures that are no test's own.
    if verdict.status != stop::PASS && counted.fail == 0 {
        tally.fail_with_log("the run", &verdict.reason);
    }
    Ok(())
}

fn plain_boot(guest: Guest) -> Suite {
    Suite::new(format!("{} boot", guest.machine.name()), move |context, task, tally| {
        let guest = Guest { append: "kunit_shutdown=poweroff".into(), ..guest };
        let (finished, verdict) =
            context.boot(&guest, Profile::Checked, Patience::Scaled, false, task, tally)?;
        if verdict.status == stop::PASS && finished.console.boot_ns.is_some() {
            tally.pass();
        } else {
            tally.fail_with_log("boot", &verdict.reason);
        }
        Ok(())
    })
}
