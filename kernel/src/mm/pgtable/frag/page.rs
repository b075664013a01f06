//! The descriptor of a page-table page: everything the kernel knows about it, outside of it.
//!
//! Link, state, lock and `RcuHead` share no storage with each other (H1, H5) and none of them lies in
//! the page, which readers may still see (H6). Linux keeps all of them in one union of the frame's
//! descriptor; the bugs that grew there are the reason for a descriptor of its own, which costs one
//! allocation for each page of tables.

use super::cell::StateCell;
use super::counted::Shared;
use super::list::{List, Owner, PageSource, Wipe};
use super::state::{FragState, Owed, Stage};
use crate::addr::PhysAddr;
use crate::arch::paging::ENTRY_BYTES;
use crate::mm::pgtable::audit::{Audit, Life};
use crate::mm::pgtable::counters;
use crate::rcu::{Deferred, HasRcuHead, RcuHead};
use crate::sync::cell::UnsafeCell;
use crate::sync::{LockClass, Rank, SpinLock};
use crate::trace::{self, Event, Group};
use core::sync::atomic::{AtomicU8, AtomicU16, Ordering};

/// A value that the list lock of the page's owner protects.
///
/// Values go in and out by copy: no reference outlives the lock.
pub(super) struct UnderLock<T>(UnsafeCell<T>);

// SAFETY: `get` and `set` are called with the lock held.
unsafe impl<T: Send> Sync for UnderLock<T> {}

impl<T: Copy> UnderLock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
    /// # Safety
    /// The list lock of the page's owner is held.
    pub(super) unsafe fn get(&self) -> T {
        // SAFETY: nobody writes while we hold the lock.
        self.0.with(|value| unsafe { *value })
    }
    /// # Safety
    /// The list lock of the page's owner is held.
    pub(super) unsafe fn set(&self, new: T) {
        // SAFETY: nobody else reads or writes while we hold the lock.
        self.0.with_mut(|value| unsafe { *value = new })
    }
}

/// How many entries of a fragment's tables are not empty, and from where on one may be: who looks for the
/// pages of a table begins there and is through when he has seen so many.
///
/// Both change under the lock of the page, or by who has the fragment to himself; so they are exact for
/// whoever holds the lock, and each step is a load and a store. (Not loom's: they have no order of their
/// own that could be wrong.)
#[derive(Debug, Default)]
pub struct Used {
    entries: AtomicU16,
    lowest: AtomicU16,
}

impl Used {
    /// So many.
    pub fn get(&self) -> usize {
        usize::from(self.entries.load(Ordering::Relaxed))
    }
    /// From now on these are there and no others.
    pub fn set(&self, first: usize, entries: usize) {
        self.entries.store(entries as u16, Ordering::Relaxed);
        self.lowest.store(first as u16, Ordering::Relaxed);
    }
}

/// A table's view of the count of the fragment in which it lies.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    used: &'static Used,
    /// Entries of the fragment before the table's own.
    before: usize,
}

impl Share {
    /// So many entries of the fragment are not empty.
    #[inline]
    pub fn used(self) -> usize {
        self.used.get()
    }
    /// Nothing is there.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.used() == 0
    }
    /// Those before this one are empty in this table.
    #[inline]
    pub fn lowest(self) -> usize {
        usize::from(self.used.lowest.load(Ordering::Relaxed)).saturating_sub(self.before)
    }
    /// These entries were empty and are not.
    #[inline]
    pub fn filled(self, first: usize, entries: usize) {
        let (first, before) = (self.before + first, self.used.get());
        let lowest = usize::from(self.used.lowest.load(Ordering::Relaxed));
        self.used.set(if before == 0 { first } else { lowest.min(first) }, before + entries);
    }
    /// So many less.
    #[inline]
    pub fn emptied(self, entries: usize) {
        debug_assert!(self.used() >= entries, "more entries are emptied than were filled");
        self.used.entries.store(self.used().saturating_sub(entries) as u16, Ordering::Relaxed);
    }
}

/// So many fragments of a page are counted: all of them where a table is large. Of 256 small tables in a
/// page each is looked through faster than the counts would be worth in memory.
const COUNTED: usize = 16;

/// The lock of the tables in a page-table page.
pub const TABLE_LOCK: LockClass = LockClass::new("page table", Rank::PAGE_TABLE);
/// The same lock, taken while another one of the kind is held.
pub const TABLE_LOCK_SECOND: LockClass = LockClass::new("second page table", Rank::PAGE_TABLE_SECOND);

/// The descriptor of a page-table page.
///
/// # Invariants
/// `owner` is set before the first fragment is handed out and taken after the last is FREE (H16);
/// between the two it does not change. `block` never changes.
///
/// Its state changes by what is done with its fragments, and not from outside:
/// ```compile_fail,E0624
/// fn step(page: &'static fallow::mm::pgtable::PtPage) {
///     page.update(|_, _| None);
/// }
/// ```
pub struct PtPage<const W: usize> {
    pub(super) state: StateCell<W>,
    pub(super) prev: UnderLock<Option<&'static Self>>,
    pub(super) next: UnderLock<Option<&'static Self>>,
    /// Fragments from this one on were never handed out. (The lowest FREE one always goes first.)
    unused_from: UnderLock<u16>,
    /// RCU's; used by [`PageSource::call_rcu`](super::PageSource::call_rcu) only.
    pub rcu: RcuHead,
    owner: UnsafeCell<Option<Shared<Owner<W>>>>,
    /// Serves all tables in the page. It lives as long as the page: whoever waits for it is a
    /// reader, and the grace period waits for him (H19).
    pub lock: SpinLock<()>,
    block: PhysAddr,
    used: [Used; COUNTED],
    /// The bytes of a fragment are 2 to this.
    shift: AtomicU8,
    /// The auditor's notes; nothing in a release build.
    pub(crate) audit: Audit<W>,
}

// SAFETY: `owner` is written only by whoever has the page to itself; the rest is under the lock.
unsafe impl<const W: usize> Sync for PtPage<W> {}
// SAFETY: nothing in it belongs to a CPU or a task.
unsafe impl<const W: usize> Send for PtPage<W> {}

impl<const W: usize> PtPage<W> {
    /// The descriptor of the page that begins at `block`, and is nobody's.
    pub fn new(block: PhysAddr) -> Self {
        Self {
            state: StateCell::new(FragState::empty(0)),
            prev: UnderLock::new(None),
            next: UnderLock::new(None),
            unused_from: UnderLock::new(0),
            rcu: RcuHead::new(),
            owner: UnsafeCell::new(None),
            lock: SpinLock::new(&TABLE_LOCK, ()),
            block,
            used: core::array::from_fn(|_| Used::default()),
            shift: AtomicU8::new(0),
            audit: Audit::new(),
        }
    }

    /// Where the page begins.
    pub fn block(&self) -> PhysAddr {
        self.block
    }

    /// The count of that fragment, if it is counted.
    pub fn used(&self, index: u16) -> Option<&Used> {
        self.used.get(usize::from(index))
    }

    /// Which fragment that table lies in, its stage, and how many fragments of the page are in each;
    /// without a lock: see [`StateCell`].
    pub fn look_at(&self, table: PhysAddr) -> (u16, Option<Stage>, [u16; 4]) {
        let index = self.index_of(table);
        let (stage, counts) = self.state.look(index);
        (index, stage, counts)
    }

    fn index_of(&self, table: PhysAddr) -> u16 {
        let offset = table.get().wrapping_sub(self.block.get());
        // Relaxed: it was stored before the first fragment was handed out.
        (offset >> self.shift.load(Ordering::Relaxed)) as u16
    }

    /// The count of the fragment in which that table lies, which is one of the page's.
    #[inline]
    pub fn used_at(&'static self, table: PhysAddr) -> Option<Share> {
        let used = self.used(self.index_of(table))?;
        // A fragment is aligned to its size.
        let within = table.get() & ((1 << self.shift.load(Ordering::Relaxed)) - 1);
        Some(Share { used, before: within as usize / ENTRY_BYTES })
    }

    /// Where a table of the page lies. The caller holds a fragment, or is the callback.
    pub(super) fn table(&self, index: u16) -> PhysAddr {
        // SAFETY: the page is not given back, so nobody writes to `owner`.
        let bytes = self.owner.with(|owner| unsafe { (*owner).as_ref().map_or(0, |o| o.fragment_bytes()) });
        PhysAddr::new(self.block.get() + (usize::from(index) * bytes) as u64)
    }

    /// Notes that the fragment is handed out; says whether it was before.
    ///
    /// # Safety
    /// The list lock of the page's owner is held.
    pub(super) unsafe fn hand_out(&self, index: u16) -> bool {
        // SAFETY: the caller's.
        let unused_from = unsafe { self.unused_from.get() };
        if index < unused_from {
            return true;
        }
        // SAFETY: the caller's.
        unsafe { self.unused_from.set(index + 1) };
        false
    }

    /// Gives the page to its first owner.
    ///
    /// # Safety
    /// The page is nobody's, and the caller has it to himself.
    pub(super) unsafe fn adopt(&self, owner: Shared<Owner<W>>) {
        let bytes = owner.fragment_bytes();
        // Relaxed: a fragment is handed out under the list's lock, and linked with Release.
        self.shift.store(bytes.checked_ilog2().unwrap_or(0) as u8, Ordering::Relaxed);
        // SAFETY: the caller has the page to himself.
        self.owner.with_mut(|cell| unsafe { *cell = Some(owner) });
    }

    /// One step of the page's state, then what it owes. The caller holds one of its LIVE fragments
    /// or is its callback, so until the step the page is not given back.
    ///
    /// What is owed is done after the lock is dropped, so that no lock of RCU or of the frame
    /// allocator nests in ours. In between nobody can take the page away: it is COVERED, or it is
    /// empty and on no list.
    pub(super) fn update(
        &'static self,
        step: impl FnOnce(&Self, FragState<W>) -> Option<(FragState<W>, Owed)>,
    ) {
        // A count of our own: the owner must not go while we are in its lock, not even in the last
        // instructions of the unlocking, when another CPU may already give the page back (H16).
        // SAFETY: the page is not given back, so nobody writes to `owner`.
        let Some(owner) = self.owner.with(|owner| unsafe { (*owner).clone() }) else { return };
        let owed = {
            let mut list = owner.list.lock();
            // SAFETY: the lock is the owner's, and it is held.
            let before = unsafe { self.state.get() };
            step(self, before).map(|(after, owed)| {
                List::step(&mut list, self, before, after);
                owed
            })
        };
        match owed {
            Some(Owed::Nothing) => {}
            Some(Owed::CallRcu) => owner.source.call_rcu(self),
            Some(Owed::FreePage) => {
                // SAFETY: empty, on no list, no callback: the page is ours alone.
                let count = self.owner.with_mut(|owner| unsafe { (*owner).take() });
                self.audit.end();
                trace::emit(Group::PgTable, || Event::PageGone(self.block));
                owner.source.free_page(self);
                drop(count);
            }
            None => owner.source.warn("a fragment or a callback that the page does not know of"),
        }
    }

    /// Overwrites what is about to be FREE, so that a reader that should not be there is seen. Past the
    /// grace period the memory is ours (H6).
    fn wipe_covered(&self, state: FragState<W>) {
        let covered = || (0..state.count()).filter(|&i| state.stage(i) == Some(Stage::Covered));
        if cfg!(debug_assertions) {
            covered().for_each(|index| self.audit.step(index, Life::Waiting, Life::Free));
        }
        self.with_wipe(|wipe| {
            // SAFETY: its grace period is over, and nobody gets it before the state is stored.
            covered().for_each(|index| unsafe { wipe.fragment(self.block, index) });
        });
    }

    /// Bytes of each of its fragments.
    pub(super) fn fragment_bytes(&self) -> usize {
        1 << self.shift.load(Ordering::Relaxed)
    }

    /// Calls with what the page came from. The caller holds a fragment, or is the callback.
    pub(super) fn with_source(&self, f: impl FnOnce(&dyn PageSource<W>)) {
        // SAFETY: the page is not given back, so nobody writes to `owner`.
        if let Some(source) = self.owner.with(|owner| unsafe { (*owner).as_ref().map(|owner| owner.source) })
        {
            f(source);
        }
    }

    /// Calls with the way in which the owner wants free fragments overwritten, if it does. The
    /// caller holds a fragment, or is the callback.
    pub(super) fn with_wipe(&self, f: impl FnOnce(Wipe)) {
        // SAFETY: the page is not given back, so nobody writes to `owner`.
        if let Some(wipe) = self.owner.with(|owner| unsafe { (*owner).as_ref().and_then(|o| o.wipe) }) {
            f(wipe);
        }
    }
}

// SAFETY: the offset of the head.
unsafe impl<const W: usize> HasRcuHead for PtPage<W> {
    const HEAD: usize = core::mem::offset_of!(Self, rcu);
}

impl<const W: usize> Deferred for PtPage<W> {
    /// The RCU callback: no allocation, no sleep, no panic.
    fn grace_over(&'static self) {
        self.update(|page, state| {
            page.wipe_covered(state);
            let over = (0..state.count()).filter(|&index| state.stage(index) == Some(Stage::Covered));
            // A release build counts only; who looks on wants to know which.
            counters::FREED.add(state.covered());
            page.with_source(|source| source.let_go(state.covered() * page.fragment_bytes()));
            over.for_each(|index| trace::emit(Group::PgTable, || Event::Free(page.table(index))));
            state.grace_over()
        });
    }
}

impl<const W: usize> core::fmt::Debug for PtPage<W> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PtPage({})", self.block)
    }
}
