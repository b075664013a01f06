//! Unmapping: pages, then the tables that are empty by it.

use super::PageTable;
use super::scheme::Reader;
use super::walk::{Next, Path, STEPS};
use crate::addr::VirtAddr;
use crate::arch::paging::{self, Page, PagingFormat};
use crate::mm::gather::TlbGather;
use crate::sync::MaySleep;
use core::ops::Range;

impl<F: PagingFormat> PageTable<F> {
    /// Unmaps the pages of the range and frees them, and the tables that are empty by it. When it
    /// returns no CPU translates to them. It allocates nothing and cannot fail.
    pub fn unmap(&self, range: Range<VirtAddr>, ctx: &MaySleep) {
        self.unmap_each([range], ctx, &mut |_| ());
    }

    /// The same for several ranges, with as few flushes as possible. Each page is shown when it has been
    /// taken out.
    pub fn unmap_each(
        &self,
        ranges: impl IntoIterator<Item = Range<VirtAddr>>,
        ctx: &MaySleep,
        each: &mut impl FnMut(Page),
    ) {
        let mut gather = TlbGather::new(self);
        for range in ranges {
            debug_assert!(Self::covers(&range));
            self.unmap_with(range, true, || self.reader(ctx), &mut gather, each);
        }
        gather.flush();
    }

    /// The same, and the tables stay: something is about to be mapped there.
    pub fn clear_each(&self, range: Range<VirtAddr>, ctx: &MaySleep, each: &mut impl FnMut(Page)) {
        let mut gather = TlbGather::new(self);
        self.unmap_with(range, false, || self.reader(ctx), &mut gather, each);
        gather.flush();
    }

    /// Unmaps everything, for the end of the address space.
    pub(super) fn unmap_all(&mut self) {
        if !self.has_tables() {
            return;
        }
        let all = VirtAddr::new(0)..VirtAddr::new(paging::space_bytes::<F>());
        let mut gather = TlbGather::new(self);
        self.unmap_with(all, true, Reader::exclusive, &mut gather, &mut |_| ());
        gather.flush();
    }

    fn unmap_with<'ctx>(
        &self,
        range: Range<VirtAddr>,
        detach: bool,
        reader: impl Fn() -> Reader<'ctx>,
        gather: &mut TlbGather<'_, F>,
        each: &mut impl FnMut(Page),
    ) {
        let mut at = range.start;
        while at < range.end {
            // Between two sections: a flush may take long, and some schemes wait in it.
            gather.flush_if_full();
            let reader = reader();
            let mut steps = STEPS;
            at = match self.next_leaf(&reader, at, range.end, &mut steps) {
                Next::Done => break,
                Next::Resume(at) => at,
                Next::Leaf(path) => self.unmap_leaf(&path, range.end, detach, gather, each),
            };
        }
    }

    /// Empties the part of one leaf table that lies in the range, as far as the gather has room, and
    /// detaches what is empty then. Gives the address at which to go on.
    fn unmap_leaf(
        &self,
        path: &Path<'_, F>,
        end: VirtAddr,
        detach: bool,
        gather: &mut TlbGather<'_, F>,
        each: &mut impl FnMut(Page),
    ) -> VirtAddr {
        let leaf = &F::LEVELS[paging::last::<F>()];
        let stop = path.leaf().base.get().saturating_add(leaf.table_span()).min(end.get());
        let mut at = path.va;
        let empty = {
            let Some(guard) = path.leaf().lock(self.memory) else { return at };
            let mut entries = guard.entries_of(at, stop);
            at = VirtAddr::new(stop);
            // When all pages of the table were seen the rest of it is empty.
            while guard.most_used() != 0
                && let Some((index, page)) = guard.next_page(entries.clone())
            {
                let va = guard.addr_of(index);
                if gather.is_full() {
                    at = va;
                    break;
                }
                guard.clear_page(self.space, index, page);
                each(page);
                gather.page(va, page.addr);
                entries.start = index + paging::run::<F>();
            }
            guard.may_be_empty()
        };
        if detach && empty && at.get() == stop {
            self.prune(path, gather);
        }
        at
    }

    /// Detaches the leaf of the path if it is empty, and then what is empty above it.
    pub(super) fn prune(&self, path: &Path<'_, F>, gather: &mut TlbGather<'_, F>) {
        // From the leaf up: a parent that lost its last child is empty as well. Whoever takes the last
        // one knows it, and only he goes on.
        for level in (1..F::LEVELS.len()).rev() {
            let Some((table, above_is_empty)) = self.detach(path.at(level)) else { break };
            gather.table(table);
            if !above_is_empty {
                break;
            }
        }
    }
}
