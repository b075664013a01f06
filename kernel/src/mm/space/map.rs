//! `mmap` and `munmap`, and what all changes of the set have in common.

use super::count::Weight;
use super::ground::{Attrs, Ground};
use super::{Kept, LOWEST, MapFlags, MapRequest, Mm, PageObject, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::error::Errno;
use crate::mm::vma::View;
use crate::mm::vma::memory::Blocks;
use crate::rcu;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use core::ops::Range;

/// The next version of an address space's set.
pub(super) type Draft<'a> = crate::mm::vma::Draft<'a, Attrs, &'static Blocks>;

/// The stack gets at least so much room above where mappings are put, whatever its limit is.
const STACK_ROOM: u64 = 128 << 20;

impl Mm {
    /// `mmap`: gives the address.
    pub fn map(&self, ctx: &mut MaySleep, request: MapRequest) -> Result<VirtAddr, Errno> {
        let (addr, len) = self.map_only(ctx, &request)?;
        if request.flags.has(MapFlags::POPULATE) || request.flags.has(MapFlags::LOCKED) {
            let write = request.access.write && !request.flags.has(MapFlags::SHARED);
            // What cannot be made now is made, or refused, when it is touched.
            let _ = self.make_present(ctx, addr..addr + len, write);
        }
        Ok(VirtAddr::new(addr))
    }

    fn map_only(&self, ctx: &mut MaySleep, request: &MapRequest) -> Result<(u64, u64), Errno> {
        if request.len == 0 {
            return Err(Errno::EINVAL);
        }
        let len = self.page_up(request.len).filter(|&len| len <= SPACE_END.get()).ok_or(Errno::ENOMEM)?;
        if let Some((_, offset)) = &request.object {
            if !self.is_page(*offset) {
                return Err(Errno::EINVAL);
            }
            offset.checked_add(len).filter(|&end| end <= i64::MAX as u64).ok_or(Errno::EOVERFLOW)?;
        }
        let shared = request.flags.has(MapFlags::SHARED);
        self.may_commit(request, shared, len)?;
        let mut fresh = match &request.object {
            None if shared => Some(Kept::new(super::shmem::Shmem::make(self.ground, len)?)?),
            _ => None,
        };

        let state = self.lock_areas(ctx);
        // SAFETY: the lock is held, and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        let addr = self.place(view, request, len)?;
        let range = addr..addr + len;
        let mut flags = flags_of(request, shared);
        flags = flags.set(VmFlags::LOCKED, flags.has(VmFlags::LOCKED) || state.lock_future);
        let replaced = view.within(range.clone()).fold(Weight::default(), |sum, a| sum + Weight::of_area(&a));
        let weight = Weight::of(flags, len);
        self.within_limits(weight - replaced)?;

        let kept = match (&request.object, fresh.take()) {
            (Some((object, _)), _) => Some(self.keep_object(view, &range, object)?),
            (None, kept) => kept,
        };
        let offset = request.object.as_ref().map_or(0, |(_, offset)| *offset);
        let attrs = Attrs {
            flags,
            object: kept.as_ref().map(Kept::name),
            offset: if kept.is_some() { offset.wrapping_sub(addr) } else { 0 },
        };
        let mut draft = self.areas.draft();
        draft.put(range.clone(), Some(attrs), Some(ctx))?;
        if let Some(kept) = kept {
            kept.into_pages(self.pages(len));
        }
        let was_mapped = replaced != Weight::default();
        self.publish(draft, range.clone(), weight, ctx);
        if was_mapped {
            self.zap(range, ctx);
        }
        Ok((addr, len))
    }

    /// Publishes the draft, in which `range` is mapped otherwise than before, and weighs so much. What
    /// was mapped there before is counted off; in the tables it is still.
    pub(super) fn publish(&self, draft: Draft<'_>, range: Range<u64>, weight: Weight, ctx: &MaySleep) {
        let mut gone = Weight::default();
        {
            // The old version stays as long as the section.
            let section = rcu::read_lock(ctx);
            let old = self.areas.read(&section);
            draft.commit();
            for area in old.within(range) {
                gone += Weight::of_area(&area);
                if let Some(object) = area.attrs.object {
                    // SAFETY: the old version counted them, and is not published any more.
                    unsafe { object.subtract(self.pages(area.len())) };
                }
            }
        }
        self.counters.weigh(self.ground, weight - gone);
    }

    /// `munmap`.
    pub fn unmap(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64) -> Result<(), Errno> {
        let start = addr.get();
        let end = self.page_up(len).and_then(|len| start.checked_add(len));
        let end = end.filter(|&end| end <= SPACE_END.get() && end > start).ok_or(Errno::EINVAL)?;
        if !self.is_page(start) {
            return Err(Errno::EINVAL);
        }
        let _lock = self.lock_areas(ctx);
        self.unmap_locked(ctx, start..end)
    }

    /// The same, by the holder of the lock.
    pub(super) fn unmap_locked(&self, ctx: &mut MaySleep, range: Range<u64>) -> Result<(), Errno> {
        // SAFETY: the lock is held, and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        if view.within(range.clone()).next().is_none() {
            return Ok(());
        }
        let mut draft = self.areas.draft();
        draft.put(range.clone(), None, Some(ctx))?;
        self.publish(draft, range.clone(), Weight::default(), ctx);
        self.zap(range, ctx);
        Ok(())
    }

    /// Where the mapping goes.
    fn place(&self, view: View<'_, Attrs>, request: &MapRequest, len: u64) -> Result<u64, Errno> {
        let end = SPACE_END.get();
        let wish = request.addr.get();
        let is_free = |at: u64| view.within(at..at + len).next().is_none();
        let no_replace = request.flags.has(MapFlags::FIXED_NOREPLACE);
        if no_replace || request.flags.has(MapFlags::FIXED) {
            if !self.is_page(wish) {
                return Err(Errno::EINVAL);
            }
            wish.checked_add(len).filter(|&last| last <= end).ok_or(Errno::ENOMEM)?;
            if wish < LOWEST {
                return Err(Errno::EPERM);
            }
            return if no_replace && !is_free(wish) { Err(Errno::EEXIST) } else { Ok(wish) };
        }
        let wish = self.page_down(wish);
        if wish >= LOWEST && wish.checked_add(len).is_some_and(|last| last <= end) && is_free(wish) {
            return Ok(wish);
        }
        self.find_gap(view, len)
    }

    /// The highest gap of that size below the stack's room, or anywhere.
    pub(super) fn find_gap(&self, view: View<'_, Attrs>, len: u64) -> Result<u64, Errno> {
        let end = SPACE_END.get();
        let room = self.limits().stack.clamp(STACK_ROOM, end / 6 * 5);
        let top = self.page_down(end - room);
        let found = view.highest_gap(len, LOWEST..top).or_else(|| view.highest_gap(len, LOWEST..end));
        found.ok_or(Errno::ENOMEM)
    }

    /// The record of the object: that of a neighbour that shows the same, so that the two can be one
    /// mapping, or a new one.
    fn keep_object(
        &self,
        view: View<'_, Attrs>,
        range: &Range<u64>,
        object: &Arc<dyn PageObject>,
    ) -> Result<Kept, Errno> {
        for beside in [range.start.wrapping_sub(1), range.end] {
            if let Some(name) = view.at(beside).and_then(|area| area.attrs.object) {
                // SAFETY: the current version names it, and the lock is held (the view).
                let mapped = unsafe { name.get_locked() };
                if mapped.object().identity() == object.identity() {
                    // SAFETY: as above.
                    return Ok(unsafe { name.keep_locked() });
                }
            }
        }
        Kept::new(object.clone())
    }

    /// The policy of overcommit.
    fn may_commit(&self, request: &MapRequest, shared: bool, len: u64) -> Result<(), Errno> {
        let anonymous_shared = shared && request.object.is_none();
        let counts = anonymous_shared || !shared && request.access.write;
        // MAP_NORESERVE: he means a place for addresses, not memory.
        let counts = counts && !request.flags.has(MapFlags::NORESERVE);
        if counts && len > self.ground.all_memory() { Err(Errno::ENOMEM) } else { Ok(()) }
    }

    /// Whether the process may have so much more.
    pub(super) fn within_limits(&self, more: Weight) -> Result<(), Errno> {
        let limits = self.limits();
        let weight = self.counters.weight() + more;
        let exceeds = |more: i64, has: i64, limit: u64| more > 0 && has.max(0) as u64 > limit;
        if exceeds(more.total, weight.total, limits.address_space)
            || exceeds(more.data, weight.data, limits.data)
        {
            return Err(Errno::ENOMEM);
        }
        if exceeds(more.locked, weight.locked, limits.locked) { Err(Errno::EAGAIN) } else { Ok(()) }
    }
}

impl Ground {
    /// Bytes of all memory that can be handed out.
    pub(super) fn all_memory(&self) -> u64 {
        self.frames.managed() as u64 * crate::arch::PAGE_SIZE
    }
}

fn flags_of(request: &MapRequest, shared: bool) -> VmFlags {
    let has = |flag| request.flags.has(flag);
    let private_write = !shared && request.access.write;
    VmFlags::NONE
        .with_access(request.access)
        .with_most(request.most)
        .set(VmFlags::SHARED, shared)
        .set(VmFlags::MAY_SHARE, shared && request.most.write)
        .set(VmFlags::GROWSDOWN, has(MapFlags::GROWSDOWN) && request.object.is_none() && !shared)
        .set(VmFlags::NORESERVE, has(MapFlags::NORESERVE))
        .set(VmFlags::ACCOUNT, private_write && !has(MapFlags::NORESERVE))
        .set(VmFlags::LOCKED, has(MapFlags::LOCKED))
        .set(VmFlags::DONT_EXPAND, has(MapFlags::SPECIAL))
        .set(VmFlags::SPECIAL, has(MapFlags::SPECIAL))
}
