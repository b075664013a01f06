//! `mremap`: a mapping that grows, shrinks, or moves with its pages.
//!
//! A move allocates all that it needs first: the draft of the set, and the tables at the new place. Then
//! the address space is closed, the set published, and page after page moved from entry to entry, which
//! cannot fail. Old and new table may lie in one page and have one lock (H23); `move_page` knows.

use super::count::Weight;
use super::ground::{Area, Attrs};
use super::tables::on;
use super::{Closed, LOWEST, Mm, RemapRequest, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::paging::Page;
use crate::error::Errno;
use crate::sync::MaySleep;
use core::ops::Range;

impl Mm {
    /// `mremap`: gives the new address.
    pub fn remap(&self, ctx: &mut MaySleep, request: RemapRequest) -> Result<VirtAddr, Errno> {
        let addr = self.remap_only(ctx, request)?;
        let grown = request.new_len > request.old_len;
        if grown {
            // What is locked is present.
            let from = addr + self.page_up(request.old_len).unwrap_or(0);
            let to = addr + self.page_up(request.new_len).unwrap_or(0);
            if self.find_kept(ctx, addr).is_some_and(|(area, _)| area.attrs.flags.has(VmFlags::LOCKED)) {
                let _ = self.make_present(ctx, from..to, false);
            }
        }
        Ok(VirtAddr::new(addr))
    }

    fn remap_only(&self, ctx: &mut MaySleep, request: RemapRequest) -> Result<u64, Errno> {
        let RemapRequest { addr, may_move, to, keep_old, .. } = request;
        let addr = addr.get();
        let old_len = self.page_up(request.old_len).ok_or(Errno::EINVAL)?;
        let new_len = self.page_up(request.new_len).filter(|&len| len != 0).ok_or(Errno::EINVAL)?;
        if new_len > SPACE_END.get() && to.is_none() {
            return Err(Errno::ENOMEM);
        }
        if !self.is_page(addr)
            || (to.is_some() || keep_old) && !may_move
            || keep_old && old_len != new_len
            || new_len > SPACE_END.get()
        {
            return Err(Errno::EINVAL);
        }
        let old_end = addr.checked_add(old_len).ok_or(Errno::EINVAL)?;
        if let Some(to) = to {
            let to = to.get();
            let end = to.checked_add(new_len).filter(|&end| end <= SPACE_END.get()).ok_or(Errno::EINVAL)?;
            if !self.is_page(to) || to < LOWEST || (to < old_end && addr < end) {
                return Err(Errno::EINVAL);
            }
        }

        let _lock = self.lock_areas(ctx);
        // SAFETY: the lock is held, and the view is not used after a publication.
        let view = unsafe { self.areas.view() };
        let area = *view.at(addr).ok_or(Errno::EFAULT)?;
        let flags = area.attrs.flags;
        if old_len == 0 && (flags.is_private() || area.attrs.object.is_none() || !may_move) {
            return Err(Errno::EINVAL);
        }
        if flags.has(VmFlags::ACCOUNT) && new_len > self.ground.all_memory() {
            return Err(Errno::ENOMEM);
        }
        if old_end > area.end || new_len > old_len && flags.has(VmFlags::DONT_EXPAND) {
            return Err(Errno::EFAULT);
        }
        if to.is_none() && !keep_old && old_len != 0 {
            if new_len <= old_len {
                if new_len < old_len {
                    self.unmap_locked(ctx, addr + new_len..old_end)?;
                }
                return Ok(addr);
            }
            let end = addr.checked_add(new_len).filter(|&end| end <= SPACE_END.get());
            if let Some(end) = end.filter(|&end| view.within(old_end..end).next().is_none()) {
                self.grow_up(ctx, &area, old_end..end)?;
                return Ok(addr);
            }
            if !may_move {
                return Err(Errno::ENOMEM);
            }
        }
        let target = match to {
            Some(to) => to.get(),
            None => self.find_gap(view, new_len)?,
        };
        self.move_area(ctx, &area, addr..old_end, target..target + new_len, keep_old)?;
        Ok(target)
    }

    /// The mapping goes on behind its end.
    fn grow_up(&self, ctx: &mut MaySleep, area: &Area, more: Range<u64>) -> Result<(), Errno> {
        let bytes = more.end - more.start;
        let weight = Weight::of(area.attrs.flags, bytes);
        self.within_limits(weight)?;
        let mut draft = self.areas.draft();
        draft.put(more.clone(), Some(area.attrs), Some(ctx))?;
        if let Some(object) = area.attrs.object {
            // SAFETY: the current version names it.
            unsafe { object.add(self.pages(bytes)) };
        }
        self.publish(draft, more, weight, ctx);
        Ok(())
    }

    /// Maps `to` as `from` is mapped, moves the pages, and unmaps `from`. On an error nothing has changed.
    fn move_area(
        &self,
        ctx: &mut MaySleep,
        area: &Area,
        from: Range<u64>,
        to: Range<u64>,
        keep_old: bool,
    ) -> Result<(), Errno> {
        let (old_len, new_len) = (from.end - from.start, to.end - to.start);
        // SAFETY: the lock is held, and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        let sum = |range: &Range<u64>| {
            view.within(range.clone()).fold(Weight::default(), |sum, area| sum + Weight::of_area(&area))
        };
        let replaced = sum(&to);
        let flags = area.attrs.flags;
        let (gained, lost) = (
            Weight::of(flags, new_len),
            if keep_old { Weight::default() } else { Weight::of(flags, old_len) },
        );
        self.within_limits(gained - lost - replaced)?;

        let offset = match area.attrs.object {
            Some(_) => area.attrs.offset.wrapping_add(from.start).wrapping_sub(to.start),
            None => 0,
        };
        let mut draft = self.areas.draft();
        draft.put(to.clone(), Some(Attrs { offset, ..area.attrs }), Some(ctx))?;
        if !keep_old && old_len != 0 {
            draft.put(from.clone(), None, Some(ctx))?;
        }
        let moved = old_len.min(new_len);
        if let Err(errno) = self.make_tables(ctx, from.start..from.start + moved, to.start) {
            drop(draft);
            if replaced == Weight::default() {
                // Takes the empty tables away again.
                self.zap(to, ctx);
            }
            return Err(errno);
        }
        if let Some(object) = area.attrs.object {
            // SAFETY: the current version names it.
            unsafe { object.add(self.pages(new_len)) };
        }

        let closed = Closed::new(self);
        self.publish(draft, to.clone(), gained, ctx);
        if !keep_old {
            self.counters.weigh(self.ground, Weight::default() - lost);
            if let Some(object) = area.attrs.object.filter(|_| old_len != 0) {
                // SAFETY: the version before counted them, and is not published any more.
                unsafe { object.subtract(self.pages(old_len)) };
            }
        }
        if replaced != Weight::default() {
            // The tables stay: they were made for what comes now.
            let mut tally = super::count::Tally::new(self.ground);
            on!(self.tables, tables => {
                tables.clear_each(super::virt(&to), ctx, &mut |page| tally.count(page.addr, -1));
            });
            self.counters.add_pages(tally.pages);
        }
        self.move_pages(ctx, from.start..from.start + moved, to.start);
        drop(closed);
        if old_len != 0 {
            self.zap(from, ctx);
        }
        Ok(())
    }

    /// Sees to it that there are tables for what is moved.
    fn make_tables(&self, ctx: &mut MaySleep, from: Range<u64>, to: u64) -> Result<(), Errno> {
        let mut at = from.start;
        while let Some(page) = self.next_page(ctx, at..from.end) {
            let target = VirtAddr::new(to + (page - from.start));
            on!(self.tables, tables => tables.populate(target, ctx))?;
            at = page + self.page_bytes();
        }
        Ok(())
    }

    fn move_pages(&self, ctx: &mut MaySleep, from: Range<u64>, to: u64) {
        let mut at = from.start;
        while let Some(page) = self.next_page(ctx, at..from.end) {
            let (old, new) = (VirtAddr::new(page), VirtAddr::new(to + (page - from.start)));
            let moved = on!(self.tables, tables => tables.move_page(old, new, ctx));
            if let Err(errno) = moved {
                // The tables are there, the new place is empty, and nobody interferes.
                log::error!(target: "mm", "mremap: the page at {old} was not moved: {errno:?}");
                debug_assert!(false, "{errno:?}");
            }
            at = page + self.page_bytes();
        }
    }

    /// The first address in the range with a page in the tables.
    fn next_page(&self, ctx: &MaySleep, range: Range<u64>) -> Option<u64> {
        let mut next = Some(range.start);
        while let Some(at) = next.filter(|&at| at < range.end) {
            let mut found = None;
            next = on!(self.tables, tables => {
                let reader = tables.reader(ctx);
                let mut first = |va: VirtAddr, _: Page| found = found.or(Some(va.get()));
                tables.walk_some(&reader, super::virt(&(at..range.end)), 64, &mut first)
            })
            .map(VirtAddr::get);
            if found.is_some() {
                return found;
            }
        }
        None
    }
}
