//! A table as readers and writers see it.
//!
//! A reader gets a [`TableRef`] from a guard and may load entries as long as the guard lives. A
//! writer locks it, looks again whether the table is still linked, and gets a [`TableGuard`], the
//! only thing that can store. Both deal in values; there is no reference into a live table.

use super::frag::page::{Share, TABLE_LOCK_SECOND};
use super::scheme::Reader;
use super::{Memory, PtPage, hardware, memory};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, ENTRY_BYTES, Entry, Page, PagingFormat};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::spin::SpinGuard;
use core::marker::PhantomData;
use core::ops::{Deref, Range};

/// A table that stays a table for `'rcu`, whether or not it is still linked.
///
/// It is not used after the guard:
/// ```compile_fail,E0505
/// use fallow::mm::pgtable::{PageTable, scheme::Reader};
/// use fallow::arch::s390x_format::S390Dat;
/// fn late(tables: &PageTable<S390Dat>, reader: Reader<'_>) {
///     let root = tables.root(&reader);
///     drop(reader);
///     root.load(0);
/// }
/// ```
/// It is not made without one:
/// ```compile_fail,E0061
/// use fallow::mm::pgtable::PageTable;
/// use fallow::arch::s390x_format::S390Dat;
/// fn unguarded(tables: &PageTable<S390Dat>) {
///     let root = tables.root();
/// }
/// ```
/// It cannot store:
/// ```compile_fail,E0599
/// use fallow::mm::pgtable::{PageTable, scheme::Reader};
/// use fallow::arch::s390x_format::S390Dat;
/// fn store(tables: &PageTable<S390Dat>, reader: &Reader<'_>) {
///     tables.root(reader).store(0, 0);
/// }
/// ```
#[derive(Debug)]
pub struct TableRef<'rcu, F> {
    addr: PhysAddr,
    level: usize,
    _guard: PhantomData<(&'rcu (), F)>,
}

impl<F> Clone for TableRef<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for TableRef<'_, F> {}

impl<'rcu, F: PagingFormat> TableRef<'rcu, F> {
    /// # Safety
    /// A table of that level was linked there when the guard lived already, or is the root.
    pub(super) unsafe fn new(addr: PhysAddr, level: usize, _guard: &'rcu Reader<'_>) -> Self {
        Self { addr, level, _guard: PhantomData }
    }
    /// # Safety
    /// There was a reference to that table, of that lifetime.
    #[inline(always)]
    pub(super) unsafe fn again(addr: PhysAddr, level: usize) -> Self {
        Self { addr, level, _guard: PhantomData }
    }
    /// Where it lies.
    pub fn addr(self) -> PhysAddr {
        self.addr
    }
    /// Its level; the root's is 0.
    pub fn level(self) -> usize {
        self.level
    }
    /// How many entries it has.
    #[inline(always)]
    pub fn entries(self) -> usize {
        F::LEVELS[self.level].entries
    }
    /// The same, with the level as a constant, and with it all that follows from it.
    #[inline(always)]
    pub(super) fn leaf(self) -> Self {
        debug_assert!(self.level == paging::last::<F>());
        Self { level: paging::last::<F>(), ..self }
    }
    /// One entry, loaded once (H21), with what it points to visible (H7). What is found in a table that
    /// was freed is counted, and is nothing; a debug build panics there.
    #[inline(always)]
    #[track_caller]
    pub fn load(self, index: usize) -> Entry {
        let raw = self.raw(index);
        if raw == F::poison(self.level) {
            self.freed(index);
            return Entry::Absent;
        }
        F::decode(self.level, raw)
    }
    #[cold]
    #[track_caller]
    fn freed(self, index: usize) {
        super::counters::TOUCHED_AFTER_FREE.add(1);
        let (name, at) = (F::LEVELS[self.level].name, self.addr);
        debug_assert!(false, "a walker met a freed table: {name} at {at}, entry {index}");
    }

    /// One entry's doubleword.
    #[inline(always)]
    pub fn raw(self, index: usize) -> u64 {
        // Acquire: pairs with the Release of whoever linked a table or a page here: its contents
        // were written before.
        paging::from_memory(self.slot(index).load(Ordering::Acquire))
    }
    /// The table that an entry points to.
    #[inline(always)]
    pub fn child(self, index: usize) -> Option<Self> {
        match self.load(index) {
            Entry::Table(addr) => Some(Self { addr, level: self.level + 1, _guard: PhantomData }),
            _ => None,
        }
    }

    #[inline(always)]
    fn slot(self, index: usize) -> &'rcu AtomicU64 {
        debug_assert!(index < self.entries());
        // A power of two (`paging::check`).
        let index = index & (self.entries() - 1);
        let at = PhysAddr::new(self.addr.get() + (index * ENTRY_BYTES) as u64);
        // SAFETY: within a table that stays one for `'rcu` (the type's promise).
        unsafe { memory::entry(at) }
    }

    /// Fills entries of a table that nobody sees yet.
    pub(super) fn fill_unseen(self, first: usize, entries: impl Iterator<Item = u64>) {
        for (index, entry) in (first..).zip(entries) {
            // Relaxed: the table is published with Release.
            self.slot(index).store(paging::to_memory(entry), Ordering::Relaxed);
        }
    }

    /// Of every `step`th entry of `from..to` the first that is not empty, or `to`.
    #[inline(always)]
    pub(super) fn skip_empty(self, from: usize, to: usize, step: usize) -> usize {
        let empty = paging::to_memory(F::empty(self.level));
        let mut at = from;
        // Relaxed: whoever goes on with the entry loads it once more.
        while at < to && self.slot(at).load(Ordering::Relaxed) == empty {
            at += step;
        }
        at.min(to)
    }

    /// Whether all entries are empty, by looking at each, for tables that are not counted.
    fn looks_empty(self) -> bool {
        let empty = paging::to_memory(F::empty(self.level));
        // Relaxed: nothing is done with what an entry points to, and the lock is held.
        (0..self.entries()).all(|index| self.slot(index).load(Ordering::Relaxed) == empty)
    }
}

/// A table and where it hangs.
#[derive(Debug)]
pub struct Located<'rcu, F> {
    /// The table.
    pub table: TableRef<'rcu, F>,
    /// The first address that it translates.
    pub base: VirtAddr,
    /// The table above it; the root's is the root.
    above: PhysAddr,
}

impl<F> Clone for Located<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<F> Copy for Located<'_, F> {}

impl<'rcu, F: PagingFormat> Located<'rcu, F> {
    /// The table for `va` that hangs in that one; the root hangs in itself.
    #[inline(always)]
    pub(super) fn new(table: TableRef<'rcu, F>, above: PhysAddr, va: VirtAddr) -> Self {
        Self { table, base: va.align_down(F::LEVELS[table.level].table_span()), above }
    }

    /// The table above it and the entry there; none for the root.
    #[inline(always)]
    fn parent(self) -> Option<(TableRef<'rcu, F>, usize)> {
        let level = self.table.level.checked_sub(1)?;
        Some((TableRef { addr: self.above, level, _guard: PhantomData }, F::LEVELS[level].index(self.base)))
    }

    /// Locks the table. `None` if it was unlinked meanwhile (H22): look for it again.
    ///
    /// Its parent's entry is looked at under the table's own lock. That suffices: whoever unlinks a
    /// table holds its lock and its parent's, and a parent that is itself unlinked was empty before.
    #[inline(always)]
    pub fn lock(self, memory: &dyn Memory) -> Option<TableGuard<'rcu, F>> {
        let page = memory.page_of(self.table.addr)?;
        let lock = page.lock.lock();
        self.is_linked().then_some(TableGuard {
            table: Writable { at: self, used: page.used_at(self.table.addr) },
            _lock: lock,
        })
    }

    /// Whether the entry above points to it.
    #[inline(always)]
    pub(super) fn is_linked(self) -> bool {
        self.parent().is_none_or(|(parent, index)| {
            F::decode(parent.level, parent.raw(index)) == Entry::Table(self.table.addr)
        })
    }

    /// Locks the table and its parent, whose locks may be one and the same (H23). `None` if it was
    /// unlinked meanwhile, or is the root.
    pub(super) fn lock_with_parent(self, memory: &dyn Memory) -> Option<PairGuard<'rcu, F>> {
        let (parent, index) = self.parent()?;
        let (above, page) = (memory.page_of(parent.addr)?, memory.page_of(self.table.addr)?);
        let locks = lock_two(above, page);
        self.is_linked().then_some(PairGuard {
            parent,
            parent_used: above.used_at(parent.addr),
            index,
            at: self,
            used: page.used_at(self.table.addr),
            _locks: locks,
        })
    }
}

/// The locks of two page-table pages: one lock if it is one page.
#[derive(Debug)]
pub struct TwoLocks {
    // In the order of unlocking.
    _second: Option<SpinGuard<'static, ()>>,
    _first: SpinGuard<'static, ()>,
}

/// Takes the locks of two page-table pages, the one at the lower address first. Several tables lie
/// in a page, so the two are often one (H23): a `move` from one half to the other, or a directory
/// below a directory of the same page, must not wait for itself.
pub fn lock_two(a: &'static PtPage, b: &'static PtPage) -> TwoLocks {
    if core::ptr::eq(a, b) {
        return TwoLocks { _second: None, _first: a.lock.lock() };
    }
    let (low, high) = if core::ptr::from_ref(a) < core::ptr::from_ref(b) { (a, b) } else { (b, a) };
    let first = low.lock.lock();
    TwoLocks { _second: Some(high.lock.lock_as(&TABLE_LOCK_SECOND)), _first: first }
}

/// A table that its holder may change: its lock is held, and it is linked.
///
/// It is found in a [`TableGuard`] or a [`BothGuards`] only.
#[derive(Debug)]
pub struct Writable<'rcu, F> {
    at: Located<'rcu, F>,
    used: Option<Share>,
}

/// A table whose lock is held, and that is still linked: with [`BothGuards`] the only thing that can
/// store.
///
/// It is not made without the lock and the second look:
/// ```compile_fail,E0451
/// use fallow::{arch::s390x_format::S390Dat, mm::pgtable::table::{TableGuard, Writable}};
/// fn unlocked<'rcu>(table: Writable<'rcu, S390Dat>, of: TableGuard<'rcu, S390Dat>) {
///     let guard = TableGuard { table, ..of };
/// }
/// ```
/// Nor is it kept when the walk is over in which the table was found:
/// ```compile_fail,E0505
/// use fallow::{addr::VirtAddr, arch::s390x_format::S390Dat};
/// use fallow::mm::pgtable::{Memory, PageTable, scheme::Reader};
/// fn late(tables: &PageTable<S390Dat>, memory: &dyn Memory, reader: Reader<'_>) {
///     let guard = tables.descend(&reader, VirtAddr::new(0)).end().lock(memory);
///     drop(reader);
///     drop(guard);
/// }
/// ```
#[derive(Debug)]
pub struct TableGuard<'rcu, F> {
    table: Writable<'rcu, F>,
    _lock: SpinGuard<'static, ()>,
}

impl<'rcu, F> Deref for TableGuard<'rcu, F> {
    type Target = Writable<'rcu, F>;
    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

/// Two tables, perhaps the same one, perhaps with one lock.
#[derive(Debug)]
pub struct BothGuards<'rcu, F> {
    /// The one.
    pub source: Writable<'rcu, F>,
    /// The other.
    pub target: Writable<'rcu, F>,
    _locks: TwoLocks,
}

/// Locks two tables. `None` if one was unlinked meanwhile.
#[inline(always)]
pub fn lock_both<'rcu, F: PagingFormat>(
    source: Located<'rcu, F>,
    target: Located<'rcu, F>,
    memory: &dyn Memory,
) -> Option<BothGuards<'rcu, F>> {
    let (one, other) = (memory.page_of(source.table.addr)?, memory.page_of(target.table.addr)?);
    let locks = lock_two(one, other);
    (source.is_linked() && target.is_linked()).then_some(BothGuards {
        source: Writable { at: source, used: one.used_at(source.table.addr) },
        target: Writable { at: target, used: other.used_at(target.table.addr) },
        _locks: locks,
    })
}

impl<F: PagingFormat> Writable<'_, F> {
    /// One entry.
    pub fn load(&self, index: usize) -> Entry {
        self.at.table.load(index)
    }

    /// Those entries of this leaf table that translate `at..stop` and of which some may be a page's.
    #[inline]
    pub(super) fn entries_of(&self, at: VirtAddr, stop: u64) -> Range<usize> {
        let span = F::LEVELS[paging::last::<F>()].entry_span();
        let first = ((at.get() - self.at.base.get()) / span) as usize;
        let end = ((stop - self.at.base.get()) / span) as usize;
        first.max(self.used.map_or(0, Share::lowest)).min(end)..end
    }
    /// The first page of these entries of a leaf table, and its first entry. The entries of a page that is
    /// a run of them are filled and emptied together: the first one tells.
    #[inline]
    pub(super) fn next_page(&self, entries: Range<usize>) -> Option<(usize, Page)> {
        debug_assert!(entries.start.is_multiple_of(paging::run::<F>()));
        let empty = paging::to_memory(F::empty(paging::last::<F>()));
        let mut index = entries.start;
        while index < entries.end {
            if self.stored(index) != empty {
                return self.page(index).map(|page| (index, page));
            }
            index += paging::run::<F>();
        }
        None
    }
    /// What an entry of this leaf table translates first.
    #[inline]
    pub(super) fn addr_of(&self, index: usize) -> VirtAddr {
        VirtAddr::new(self.at.base.get() + index as u64 * F::LEVELS[paging::last::<F>()].entry_span())
    }

    /// At most so many entries of the table are not empty. (Its siblings of the same fragment are
    /// counted with it.)
    #[inline]
    pub(super) fn most_used(&self) -> usize {
        self.used.map_or(self.at.table.entries(), Share::used)
    }
    /// Whether the table may be empty, with its siblings; cheap. Who is about to take it away looks again.
    pub(super) fn may_be_empty(&self) -> bool {
        self.used.is_none_or(Share::is_empty)
    }

    /// Fills empty entries that lie side by side, in ascending order, with what is to stand in memory. A
    /// reader may see any prefix (H11); another writer sees all or none, for he needs the lock.
    #[inline]
    pub(super) fn publish(&self, first: usize, entries: impl Iterator<Item = u64>) {
        let mut index = first;
        for entry in entries {
            let slot = self.at.table.slot(index);
            debug_assert!(
                self.at.table.raw(index) == F::empty(self.at.table.level),
                "an entry is overwritten"
            );
            // Release: pairs with the Acquire in `raw`, on whichever CPU walks here (H7).
            slot.store(entry, Ordering::Release);
            index += 1;
        }
        self.used.inspect(|share| share.filled(first, index - first));
    }

    /// The page that begins at `index` of this leaf table, if there is one.
    #[inline]
    pub(super) fn page(&self, index: usize) -> Option<Page> {
        match F::decode(paging::last::<F>(), paging::from_memory(self.stored(index))) {
            Entry::Page(page) => Some(page),
            _ => None,
        }
    }

    /// An entry of this leaf table as it stands in memory. (POWER9 has no instruction that turns the bytes
    /// of a register round; it takes thirteen.)
    #[inline(always)]
    fn stored(&self, index: usize) -> u64 {
        // Relaxed: whoever stored it held the lock, which we hold.
        self.at.table.leaf().slot(index).load(Ordering::Relaxed)
    }

    /// Gives a page (a run of entries) other access. True if CPUs must forget the old one.
    pub(super) fn set_access(&self, space: hardware::Space, index: usize, page: Page) -> bool {
        let Some(old) = self.page(index) else { return false };
        let less = |had: bool, has: bool| had && !has;
        let restricts = less(old.access.read, page.access.read)
            || less(old.access.write, page.access.write)
            || less(old.access.execute, page.access.execute);
        if less(page.access.execute, old.access.execute) {
            hardware::new_code(page, 1 << F::PAGE_SHIFT);
        }
        // An invalid entry is never in a TLB; one that gains a right is faulted on again at worst.
        let hardware_knows = old.access.read;
        for (part, entry) in run_entries::<F>(page).enumerate() {
            self.replace(space, index + part, entry, restricts && hardware_knows);
        }
        restricts && hardware_knows
    }

    /// Empties the entries of a page that is there. CPUs must forget it before it is freed.
    #[inline]
    pub(super) fn clear_page(&self, space: hardware::Space, index: usize, page: Page) {
        debug_assert!(self.page(index) == Some(page));
        let empty = paging::to_memory(F::empty(paging::last::<F>()));
        self.used.inspect(|share| share.emptied(paging::run::<F>()));
        for part in 0..paging::run::<F>() {
            self.replace(space, index + part, empty, page.access.read);
        }
    }

    #[inline(always)]
    fn replace(&self, space: hardware::Space, index: usize, entry: u64, hardware_knows: bool) {
        let slot = self.at.table.leaf().slot(index);
        if hardware_knows {
            // SAFETY: the entry that translates that address in the space; its lock is held.
            unsafe { hardware::replace_page(space, slot, self.addr_of(index), entry) };
        } else {
            // Release: as in `publish`.
            slot.store(entry, Ordering::Release);
        }
    }
}

impl<F: PagingFormat> BothGuards<'_, F> {
    /// Puts the page that is at `index` of the one leaf table into the other, where nothing is. If it is
    /// `shared` neither may store to it from now on: true if CPUs must forget that one could.
    #[inline]
    pub(super) fn copy_page(&self, space: hardware::Space, index: usize, page: Page, shared: bool) -> bool {
        let restricts = shared && page.access.write;
        let (kept, set) = F::READ_ONLY;
        let (kept, set) = (paging::to_memory(kept), paging::to_memory(set));
        for part in index..index + paging::run::<F>() {
            debug_assert!(self.target.page(part).is_none(), "an entry is overwritten");
            let mut entry = self.source.stored(part);
            if restricts {
                entry = entry & kept | set;
                self.source.replace(space, part, entry, true);
            }
            // Release: as in `publish`.
            self.target.at.table.leaf().slot(part).store(entry, Ordering::Release);
        }
        self.target.used.inspect(|share| share.filled(index, paging::run::<F>()));
        restricts
    }
}

/// The entries of a page as they stand in memory: one, or a run, which differ in the low bits of the
/// address, 0 in the first.
#[inline(always)]
pub(super) fn run_entries<F: PagingFormat>(page: Page) -> impl Iterator<Item = u64> {
    let span = F::LEVELS[paging::last::<F>()].entry_span();
    let first = paging::to_memory(F::page(page));
    (0..paging::run::<F>() as u64).map(move |part| first | paging::to_memory(part * span))
}

/// A table and its parent, both locked, the table still linked.
#[derive(Debug)]
pub(super) struct PairGuard<'rcu, F> {
    parent: TableRef<'rcu, F>,
    parent_used: Option<Share>,
    index: usize,
    at: Located<'rcu, F>,
    used: Option<Share>,
    _locks: TwoLocks,
}

impl<F: PagingFormat> PairGuard<'_, F> {
    /// If the table and its siblings of the same fragment are all empty, takes them all out of the
    /// parent; they fill `tables` entries. `None`, and nothing is changed, if one is not (H12, H14);
    /// else whether the parent is empty by it.
    pub(super) fn withdraw(&self, space: hardware::Space, tables: usize) -> Option<bool> {
        if !self.used.is_none_or(Share::is_empty) {
            return None;
        }
        let first = self.index & !(tables - 1);
        let level = &F::LEVELS[self.at.table.level];
        let base = self.at.base.get() - (self.index - first) as u64 * level.table_span();
        let sibling = |k: usize| TableRef::<F> {
            addr: PhysAddr::new(self.first_table(tables).get() + (k * level.bytes()) as u64),
            ..self.at.table
        };
        if cfg!(debug_assertions) || self.used.is_none() {
            let empty = (0..tables).all(|k| sibling(k).looks_empty());
            debug_assert!(empty || self.used.is_none(), "a table is counted empty and is not");
            if !empty {
                return None;
            }
        }
        for k in 0..tables {
            let va = VirtAddr::new(base + k as u64 * level.table_span());
            let slot = self.parent.slot(first + k);
            // SAFETY: the entry of the parent that covers `va`; its lock is held.
            unsafe {
                hardware::replace_table(space, self.parent.level, slot, va, F::empty(self.parent.level));
            }
        }
        self.parent_used.inspect(|share| share.emptied(tables));
        Some(self.parent_used.map_or_else(|| self.parent.looks_empty(), Share::is_empty))
    }

    /// Where the first table of the fragment lies.
    pub(super) fn first_table(&self, tables: usize) -> PhysAddr {
        let before = self.index & (tables - 1);
        PhysAddr::new(self.at.table.addr.get() - (before * F::LEVELS[self.at.table.level].bytes()) as u64)
    }
}
