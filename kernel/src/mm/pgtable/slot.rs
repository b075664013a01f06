//! One page's place in the tables, under its table's lock: what a page fault works on.
//!
//! [`map`](PageTable::map) refuses what is there, [`unmap`](PageTable::unmap) takes what is there. A
//! page fault looks first, and then fills, changes or exchanges; all under one holding of the lock,
//! because what it decides is true only as long.

use super::table::{TableGuard, run_entries};
use super::{PageTable, hardware};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, Page, PagingFormat};
use crate::error::Errno;
use crate::mm::gather::TlbGather;
use crate::sync::MaySleep;
use core::sync::atomic::{Ordering, fence};

/// A page's place. The lock of its table is held.
pub struct Slot<'a, F: PagingFormat> {
    tables: &'a PageTable<F>,
    guard: TableGuard<'a, F>,
    index: usize,
}

impl<F: PagingFormat> Slot<'_, F> {
    /// What is there.
    pub fn page(&self) -> Option<Page> {
        self.guard.page(self.index)
    }
    /// Fills an empty place. The page's reference is the entry's from now on.
    pub fn fill(&self, page: Page) {
        debug_assert!(self.page().is_none());
        hardware::new_code(page, 1 << F::PAGE_SHIFT);
        self.guard.publish(self.index, run_entries::<F>(page));
    }
    /// Changes access and soft bits of the page that is there. True: CPUs must be made to forget it.
    #[must_use]
    pub fn change(&self, page: Page) -> bool {
        self.guard.set_access(self.tables.space, self.index, page)
    }
    /// Puts another page in the place of the one that is there. The old one's reference is the caller's,
    /// once CPUs were made to forget it.
    pub fn exchange(&self, page: Page) {
        let _ = self.clear();
        hardware::new_code(page, 1 << F::PAGE_SHIFT);
        self.guard.publish(self.index, run_entries::<F>(page));
    }
    /// Empties the place. The page's reference is the caller's, once CPUs were made to forget it.
    pub fn clear(&self) -> Option<Page> {
        let page = self.page()?;
        self.guard.clear_page(self.tables.space, self.index, page);
        Some(page)
    }
    /// Writes the same again, so that a CPU that remembers less than is there forgets it.
    pub fn refresh(&self) {
        if let Some(page) = self.page() {
            self.exchange(page);
        }
    }
}

impl<F: PagingFormat> PageTable<F> {
    /// Calls `work` with the place of the page at `va`, if there is a table for it. No lock that ranks
    /// above a page table's is held; `work` does not sleep.
    pub fn at<R>(&self, va: VirtAddr, ctx: &MaySleep, work: impl FnOnce(Slot<'_, F>) -> R) -> Option<R> {
        let index = F::LEVELS[paging::last::<F>()].index(va.align_down(1 << F::PAGE_SHIFT));
        loop {
            let reader = self.reader(ctx);
            let path = self.leaf(&reader, va)?;
            let Some(guard) = path.leaf().lock(self.memory) else { continue };
            // SeqCst: pairs with the fence of whoever publishes another set of mappings and then looks
            // for tables: either he finds this table, or what is looked at from here on is his.
            fence(Ordering::SeqCst);
            return Some(work(Slot { tables: self, guard, index }));
        }
    }

    /// The same; makes the table if there is none.
    pub fn at_made<R>(
        &self,
        va: VirtAddr,
        ctx: &mut MaySleep,
        mut work: impl FnMut(Slot<'_, F>) -> R,
    ) -> Result<R, Errno> {
        loop {
            if let Some(result) = self.at(va, ctx, &mut work) {
                return Ok(result);
            }
            self.populate(va, ctx)?;
        }
    }

    /// Makes all CPUs forget the page at `va`, and drops the reference to `old`, if there is one, as
    /// unmapping does.
    pub fn forget(&self, va: VirtAddr, old: Option<PhysAddr>) {
        let mut gather = TlbGather::new(self);
        let va = va.align_down(1 << F::PAGE_SHIFT);
        match old {
            Some(page) => gather.page(va, page),
            None => gather.changed(va),
        }
        gather.flush();
    }
}
