//! Making the tables for an address.
//!
//! What is missing, from the first absent level down to the leaf, is a *branch*. It is allocated and
//! linked together where nobody sees it, and hung in by one store under the lock of the table above.
//! So a failed allocation leaves everything as it was, and of two CPUs that fault on the same
//! address one hangs its branch in and the other finds it there (H11).
//!
//! Rejected: level by level, each linked as soon as it is allocated, as Linux does. Simpler to read,
//! but it leaves empty directories behind when memory runs out half way.

use super::page_table::{address, count_anew};
use super::scheme::Reader;
use super::table::TableRef;
use super::{Fragment, PageTable};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, PagingFormat};
use crate::error::Errno;
use crate::mm::pgtable::audit::Life;
use crate::sync::MaySleep;
use crate::trace::{self, Event, Group};

/// New tables, by level; nobody sees them.
type Branch = [Option<Fragment>; super::page_table::MAX_LEVELS];

/// What an attempt to hang a branch in came to.
enum Planted {
    /// There is a leaf table.
    Done,
    /// The branch must begin at this level.
    Need(usize),
    /// Something changed meanwhile: look again.
    Again,
}

impl<F: PagingFormat> PageTable<F> {
    /// Sees to it that there is a leaf table for `va`. ENOMEM: there is no memory, and nothing has
    /// changed. By the time it returns another CPU may have unmapped the range and with it the table.
    pub fn populate(&self, va: VirtAddr, ctx: &mut MaySleep) -> Result<(), Errno> {
        let mut branch: Branch = Default::default();
        let result = loop {
            // The reader ends with the statement: allocating may wait.
            let planted = self.plant(&self.reader(ctx), va, &mut branch);
            match planted {
                Planted::Done => break Ok(()),
                Planted::Again => {}
                Planted::Need(level) => {
                    if let Err(errno) = self.grow(&mut branch, level, ctx) {
                        break Err(errno);
                    }
                }
            }
        };
        // What another CPU was faster with.
        branch.into_iter().flatten().for_each(Fragment::release);
        result
    }

    /// Allocates what the branch lacks from that level down.
    fn grow(&self, branch: &mut Branch, from: usize, ctx: &mut MaySleep) -> Result<(), Errno> {
        for (level, table) in branch.iter_mut().enumerate().take(F::LEVELS.len()).skip(from) {
            if table.is_none() {
                *table = Some(self.fresh_table(level, Some(ctx)).ok_or(Errno::ENOMEM)?);
            }
        }
        Ok(())
    }

    fn plant(&self, reader: &Reader<'_>, va: VirtAddr, branch: &mut Branch) -> Planted {
        let path = self.descend(reader, va);
        let above = path.end();
        let top = above.table.level() + 1;
        if top > paging::last::<F>() {
            return Planted::Done;
        }
        if branch[top..F::LEVELS.len()].iter().any(Option::is_none) {
            return Planted::Need(top);
        }
        for level in top + 1..F::LEVELS.len() {
            if let (Some(parent), Some(child)) = (&branch[level - 1], &branch[level]) {
                self.link_unseen(reader, parent, child, level, va);
            }
        }
        let Some(guard) = above.lock(self.memory) else { return Planted::Again };
        let (first, tables) = self.entries_of(level_above(top), va);
        if guard.load(F::LEVELS[level_above(top)].index(va)) != paging::Entry::Absent {
            return Planted::Again;
        }
        let Some(first_table) = branch[top].as_ref().map(|table| address(table, self.packing(top))) else {
            return Planted::Need(top);
        };
        for (level, table) in branch.iter_mut().enumerate().skip(top) {
            // Linked from here on: the entry owns it.
            if let Some(table) = table.take() {
                let (page, index) = table.place();
                page.audit.is_of(self.list(level).id());
                page.audit.step(index, Life::Fresh, Life::Linked);
                let table = address(&table, self.packing(level));
                trace::emit(Group::PgTable, || Event::Link { table, level: level as u8 });
                self.count_tables(1, self.packing(level));
            }
        }
        guard.publish(first, self.table_entries(top, first_table, tables).map(paging::to_memory));
        Planted::Done
    }

    /// Which entries of a table of that level a fragment below it fills, for `va`: first and number.
    fn entries_of(&self, level: usize, va: VirtAddr) -> (usize, usize) {
        let tables = self.packing(level + 1).tables;
        (F::LEVELS[level].index(va) & !(tables - 1), tables)
    }

    fn table_entries(
        &self,
        level: usize,
        first: PhysAddr,
        tables: usize,
    ) -> impl Iterator<Item = u64> + use<F> {
        let bytes = F::LEVELS[level].bytes() as u64;
        (0..tables as u64).map(move |k| F::table(level_above(level), PhysAddr::new(first.get() + k * bytes)))
    }

    /// Links a new table into a new table.
    fn link_unseen(
        &self,
        reader: &Reader<'_>,
        parent_fragment: &Fragment,
        child: &Fragment,
        level: usize,
        va: VirtAddr,
    ) {
        let above = level_above(level);
        let (first, tables) = self.entries_of(above, va);
        // A parent with parents: a single table, never a group.
        let at = address(parent_fragment, self.packing(above));
        // SAFETY: a table of that level, and ours.
        let parent = unsafe { TableRef::<F>::new(at, above, reader) };
        let first_table = address(child, self.packing(level));
        // Not added: what was not hung in is linked again.
        count_anew(parent_fragment, first, tables);
        parent.fill_unseen(first, self.table_entries(level, first_table, tables));
    }
}

const fn level_above(level: usize) -> usize {
    level - 1
}
