//! An owner's list of pages with something to give, and the fragments it hands out.
//!
//! Everything that decides happens in one short section under the owner's list lock: read the
//! page's state, step it, store it, and let list membership follow.

use super::counted::{Shared, share};
use super::page::PtPage;
use super::state::FragState;
use crate::addr::PhysAddr;
use crate::arch::paging::ENTRY_BYTES;
use crate::mm::pgtable::audit::Life;
use crate::mm::pgtable::{counters, memory};
use crate::sync::atomic::Ordering;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank};
use crate::trace::{self, Event, Group};

/// What the kernel around provides.
pub trait PageSource<const W: usize>: Sync {
    /// A page-table page of that many bytes, aligned to them, with its descriptor. It is nobody's,
    /// and may hold anything. With the token it may wait for memory. `None` if there is none.
    fn new_page(&self, bytes: usize, ctx: Option<&mut MaySleep>) -> Option<&'static PtPage<W>>;
    /// Takes it back; called from the callback too, so its locks are taken with interrupts off.
    fn free_page(&self, page: &'static PtPage<W>);
    /// Queues `page.rcu`; later [`PtPage::grace_over`] runs, once (see the demands on RCU).
    fn call_rcu(&self, page: &'static PtPage<W>);
    /// So many bytes of tables wait for a grace period from now on. No lock of a page is held.
    fn hold(&self, _bytes: usize) {}
    /// They are free.
    fn let_go(&self, _bytes: usize) {}
    /// The page in which that table lies; it exists, and the caller sees to it that it stays.
    fn page_of(&self, table: PhysAddr) -> Option<&'static PtPage<W>>;
    /// Something impossible happened; the fragment is leaked, which is safe. Does not stop.
    fn warn(&self, what: &'static str);
}

/// How a free fragment is overwritten: in debug builds, and with `page_poison=1`.
#[derive(Clone, Copy, Debug)]
pub struct Wipe {
    /// The entry, as it stands in memory.
    pub poison: u64,
    /// Bytes of a fragment.
    pub bytes: usize,
}

impl Wipe {
    fn entries(self, block: PhysAddr, index: u16) -> impl Iterator<Item = PhysAddr> {
        let base = block.get() + u64::from(index) * self.bytes as u64;
        (0..self.bytes / ENTRY_BYTES).map(move |i| PhysAddr::new(base + (i * ENTRY_BYTES) as u64))
    }

    /// Overwrites it.
    ///
    /// # Safety
    /// It is a fragment of that page, the caller owns it, and nobody may read it any more.
    pub(super) unsafe fn fragment(self, block: PhysAddr, index: u16) {
        for at in self.entries(block, index) {
            // SAFETY: the caller owns the table. Relaxed: who gets it next gets it under a lock.
            unsafe { memory::entry(at) }.store(self.poison, Ordering::Relaxed);
        }
    }

    /// Reports it if it was written to since; a debug build stops there.
    ///
    /// # Safety
    /// It is a fragment of that page, and the caller owns it.
    pub(super) unsafe fn check(self, block: PhysAddr, index: u16) {
        for at in self.entries(block, index) {
            // SAFETY: the caller owns the table. Relaxed: as above.
            let found = unsafe { memory::entry(at) }.load(Ordering::Relaxed);
            if found != self.poison {
                counters::WRITTEN_WHILE_FREE.add(1);
                debug_assert!(false, "a free table was written to: {found:#x} at {at}");
            }
        }
    }
}

/// A table, handed out. Move-only: what was retired cannot be retired again, nor used.
///
/// It holds whatever its last life left there: the new holder writes it in full, for "empty" is
/// not zero, and publishes it with Release (H7).
///
/// It is not made from an address:
/// ```compile_fail,E0451
/// use fallow::mm::pgtable::frag::{Fragment, PtPage};
/// fn forge(page: &'static PtPage<1>) -> Fragment<1> {
///     Fragment { page, index: 0 }
/// }
/// ```
/// Freed once:
/// ```compile_fail,E0382
/// use fallow::mm::pgtable::frag::Fragment;
/// fn twice(fragment: Fragment<1>) {
///     fragment.retire();
///     fragment.retire();
/// }
/// ```
#[must_use = "a fragment that is dropped is leaked"]
#[derive(Debug)]
pub struct Fragment<const W: usize> {
    page: &'static PtPage<W>,
    index: u16,
}

impl<const W: usize> Fragment<W> {
    /// Frees a table that was linked: it has been unlinked and flushed everywhere. Its owner is
    /// found through the page, so it cannot be given to the wrong address space, and the address
    /// space may have ended.
    pub fn retire(self) {
        self.page.audit.step(self.index, Life::Flushed, Life::Waiting);
        trace::emit(Group::PgTable, || Event::Queue(self.page.table(self.index)));
        counters::RETIRED.add(1);
        self.page.with_source(|source| source.hold(self.page.fragment_bytes()));
        self.page.update(|_, state| state.retire(self.index));
    }

    /// Frees a table that nobody can see, at once: it was never linked (H10), or whoever frees it
    /// has waited for all readers by himself.
    pub fn release(self) {
        self.page.audit.end_at_once(self.index);
        counters::RELEASED.add(1);
        trace::emit(Group::PgTable, || Event::Release(self.page.table(self.index)));
        // SAFETY: it is ours, and nobody sees it (the doc).
        self.page.with_wipe(|wipe| unsafe { wipe.fragment(self.page.block(), self.index) });
        self.page.update(|_, state| state.release(self.index));
    }

    /// The page's descriptor and the place in the page: the kernel makes an address of them.
    pub fn place(&self) -> (&'static PtPage<W>, u16) {
        (self.page, self.index)
    }

    /// The fragment that an entry of a parent table pointed to.
    ///
    /// # Safety
    /// The entry was cleared by the caller, who therefore owns what it pointed to, alone.
    pub unsafe fn from_place(page: &'static PtPage<W>, index: u16) -> Self {
        Self { page, index }
    }
}

/// An address space's fragments of one size. Dropping it is the end of the address space, which
/// waits for nothing (H18): the owner behind it stays until the last page is given back (H16).
/// Callbacks go on as ever; the list that they keep is the owner's, nobody allocates from it any
/// more, and a page leaves it by itself when it is empty (H17). An owner needs no mark that says
/// its address space is gone.
#[derive(Debug)]
pub struct FragmentList<const W: usize>(Shared<Owner<W>>);

pub(super) struct Owner<const W: usize> {
    pub(super) source: &'static dyn PageSource<W>,
    /// What a new page starts as.
    fresh: FragState<W>,
    bytes: usize,
    pub(super) wipe: Option<Wipe>,
    pub(super) list: IrqSpinLock<List<W>>,
}

impl<const W: usize> Owner<W> {
    /// Bytes of a fragment.
    pub(super) fn fragment_bytes(&self) -> usize {
        self.bytes / usize::from(self.fresh.count()).max(1)
    }
}

impl<const W: usize> core::fmt::Debug for Owner<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Owner of pages of {} tables", self.fresh.count())
    }
}

/// The pages that have something to give, in no order.
pub(super) struct List<const W: usize> {
    head: Option<&'static PtPage<W>>,
}

const LIST_LOCK: LockClass = LockClass::new("fragment list", Rank::FRAGMENTS);

impl<const W: usize> FragmentList<W> {
    /// The list of a new address space whose pages have `bytes` bytes and hold `fragments` tables
    /// each, `1 <= fragments <= 64 * W`. `None` if there is no memory.
    pub fn new(
        source: &'static dyn PageSource<W>,
        fragments: u16,
        bytes: usize,
        wipe: Option<Wipe>,
    ) -> Option<Self> {
        let list = IrqSpinLock::new(&LIST_LOCK, List { head: None });
        share(Owner { source, fresh: FragState::fresh(fragments), bytes, wipe, list }).map(Self)
    }

    /// A FREE fragment of a listed page, or the first one of a new page. O(1). With the token it may
    /// wait for memory. `None` if there is none; nothing has changed then.
    pub fn alloc(&self, ctx: Option<&mut MaySleep>) -> Option<Fragment<W>> {
        let found = self.0.list.lock().take();
        let fragment = match found {
            Some(found) => found,
            None => self.first_of_a_new_page(ctx)?,
        };
        fragment.page.audit.is_of(self.id());
        fragment.page.audit.step(fragment.index, Life::Free, Life::Fresh);
        let (page, index) = fragment.place();
        // SAFETY: the fragment is ours.
        page.with_wipe(|wipe| unsafe { wipe.check(page.block(), index) });
        Some(fragment)
    }

    /// Tells it from every other list that there is: for the auditor.
    pub fn id(&self) -> usize {
        core::ptr::from_ref::<Owner<W>>(&self.0).addr()
    }

    fn first_of_a_new_page(&self, ctx: Option<&mut MaySleep>) -> Option<Fragment<W>> {
        // No lock is held: this may sleep. Two CPUs here bring a page each, and both are used.
        let page = self.0.source.new_page(self.0.bytes, ctx)?;
        trace::emit(Group::PgTable, || Event::PageNew(page.block()));
        page.audit.begin(self.id());
        // SAFETY: the page is nobody's yet, so it is ours alone.
        unsafe { page.adopt(self.0.clone()) };
        page.with_wipe(|wipe| {
            // SAFETY: the page is ours alone.
            (0..self.0.fresh.count()).for_each(|index| unsafe { wipe.fragment(page.block(), index) });
        });
        let mut list = self.0.list.lock();
        list.step(page, FragState::empty(0), self.0.fresh);
        // SAFETY: the lock is held.
        unsafe { page.hand_out(0) };
        drop(list);
        counters::HANDED_OUT.add(1);
        trace::emit(Group::PgTable, || Event::Alloc(page.table(0)));
        Some(Fragment { page, index: 0 })
    }
}

impl<const W: usize> List<W> {
    /// Stores a page's new state; its membership follows from it (H4).
    pub(super) fn step(&mut self, page: &'static PtPage<W>, before: FragState<W>, after: FragState<W>) {
        // SAFETY: whoever has `&mut self` holds the lock.
        unsafe { page.state.set(after) };
        match (before.listed(), after.listed()) {
            (false, true) => self.push(page),
            (true, false) => self.remove(page),
            _ => {}
        }
    }

    fn take(&mut self) -> Option<Fragment<W>> {
        let page = self.head?;
        // SAFETY: as in `step`.
        let before = unsafe { page.state.get() };
        let (after, index) = before.alloc()?;
        self.step(page, before, after);
        // SAFETY: as above.
        let reused = unsafe { page.hand_out(index) };
        counters::HANDED_OUT.add(1);
        counters::REUSED.add(usize::from(reused));
        let fragment = Fragment { page, index };
        trace::emit(Group::PgTable, || {
            let table = page.table(index);
            if reused { Event::Reuse(table) } else { Event::Alloc(table) }
        });
        Some(fragment)
    }

    fn push(&mut self, page: &'static PtPage<W>) {
        let next = self.head.replace(page);
        // SAFETY: as in `step`; `page` and `next` are this owner's.
        unsafe {
            page.prev.set(None);
            page.next.set(next);
            if let Some(next) = next {
                next.prev.set(Some(page));
            }
        }
    }

    fn remove(&mut self, page: &'static PtPage<W>) {
        // SAFETY: as in `step`; listed pages are this owner's.
        unsafe {
            let (prev, next) = (page.prev.get(), page.next.get());
            match prev {
                Some(prev) => prev.next.set(next),
                None => self.head = next,
            }
            if let Some(next) = next {
                next.prev.set(prev);
            }
        }
    }
}
