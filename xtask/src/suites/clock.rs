//! How long booting takes: in seconds, and in instructions, which are the same on every host.

use super::{Context, Suite, Tally};
use crate::guest::Patience;
use crate::kernel::Profile;
use crate::machine::{Guest, Machine};
use crate::progress::Task;
use crate::stop;
use std::time::Duration;

/// Instructions from kernel entry to the last boot line.
const MOST_INSTRUCTIONS: u64 = 30_000_000;
/// Boots that are timed; the best counts, since what disturbs only ever adds.
const TRIES: usize = 3;

/// Alone: a neighbour would be measured as well.
pub fn suites() -> Vec<Suite> {
    vec![Suite::new("boot time", boot_times).alone(), Suite::new("boot instructions", instructions)]
}

fn boot(
    guest: &Guest,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<Option<(Duration, u64)>> {
    let (finished, verdict) = context.boot(guest, Profile::Release, Patience::Scaled, false, task, tally)?;
    if verdict.status != stop::PASS {
        tally.fail_with_log(guest.machine.name(), &verdict.reason);
        return Ok(None);
    }
    Ok(finished.boot_time.zip(finished.console.boot_ns))
}

/// From QEMU's start to the last boot line. The limits are for an idle host: one that was missed is
/// said so, and twice the limit is a failure, since a host of which half is ours can still do that.
fn boot_times(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    for (machine, limit) in [(Machine::S390x, 1.0), (Machine::Pseries, 1.0), (Machine::Powernv9, 5.0)] {
        let guest = Guest { append: "kunit_shutdown=poweroff".into(), ..Guest::new(machine) };
        let mut best = f64::INFINITY;
        for _ in 0..TRIES {
            let Some((time, _)) = boot(&guest, context, task, tally)? else { return Ok(()) };
            best = best.min(time.as_secs_f64());
        }
        let missed = if best < limit { "" } else { ", MISSED" };
        let name = machine.name();
        tally.note(format!(
            "{name}: {best:.2} s from QEMU's start to the last boot line (wanted: {limit} s{missed})"
        ));
        tally.check(name, best < 2.0 * limit, || format!("{best:.2} s; wanted: {limit} s"));
    }
    Ok(())
}

/// Under icount the guest's clock counts instructions, so the kernel's own figure is the count.
fn instructions(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    for machine in [Machine::S390x, Machine::Pseries] {
        let append = "kunit_shutdown=poweroff".into();
        let guest = Guest { cpus: 1, icount: true, append, ..Guest::new(machine) };
        let mut counts = Vec::new();
        for _ in 0..2 {
            let Some((_, ns)) = boot(&guest, context, task, tally)? else { return Ok(()) };
            counts.push(ns / machine.icount_ns());
        }
        let (name, count) = (machine.name(), counts[0]);
        tally.note(format!("{name}: {:.2} million instructions to boot", count as f64 / 1e6));
        tally.check(name, count < MOST_INSTRUCTIONS, || format!("{count}; wanted: {MOST_INSTRUCTIONS}"));
        // Deterministic, or the figure would mean nothing.
        tally.check("the same twice", counts[0] == counts[1], || format!("{name}: {counts:?}"));
    }
    Ok(())
}
