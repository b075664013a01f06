//! Moving a page from one address to another.

use super::PageTable;
use super::table::{lock_both, run_entries};
use crate::addr::VirtAddr;
use crate::arch::paging::{self, PagingFormat};
use crate::error::Errno;
use crate::mm::gather::TlbGather;
use crate::sync::MaySleep;

impl<F: PagingFormat> PageTable<F> {
    /// Moves the page at `from` to `to`, where none is mapped. When it returns no CPU finds it at
    /// `from`. ENOENT: there is none; EEXIST: `to` is taken; ENOMEM, EINVAL as for
    /// [`map`](Self::map). Then nothing has changed.
    ///
    /// The two tables may lie in one page and have one lock (H23).
    pub fn move_page(&self, from: VirtAddr, to: VirtAddr, ctx: &mut MaySleep) -> Result<(), Errno> {
        let bytes = 1 << F::PAGE_SHIFT;
        for va in [from, to] {
            let end = va.checked_add(bytes).ok_or(Errno::EINVAL)?;
            if !Self::covers(&(va..end)) {
                return Err(Errno::EINVAL);
            }
        }
        if self.lookup(from, ctx).is_none() {
            return Err(Errno::ENOENT);
        }
        let leaf = &F::LEVELS[paging::last::<F>()];
        let mut gather = TlbGather::new(self);
        loop {
            self.populate(to, ctx)?;
            let reader = self.reader(ctx);
            let Some(source) = self.leaf(&reader, from) else { return Err(Errno::ENOENT) };
            let Some(target) = self.leaf(&reader, to) else { continue };
            let Some(both) = lock_both(source.end(), target.end(), self.memory) else { continue };
            if both.target.page(leaf.index(to)).is_some() {
                return Err(Errno::EEXIST);
            }
            let Some(page) = both.source.clear_page(self.space, leaf.index(from)) else {
                return Err(Errno::ENOENT);
            };
            both.target.publish(leaf.index(to), run_entries::<F>(page));
            gather.changed(from);
            break;
        }
        gather.flush();
        Ok(())
    }
}
