//! Page faults, without the address space's lock.
//!
//! ```text
//!  find the mapping, keep its object        in a read section
//!  look at the entry, get a page            may sleep
//!  lock the table, look at both again       as before: fill, change or exchange the entry
//! ```
//!
//! What is done depends on what is mapped and on what is there:
//!
//! | | nothing there | a page there |
//! |---|---|---|
//! | anonymous, load | the page of zeros, not to be stored to | its right was taken for a while: given back |
//! | anonymous, store | a new page | a copy; sole owner: the page itself |
//! | private file, load | the file's page, not to be stored to | as above |
//! | private file, store | a copy of the file's page | a copy, as above |
//! | shared, load | the object's page, not to be stored to, so that the first store is seen | as above |
//! | shared, store | the object's page | the right to store |
//!
//! A page is the mapping's alone if it has one reference: each entry has one, and a new entry is made of
//! an old one under the old one's lock, which we hold when we look.

use super::ground::{Area, copy_page, without_store};
use super::tables::on;
use super::{AccessKind, Kept, Mm, MmFault, PageError, SOFT_DIRTY, SOFT_YOUNG, VmFlags};
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::arch::paging::{Access, Page, PagingFormat};
use crate::mm::frame::{Frame, Kind};
use crate::mm::pgtable::PageTable;
use crate::mm::pgtable::slot::Slot;
use crate::rcu;
use crate::sync::MaySleep;
use core::ops::Range;
use core::sync::atomic::{Ordering, fence};

/// How an attempt under the table's lock ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// The entry is as it should be.
    Done,
    /// Something is not as it was: start over.
    Moved,
}

/// A page with a reference that is given back unless it is used.
struct Held<'a> {
    mm: &'a Mm,
    page: Pfn,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { self.mm.ground.shared.put(self.page) };
    }
}

impl Held<'_> {
    fn addr(&self) -> PhysAddr {
        self.page.start()
    }
    /// An entry has the reference now.
    fn given(self) {
        core::mem::forget(self);
    }
}

impl From<PageError> for MmFault {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Beyond | PageError::Io => Self::Bus,
            PageError::NoMemory => Self::NoMemory,
        }
    }
}

fn allows(access: Access, kind: AccessKind) -> bool {
    match kind {
        AccessKind::Read => access.read,
        AccessKind::Write => access.write,
        AccessKind::Execute => access.execute,
    }
}

impl Mm {
    /// A program touched an address and the machine would not let it. Ok: it may try again.
    pub fn fault(&self, ctx: &mut MaySleep, addr: VirtAddr, kind: AccessKind) -> Result<(), MmFault> {
        on!(self.tables, tables => self.fault_in(tables, ctx, addr.get(), kind))
    }

    fn fault_in<F: PagingFormat>(
        &self,
        tables: &PageTable<F>,
        ctx: &mut MaySleep,
        addr: u64,
        kind: AccessKind,
    ) -> Result<(), MmFault> {
        let at = self.page_down(addr);
        let va = VirtAddr::new(at);
        loop {
            let (area, kept) = self.find_kept(ctx, addr).ok_or(MmFault::MapErr)?;
            if area.start > addr {
                self.grow_down(ctx, at)?;
                continue;
            }
            if !allows(area.attrs.flags.access().normal(), kind) {
                return Err(MmFault::AccErr);
            }
            let tried = match tables.lookup(va, ctx) {
                None => self.fill(tables, ctx, va, &area, kept, kind)?,
                Some(page) if allows(page.access, kind) => {
                    // Another CPU was faster; or this one remembers what was there before.
                    tables.at(va, ctx, |slot| slot.refresh());
                    tables.forget(va, None);
                    Tried::Done
                }
                Some(page) if kind == AccessKind::Write => {
                    self.allow_store(tables, ctx, va, &area, kept, page)?
                }
                Some(page) => {
                    let access =
                        Access { write: page.access.write, ..without_store(area.attrs.flags.access()) };
                    let page_now = Page { access, soft: page.soft | SOFT_YOUNG, ..page };
                    self.change_entry(tables, ctx, va, &area, page, page_now)
                }
            };
            if tried == Tried::Done {
                return Ok(());
            }
            if self.closed.load(Ordering::Acquire) {
                // Until whoever closed it is done.
                drop(self.lock_areas(ctx));
            }
        }
    }

    /// The mapping that ends after the address, and its object, kept.
    pub(super) fn find_kept(&self, ctx: &MaySleep, addr: u64) -> Option<(Area, Option<Kept>)> {
        loop {
            let section = rcu::read_lock(ctx);
            let area = *self.areas.read(&section).find(addr)?;
            let Some(object) = area.attrs.object else { return Some((area, None)) };
            // SAFETY: found in a version that was loaded under this guard.
            if let Some(kept) = unsafe { object.keep(&section) } {
                return Some((area, Some(kept)));
            }
            // Unmapped since the version was loaded: there is a newer one.
        }
    }

    /// Whether the page is still mapped as `area` says, and faults need not wait. Under the lock of the
    /// page's table.
    fn still(&self, ctx: &MaySleep, area: &Area, at: u64) -> bool {
        let section = rcu::read_lock(ctx);
        let now = self.areas.read(&section).at(at);
        now.is_some_and(|now| now.attrs == area.attrs) && !self.closed.load(Ordering::Relaxed)
    }

    /// Gets a page for an empty entry.
    fn fill<F: PagingFormat>(
        &self,
        tables: &PageTable<F>,
        ctx: &mut MaySleep,
        va: VirtAddr,
        area: &Area,
        kept: Option<Kept>,
        kind: AccessKind,
    ) -> Result<Tried, MmFault> {
        let flags = area.attrs.flags;
        let write = kind == AccessKind::Write;
        let store = write && allows(flags.access(), AccessKind::Write);
        let losses = kept.as_ref().map_or(0, |kept| kept.mapped().losses());
        let held = match &kept {
            None if write => self.hold(self.new_page(ctx, true)?),
            None => Held { mm: self, page: self.ground.zero() },
            Some(kept) => {
                let index = self.pages(area.attrs.offset.wrapping_add(va.get()));
                let shared = flags.has(VmFlags::SHARED);
                let page = kept.object().page(ctx, index, write && shared)?;
                let held = Held { mm: self, page };
                if write && !shared { self.copy(ctx, &held)? } else { held }
            }
        };
        let access = if store { flags.access().normal() } else { without_store(flags.access()) };
        let soft = SOFT_YOUNG | if store { SOFT_DIRTY } else { 0 };
        let page = Page { addr: held.addr(), access, soft };
        loop {
            let filled = tables.at(va, ctx, |slot| {
                let lost = kept.as_ref().is_some_and(|kept| kept.mapped().losses() != losses);
                if lost || slot.page().is_some() || !self.still(ctx, area, va.get()) {
                    return Tried::Moved;
                }
                self.counters.page(self.ground.kind(page.addr));
                slot.fill(page);
                Tried::Done
            });
            match filled {
                Some(Tried::Done) => {
                    held.given();
                    return Ok(Tried::Done);
                }
                Some(Tried::Moved) => return Ok(Tried::Moved),
                None => tables.populate(va, ctx).map_err(|_| MmFault::NoMemory)?,
            }
        }
    }

    /// A store to a page that may not be stored to now.
    fn allow_store<F: PagingFormat>(
        &self,
        tables: &PageTable<F>,
        ctx: &mut MaySleep,
        va: VirtAddr,
        area: &Area,
        kept: Option<Kept>,
        page: Page,
    ) -> Result<Tried, MmFault> {
        let flags = area.attrs.flags;
        let open =
            Page { access: flags.access().normal(), soft: page.soft | SOFT_DIRTY | SOFT_YOUNG, ..page };
        if let Some(kept) = kept.filter(|_| flags.has(VmFlags::SHARED)) {
            let index = self.pages(area.attrs.offset.wrapping_add(va.get()));
            // Should the object give up the page now, the entry is emptied, and is not as it was.
            let now = Held { mm: self, page: kept.object().page(ctx, index, true)? };
            if now.addr() == page.addr {
                return Ok(self.change_entry(tables, ctx, va, area, page, open));
            }
            // The object has another page there now.
            return Ok(self.exchange(tables, ctx, va, area, page, now));
        }
        if self.ground.is_zero(page.addr) {
            let new = self.hold(self.new_page(ctx, true)?);
            return Ok(self.exchange(tables, ctx, va, area, page, new));
        }
        // Ours alone? If so now, and if the entry is still the same under the lock, then for good.
        let mut old = None;
        let reused = tables.at(va, ctx, |slot| {
            if !self.is_as_before(ctx, &slot, area, va, page) {
                return Tried::Moved;
            }
            if self.ground.kind(page.addr) == Kind::User && self.ground.references(page.addr) == 1 {
                // Acquire: pairs with the Release with which others dropped theirs: they have read it.
                fence(Ordering::Acquire);
                let _ = slot.change(open);
                return Tried::Done;
            }
            // SAFETY: the entry's lock is held, and it stays as it is.
            unsafe { self.ground.shared.get(Pfn::containing(page.addr)) };
            old = Some(Held { mm: self, page: Pfn::containing(page.addr) });
            Tried::Moved
        });
        match (reused, old) {
            (Some(Tried::Done), _) => Ok(Tried::Done),
            (_, None) => Ok(Tried::Moved),
            (_, Some(old)) => {
                let new = self.copy(ctx, &old)?;
                Ok(self.exchange(tables, ctx, va, area, page, new))
            }
        }
    }

    fn is_as_before<F: PagingFormat>(
        &self,
        ctx: &MaySleep,
        slot: &Slot<'_, F>,
        area: &Area,
        va: VirtAddr,
        page: Page,
    ) -> bool {
        slot.page() == Some(page) && self.still(ctx, area, va.get())
    }

    /// Other rights for a page that stays.
    fn change_entry<F: PagingFormat>(
        &self,
        tables: &PageTable<F>,
        ctx: &MaySleep,
        va: VirtAddr,
        area: &Area,
        from: Page,
        to: Page,
    ) -> Tried {
        let tried = tables.at(va, ctx, |slot| {
            if !self.is_as_before(ctx, &slot, area, va, from) {
                return Tried::Moved;
            }
            let restricts = slot.change(to);
            debug_assert!(!restricts, "a page fault takes no right away");
            Tried::Done
        });
        tried.unwrap_or(Tried::Moved)
    }

    /// Another page in the place of one, to be stored to.
    fn exchange<F: PagingFormat>(
        &self,
        tables: &PageTable<F>,
        ctx: &MaySleep,
        va: VirtAddr,
        area: &Area,
        from: Page,
        new: Held<'_>,
    ) -> Tried {
        let access = area.attrs.flags.access().normal();
        let to = Page { addr: new.addr(), access, soft: SOFT_DIRTY | SOFT_YOUNG };
        let tried = tables.at(va, ctx, |slot| {
            if !self.is_as_before(ctx, &slot, area, va, from) {
                return Tried::Moved;
            }
            slot.exchange(to);
            Tried::Done
        });
        if tried != Some(Tried::Done) {
            return Tried::Moved;
        }
        new.given();
        self.counters.page(self.ground.kind(to.addr));
        let mut tally = super::count::Tally::new(self.ground);
        tally.count(from.addr, -1);
        self.counters.add_pages(tally.pages);
        tables.forget(va, Some(from.addr));
        Tried::Done
    }

    fn new_page(&self, ctx: &mut MaySleep, zeroed: bool) -> Result<Frame, MmFault> {
        self.ground.page(Kind::User, zeroed, Some(ctx)).map_err(|_| MmFault::NoMemory)
    }

    fn hold(&self, frame: Frame) -> Held<'_> {
        Held { mm: self, page: self.ground.shared.share(frame) }
    }

    /// A copy of a page, as anonymous memory.
    fn copy(&self, ctx: &mut MaySleep, from: &Held<'_>) -> Result<Held<'_>, MmFault> {
        let frame = self.new_page(ctx, false)?;
        // SAFETY: the frame is ours, a page large; the other one stays, we have a reference.
        unsafe { copy_page(frame.as_ptr().as_ptr(), from.addr(), frame.size()) };
        Ok(self.hold(frame))
    }

    /// Makes the pages of the range as reading or writing would. EFAULT or ENOMEM at the first that
    /// cannot be made.
    pub(super) fn make_present(
        &self,
        ctx: &mut MaySleep,
        range: Range<u64>,
        write: bool,
    ) -> Result<(), crate::error::Errno> {
        use crate::error::Errno;
        let mut at = range.start;
        while at < range.end {
            let area = {
                let section = rcu::read_lock(ctx);
                self.areas.read(&section).within(at..range.end).next()
            };
            let Some(area) = area else { break };
            let access = area.attrs.flags.access();
            let kind = if write || access.write && area.attrs.flags.is_private() {
                AccessKind::Write
            } else if access.read {
                AccessKind::Read
            } else {
                at = area.end;
                continue;
            };
            at = at.max(area.start);
            while at < area.end {
                match self.fault(ctx, VirtAddr::new(at), kind) {
                    Ok(()) => {}
                    // Unmapped or protected meanwhile: not ours to make.
                    Err(MmFault::MapErr | MmFault::AccErr) => {}
                    Err(MmFault::Bus) => return Err(Errno::EFAULT),
                    Err(MmFault::NoMemory) => return Err(Errno::ENOMEM),
                }
                at += self.page_bytes();
            }
        }
        Ok(())
    }
}
