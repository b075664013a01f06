//! Moving a page from one address to another.

use super::PageTable;
use super::table::{lock_both, run_entries};
use super::walk::Path;
use crate::addr::VirtAddr;
use crate::arch::paging::{self, PagingFormat};
use crate::error::Errno;
use crate::mm::gather::TlbGather;
use crate::sync::MaySleep;

/// What an attempt to move a page came to.
enum Moved {
    Yes,
    /// Why not; nothing has changed.
    No(Errno),
    /// A table was unlinked meanwhile: look again.
    Again,
}

impl<F: PagingFormat> PageTable<F> {
    /// Moves the page at `from` to `to`, where none is mapped. When it returns no CPU finds it at
    /// `from`. ENOENT: there is none; EEXIST: `to` is taken; ENOMEM, EINVAL as for
    /// [`map`](Self::map). Then nothing has changed.
    ///
    /// The two tables may lie in one page and have one lock (H23). The table that the page was in
    /// stays, empty or not, until its range is unmapped: pages are moved one after the other.
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
        let mut gather = TlbGather::new(self);
        let result = loop {
            if let Err(errno) = self.populate(to, ctx) {
                break Err(errno);
            }
            let reader = self.reader(ctx);
            let Some(target) = self.leaf(&reader, to) else { continue };
            match self.move_between(self.leaf(&reader, from), &target) {
                Moved::Again => {}
                Moved::Yes => {
                    gather.changed(from);
                    break Ok(());
                }
                // What was populated for nothing goes again; if it was not, it is not empty.
                Moved::No(errno) => {
                    self.prune(&target, &mut gather);
                    break Err(errno);
                }
            }
        };
        gather.flush();
        result
    }

    fn move_between(&self, source: Option<Path<'_, F>>, target: &Path<'_, F>) -> Moved {
        let leaf = &F::LEVELS[paging::last::<F>()];
        let Some(source) = source else { return Moved::No(Errno::ENOENT) };
        let Some(both) = lock_both(source.leaf(), target.leaf(), self.memory) else { return Moved::Again };
        if both.target.page(leaf.index(target.va)).is_some() {
            return Moved::No(Errno::EEXIST);
        }
        let Some(page) = both.source.page(leaf.index(source.va)) else {
            return Moved::No(Errno::ENOENT);
        };
        both.source.clear_page(self.space, leaf.index(source.va), page);
        both.target.publish(leaf.index(target.va), run_entries::<F>(page));
        Moved::Yes
    }
}
