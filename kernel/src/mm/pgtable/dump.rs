//! The tables themselves, one after the other: what `/proc/PID/page_tables` shows.
//!
//! A table comes before those below it, and those of lower addresses before those of higher ones; so a
//! table's place in the order is its first address and its level, and that pair is all that a reader
//! keeps between two read sections. The next section begins at the root again and looks for the first
//! table at or behind the place: as for [`walk`](super::walk), what was there before and after is shown
//! once, what came or went meanwhile is shown or not, and no section is longer than its bound.
//!
//! What is told of a table is read from three places that no lock keeps together: the entry above it,
//! its own entries (or their count), and its page's descriptor, which lives as long as the page. Each is
//! true of some moment of the section.

use super::PageTable;
use super::frag::Stage;
use super::scheme::Reader;
use super::table::{Located, TableRef};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, Entry, PagingFormat};
use crate::sync::MaySleep;
use core::ops::Range;

/// A place in the order of tables: a table's first address and level, or the least that it may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// First address.
    pub base: VirtAddr,
    /// Level; the root's is 0.
    pub level: usize,
}

impl Place {
    /// The root's.
    pub const FIRST: Self = Self { base: VirtAddr::new(0), level: 0 };
}

/// What there is to tell of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableInfo {
    /// Its level; the root's is 0.
    pub level: usize,
    /// The manual's name of such a table.
    pub name: &'static str,
    /// The addresses that it translates.
    pub range: Range<VirtAddr>,
    /// Where it lies.
    pub table: PhysAddr,
    /// Where its page-table page begins.
    pub page: PhysAddr,
    /// Which fragment of the page it is, or is part of; of how many.
    pub fragment: (u16, u16),
    /// Bytes of a fragment, spare ones included.
    pub fragment_bytes: usize,
    /// Which part of the fragment; of how many: a group has several tables.
    pub part: (usize, usize),
    /// Entries that are not empty; of how many.
    pub entries: (usize, usize),
    /// Whether the entry above points to it.
    pub linked: bool,
    /// Where its fragment is in its life.
    pub stage: Option<Stage>,
    /// How many fragments of the page are in each stage, in the order of [`Stage::ALL`].
    pub stages: [u16; 4],
}

impl TableInfo {
    /// One word for where it is in its life: `linked`; `unlinked`, but not yet handed to the scheme;
    /// `late` or `covered`, waiting for a grace period; `free`, which a reader should never meet.
    pub const fn state(&self) -> &'static str {
        match (self.stage, self.linked) {
            (Some(Stage::Live), true) => "linked",
            (Some(Stage::Live), false) => "unlinked",
            (Some(Stage::Late), _) => "late",
            (Some(Stage::Covered), _) => "covered",
            (Some(Stage::Free), _) => "free",
            (None, _) => "unknown",
        }
    }
}

impl<F: PagingFormat> PageTable<F> {
    /// Tells of a table that a walk found. Takes no lock.
    pub fn about(&self, at: Located<'_, F>) -> TableInfo {
        let (table, level) = (at.table, &F::LEVELS[at.table.level()]);
        let packing = self.packing(table.level());
        let page = self.memory.page_of(table.addr());
        let (block, (fragment, stage, stages)) = match page {
            Some(page) => (page.block(), page.look_at(table.addr())),
            None => (table.addr(), (0, None, [0; 4])),
        };
        let offset = table.addr().get().wrapping_sub(block.get()) as usize % packing.fragment_bytes();
        // A count is of all tables of a fragment; where there is none, tables are small.
        let counted = page.and_then(|page| page.used_at(table.addr())).filter(|_| packing.tables == 1);
        let looked = || (0..table.entries()).filter(|&index| table.load(index) != Entry::Absent).count();
        let end = at.base.checked_add(level.table_span()).unwrap_or(VirtAddr::new(u64::MAX));
        TableInfo {
            level: table.level(),
            name: level.name,
            range: at.base..end,
            table: table.addr(),
            page: block,
            fragment: (fragment, packing.fragments),
            fragment_bytes: packing.fragment_bytes(),
            part: (offset / level.bytes(), packing.tables),
            entries: (counted.map_or_else(looked, |share| share.used()), table.entries()),
            linked: at.is_linked(),
            stage,
            stages,
        }
    }

    /// Shows the tables from that place on, as many as a section of so many steps finds; false from the
    /// visitor ends it before. Gives the place at which to go on; `None` after the last table.
    pub fn tables_some(
        &self,
        reader: &Reader<'_>,
        from: Place,
        steps: usize,
        visit: &mut dyn FnMut(TableInfo) -> bool,
    ) -> Option<Place> {
        let mut from = from;
        // Once round always comes further: past a table, or past an entry that leads to none.
        let mut steps = steps.max(paging::last::<F>() + 2);
        while from.base.get() < paging::space_bytes::<F>() {
            let root = self.root(reader);
            let mut at = Located::new(root, root.addr(), VirtAddr::new(0));
            loop {
                if (Place { base: at.base, level: at.table.level() }) >= from {
                    from = Place { base: at.base, level: at.table.level() + 1 };
                    let more = visit(self.about(at));
                    steps = steps.saturating_sub(at.table.entries().min(LOOKED_THROUGH));
                    if !more || steps == 0 {
                        return Some(from);
                    }
                }
                let level = &F::LEVELS[at.table.level()];
                if at.table.level() == paging::last::<F>() {
                    from = Place { base: at.base.checked_add(level.table_span())?, level: 0 };
                    break;
                }
                match next_child(at, from.base, &mut steps) {
                    Child::Table(child) => at = child,
                    Child::None(next) => {
                        from = Place { base: next, level: 0 };
                        break;
                    }
                    Child::Resume(next) => return Some(Place { base: next, level: 0 }.max(from)),
                }
            }
        }
        None
    }

    /// Shows all tables, in as many read sections as it takes.
    pub fn tables(&self, ctx: &MaySleep, visit: &mut dyn FnMut(TableInfo)) {
        let mut next = Some(Place::FIRST);
        while let Some(from) = next {
            let reader = self.reader(ctx);
            next = self.tables_some(&reader, from, super::walk::STEPS, &mut |table| {
                visit(table);
                true
            });
        }
    }
}

/// Entries of a table that are looked through to count them, at most; larger tables are counted.
const LOOKED_THROUGH: usize = 512;

/// What is found below a table.
enum Child<'rcu, F> {
    /// The first table that covers the address or is behind it.
    Table(Located<'rcu, F>),
    /// None; behind the table it goes on there.
    None(VirtAddr),
    /// Enough for one section; there is none before that address.
    Resume(VirtAddr),
}

fn next_child<'rcu, F: PagingFormat>(
    above: Located<'rcu, F>,
    from: VirtAddr,
    steps: &mut usize,
) -> Child<'rcu, F> {
    let table: TableRef<'rcu, F> = above.table;
    let span = F::LEVELS[table.level()].entry_span();
    let first = from.get().saturating_sub(above.base.get()) / span;
    for index in first as usize..table.entries() {
        let base = VirtAddr::new(above.base.get() + index as u64 * span);
        let Some(left) = steps.checked_sub(1) else { return Child::Resume(base) };
        *steps = left;
        if let Some(child) = table.child(index) {
            return Child::Table(Located::new(child, table.addr(), base));
        }
    }
    Child::None(VirtAddr::new(above.base.get() + F::LEVELS[table.level()].table_span()))
}

#[cfg(all(test, not(loom)))]
#[expect(clippy::expect_used, reason = "tests stop where the test is wrong")]
mod tests {
    use super::super::scheme::rcu::Rcu;
    use super::super::testing::{Bench, nth};
    use super::super::{Layout, PageTable};
    use super::*;
    use crate::arch::paging::Access;
    use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
    use crate::arch::s390x_format::S390Dat;
    use std::collections::{BTreeMap, BTreeSet};

    /// Pages on both sides of the borders of a table, a group and an upper table.
    fn mapped<F: PagingFormat>(bench: &mut Bench<F>, tables: &PageTable<F>) -> BTreeSet<u64> {
        let last = paging::last::<F>();
        let leaf = F::LEVELS[last].table_span() >> F::PAGE_SHIFT;
        let upper = F::LEVELS[last - 1].table_span() >> F::PAGE_SHIFT;
        let pages = [0, 1, leaf - 1, leaf, 5 * leaf, upper - 1, upper, 3 * upper + leaf].into();
        for &number in &pages {
            let page = bench.memory.page::<F>(Access::RW, number);
            tables.map(nth::<F>(number), page, &mut bench.ctx).expect("memory");
        }
        pages
    }

    fn all<F: PagingFormat>(bench: &Bench<F>, tables: &PageTable<F>) -> Vec<TableInfo> {
        let mut found = vec![];
        tables.tables(&bench.ctx, &mut |table| found.push(table));
        found
    }

    fn is_what_was_mapped<F: PagingFormat>(layout: Layout) {
        let mut bench = Bench::<F>::new(16);
        let tables = bench.tables(layout, &Rcu);
        let pages = mapped(&mut bench, &tables);
        let found = all(&bench, &tables);
        let place = |table: &TableInfo| Place { base: table.range.start, level: table.level };
        assert!(found.is_sorted_by(|a, b| place(a) < place(b)), "each once, in order");
        assert!(found.iter().all(|table| table.state() == "linked"));
        // The fragments' bytes are the tables' bytes.
        let fragments: BTreeMap<_, _> =
            found.iter().map(|table| ((table.page, table.fragment.0), table.fragment_bytes)).collect();
        assert_eq!(fragments.values().sum::<usize>(), tables.table_bytes());
        let last = paging::last::<F>();
        let leaves: Vec<_> = found.iter().filter(|table| table.level == last).collect();
        let run = paging::run::<F>();
        for table in &leaves {
            let range = table.range.start.get() >> F::PAGE_SHIFT..table.range.end.get() >> F::PAGE_SHIFT;
            assert_eq!(table.entries.0, pages.range(range).count() * run, "{table:?}");
        }
        assert_eq!(leaves.iter().map(|table| table.entries.0).sum::<usize>(), pages.len() * run);
        let packing = tables.packing(last);
        for table in &leaves {
            let within = table.table.get() - table.page.get();
            let bytes = table.fragment_bytes as u64;
            assert_eq!(within / bytes, u64::from(table.fragment.0));
            assert_eq!(within % bytes / F::LEVELS[last].bytes() as u64, table.part.0 as u64);
            // A group's tables stand in the order of their addresses.
            let number = table.range.start.get() / F::LEVELS[last].table_span();
            assert_eq!(table.part.0, number as usize % packing.tables);
            assert_eq!(table.stages.iter().sum::<u16>(), packing.fragments);
        }
        if layout == Layout::Group {
            assert!(leaves.len().is_multiple_of(packing.tables), "whole groups");
        }
        // In steps of any size it is the same.
        for steps in [0, 7, 100] {
            let (mut pieces, mut next, mut sections) = (vec![], Some(Place::FIRST), 0);
            while let Some(from) = next {
                let reader = tables.reader(&bench.ctx);
                next = tables.tables_some(&reader, from, steps, &mut |table| {
                    pieces.push(table);
                    pieces.len() % 3 != 0
                });
                sections += 1;
                assert!(next.is_none_or(|next| next > from));
            }
            assert_eq!(pieces, found);
            assert!(sections > found.len() / 3);
        }
        drop(tables);
        bench.nothing_is_left();
    }

    macro_rules! each_way {
        ($test:ident) => {
            for layout in Layout::ALL {
                $test::<S390Dat>(layout);
                $test::<Ppc64Radix4K>(layout);
                $test::<Ppc64Radix64K>(layout);
            }
        };
    }

    #[test]
    fn it_is_what_was_mapped() {
        each_way!(is_what_was_mapped);
    }

    /// What a reader says of a table that was taken away under him.
    fn is_told_apart<F: PagingFormat>(layout: Layout) {
        let mut bench = Bench::<F>::new(16);
        let tables = bench.tables(layout, &Rcu);
        mapped(&mut bench, &tables);
        let reader = tables.reader(&bench.ctx);
        let path = tables.leaf(&reader, nth::<F>(0)).expect("a table");
        assert_eq!(tables.about(path.end()).state(), "linked");
        tables.unmap(nth::<F>(0)..VirtAddr::new(paging::space_bytes::<F>()), &bench.ctx);
        let after = tables.about(path.end());
        assert!(!after.linked && matches!(after.stage, Some(Stage::Late | Stage::Covered)), "{after:?}");
        assert_eq!(after.entries.0, 0);
        let left = all(&bench, &tables);
        assert!(left.iter().all(|table| table.level == 0), "{left:?}");
        drop((reader, tables));
        bench.nothing_is_left();
    }

    #[test]
    fn what_was_unlinked_is_told_apart() {
        each_way!(is_told_apart);
    }
}
