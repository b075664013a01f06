//! An object gives up pages: a file that is made shorter. They go out of the tables of all address spaces.
//!
//! There is no list of mappings by object: a file that is mapped is seldom made shorter, and then all
//! address spaces are looked through, without their locks. A page fault that got its page before the object
//! gave it up, and has not filled its entry yet, is the danger: so the object's records count what was
//! given up, and a fault looks at the count before it asks for the page and again under the table's lock.
//! Either it fills its entry before that table is emptied here, or it sees another count and starts over.

use super::ground::Ground;
use super::tables::on;
use super::{Mm, MmRef, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::paging::PagingFormat;
use crate::mm::frame::Kind;
use crate::mm::pgtable::PageTable;
use crate::mm::pgtable::frag::counted::Counted;
use crate::rcu;
use crate::sync::{LockClass, MaySleep, Rank, SpinLock};
use core::cell::UnsafeCell;
use core::ops::Range;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

const LIST: LockClass = LockClass::new("list of address spaces", Rank::new(45));

/// All address spaces on a ground, oldest first: a child comes after its parent, so who goes through the
/// list and has emptied the parent's tables will meet the child that got them before.
///
/// # Invariants
/// Each on the list lives: it leaves the list, under the lock, before its memory goes.
pub(super) struct List(SpinLock<Ends>);

/// The first and the last.
#[derive(Default)]
struct Ends {
    first: Option<NonNull<Mm>>,
    last: Option<NonNull<Mm>>,
}

// SAFETY: the pointers are followed under the lock only.
unsafe impl Sync for List {}
// SAFETY: likewise.
unsafe impl Send for List {}

/// An address space's place on the list: the one before and the one after. Under the list's lock.
#[derive(Default)]
pub(super) struct Place(UnsafeCell<(Link, Link)>);

type Link = Option<NonNull<Mm>>;

// SAFETY: used under the list's lock only.
unsafe impl Sync for Place {}
// SAFETY: likewise.
unsafe impl Send for Place {}

impl List {
    pub(super) const fn new() -> Self {
        Self(SpinLock::new(&LIST, Ends { first: None, last: None }))
    }

    /// Puts one at the end of the list. It does not move from now on.
    pub(super) fn add(&self, mm: &MmRef) {
        let this = NonNull::from(&**mm);
        let mut ends = self.0.lock();
        // SAFETY: the lock is held.
        unsafe { *mm.place.0.get() = (ends.last, None) };
        match ends.last {
            // SAFETY: on the list, so it lives; the lock is held.
            Some(last) => unsafe { (*last.as_ref().place.0.get()).1 = Some(this) },
            None => ends.first = Some(this),
        }
        ends.last = Some(this);
    }

    /// Takes one off. One that came never on the list (there was no memory) is not on it.
    pub(super) fn remove(&self, mm: &Mm) {
        let this = NonNull::from(mm);
        let mut ends = self.0.lock();
        // SAFETY: the lock is held.
        let (before, after) = unsafe { core::mem::take(&mut *mm.place.0.get()) };
        match before {
            // SAFETY: on the list, so it lives; the lock is held.
            Some(before) => unsafe { (*before.as_ref().place.0.get()).1 = after },
            None if ends.first == Some(this) => ends.first = after,
            None => {}
        }
        match after {
            // SAFETY: likewise.
            Some(after) => unsafe { (*after.as_ref().place.0.get()).0 = before },
            None if ends.last == Some(this) => ends.last = before,
            None => {}
        }
    }

    /// The first, or the one after, that is not about to go.
    fn next(&self, after: Option<&MmRef>) -> Option<MmRef> {
        let ends = self.0.lock();
        let mut at = match after {
            // SAFETY: the lock is held.
            Some(mm) => unsafe { (*mm.place.0.get()).1 },
            None => ends.first,
        };
        while let Some(mm) = at {
            // SAFETY: on the list, so it lives, and stands in a `Counted`.
            if let Some(kept) = unsafe { Counted::revive(mm) } {
                return Some(kept);
            }
            // SAFETY: the lock is held.
            at = unsafe { (*mm.as_ref().place.0.get()).1 };
        }
        None
    }
}

/// The object that shows these contents ([`contents`](super::PageObject::contents)) has given up these
/// pages: it shows them to nobody any more. They go out of all tables of the kernel's address spaces. With
/// `copies` the copies that private mappings made of them go, too: the file has become shorter, and what
/// lies beyond its end is no memory.
pub fn forget_pages(ctx: &mut MaySleep, contents: *const (), pages: Range<u64>, copies: bool) {
    if let Some(ground) = super::kernel::existing() {
        ground.forget_pages(ctx, contents, pages, copies);
    }
}

impl Ground {
    pub(super) fn forget_pages(
        &self,
        ctx: &mut MaySleep,
        contents: *const (),
        pages: Range<u64>,
        copies: bool,
    ) {
        let mut at = self.all.next(None);
        while let Some(mm) = at {
            mm.forget_object(ctx, contents, &pages, copies);
            at = self.all.next(Some(&mm));
        }
    }
}

impl Mm {
    fn forget_object(&self, ctx: &MaySleep, contents: *const (), pages: &Range<u64>, copies: bool) {
        let mut at = 0;
        loop {
            let found = {
                let section = rcu::read_lock(ctx);
                let mut areas = self.areas.read(&section).iter_from(at);
                areas.find_map(|area| {
                    // SAFETY: found in a version that was loaded under this guard.
                    let mapped = unsafe { area.attrs.object?.get(&section) };
                    (mapped.object().contents() == contents).then(|| {
                        mapped.note_loss();
                        *area
                    })
                })
            };
            let Some(area) = found else { break };
            at = area.end;
            // SeqCst: pairs with the fence of a page fault, in `PageTable::at`.
            fence(Ordering::SeqCst);
            let first = self.pages(area.attrs.offset.wrapping_add(area.start));
            let last = first + self.pages(area.len());
            let (from, to) = (pages.start.max(first), pages.end.min(last));
            if from >= to {
                continue;
            }
            let address = |page: u64| area.start + (page - first) * self.page_bytes();
            let range = address(from)..address(to);
            if copies || area.attrs.flags.has(VmFlags::SHARED) {
                self.zap(range, ctx);
            } else {
                on!(self.tables, tables => self.zap_uncopied(tables, range, ctx));
            }
        }
    }

    /// Takes the object's own pages out of a private mapping, and leaves the copies.
    fn zap_uncopied<F: PagingFormat>(&self, tables: &PageTable<F>, range: Range<u64>, ctx: &MaySleep) {
        for at in range.step_by(self.page_bytes() as usize) {
            let va = VirtAddr::new(at);
            let gone = tables.at(va, ctx, |slot| {
                let is_copy = slot.page().is_none_or(|page| self.ground.kind(page.addr) == Kind::User);
                if is_copy { None } else { slot.clear() }
            });
            if let Some(page) = gone.flatten() {
                let mut tally = super::count::Tally::new(self.ground);
                tally.count(page.addr, -1);
                self.counters.add_pages(tally.pages);
                tables.forget(va, Some(page.addr));
            }
        }
    }
}
