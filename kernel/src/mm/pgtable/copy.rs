//! Copying the pages of one address space's tables into another's: fork.
//!
//! Table by table: the locks of the two are taken once for all entries of a table. The new tables are
//! nobody else's yet, so theirs is never waited for.

use super::PageTable;
use super::table::lock_both;
use super::walk::{Next, STEPS};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, PagingFormat};
use crate::error::Errno;
use crate::sync::MaySleep;
use core::ops::Range;

impl<F: PagingFormat> PageTable<F> {
    /// Shows each page of the range to `copy`, which takes a reference for the other tables. If they are
    /// `shared` neither may store to them from now on. ENOMEM: the other tables have a part of the pages.
    /// Rights that were taken away may still be used by other CPUs until
    /// [`forget_all`](Self::forget_all); true if there are any.
    pub fn copy_range(
        &self,
        other: &Self,
        range: Range<VirtAddr>,
        shared: bool,
        ctx: &mut MaySleep,
        copy: &mut impl FnMut(PhysAddr),
    ) -> Result<bool, Errno> {
        let leaf = &F::LEVELS[paging::last::<F>()];
        let mut flush = false;
        let mut at = range.start;
        while at < range.end {
            let mut wanted = None;
            {
                let reader = self.reader(ctx);
                let mut steps = STEPS;
                match self.next_leaf(&reader, at, range.end, &mut steps) {
                    Next::Done => break,
                    Next::Resume(next) => at = next,
                    Next::Leaf(path) => {
                        at = path.va;
                        let source = path.leaf();
                        let stop = source.base.get().saturating_add(leaf.table_span()).min(range.end.get());
                        match other.leaf(&reader, at) {
                            // A table for the other only if there is something to put into it.
                            None => {
                                let Some(source) = source.lock(self.memory) else { continue };
                                let first = source.next_page(source.entries_of(at, stop));
                                wanted = first.map(|(index, _)| source.addr_of(index));
                                at = wanted.unwrap_or(VirtAddr::new(stop));
                            }
                            Some(target) => {
                                let both = lock_both(source, target.leaf(), self.memory);
                                let Some(both) = both else { continue };
                                let mut entries = both.source.entries_of(at, stop);
                                // When all pages of the table were seen the rest of it is empty.
                                let mut left = both.source.most_used();
                                while left > 0
                                    && let Some((index, page)) = both.source.next_page(entries.clone())
                                {
                                    left = left.saturating_sub(paging::run::<F>());
                                    copy(page.addr);
                                    flush |= both.copy_page(self.space, index, page, shared);
                                    entries.start = index + paging::run::<F>();
                                }
                                at = VirtAddr::new(stop);
                            }
                        }
                    }
                }
            }
            if let Some(va) = wanted {
                other.populate(va, ctx)?;
            }
        }
        Ok(flush)
    }

    /// Makes all CPUs forget all they know of this address space.
    pub fn forget_all(&self) {
        super::hardware::flush_all(self.space);
    }
}
