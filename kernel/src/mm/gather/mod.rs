//! The gather: what was unlinked, until every CPU has forgotten it.
//!
//! A flush interrupts or at least stops all CPUs, so it is done for many pages and tables at once.
//! They are collected in arrays of fixed size: when one is full, the batch is flushed and handed to
//! the scheme, and the unmapping goes on. Nothing here allocates, sleeps or panics, so an unmapping
//! cannot fail half way. Linux allocates larger batches and falls back to freeing one by one, with a
//! special path for the case that memory is short; H34 was found in it.
//!
//! Pages that were mapped go the same way as tables: a CPU may still store through a translation
//! whose flush it has not finished (QEMU's `tlbie` returns before other CPUs have left the block that
//! they translate), so a page too is freed only after a grace period.

use super::pgtable::PageTable;
use super::pgtable::detach::DetachedTable;
use super::pgtable::scheme::{BATCH_PAGES, BATCH_TABLES};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, PagingFormat};
use arrayvec::ArrayVec;

/// Pages and tables of one address space that were unlinked and may still be in translation caches.
///
/// What is left is flushed when it is dropped.
#[derive(Debug)]
pub struct TlbGather<'t, F: PagingFormat> {
    tables: &'t PageTable<F>,
    /// Pages whose entries were changed.
    changed: ArrayVec<VirtAddr, BATCH_PAGES>,
    data: ArrayVec<PhysAddr, BATCH_PAGES>,
    detached: ArrayVec<DetachedTable, BATCH_TABLES>,
}

/// More single flushes than this cost more than forgetting the whole address space.
const MOST_SINGLE: usize = 32;

impl<'t, F: PagingFormat> TlbGather<'t, F> {
    /// Empty.
    pub fn new(tables: &'t PageTable<F>) -> Self {
        Self { tables, changed: ArrayVec::new(), data: ArrayVec::new(), detached: ArrayVec::new() }
    }

    /// A page whose entry was cleared; to be freed.
    pub fn page(&mut self, va: VirtAddr, page: PhysAddr) {
        self.make_room();
        self.changed.push(va);
        self.data.push(page);
    }

    /// A page whose entry was changed, and that stays.
    pub fn changed(&mut self, va: VirtAddr) {
        self.make_room();
        self.changed.push(va);
    }

    /// A table that was unlinked.
    pub fn table(&mut self, table: DetachedTable) {
        self.make_room();
        self.detached.push(table);
    }

    /// Whether the next page, or the tables above it, might not fit. A flush is due, which some
    /// schemes allow only outside of a walk.
    pub fn is_full(&self) -> bool {
        self.changed.is_full() || self.detached.remaining_capacity() < F::LEVELS.len()
    }

    /// Flushes if the next page might not fit. Outside of a walk, without locks.
    pub fn flush_if_full(&mut self) {
        if self.is_full() {
            self.flush();
        }
    }

    // Never needed by the callers here, who ask `is_full` at the right moment; it keeps the pushes
    // from being able to panic.
    fn make_room(&mut self) {
        if self.changed.is_full() || self.detached.is_full() {
            self.flush();
        }
    }

    /// Makes all CPUs forget what was gathered, and hands it to the scheme. Outside of a walk,
    /// without locks.
    pub fn flush(&mut self) {
        if self.changed.is_empty() && self.detached.is_empty() {
            return;
        }
        let mut leaves = ArrayVec::<VirtAddr, MOST_SINGLE>::new();
        let run = paging::run::<F>();
        let everything = self.changed.len() * run > MOST_SINGLE;
        if !everything {
            let span = F::LEVELS[paging::last::<F>()].entry_span();
            for page in &self.changed {
                leaves.extend((0..run as u64).map(|part| VirtAddr::new(page.get() + part * span)));
            }
        }
        self.changed.clear();
        self.tables.flush(&leaves, everything, &mut self.detached, &mut self.data);
    }
}

impl<F: PagingFormat> Drop for TlbGather<'_, F> {
    fn drop(&mut self) {
        self.flush();
    }
}
