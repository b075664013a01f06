//! Taking a table out of its parent: the first of the four steps of its end.
//!
//! ```text
//!  TableGuard --unlink--> DetachedTable --flush--> FlushedTables --defer--> RCU --> free
//! ```
//!
//! Each arrow is a move from one type to the next, so the order cannot be wrong and none is left
//! out: a table that is freed before its flush does not compile (H31).

use super::frag::PtPage;
use super::table::Located;
use super::{Fragment, PageTable, WORDS};
use crate::arch::paging::PagingFormat;
use crate::mm::pgtable::audit::Life;
use crate::trace::{self, Event, Group};

/// A fragment whose tables no entry points to any more. TLBs and walk caches may still know them,
/// and walkers may be in them.
///
/// It is not made elsewhere, and not freed directly:
/// ```compile_fail,E0616
/// use fallow::mm::pgtable::detach::DetachedTable;
/// fn free(table: DetachedTable) {
///     table.fragment.retire();
/// }
/// ```
/// Handing it over twice:
/// ```compile_fail,E0382
/// use fallow::{arch::s390x_format::S390Dat, mm::gather::TlbGather, mm::pgtable::detach::DetachedTable};
/// fn twice(gather: &mut TlbGather<'_, S390Dat>, table: DetachedTable) {
///     gather.table(table);
///     gather.table(table);
/// }
/// ```
#[must_use = "a detached table goes to the gather"]
#[derive(Debug)]
pub struct DetachedTable {
    fragment: Fragment,
}

impl DetachedTable {
    /// Its translations are gone from every CPU.
    pub(in crate::mm) fn flushed(self) -> Fragment {
        let (page, index) = self.fragment.place();
        page.audit.step(index, Life::Unlinked, Life::Flushed);
        self.fragment
    }
}

impl<F: PagingFormat> PageTable<F> {
    /// Unlinks a table if it is empty, with its siblings of the same fragment if all of them are.
    /// `None` if one is not, or if somebody else has unlinked it; else also whether the table above is
    /// empty by it.
    ///
    /// Empty is decided under the locks of the table and its parent, which whoever fills an entry of
    /// either needs: no fault can refill it in between (H14), and of two that empty two parts of a
    /// group the second one, and only he, finds all of it empty (H13).
    pub(super) fn detach(&self, at: Located<'_, F>) -> Option<(DetachedTable, bool)> {
        let packing = self.packing(at.table.level());
        let pair = at.lock_with_parent(self.memory)?;
        let above_is_empty = pair.withdraw(self.space, packing.tables)?;
        let (page, index) =
            place(self.memory.page_of(at.table.addr())?, pair.first_table(packing.tables), packing)?;
        page.audit.is_of(self.list(at.table.level()).id());
        page.audit.step(index, Life::Linked, Life::Unlinked);
        drop(pair);
        trace::emit(Group::PgTable, || Event::Unlink {
            table: at.table.addr(),
            level: at.table.level() as u8,
        });
        self.count_tables(-1, packing);
        // SAFETY: its entries were cleared just now, under the lock: it is ours alone.
        let fragment = unsafe { Fragment::from_place(page, index) };
        Some((DetachedTable { fragment }, above_is_empty))
    }

    /// The root, at the end of the address space.
    pub(super) fn detach_root(&mut self) -> Option<DetachedTable> {
        let fragment = self.root_fragment.take()?;
        let (page, index) = fragment.place();
        page.audit.is_of(self.list(0).id());
        page.audit.step(index, Life::Linked, Life::Unlinked);
        Some(DetachedTable { fragment })
    }
}

fn place(
    page: &'static PtPage<WORDS>,
    table: crate::addr::PhysAddr,
    packing: super::layout::Packing,
) -> Option<(&'static PtPage<WORDS>, u16)> {
    let offset = table.get().checked_sub(page.block().get())?;
    Some((page, (offset / packing.fragment_bytes() as u64) as u16))
}
