//! `/sys/kernel/mm/pgtable`: what was chosen at boot; `/sys/kernel/debug/pgtable`: what came of it.

use crate::error::Errno;
use crate::fs::pseudo::node::entry;
use crate::fs::pseudo::{Entry, Node, Text};
use crate::mm::pgtable::counters::{self, Count};
use crate::mm::pgtable::{Layout, kernel, scheme};
use crate::mm::space;
use crate::mm::stats::kb;
use crate::rcu;
use crate::sync::MaySleep;

pub(super) static CHOICE: [Entry; 2] = [entry("free", Node::File(free)), entry("layout", Node::File(layout))];

pub(super) static DEBUG: [Entry; 3] = [
    entry("pages", Node::File(pages)),
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
    let (out, freed) = (counters::HANDED_OUT.get(), counters::FREED.get());
    to.print(format_args!("page-table pages: {} kB\n", kernel::memory().table_bytes() / 1024));
    to.print(format_args!("tables in use or waiting: {}\n", out.saturating_sub(freed)));
    Ok(())
}

fn pending(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let (retired, freed) = (counters::RETIRED.get(), counters::FREED.get());
    let waiting = crate::mm::shared_frames().waiting();
    to.print(format_args!("tables that wait for a grace period: {}\n", retired.saturating_sub(freed)));
    to.print(format_args!("frames that wait for a grace period: {waiting} ({} kB)\n", kb(waiting)));
    to.print(format_args!("callbacks queued: {}\n", rcu::totals().queued()));
    Ok(())
}

fn stats(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let rows: [(&str, &Count); 9] = [
        ("handed_out", &counters::HANDED_OUT),
        ("reused", &counters::REUSED),
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
    Ok(())
}

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
