//! Keys: a guest that stays up is asked, answers, and is turned off from its own console.

use super::{Context, Suite, Tally};
use crate::guest::{self, Input, Manner, Patience};
use crate::kernel::Profile;
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::stop;

/// One suite a machine.
pub fn suites() -> Vec<Suite> {
    [Machine::S390x, Machine::Pseries, Machine::Powernv9]
        .map(|machine| {
            Suite::new(format!("{} typing", machine.name()), move |context, task, tally| {
                CASES.iter().try_for_each(|case| run(case, machine, context, task, tally))
            })
        })
        .into()
}

/// Types the keys; wants all these answers and the status.
struct Case {
    keys: &'static str,
    status: u8,
    answers: &'static [&'static str],
}

const CASES: [Case; 2] = [
    Case {
        keys: "h?mtrZo",
        status: stop::PASS,
        answers: &[
            "console: h: ",
            "console: o: ",
            "console: memory: ",
            " kB free",
            "console: CPU 0: ",
            "console: CPU 1: ",
            " grace periods, ",
            "console: no such key: 'Z'",
            "console: power off",
        ],
    },
    Case { keys: "c", status: stop::PANIC, answers: &["not syncing: console: asked to crash"] },
];

fn run(
    case: &Case,
    machine: Machine,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let guest = Guest::new(machine);
    let kernel = context.kernel(machine.arch(), Profile::Checked)?;
    let qemu = context.qemu(machine.arch());
    let arguments = guest.arguments(&kernel, qemu.version)?;
    task.at(case.keys);
    let input = Input::Typed(case.keys);
    let manner = Manner { patience: Patience::Scaled, input, catch_signals: false };
    let finished = guest::run(qemu, &arguments, manner, |_| Ok(()))?;
    finished.console.lines().iter().for_each(|line| tally.log(line));
    tally.log(&finished.complaints);
    let verdict = crate::boot::judge(&finished, &guest, qemu.version, false)
        .map_err(|cut| stop::with(stop::INTERRUPTED, format!("{cut:?}")))?;
    let (wanted, got, reason) = (case.status, verdict.status, &verdict.reason);
    tally.check(case.keys, got == wanted, || format!("status {got} instead of {wanted}: {reason}"));
    for answer in case.answers {
        tally.check(case.keys, finished.console.contains(answer), || format!("nowhere '{answer}'"));
    }
    Ok(())
}
