//! `/sys/kernel/tracing`: the ring of events, as Linux' ftrace shows its own.

use crate::error::Errno;
use crate::fs::file::FileOps;
use crate::fs::pseudo::node::entry;
use crate::fs::pseudo::{Entry, Node, OpenSequence, Sequence, Text};
use crate::mm::tracing;
use crate::proc::sched;
use crate::sync::MaySleep;
use crate::trace::{self, Groups};
use alloc::sync::Arc;

pub(super) static FILES: [Entry; 2] =
    [entry("set_event", Node::Setting(groups, set_groups)), entry("trace", Node::Open(0o644, open_trace))];

fn groups(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.print(format_args!("{}\n", trace::groups()));
    Ok(())
}

/// Turns on the groups that are named, and all others off.
fn set_groups(ctx: &mut MaySleep, bytes: &[u8]) -> Result<(), Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let groups = Groups::parse(text.trim()).map_err(|_| Errno::EINVAL)?;
    tracing::turn_on(groups, sched::online_cpus(), ctx)
}

/// The events that there are when the reading begins, some at a time.
struct Lines {
    events: Option<trace::Events>,
}

fn open_trace() -> Result<Arc<dyn FileOps>, Errno> {
    OpenSequence::open(Lines { events: None })
}

impl Sequence for Lines {
    fn rewind(&mut self) {
        self.events = None;
    }
    fn next(&mut self, _ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        const BATCH: usize = 32;
        if self.events.is_none() {
            let events = trace::events();
            // An error is a want of memory, and remembered.
            let _ = trace::text::header(to, events.left(), trace::written(), sched::online_cpus().len());
            self.events = Some(events);
            return Ok(true);
        }
        let Some(events) = &mut self.events else { return Ok(false) };
        for _ in 0..BATCH {
            let Some(record) = events.next() else { return Ok(false) };
            to.print(format_args!("{record}\n"));
        }
        Ok(true)
    }
    /// Writing anything forgets the events, as Linux does.
    fn store(&mut self, _ctx: &mut MaySleep, _bytes: &[u8]) -> Result<(), Errno> {
        trace::clear();
        Ok(())
    }
}
