//! `mprotect`, and other changes of what is said about mappings.

use super::count::Weight;
use super::ground::{Area, Attrs};
use super::tables::on;
use super::{LockAll, Mm, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::paging::{Access, Page};
use crate::error::Errno;
use crate::rcu;
use crate::sync::MaySleep;
use core::ops::Range;

impl Mm {
    /// The range that a call names, in whole pages. EINVAL: it does not begin with one; ENOMEM: it
    /// leaves the space. It may be empty.
    pub(super) fn range(&self, addr: VirtAddr, len: u64) -> Result<Range<u64>, Errno> {
        let start = addr.get();
        if !self.is_page(start) {
            return Err(Errno::EINVAL);
        }
        let end = self.page_up(len).and_then(|len| start.checked_add(len));
        let end = end.filter(|&end| end <= SPACE_END.get() || end == start).ok_or(Errno::ENOMEM)?;
        Ok(start..end)
    }

    /// Calls with each mapping's part of the range, in order. ENOMEM: some of the range is not mapped;
    /// known after all were seen.
    pub(super) fn each_within(
        &self,
        ctx: &MaySleep,
        range: Range<u64>,
        mut each: impl FnMut(Area) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let mut holes = false;
        let mut at = range.start;
        while at < range.end {
            // One section for each: what is done with it may take time.
            let area = {
                let section = rcu::read_lock(ctx);
                self.areas.read(&section).within(at..range.end).next()
            };
            let Some(area) = area else { break };
            holes |= area.start > at;
            at = area.end;
            each(area)?;
        }
        if holes || at < range.end { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// `mprotect`.
    pub fn protect(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64, access: Access) -> Result<(), Errno> {
        let range = self.range(addr, len)?;
        if range.is_empty() {
            return Ok(());
        }
        let _lock = self.lock_areas(ctx);
        self.each_within(ctx, range.clone(), |area| {
            let most = area.attrs.flags.most();
            let too_much =
                access.read && !most.read || access.write && !most.write || access.execute && !most.execute;
            if too_much { Err(Errno::EACCES) } else { Ok(()) }
        })?;
        let changed = self.change_flags(ctx, range.clone(), |flags| {
            let private_write = flags.is_private() && access.write && !flags.has(VmFlags::NORESERVE);
            flags.with_access(access).set(VmFlags::ACCOUNT, private_write || flags.has(VmFlags::ACCOUNT))
        })?;
        if changed {
            // What gains the right to store keeps faulting at first: it may be shared, or clean.
            on!(self.tables, tables => tables.change(super::virt(&range), ctx, |page| {
                let write = page.access.write && access.write;
                Page { access: Access { write, ..access.normal() }, ..page }
            }));
        }
        Ok(())
    }

    /// Changes the flags of what is mapped in the range, by the holder of the lock. True if there was
    /// something to change. On an error nothing has changed.
    pub(super) fn change_flags(
        &self,
        ctx: &mut MaySleep,
        range: Range<u64>,
        change: impl Fn(VmFlags) -> VmFlags,
    ) -> Result<bool, Errno> {
        // SAFETY: the lock is held (the caller), and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        let sum = |view: crate::mm::vma::View<'_, Attrs>| {
            view.within(range.clone()).fold(Weight::default(), |sum, area| sum + Weight::of_area(&area))
        };
        if view.within(range.clone()).all(|area| change(area.attrs.flags) == area.attrs.flags) {
            return Ok(false);
        }
        let mut draft = self.areas.draft();
        draft.change(range.clone(), Some(ctx), |attrs| Attrs { flags: change(attrs.flags), ..attrs })?;
        let weight = sum(draft.view()) - sum(view);
        self.within_limits(weight)?;
        // Nothing is unmapped: the objects' pages stay counted.
        draft.commit();
        self.counters.weigh(self.ground, weight);
        Ok(true)
    }

    /// `mlock` (true; its pages are made unless `on_fault`) and `munlock`: counted, for nothing here goes
    /// to a disk.
    pub fn lock(
        &self,
        ctx: &mut MaySleep,
        addr: VirtAddr,
        len: u64,
        on: bool,
        on_fault: bool,
    ) -> Result<(), Errno> {
        let start = self.page_down(addr.get());
        let len = len.checked_add(addr.get() - start).ok_or(Errno::EINVAL)?;
        let range = self.range(VirtAddr::new(start), len).map_err(|_| Errno::ENOMEM)?;
        if range.is_empty() {
            return Ok(());
        }
        {
            let _lock = self.lock_areas(ctx);
            if on && self.limits().locked == 0 {
                return Err(Errno::EPERM);
            }
            self.each_within(ctx, range.clone(), |_| Ok(()))?;
            let change = |flags: VmFlags| flags.set(VmFlags::LOCKED, on);
            self.change_flags(ctx, range.clone(), change).map_err(|_| Errno::ENOMEM)?;
        }
        if on && !on_fault {
            self.make_present(ctx, range, false)?;
        }
        Ok(())
    }

    /// `mlockall` and `munlockall`.
    pub fn lock_all(&self, ctx: &mut MaySleep, what: LockAll) -> Result<(), Errno> {
        let all = 0..SPACE_END.get();
        {
            let mut state = self.lock_areas(ctx);
            if (what.current || what.future) && self.limits().locked == 0 {
                return Err(Errno::EPERM);
            }
            if what.current || !what.future {
                let change = |flags: VmFlags| flags.set(VmFlags::LOCKED, what.current);
                self.change_flags(ctx, all.clone(), change).map_err(|_| Errno::ENOMEM)?;
            }
            state.lock_future = what.future;
        }
        if what.current {
            // What is mapped is what counts; there are holes.
            let _ = self.make_present(ctx, all, false);
        }
        Ok(())
    }
}
