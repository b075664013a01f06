//! `/proc/PID/page_tables`: the tables that the hardware reads, each with its place and its state.
//!
//! The reader takes no lock: see [`dump`](crate::mm::pgtable::dump). A few tables are looked at in one
//! read section, as values; the text is made outside of it. Where tables lie is for root, as in pagemap.

use super::format::page_tables::{head, line};
use super::task::Whose;
use super::text::with_space;
use crate::error::Errno;
use crate::fs::file::FileOps;
use crate::fs::pseudo::{OpenSequence, Sequence, Text};
use crate::mm::pgtable::dump::Place;
use crate::mm::space::Mm;
use crate::proc::process::try_current;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use arrayvec::ArrayVec;

/// Tables that are looked at in one section, at most.
const BATCH: usize = 8;

/// The tables of a process, from the root on.
struct Tables {
    whose: Whose,
    /// Whether addresses are told.
    is_root: bool,
    /// Which address space; 0: none was seen yet.
    space: u64,
    next: Place,
}

pub(super) fn open(whose: &Whose) -> Result<Arc<dyn FileOps>, Errno> {
    let is_root = try_current().is_none_or(|task| task.creds().is_root());
    OpenSequence::open(Tables { whose: whose.clone(), is_root, space: 0, next: Place::FIRST })
}

impl Tables {
    /// Shows the next few. False: there are no more.
    fn some(&mut self, ctx: &MaySleep, space: &Mm, to: &mut Text) -> bool {
        if self.space == 0 {
            self.space = space.id();
            head(to, space.tables_kind());
        }
        // It executed another program.
        if self.space != space.id() {
            return false;
        }
        let mut found = ArrayVec::<_, BATCH>::new();
        let next = space.tables_from(ctx, self.next, &mut |table| {
            // There is room: the one before it said so.
            let _ = found.try_push(table);
            !found.is_full()
        });
        found.iter().for_each(|table| line(to, table, self.is_root));
        self.next = next.unwrap_or(Place::FIRST);
        next.is_some()
    }
}

impl Sequence for Tables {
    fn rewind(&mut self) {
        (self.space, self.next) = (0, Place::FIRST);
    }
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        self.whose.alive()?;
        let whose = self.whose.clone();
        let more = with_space(ctx, &whose, |ctx, space| self.some(ctx, space, to));
        Ok(more.unwrap_or(false))
    }
}
