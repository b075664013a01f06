//! [`PageTable`]: the tables of one address space.
//!
//! # Who may do what
//!
//! Readers ([`walk`](super::walk)) hold a [`Reader`] and take no lock. Writers (`populate`, `map`,
//! `protect`, `unmap`) may run on several CPUs at once, also on the same addresses: each entry is
//! changed under the lock of its table, and a table is linked and unlinked under its parent's. Who
//! may map what is for the owner of the address space to decide; here nothing becomes inconsistent
//! when two disagree, one of them is refused.

use super::detach::DetachedTable;
use super::frag::{FragmentList, Wipe};
use super::layout::{Layout, Packing};
use super::scheme::{BATCH_PAGES, BATCH_TABLES, FlushedTables, Reader, Scheme};
use super::table::TableRef;
use super::{Fragment, Memory, WORDS, counters, hardware, memory};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, PagingFormat};
use crate::cpus::{AtomicCpuSet, CpuSet};
use crate::error::Errno;
use crate::mm::pgtable::audit::Life;
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{MaySleep, Pinned};
use crate::trace::{self, Event, Group};
use arrayvec::ArrayVec;
use core::marker::PhantomData;
use core::ops::Range;

/// The most levels of a format.
pub(super) const MAX_LEVELS: usize = 4;

/// The page tables of one address space.
///
/// # Invariants
/// `root` is a table of level 0 until the value is dropped. Every linked table is a fragment of a
/// page of this address space's lists.
pub struct PageTable<F: PagingFormat> {
    root: PhysAddr,
    pub(super) root_fragment: Option<Fragment>,
    pub(super) space: hardware::Space,
    /// One for each way in which tables lie in pages.
    lists: ArrayVec<FragmentList<WORDS>, MAX_LEVELS>,
    list_of_level: [u8; MAX_LEVELS],
    layout: Layout,
    scheme: &'static dyn Scheme,
    pub(super) memory: &'static dyn Memory,
    users: AtomicCpuSet,
    table_bytes: AtomicUsize,
    _format: PhantomData<F>,
}

impl<F: PagingFormat> PageTable<F> {
    const CHECKED: () = {
        super::layout::check::<F>(WORDS);
        assert!(F::LEVELS.len() <= MAX_LEVELS);
    };

    /// An address space with nothing mapped. ENOMEM if there is no memory; EAGAIN if the hardware has
    /// no number left for it.
    pub fn new(
        memory: &'static dyn Memory,
        layout: Layout,
        scheme: &'static dyn Scheme,
        ctx: Option<&mut MaySleep>,
    ) -> Result<Self, Errno> {
        let () = Self::CHECKED;
        let mut lists = ArrayVec::new();
        let mut list_of_level = [0; MAX_LEVELS];
        for level in 0..F::LEVELS.len() {
            let packing = Packing::of::<F>(layout, level);
            // Levels whose tables look alike share a list: more of a page is used.
            let alike = |&other: &usize| {
                Packing::of::<F>(layout, other) == packing && F::poison(other) == F::poison(level)
            };
            list_of_level[level] = match (0..level).find(alike) {
                Some(other) => list_of_level[other],
                None => {
                    let wipe =
                        Wipe { poison: paging::to_memory(F::poison(level)), bytes: packing.fragment_bytes() };
                    let wipe = super::audit::poisons().then_some(wipe);
                    let list = FragmentList::new(memory, packing.fragments, packing.page_bytes, wipe);
                    lists.push(list.ok_or(Errno::ENOMEM)?);
                    lists.len() as u8 - 1
                }
            };
        }
        let root_fragment = lists[0].alloc(ctx).ok_or(Errno::ENOMEM)?;
        let root = address(&root_fragment, Packing::of::<F>(layout, 0));
        count_anew(&root_fragment, 0, 0);
        // SAFETY: a new fragment: ours alone.
        unsafe { clear::<F>(root, 0) };
        // SAFETY: an empty root, which stays one until the value is dropped.
        let space = match unsafe { hardware::create(root) } {
            Ok(space) => space,
            Err(errno) => {
                root_fragment.release();
                return Err(errno);
            }
        };
        let (page, index) = root_fragment.place();
        page.audit.step(index, Life::Fresh, Life::Linked);
        let table_bytes = AtomicUsize::new(Packing::of::<F>(layout, 0).fragment_bytes());
        Ok(Self {
            root,
            root_fragment: Some(root_fragment),
            space,
            lists,
            list_of_level,
            layout,
            scheme,
            memory,
            users: AtomicCpuSet::new(),
            table_bytes,
            _format: PhantomData,
        })
    }

    /// Begins a walk, as the scheme wants it.
    pub fn reader<'ctx>(&self, ctx: &'ctx MaySleep) -> Reader<'ctx> {
        Reader::new(self.scheme, ctx)
    }

    /// The root, for a reader. Panics if the reader is of another scheme.
    #[track_caller]
    pub fn root<'rcu>(&self, reader: &'rcu Reader<'_>) -> TableRef<'rcu, F> {
        assert!(reader.is_of(self.scheme), "a walk of tables of the scheme {} by {reader:?}", self.scheme());
        // SAFETY: the root stays a table while `self` lives; after that, until the grace period that
        // began with its end is over, and the guard is older than that.
        unsafe { TableRef::new(self.root, 0, reader) }
    }

    /// This CPU's user accesses go through these tables from now on.
    ///
    /// # Safety
    /// The CPU leaves it again (by `deactivate` or by another's `activate`) before the value is
    /// dropped, and the task does not change its CPU in between.
    pub unsafe fn activate(&self, pin: &impl Pinned) {
        self.users.insert(pin.cpu());
        // SAFETY: the tables live (the caller).
        unsafe { hardware::activate(self.space) };
    }

    /// This CPU has no user address space from now on.
    pub fn deactivate(_pin: &impl Pinned) {
        hardware::deactivate();
    }

    /// The CPUs that it ever ran on.
    pub fn users(&self) -> CpuSet {
        self.users.get()
    }

    /// How leaf tables lie in pages.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Its scheme's name.
    pub fn scheme(&self) -> &'static str {
        self.scheme.name()
    }

    /// Bytes of the fragments that are linked, spare bytes of a fragment included.
    pub fn table_bytes(&self) -> usize {
        // Relaxed, as where it is counted: before a table is linked. Who decides by it has the address space
        // to himself, or a fence before it that pairs with the one in `at`: he sees the table counted, or
        // a fault finds that he has begun.
        self.table_bytes.load(Ordering::Relaxed)
    }

    /// Whether there is any table but the root.
    pub fn has_tables(&self) -> bool {
        self.table_bytes() != self.packing(0).fragment_bytes()
    }

    /// Whether the range is one that may be mapped: aligned to pages, not beyond the space.
    pub fn covers(range: &Range<VirtAddr>) -> bool {
        let page = 1 << F::PAGE_SHIFT;
        range.start.is_aligned(page)
            && range.end.is_aligned(page)
            && range.start <= range.end
            && range.end.get() <= paging::space_bytes::<F>()
    }

    pub(super) fn packing(&self, level: usize) -> Packing {
        Packing::of::<F>(self.layout, level)
    }

    /// Where tables of that level come from.
    pub(super) fn list(&self, level: usize) -> &FragmentList<WORDS> {
        &self.lists[usize::from(self.list_of_level[level])]
    }

    /// A table (or group) of that level that nobody sees, all empty. `None` if there is no memory.
    pub(super) fn fresh_table(&self, level: usize, ctx: Option<&mut MaySleep>) -> Option<Fragment> {
        let packing = self.packing(level);
        let fragment = self.list(level).alloc(ctx)?;
        let first = address(&fragment, packing);
        count_anew(&fragment, 0, 0);
        for table in 0..packing.tables {
            let at = first.get() + (table * F::LEVELS[level].bytes()) as u64;
            // SAFETY: a new fragment: ours alone.
            unsafe { clear::<F>(PhysAddr::new(at), level) };
        }
        Some(fragment)
    }

    pub(super) fn count_tables(&self, by: isize, packing: Packing) {
        self.table_bytes.fetch_add((by * packing.fragment_bytes() as isize) as usize, Ordering::Relaxed);
    }

    /// Makes every CPU forget what was unlinked, and gives it to the scheme: both lists are empty then.
    pub(in crate::mm) fn flush(
        &self,
        pages: &[VirtAddr],
        everything: bool,
        tables: &mut ArrayVec<DetachedTable, BATCH_TABLES>,
        data: &mut ArrayVec<PhysAddr, BATCH_PAGES>,
    ) {
        // An entry of an upper table may be in a walk cache, which is cleared as a whole (H30).
        let everything = everything || !tables.is_empty();
        if everything {
            counters::FULL_FLUSHES.add(1);
        }
        counters::LEAF_FLUSHES.add(if everything { 0 } else { pages.len() });
        trace::emit(Group::PgTable, || Event::Flush {
            leaves: if everything { u32::MAX } else { pages.len() as u32 },
            tables: tables.len() as u32,
        });
        if everything {
            hardware::flush_all(self.space);
        } else if !pages.is_empty() {
            hardware::flush_pages(self.space, pages, F::LEVELS[paging::last::<F>()].shift);
        }
        self.scheme.dispose(self.memory, self.users(), FlushedTables { tables, pages: data });
    }
}

impl<F: PagingFormat> Drop for PageTable<F> {
    /// The end of the address space: everything goes the usual way, and nothing waits (H18). No CPU
    /// has it active.
    fn drop(&mut self) {
        self.unmap_all();
        let Some(root) = self.detach_root() else { return };
        // SAFETY: no CPU has it active (`activate`'s promise).
        unsafe { hardware::destroy(self.space) };
        // `destroy` has flushed everything, the root's entries included.
        let (mut tables, mut pages) = (ArrayVec::new(), ArrayVec::new());
        tables.push(root);
        let flushed = FlushedTables { tables: &mut tables, pages: &mut pages };
        self.scheme.dispose(self.memory, self.users(), flushed);
    }
}

impl<F: PagingFormat> core::fmt::Debug for PageTable<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PageTable({} at {}, {}, {})", F::NAME, self.root, self.layout.name(), self.scheme())
    }
}

/// Where a fragment lies.
pub(super) fn address(fragment: &Fragment, packing: Packing) -> PhysAddr {
    let (page, index) = fragment.place();
    PhysAddr::new(page.block().get() + (usize::from(index) * packing.fragment_bytes()) as u64)
}

/// These entries of a fragment that nobody sees are not empty, and no others.
pub(super) fn count_anew(fragment: &Fragment, first: usize, entries: usize) {
    let (page, index) = fragment.place();
    if let Some(used) = page.used(index) {
        used.set(first, entries);
    }
}

/// Makes a table of that level empty (H7: whatever it holds, in full).
///
/// # Safety
/// The caller has the table to himself.
unsafe fn clear<F: PagingFormat>(table: PhysAddr, level: usize) {
    let empty = paging::to_memory(F::empty(level));
    // SAFETY: the table, which is the caller's. Plain stores: whoever links it does so with Release.
    unsafe { memory::fill(table, empty, F::LEVELS[level].entries) };
}
