//! The walker: the one way through the tables, for smaps and munmap and fork.
//!
//! It goes up the addresses, in bounded steps, and says where to go on. So no read section is longer
//! than its bound (H27), and between two of them anything may happen to the tables: the next step
//! begins at the root again, with an address and nothing else. A mapping that existed before and
//! after is found; one that changed is seen old or new.
//!
//! Rejected: a cursor that keeps its table over the end of a section. It would have to hold the
//! table, and then everything that frees tables would have to look for cursors.

use super::PageTable;
use super::page_table::MAX_LEVELS;
use super::scheme::Reader;
use super::table::{Located, TableRef};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, Entry, Page, PagingFormat};
use crate::sync::MaySleep;
use crate::trace::{self, Event, Group};
use core::marker::PhantomData;
use core::ops::Range;

/// What is done with the pages that a walk finds.
pub trait Visitor {
    /// A page, its first address, in ascending order. Only values: the page itself may be gone by
    /// now and is not looked at (H28).
    fn page(&mut self, va: VirtAddr, page: Page);
}

impl<V: FnMut(VirtAddr, Page)> Visitor for V {
    #[inline(always)]
    fn page(&mut self, va: VirtAddr, page: Page) {
        self(va, page);
    }
}

/// Entries that one read section looks at, in [`PageTable::walk`]: of the tables above, and pages.
pub const STEPS: usize = 1024;
/// Fewer would not be sure to come any further.
const LEAST_STEPS: usize = 16;

/// The tables from the root to the one in which an address is translated.
#[derive(Debug)]
pub struct Path<'rcu, F> {
    /// Where they lie.
    tables: [PhysAddr; MAX_LEVELS],
    /// So many there are; the root always is.
    levels: usize,
    /// An address below the last of them.
    pub va: VirtAddr,
    _tables: PhantomData<TableRef<'rcu, F>>,
}

impl<'rcu, F: PagingFormat> Path<'rcu, F> {
    #[inline(always)]
    fn begin(root: TableRef<'rcu, F>, va: VirtAddr) -> Self {
        Self { tables: [root.addr(); MAX_LEVELS], levels: 1, va, _tables: PhantomData }
    }
    #[inline(always)]
    fn push(&mut self, table: TableRef<'rcu, F>) {
        self.tables[table.level()] = table.addr();
        self.levels = table.level() + 1;
    }
    /// Whether it ends in a table of the last level.
    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.levels == F::LEVELS.len()
    }
    /// The table of that level, and where it hangs.
    #[inline(always)]
    pub fn at(&self, level: usize) -> Located<'rcu, F> {
        debug_assert!(level < self.levels);
        // SAFETY: `push` was given it, or `begin`; beyond the end there is the root, which is one, too.
        let table = unsafe { TableRef::again(self.tables[level], level) };
        Located::new(table, self.tables[level.saturating_sub(1)], self.va)
    }
    /// The last table of the path.
    pub fn end(&self) -> Located<'rcu, F> {
        self.at(self.levels - 1)
    }
    /// The last table of a path that ends in a table of the last level.
    #[inline(always)]
    pub fn leaf(&self) -> Located<'rcu, F> {
        debug_assert!(self.is_whole());
        self.at(paging::last::<F>())
    }

    /// From a leaf table to that of an address behind it, if the same table has both: one step instead of
    /// the way from the root. False if it does not; the path is of no use then.
    fn step(&mut self, va: VirtAddr) -> bool {
        debug_assert!(self.is_whole());
        let above = paging::last::<F>() - 1;
        let level = &F::LEVELS[above];
        if self.va.align_down(level.table_span()) != va.align_down(level.table_span()) {
            return false;
        }
        let Some(child) = self.at(above).table.child(level.index(va)) else { return false };
        self.push(child);
        self.va = va;
        true
    }
}

/// What the search for the next leaf table found.
#[derive(Debug)]
pub enum Next<'rcu, F> {
    /// A table of the last level; `va` of the path is the address at which to go on in it.
    Leaf(Path<'rcu, F>),
    /// Enough for one section; go on here.
    Resume(VirtAddr),
    /// No more tables in the range.
    Done,
}

impl<F: PagingFormat> PageTable<F> {
    /// From the root towards the leaf table for `va`, as far as there are tables.
    #[inline]
    pub fn descend<'rcu>(&self, reader: &'rcu Reader<'_>, va: VirtAddr) -> Path<'rcu, F> {
        let mut table = self.root(reader);
        let mut path = Path::begin(table, va);
        for level in &F::LEVELS[..paging::last::<F>()] {
            let Some(child) = table.child(level.index(va)) else { break };
            path.push(child);
            table = child;
        }
        path
    }

    /// The path to the leaf table for `va`, if there is one.
    #[inline]
    pub fn leaf<'rcu>(&self, reader: &'rcu Reader<'_>, va: VirtAddr) -> Option<Path<'rcu, F>> {
        Some(self.descend(reader, va)).filter(Path::is_whole)
    }

    /// The first leaf table that covers an address of `from..end`. Takes one step for each entry it
    /// looks at.
    pub(super) fn next_leaf<'rcu>(
        &self,
        reader: &'rcu Reader<'_>,
        from: VirtAddr,
        end: VirtAddr,
        steps: &mut usize,
    ) -> Next<'rcu, F> {
        let mut at = from;
        'root: while at < end {
            let mut table = self.root(reader);
            let mut path = Path::begin(table, at);
            loop {
                path.push(table);
                if path.is_whole() {
                    path.va = at;
                    return Next::Leaf(path);
                }
                let level = &F::LEVELS[table.level()];
                let mut index = level.index(at);
                table = loop {
                    let Some(left) = steps.checked_sub(1) else { return Next::Resume(at) };
                    *steps = left;
                    if let Some(child) = table.child(index) {
                        break child;
                    }
                    // Nothing below this entry: on to the next one's first address.
                    let Some(next) = at.align_down(level.entry_span()).checked_add(level.entry_span()) else {
                        return Next::Done;
                    };
                    at = next;
                    index += 1;
                    if at >= end {
                        return Next::Done;
                    }
                    if index == table.entries() {
                        continue 'root;
                    }
                };
            }
        }
        Next::Done
    }

    /// Shows the visitor the pages of the range that it finds in so many steps. Gives the address at
    /// which to go on, in this section or another; `None` when the range is done.
    pub fn walk_some(
        &self,
        reader: &Reader<'_>,
        range: Range<VirtAddr>,
        steps: usize,
        visitor: &mut impl Visitor,
    ) -> Option<VirtAddr> {
        let root = self.root(reader).addr();
        trace::emit(Group::Walk, || Event::WalkBegin { root, at: range.start.get() });
        let next = self.walk_section(reader, range.clone(), steps, visitor);
        trace::emit(Group::Walk, || Event::WalkEnd { root, at: next.unwrap_or(range.end).get() });
        next
    }

    fn walk_section(
        &self,
        reader: &Reader<'_>,
        range: Range<VirtAddr>,
        steps: usize,
        visitor: &mut impl Visitor,
    ) -> Option<VirtAddr> {
        let leaf = &F::LEVELS[paging::last::<F>()];
        let mut steps = steps.max(LEAST_STEPS);
        let mut at = range.start;
        let mut before: Option<Path<'_, F>> = None;
        while at < range.end {
            let beside = before.take().and_then(|mut path| path.step(at).then_some(path));
            let path =
                match beside.map_or_else(|| self.next_leaf(reader, at, range.end, &mut steps), Next::Leaf) {
                    Next::Leaf(path) => path,
                    Next::Resume(at) => return Some(at),
                    Next::Done => return None,
                };
            at = path.va;
            let Located { table, base, .. } = path.leaf();
            let stop = base.checked_add(leaf.table_span()).map_or(range.end, |stop| stop.min(range.end));
            before = Some(path);
            #[cfg(not(loom))]
            if super::inject::before_table(at, table.addr(), || self.page_of(table)) {
                at = stop;
                continue;
            }
            // A page is a run of like entries: the first of them is enough.
            let (run, table) = (paging::run::<F>(), table.leaf());
            let first = leaf.index(at);
            let end = first + ((stop.get() - at.get()) >> leaf.shift) as usize;
            let last = end.min(first.saturating_add(steps.saturating_mul(run)));
            steps -= (last - first).div_ceil(run).min(steps);
            let mut index = table.skip_empty(first, last, run);
            while index < last {
                if let Entry::Page(page) = table.load(index) {
                    visitor
                        .page(VirtAddr::new(at.get() + ((index - first) as u64) * leaf.entry_span()), page);
                }
                index = table.skip_empty(index + run, last, run);
            }
            if last < end {
                return Some(VirtAddr::new(at.get() + ((last - first) as u64) * leaf.entry_span()));
            }
            at = stop;
        }
        None
    }

    /// The page-table page that a table lies in. It was linked when the reader began.
    #[cfg(not(loom))]
    fn page_of(&self, table: TableRef<'_, F>) -> crate::addr::PhysAddr {
        self.memory.page_of(table.addr()).map_or(table.addr(), |page| page.block())
    }

    /// Shows the visitor all pages of the range, in as many read sections as it takes.
    pub fn walk(&self, ctx: &MaySleep, range: Range<VirtAddr>, visitor: &mut impl Visitor) {
        let mut next = Some(range.start);
        while let Some(at) = next {
            let reader = self.reader(ctx);
            next = self.walk_some(&reader, at..range.end, STEPS, visitor);
        }
    }
}
