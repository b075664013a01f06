//! Mapping pages and changing what may be done with them.

use super::PageTable;
use super::table::run_entries;
use super::walk::Next;
use crate::addr::VirtAddr;
use crate::arch::paging::{self, Access, Page, PagingFormat};
use crate::error::Errno;
use crate::mm::gather::TlbGather;
use crate::sync::MaySleep;
use core::ops::Range;

impl<F: PagingFormat> PageTable<F> {
    /// Maps a page at `va`. EEXIST: one is mapped there; ENOMEM: no memory for tables; EINVAL: not an
    /// address of a page. Then nothing has changed, and the page is still the caller's; otherwise
    /// [`unmap`](Self::unmap) will free it.
    pub fn map(&self, va: VirtAddr, page: Page, ctx: &mut MaySleep) -> Result<(), Errno> {
        let bytes = 1 << F::PAGE_SHIFT;
        let end = va.checked_add(bytes).ok_or(Errno::EINVAL)?;
        if !Self::covers(&(va..end)) || !page.addr.is_aligned(bytes) || page.soft > paging::SOFT_BITS {
            return Err(Errno::EINVAL);
        }
        super::hardware::new_code(page, bytes as usize);
        loop {
            self.populate(va, ctx)?;
            let reader = self.reader(ctx);
            // Unmapped meanwhile with its table: make it again.
            let Some(path) = self.leaf(&reader, va) else { continue };
            let Some(guard) = path.leaf().lock(self.memory) else { continue };
            let index = F::LEVELS[paging::last::<F>()].index(va);
            if guard.page(index).is_some() {
                return Err(Errno::EEXIST);
            }
            guard.publish(index, run_entries::<F>(page));
            return Ok(());
        }
    }

    /// The page at `va` as the tables have it just now.
    pub fn lookup(&self, va: VirtAddr, ctx: &MaySleep) -> Option<Page> {
        let reader = self.reader(ctx);
        let path = self.leaf(&reader, va)?;
        match path.leaf().table.load(F::LEVELS[paging::last::<F>()].index(va.align_down(1 << F::PAGE_SHIFT)))
        {
            paging::Entry::Page(page) => Some(page),
            _ => None,
        }
    }

    /// Gives the pages of the range that access. When it returns no CPU uses a right that was taken
    /// away.
    pub fn protect(&self, range: Range<VirtAddr>, access: Access, ctx: &MaySleep) {
        self.change(range, ctx, |page| Page { access, ..page });
    }

    /// Gives the pages of the range the access and the soft bits that `change` wants; their frames stay.
    /// The same holds when it returns.
    pub fn change(&self, range: Range<VirtAddr>, ctx: &MaySleep, change: impl Fn(Page) -> Page) {
        debug_assert!(Self::covers(&range));
        let mut gather = TlbGather::new(self);
        let mut at = range.start;
        while at < range.end {
            gather.flush_if_full();
            let reader = self.reader(ctx);
            let mut steps = super::walk::STEPS;
            at = match self.next_leaf(&reader, at, range.end, &mut steps) {
                Next::Done => break,
                Next::Resume(at) => at,
                Next::Leaf(path) => {
                    let leaf = &F::LEVELS[paging::last::<F>()];
                    let Some(guard) = path.leaf().lock(self.memory) else { continue };
                    let stop = path.leaf().base.get().saturating_add(leaf.table_span()).min(range.end.get());
                    let mut at = path.va;
                    while at.get() < stop && !gather.is_full() {
                        if let Some(page) = guard.page(leaf.index(at)) {
                            let wanted = change(page);
                            let wanted = Page { access: wanted.access.normal(), ..wanted };
                            if wanted != page && guard.set_access(self.space, leaf.index(at), wanted) {
                                gather.changed(at);
                            }
                        }
                        at = VirtAddr::new(at.get() + (1 << F::PAGE_SHIFT));
                    }
                    at
                }
            };
        }
        gather.flush();
    }
}
