//! Memory for the buddy lists' own nodes.
//!
//! The buddy allocator keeps its free blocks in B-trees, which allocate when a block is *freed*: in
//! an RCU callback, under the frame lock, perhaps because memory is short. That must neither fail
//! nor come back to the frame allocator. So a reserve is set aside at boot for the most nodes there
//! can ever be, and while a task works on the buddy lists, its allocations come from there: the
//! global allocator asks [`route`] first.
//!
//! # How much
//! *Keys.* A free block's buddy is not free as a whole (they would have merged). In a naturally
//! aligned block of order k that is not free as a whole there are at most c(k) free blocks, with
//! c(0) = 0, c(1) = 1, c(k) = 2 c(k-1): half of its frames. A range of memory consists of at most
//! two aligned blocks of each order. So F frames in R ranges make at most
//! N = F / 2 + 2 * ORDERS * R free blocks.
//!
//! *Nodes.* A node of Rust's B-tree holds 5 to 11 keys, but for the root of each of the ORDERS
//! trees: at most T = N / 5 + ORDERS nodes. An inner node has at least 6 children, a root 2: at most
//! T / 6 + ORDERS of them are inner nodes.
//!
//! *Bytes.* A leaf takes 104 bytes, an inner node 200. With 4 KB frames that is 0.4 % of memory,
//! with 64 KB frames 0.03 %; it is written only when used.

use super::buddy::ORDERS;
use crate::sync::context::current;
use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

/// Bytes of a leaf and of an inner node, rounded up. A test compares them with what the B-tree asks
/// for.
const NODE_SIZES: [usize; 2] = [112, 208];
/// For what the arithmetic above does not count: nodes in the middle of a split.
const SLACK: usize = 16;

/// Nodes of each size (leaves, inner nodes) that so many frames in so many ranges need at most.
pub const fn most_nodes(frames: usize, ranges: usize) -> [usize; 2] {
    let keys = frames / 2 + 2 * ORDERS * ranges;
    let nodes = keys / 5 + ORDERS;
    [nodes + SLACK, nodes / 6 + ORDERS + SLACK]
}

/// Bytes of the reserve for so many frames in so many ranges.
pub const fn size(frames: usize, ranges: usize) -> usize {
    let [leaves, inner] = most_nodes(frames, ranges);
    leaves * NODE_SIZES[0] + inner * NODE_SIZES[1]
}

/// Nodes of one size.
struct Pool {
    node: usize,
    free: Option<NonNull<Option<NonNull<()>>>>,
    next: *mut u8,
    /// Nodes from `next` on that were never used.
    fresh: usize,
    used: usize,
    most: usize,
}

impl Pool {
    const fn empty(node: usize) -> Self {
        Self { node, free: None, next: core::ptr::null_mut(), fresh: 0, used: 0, most: 0 }
    }

    fn take(&mut self) -> *mut u8 {
        let node = if let Some(node) = self.free {
            // SAFETY: a free node's first word is the link to the next.
            self.free = unsafe { node.read() }.map(NonNull::cast);
            node.as_ptr().cast()
        } else if self.fresh > 0 {
            let node = self.next;
            // SAFETY: `fresh` nodes begin at `next`.
            self.next = unsafe { node.add(self.node) };
            self.fresh -= 1;
            node
        } else {
            return core::ptr::null_mut();
        };
        self.used += 1;
        self.most = self.most.max(self.used);
        node
    }

    /// # Safety
    /// The node was given by `take` and is not used any more.
    unsafe fn put(&mut self, node: NonNull<u8>) {
        let node = node.cast::<Option<NonNull<()>>>();
        // SAFETY: the node is ours, at least a word long, and aligned to one.
        unsafe { node.write(self.free.map(NonNull::cast)) };
        self.free = Some(node);
        self.used -= 1;
    }
}

/// The reserve of one frame allocator.
///
/// # Invariants
/// Used only by the task that holds that allocator's buddy lock.
pub struct Reserve(UnsafeCell<[Pool; 2]>);

// SAFETY: the buddy lock serialises all uses (invariant).
unsafe impl Sync for Reserve {}
// SAFETY: it holds no reference to a thread's own data.
unsafe impl Send for Reserve {}

impl Reserve {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new([Pool::empty(NODE_SIZES[0]), Pool::empty(NODE_SIZES[1])]))
    }

    /// Gives it its memory.
    ///
    /// # Safety
    /// `memory` is [`size`]`(frames, ranges)` bytes, aligned to 16, used for nothing else for ever.
    /// The caller holds the buddy lock.
    pub(super) unsafe fn init(&self, memory: *mut u8, frames: usize, ranges: usize) {
        // SAFETY: the buddy lock is held.
        let pools = unsafe { &mut *self.0.get() };
        let mut next = memory;
        for (pool, nodes) in pools.iter_mut().zip(most_nodes(frames, ranges)) {
            pool.next = next;
            pool.fresh = nodes;
            // SAFETY: `size` counted the nodes of both pools.
            next = unsafe { next.add(nodes * pool.node) };
        }
    }

    /// The most nodes of each size that were ever in use. The caller holds the buddy lock.
    pub(super) fn most_used(&self) -> [usize; 2] {
        // SAFETY: the buddy lock is held.
        let pools = unsafe { &*self.0.get() };
        [pools[0].most, pools[1].most]
    }

    /// Until the returned value is dropped, the running task allocates from here. The caller holds
    /// the buddy lock.
    pub(super) fn enter(&self) -> Entered<'_> {
        let own = core::ptr::from_ref(self).cast_mut().cast();
        current().reserve.store(own, Ordering::Relaxed);
        Entered(PhantomData, PhantomData)
    }

    fn pool(layout: Layout) -> Option<usize> {
        NODE_SIZES.iter().position(|&size| layout.size() <= size && layout.align() <= 16)
    }

    /// A node for the layout; null if it fits none, or if all are used.
    pub fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: `route` gave `self` to the task that holds the buddy lock.
        let pools = unsafe { &mut *self.0.get() };
        Self::pool(layout).map_or(core::ptr::null_mut(), |pool| pools[pool].take())
    }

    /// Takes a node back.
    ///
    /// # Safety
    /// `alloc` of this reserve gave it for the same layout.
    pub unsafe fn dealloc(&self, node: *mut u8, layout: Layout) {
        // SAFETY: `route` gave `self` to the task that holds the buddy lock.
        let pools = unsafe { &mut *self.0.get() };
        if let (Some(pool), Some(node)) = (Self::pool(layout), NonNull::new(node)) {
            // SAFETY: the caller's promise.
            unsafe { pools[pool].put(node) };
        }
    }
}

/// See [`Reserve::enter`].
pub(super) struct Entered<'a>(PhantomData<&'a Reserve>, PhantomData<*mut ()>);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        current().reserve.store(core::ptr::null_mut(), Ordering::Relaxed);
    }
}

/// Where the running task's allocations go instead of the heap. The global allocator asks this
/// first, for freeing as well: what is freed under the buddy lock came from the reserve.
#[inline(always)]
pub fn route() -> Option<&'static Reserve> {
    let reserve: *mut Reserve = current().reserve.load(Ordering::Relaxed).cast();
    // SAFETY: null, or set by `enter` from a `&'static` allocator's field by this very task, which is
    // inside `Entered`.
    unsafe { reserve.as_ref() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_do_not_overlap_and_run_out() {
        let reserve = Reserve::new();
        let bytes = size(100, 1);
        let memory: Vec<u128> = vec![0; bytes / 16 + 1];
        // SAFETY: `memory` is large enough, aligned and outlives the reserve; nobody else has it.
        unsafe { reserve.init(memory.as_ptr().cast_mut().cast(), 100, 1) };
        let layout = Layout::from_size_align(200, 8).expect("a layout");
        let mut nodes = vec![];
        loop {
            let node = reserve.alloc(layout);
            if node.is_null() {
                break;
            }
            nodes.push(node.addr());
        }
        assert_eq!(nodes.len(), most_nodes(100, 1)[1]);
        nodes.sort_unstable();
        assert!(nodes.windows(2).all(|pair| pair[1] - pair[0] >= 200));
        assert!(nodes[nodes.len() - 1] + 200 <= memory.as_ptr().addr() + bytes);
        // SAFETY: `alloc` gave it for this layout.
        unsafe { reserve.dealloc(core::ptr::with_exposed_provenance_mut(nodes[3]), layout) };
        assert_eq!(reserve.alloc(layout).addr(), nodes[3]);
        assert_eq!(reserve.most_used(), [0, nodes.len()]);
        assert!(reserve.alloc(Layout::new::<[u8; 300]>()).is_null());
    }
}
