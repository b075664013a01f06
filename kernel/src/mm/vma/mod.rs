//! The set of a process's mappings: sorted leaves under one index, copied on write, read without a
//! lock.
//!
//! ```text
//!  root --> index of version 7:  | start end gap leaf | start end gap leaf | ...
//!                                                 |                  |
//!                           leaf (version 3): vma vma vma     leaf (version 7): vma vma
//! ```
//!
//! A *version* of the set is immutable, and one pointer, the root, publishes it. A change copies the
//! leaf that it touches and the index, which nobody else sees until one store publishes both. What
//! the new version no longer uses is *retired*: handed to RCU, block by block, through a head in
//! the block itself.
//!
//! A set with one leaf has no index: a leaf begins as an index of one slot, its own.
//!
//! What follows from this shape:
//!
//! * A reader that loads the root once sees one version, whatever the writer does meanwhile. It takes
//!   no lock, writes nothing and never retries.
//! * All memory is allocated before anything is changed: a change that fails has changed nothing.
//! * Retiring allocates nothing, and an RCU callback frees exactly one block.
//! * Munmap, mmap and mprotect are one operation, [`Draft::put`]: "from here to there, let it be
//!   mapped like this (or not at all)". Splitting, merging and replacing are its special cases.
//!
//! Copying the index costs 32 bytes for each leaf. Rejected: a sorted array (the fastest up to some
//! dozens, but its cost grows with each mapping, as does the search for a gap); a tree of more levels
//! (cheaper only from some thousands of mappings on); reference-counted nodes (copying a node counts
//! every child up, dropping an old root frees any number of nodes at once); nodes changed in place under
//! sequence counts, as in Linux' maple tree (a reader must validate and retry, and sees no version).
//!
//! | file | what |
//! |---|---|
//! | [`block`] | leaf and index, and what they have in common |
//! | [`draft`] | the next version, being written |
//! | [`view`] | one version, being read |
//! | [`memory`] | where the blocks come from: object caches, and RCU |

mod block;
mod draft;
pub mod memory;
#[cfg(test)]
mod tests;
mod view;

pub use block::{CAP, Head};
pub use draft::Draft;
pub use view::{Iter, View};

#[cfg(test)]
use crate::{error::Errno, sync::MaySleep};
use block::Index;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering, fence};
use memory::Memory;

/// A mapping. Its attributes describe it as a whole (protection, object, and the offset in the object
/// *minus the address*): a piece of a mapping has the attributes of the whole, and neighbours that
/// touch belong together exactly if their attributes are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vma<A> {
    /// The first address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What it maps, and how.
    pub attrs: A,
}

impl<A> Vma<A> {
    /// Whether the address lies in it.
    pub fn contains(&self, addr: u64) -> bool {
        self.start <= addr && addr < self.end
    }
    /// Bytes.
    pub fn len(&self) -> u64 {
        self.end - self.start
    }
    /// Never: for who asks for [`len`](Self::len).
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// What a mapping maps, and how. Plain values: blocks are copied without counting anything.
pub trait Attrs: Copy + Eq + Send + Sync + 'static {}
impl<A: Copy + Eq + Send + Sync + 'static> Attrs for A {}

/// A read section.
///
/// # Safety
/// While a value of this type lives, no grace period that began after it can end.
pub unsafe trait Guard {}
// SAFETY: that is what it is.
unsafe impl Guard for crate::rcu::RcuReadGuard<'_> {}

/// The set. Sorted, disjoint, and no two neighbours that touch have equal attributes.
///
/// # Invariants
/// * `root` is null or an index whose contents, and those of its leaves, are never written again.
/// * Every published block has another version than the draft that is open.
pub struct VmaSet<A: Attrs, M: Memory> {
    root: AtomicPtr<Index<A>>,
    /// The version that the next draft will have: it tells the draft's own blocks from published ones.
    version: AtomicU64,
    /// Whether a draft is open. The mm's lock sees to it that there is one at most; this checks it.
    drafting: AtomicBool,
    memory: M,
}

impl<A: Attrs, M: Memory> VmaSet<A, M> {
    /// An empty set.
    pub const fn new(memory: M) -> Self {
        Self {
            root: AtomicPtr::new(ptr::null_mut()),
            version: AtomicU64::new(1),
            drafting: AtomicBool::new(false),
            memory,
        }
    }

    /// The version that is current now, for as long as the read section lasts.
    #[inline]
    pub fn read<'g>(&self, _guard: &'g impl Guard) -> View<'g, A> {
        // SAFETY: what the root leads to is retired, not freed, once it is replaced: it outlives the
        // guard.
        unsafe { self.view() }
    }

    /// The version that is current now.
    ///
    /// # Safety
    /// The caller holds the lock under which drafts are opened as long as the view is used, or nobody
    /// else has the set.
    #[inline]
    pub unsafe fn view<'a>(&self) -> View<'a, A> {
        // Acquire: pairs with the Release in `Draft::commit`; the contents come with the pointer.
        let root = NonNull::new(self.root.load(Ordering::Acquire));
        // SAFETY: published whole, and alive (the caller).
        unsafe { View::new(root) }
    }

    /// Opens a draft of the next version. The mm's lock must be held.
    ///
    /// # Panics
    /// If another draft is open: the lock was not held.
    pub fn draft(&self) -> Draft<'_, A, M> {
        // Acquire: pairs with the Release in `Draft::drop`.
        assert!(!self.drafting.swap(true, Ordering::Acquire), "two writers of a set of mappings");
        Draft::open(self)
    }

    /// Publishes.
    fn publish(&self, root: *mut Index<A>, version: u64) {
        // Release: pairs with the Acquire in `view`.
        self.root.store(root, Ordering::Release);
        self.version.store(version + 1, Ordering::Relaxed);
        // SeqCst: pairs with the fence of a page fault between finding a table and looking at the set
        // again. The writer's look at the tables comes after the store: either it finds the fault's
        // table, or the fault finds this version.
        fence(Ordering::SeqCst);
    }
}

impl<A: Attrs, M: Memory> Drop for VmaSet<A, M> {
    fn drop(&mut self) {
        let mut draft = self.draft();
        draft.clear();
        draft.commit();
    }
}
