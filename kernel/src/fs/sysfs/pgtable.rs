//! `/sys/kernel/mm/pgtable`: what was chosen at boot; `/sys/kernel/debug/pgtable`: what came of it.

use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::fs::pseudo::node::entry;
use crate::fs::pseudo::{Entry, Node, Text};
use crate::mm::pgtable::counters::{self, Count};
use crate::mm::pgtable::{Layout, audit, inject, kernel, scheme};
use crate::mm::stats::kb;
use crate::mm::{self, space, tracing};
use crate::proc::sched;
use crate::rcu;
use crate::sync::MaySleep;
use crate::trace::{self, Group};

pub(super) static CHOICE: [Entry; 2] = [entry("free", Node::File(free)), entry("layout", Node::File(layout))];

pub(super) static DEBUG: [Entry; 4] = [
    entry("pages", Node::File(pages)),
    entry("park", Node::Setting(parked, park)),
    entry("pending", Node::File(pending)),
    entry("stats", Node::File(stats)),
];

/// The names, the chosen one in brackets.
fn brackets(to: &mut Text, names: impl Iterator<Item = &'static str>, chosen: &str) -> Result<(), Errno> {
    for (index, name) in names.enumerate() {
        let blank = if index > 0 { " " } else { "" };
        if name == chosen {
            to.print(format_args!("{blank}[{name}]"));
        } else {
            to.print(format_args!("{blank}{name}"));
        }
    }
    to.put(b"\n");
    Ok(())
}

fn free(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    brackets(to, scheme::ALL.iter().map(|scheme| scheme.name()), space::kernel_ground().scheme().name())
}

fn layout(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    brackets(to, Layout::ALL.iter().map(|layout| layout.name()), space::kernel_ground().layout().name())
}

fn pages(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.print(format_args!("page-table pages: {} kB\n", kernel::memory().table_bytes() / 1024));
    to.print(format_args!("tables in use or waiting: {}\n", counters::in_use()));
    Ok(())
}

fn pending(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let (retired, freed) = (counters::RETIRED.get(), counters::FREED.get());
    let waiting = mm::shared_frames().waiting();
    to.print(format_args!("tables that wait for a grace period: {}\n", retired.saturating_sub(freed)));
    to.print(format_args!("frames that wait for a grace period: {waiting} ({} kB)\n", kb(waiting)));
    to.print(format_args!("callbacks queued: {}\n", rcu::totals().queued()));
    Ok(())
}

fn stats(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let rows: [(&str, &Count); 10] = [
        ("handed_out", &counters::HANDED_OUT),
        ("reused", &counters::REUSED),
        ("released", &counters::RELEASED),
        ("retired", &counters::RETIRED),
        ("freed", &counters::FREED),
        ("interrupts_sent", &counters::INTERRUPTS),
        ("full_flushes", &counters::FULL_FLUSHES),
        ("leaf_flushes", &counters::LEAF_FLUSHES),
        ("touched_after_free", &counters::TOUCHED_AFTER_FREE),
        ("written_while_free", &counters::WRITTEN_WHILE_FREE),
    ];
    rows.iter().for_each(|(name, count)| to.print(format_args!("{name} {}\n", count.get())));
    to.print(format_args!("grace_periods {}\n", rcu::grace_periods()));
    to.print(format_args!("longest_queue {}\n", rcu::totals().most));
    let waiting = counters::RETIRED.get().saturating_sub(counters::FREED.get());
    to.print(format_args!("tables_waiting {waiting}\n"));
    to.print(format_args!("memory_waiting_kB {}\n", rcu::held() / 1024));
    to.print(format_args!("frames_waiting_kB {}\n", kb(mm::shared_frames().waiting())));
    to.print(format_args!("poison {}\n", u8::from(audit::poisons())));
    Ok(())
}

/// The reader that is parked, or was last, and what became of the table that he was about to read.
fn parked(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    match inject::parked() {
        Some(parked) => to.print(format_args!("{parked}")),
        None => to.print(format_args!("nobody was parked\n")),
    }
    Ok(())
}

/// `TASK MILLISECONDS [ADDRESS]` parks that task at the next leaf table that it reads, at that address or
/// behind it, and turns the events of page tables on; `go` lets it go.
fn park(ctx: &mut MaySleep, bytes: &[u8]) -> Result<(), Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let mut words = text.split_whitespace();
    let (Some(first), second, third) = (words.next(), words.next(), words.next()) else {
        return Err(Errno::EINVAL);
    };
    if words.next().is_some() || first == "go" && second.is_some() {
        return Err(Errno::EINVAL);
    }
    if first == "go" {
        inject::let_go();
        return Ok(());
    }
    let number = |word: &str| match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    let invalid = |_| Errno::EINVAL;
    let task: u32 = first.parse().map_err(invalid)?;
    let milliseconds = number(second.ok_or(Errno::EINVAL)?).map_err(invalid)?;
    let from = number(third.unwrap_or("0")).map_err(invalid)?;
    if task == 0 || milliseconds > MOST_PATIENCE {
        return Err(Errno::EINVAL);
    }
    tracing::turn_on(trace::groups().with(Group::PgTable), sched::online_cpus(), ctx)?;
    inject::park(task, VirtAddr::new(from), milliseconds * 1_000_000);
    Ok(())
}

/// Milliseconds that a reader may be parked: less than what RCU takes for a stall.
const MOST_PATIENCE: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_one_stands_in_brackets() {
        let mut text = Text::new();
        brackets(&mut text, ["immediate", "ipi", "rcu"].into_iter(), "rcu").expect("memory");
        assert_eq!(text.bytes(), Ok(b"immediate ipi [rcu]\n".as_slice()));
    }
}
