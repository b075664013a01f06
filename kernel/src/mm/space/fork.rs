//! `fork`: a copy that shares its pages until one of the two writes.
//!
//! The parent is closed meanwhile: its other threads' page faults wait, so that the child sees the pages
//! of one moment. What another CPU of the parent may still store through a translation that it remembers
//! happens before the flush at the end, hence before the child exists.
//!
//! All pages in the tables are copied, those of files too: an entry costs less than the fault that would
//! make it.

use super::ground::{Area, Attrs};
use super::tables::{on, on_both};
use super::{Closed, Mm, MmRef, VmFlags};
use crate::addr::{Pfn, PhysAddr};
use crate::error::Errno;
use crate::sync::MaySleep;

impl Mm {
    /// A copy for a child, with one user: private pages are shared until one of the two writes.
    /// Nothing has changed if there is no memory.
    pub fn fork(&self, ctx: &mut MaySleep) -> Result<MmRef, Errno> {
        let child = Self::on(self.ground, ctx)?;
        child.set_marks(self.marks());
        child.set_limits(self.limits());
        let _lock = self.lock_areas(ctx);
        let closed = Closed::new(self);
        let result = self.copy_areas(&child, ctx).and_then(|()| self.copy_pages(&child, ctx));
        drop(closed);
        result.map(|()| child)
    }

    /// The set, as the child has it.
    fn copy_areas(&self, child: &Self, ctx: &mut MaySleep) -> Result<(), Errno> {
        // SAFETY: the lock is held (the caller).
        let view = unsafe { self.areas.view() };
        let plain = |area: &Area| !area.attrs.flags.has(VmFlags::DONT_FORK) && inherited(area) == area.attrs;
        let mut draft = child.areas.draft();
        if view.iter_from(0).all(plain) {
            draft.copy(view, ctx)?;
        } else {
            // Neighbours may become equal.
            for area in view.iter_from(0).filter(|area| !area.attrs.flags.has(VmFlags::DONT_FORK)) {
                draft.put(area.start..area.end, Some(inherited(area)), Some(ctx))?;
            }
        }
        let mut weight = super::count::Weight::default();
        for area in draft.view().iter_from(0) {
            weight += super::count::Weight::of_area(area);
            if let Some(object) = area.attrs.object {
                // SAFETY: our version names it, too.
                unsafe { object.add(self.pages(area.len())) };
            }
        }
        draft.commit();
        child.counters.weigh(self.ground, weight);
        Ok(())
    }

    /// The tables. On an error the child has a part of them, and goes.
    fn copy_pages(&self, child: &Self, ctx: &mut MaySleep) -> Result<(), Errno> {
        // SAFETY: the lock is held (the caller).
        let view = unsafe { self.areas.view() };
        let mut pages = super::count::Pages::default();
        let mut flush = false;
        let mut result = Ok(());
        for area in view.iter_from(0) {
            let flags = area.attrs.flags;
            if flags.has(VmFlags::DONT_FORK) || flags.has(VmFlags::WIPE_ON_FORK) {
                continue;
            }
            let mut copy = |page: PhysAddr| {
                // SAFETY: the entry holds a reference, and its lock is held.
                let kind = unsafe { self.ground.shared.get(Pfn::containing(page)) };
                pages.count(kind, 1);
            };
            let range = super::virt(&(area.start..area.end));
            let copied = on_both!(
                self.tables, child.tables,
                ours, theirs => ours.copy_range(theirs, range, flags.is_private(), ctx, &mut copy),
                Err(Errno::EINVAL)
            );
            match copied {
                Ok(restricted) => flush |= restricted,
                Err(errno) => {
                    // Some rights may have been taken away.
                    (flush, result) = (true, Err(errno));
                    break;
                }
            }
        }
        child.counters.add_pages(pages);
        if flush {
            on!(self.tables, tables => tables.forget_all());
        }
        result
    }
}

/// What the child's mapping is like.
fn inherited(area: &Area) -> Attrs {
    Attrs { flags: area.attrs.flags.without(VmFlags::LOCKED), ..area.attrs }
}
