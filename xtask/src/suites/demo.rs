//! The scene that the kernel was made for, played by real programs: a reader parked before a page table
//! under each way of freeing, and munmap against readers of smaps in each layout.

use super::programs::{MACHINES, System, boot};
use super::{Context, Suite, Tally};
use crate::guest::Input;
use crate::machine::{Guest, Machine};
use crate::options::Test;
use crate::progress::Task;

/// One for each machine.
pub fn suites(options: &Test) -> Vec<Suite> {
    let seconds = options.seconds.unwrap_or(if options.long { 60 } else { 2 });
    let suite = |machine: Machine| {
        Suite::new(format!("demo: {}", machine.name()), move |context, task, tally| {
            for free in ["immediate", "ipi"] {
                freed_under_the_reader(machine, free, context, task, tally)?;
            }
            for layout in ["page", "frag", "group"] {
                safe(machine, layout, seconds, context, task, tally)?;
            }
            Ok(())
        })
        .alone()
    };
    MACHINES.into_iter().map(suite).collect()
}

/// The two ways that are wrong for a reader elsewhere: the table is freed under him, every time.
fn freed_under_the_reader(
    machine: Machine,
    free: &str,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let guest = Guest { append: format!("pgtable.free={free}"), ..Guest::new(machine) };
    let command = Some("demo uaf");
    let Some((finished, status)) = boot(System::Fallow, guest, command, Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    let said = finished.console.lines().iter().any(|line| line.starts_with("verdict: use after free: demo-"));
    tally.check(&format!("uaf, free={free}"), said && status == Some(1), || format!("status {status:?}"));
    Ok(())
}

/// With `rcu` the table waits for the reader, and what readers read is true.
fn safe(
    machine: Machine,
    layout: &str,
    seconds: u64,
    context: &Context,
    task: &Task,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let guest = Guest { append: format!("pgtable.free=rcu pgtable.layout={layout}"), ..Guest::new(machine) };
    let command = format!("demo uaf || exit 3\ndemo layouts || exit 4\ndemo race {seconds}");
    let Some((finished, status)) =
        boot(System::Fallow, guest, Some(&command), Input::None, context, task, tally)?
    else {
        return Ok(());
    };
    let says = |start: &str| finished.console.lines().iter().find(|line| line.starts_with(start));
    let waited = says("verdict: safe: demo-").is_some() && says("its memory waited").is_some();
    tally.check(&format!("uaf, layout={layout}"), waited, || format!("status {status:?}"));
    let wrong = says("wrong:").map_or("it did not come to its end", |line| line.as_str());
    let good = status == Some(0) && wrong == "wrong:   0 reads; tables touched after free: 0";
    tally.check(&format!("race, layout={layout}"), good, || format!("status {status:?}; {wrong}"));
    Ok(())
}
