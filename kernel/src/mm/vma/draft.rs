//! Writing the next version.

use super::block::{CAP, FEW, Head, Index, Leaf, List, Slot};
use super::memory::Memory;
use super::{Attrs, View, Vma, VmaSet};
use crate::error::Errno;
use crate::sync::MaySleep;
use arrayvec::ArrayVec;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

/// The next version, which nobody sees until [`commit`](Self::commit). Dropped: as if never begun.
///
/// # Invariants
/// * `index` and its leaves are a complete version. Blocks of version `version` are the draft's own:
///   nobody else knows them.
/// * `retired` holds the published blocks that this version does not use any more, `unused` the
///   draft's own.
#[must_use = "a draft that is dropped was never begun"]
pub struct Draft<'s, A: Attrs, M: Memory> {
    set: &'s VmaSet<A, M>,
    index: Option<NonNull<Index<A>>>,
    version: u64,
    retired: List,
    unused: List,
}

impl<'s, A: Attrs, M: Memory> Draft<'s, A, M> {
    pub(super) fn open(set: &'s VmaSet<A, M>) -> Self {
        let index = NonNull::new(set.root.load(Ordering::Relaxed));
        let version = set.version.load(Ordering::Relaxed);
        Self { set, index, version, retired: List::new(), unused: List::new() }
    }

    /// The draft as it stands.
    pub fn view(&self) -> View<'_, A> {
        // SAFETY: the view borrows the draft, so nothing is written as long as it lives.
        unsafe { View::new(self.index) }
    }

    /// The same, for as long as the caller takes care.
    ///
    /// # Safety
    /// The view is not used once one of its blocks was freed.
    unsafe fn view_unbound<'a>(&self) -> View<'a, A> {
        // SAFETY: the caller's promise.
        unsafe { View::new(self.index) }
    }

    /// Makes `range` mapped with `attrs`, or unmapped, whatever was there before.
    ///
    /// Splits what reaches over the ends, joins equal neighbours. ENOMEM: the draft stands as before the
    /// call.
    pub fn put(
        &mut self,
        range: Range<u64>,
        attrs: Option<A>,
        ctx: Option<&mut MaySleep>,
    ) -> Result<(), Errno> {
        debug_assert!(range.start < range.end, "an empty range");
        // SAFETY: `free_unused` comes last, and `old` is not used after it.
        let old = unsafe { self.view_unbound() };
        let slots = old.slots();

        // The leaves from `a` to before `b` touch the range (their mappings may have to be joined
        // with it). If there is none, the one before has the place for it.
        let mut b = slots.partition_point(|slot| slot.start <= range.end);
        let mut a = slots[..b].iter().rposition(|slot| slot.end < range.start).map_or(0, |i| i + 1);
        if a == b && !slots.is_empty() {
            a = b.max(1) - 1;
            b = a + 1;
        }

        // What stays of the first leaf on the left, of the last on the right, and what comes between.
        let (first, last) = match &slots[a..b] {
            [] => (&[][..], &[][..]),
            [only] => (old.vmas(only), old.vmas(only)),
            [first, .., last] => (old.vmas(first), old.vmas(last)),
        };
        let j = last.iter().take_while(|vma| vma.start <= range.end).count();
        let limit = if b - a == 1 { j } else { first.len() };
        let i = first[..limit].iter().rposition(|vma| vma.end < range.start).map_or(0, |i| i + 1);
        let touched = if b - a == 1 { &first[i..j] } else { &last[..j] };
        let between = pieces(&range, attrs, first[i..limit].first(), touched.last());
        let mut parts = [&[], &first[..i], &between, &last[j..], &[]];
        let mut count = i + between.len() + last.len() - j;

        // Too few for a leaf: join a neighbour.
        if (1..FEW).contains(&count) {
            if b < slots.len() {
                parts[4] = old.vmas(&slots[b]);
                count += parts[4].len();
                b += 1;
            } else if a > 0 {
                a -= 1;
                parts[0] = old.vmas(&slots[a]);
                count += parts[0].len();
            }
        }

        // All memory first. From here on nothing fails.
        let leaves = count.div_ceil(CAP);
        let len = slots.len() - (b - a) + leaves;
        let blocks = self.alloc(leaves, len, ctx)?;
        let mut new: ArrayVec<Slot<A>, 3> = ArrayVec::new_const();
        for (done, block) in blocks.leaves.into_iter().enumerate() {
            // Evenly: a half-full leaf is not split again at once.
            let share = count.div_ceil(leaves - done);
            count -= share;
            // SAFETY: the block was allocated for a leaf; a share is at most CAP.
            new.push(unsafe { Leaf::write(block, self.version, &mut parts, share) });
        }
        let parts = [&slots[..a], &new, &slots[b..]];
        let index = match blocks.index {
            // SAFETY: the block was allocated for an index of this many slots.
            Some(block) => Some(unsafe { Index::write(block, self.version, parts) }),
            // One leaf is its own index.
            None => parts.into_iter().flatten().next().map(|slot| slot.leaf.cast()),
        };
        self.discard(slots, a..b, index);
        self.free_unused();
        Ok(())
    }

    /// Changes the attributes of whatever is mapped in `range`. On an error the draft has changed
    /// in part: drop it.
    pub fn change(
        &mut self,
        range: Range<u64>,
        mut ctx: Option<&mut MaySleep>,
        change: impl Fn(A) -> A,
    ) -> Result<(), Errno> {
        let mut at = range.start;
        while at < range.end
            && let Some(&vma) = self.view().find(at)
            && vma.start < range.end
        {
            let attrs = change(vma.attrs);
            let piece = vma.start.max(at)..vma.end.min(range.end);
            at = piece.end;
            if attrs != vma.attrs {
                self.put(piece, Some(attrs), ctx.as_deref_mut())?;
            }
        }
        Ok(())
    }

    /// Makes an empty draft a copy of that version, in blocks of its own. ENOMEM: the draft is still empty.
    pub fn copy(&mut self, source: View<'_, A>, ctx: &mut MaySleep) -> Result<(), Errno> {
        debug_assert!(self.index.is_none(), "a draft that is copied to is empty");
        let memory = &self.set.memory;
        let slots = source.slots();
        let block = match slots.len() {
            0 => return Ok(()),
            1 => None,
            len => Some(memory.alloc(Index::<A>::layout(len), Some(ctx)).ok_or(Errno::ENOMEM)?),
        };
        if let Some(block) = block {
            // SAFETY: the block was allocated for an index of this many slots. They are written over
            // below; until then the index has none of its own.
            self.index = Some(unsafe { Index::write(block, self.version, [slots, &[], &[]]) });
        }
        for (done, slot) in slots.iter().enumerate() {
            let Some(leaf) = memory.alloc(Leaf::<A>::LAYOUT, Some(ctx)) else {
                self.undo_copy(block, done);
                return Err(Errno::ENOMEM);
            };
            let vmas = source.vmas(slot);
            // SAFETY: the block was allocated for a leaf, and one leaf's mappings fit it.
            let copied = unsafe { Leaf::write(leaf, self.version, &mut [vmas], vmas.len()) };
            match self.index {
                // SAFETY: the draft's own index, which has that slot.
                Some(index) => unsafe { Index::set(index, done, copied) },
                None => self.index = Some(copied.leaf.cast()),
            }
        }
        Ok(())
    }

    /// Frees what `copy` has made of an index: that many leaves, and the index.
    fn undo_copy(&mut self, block: Option<NonNull<u8>>, done: usize) {
        let (Some(index), Some(block)) = (self.index.take(), block) else { return };
        // SAFETY: the draft's own; nobody uses it after this.
        let slots = unsafe { Index::slots(index) };
        for slot in &slots[..done] {
            // SAFETY: made by `copy`, and seen by nobody.
            unsafe { self.set.memory.free(slot.leaf.cast(), Leaf::<A>::LAYOUT) };
        }
        // SAFETY: likewise.
        unsafe { self.set.memory.free(block, Index::<A>::layout(slots.len())) };
    }

    /// Unmaps everything. Needs no memory.
    pub fn clear(&mut self) {
        // SAFETY: not used after `free_unused`.
        let slots = unsafe { self.view_unbound() }.slots();
        self.discard(slots, 0..slots.len(), None);
        self.free_unused();
    }

    /// Publishes the draft. Cannot fail.
    pub fn commit(mut self) {
        let root = self.index.take().map_or(ptr::null_mut(), NonNull::as_ptr);
        self.set.publish(root, self.version);
        while let Some(block) = self.retired.pop() {
            // SAFETY: published once, and not part of the version that was just published.
            unsafe { self.set.memory.retire(block) };
        }
    }

    /// Memory for some leaves and, if there are several in all, an index of `len` slots: all or none.
    fn alloc(&self, leaves: usize, len: usize, mut ctx: Option<&mut MaySleep>) -> Result<Blocks, Errno> {
        let memory = &self.set.memory;
        let mut blocks = Blocks { leaves: ArrayVec::new_const(), index: None };
        for _ in 0..leaves {
            let Some(leaf) = memory.alloc(Leaf::<A>::LAYOUT, ctx.as_deref_mut()) else { break };
            blocks.leaves.push(leaf);
        }
        if len > 1 && blocks.leaves.len() == leaves {
            blocks.index = memory.alloc(Index::<A>::layout(len), ctx);
        }
        if blocks.leaves.len() < leaves || blocks.index.is_some() != (len > 1) {
            for leaf in blocks.leaves {
                // SAFETY: allocated above.
                unsafe { memory.free(leaf, Leaf::<A>::LAYOUT) };
            }
            return Err(Errno::ENOMEM);
        }
        Ok(blocks)
    }

    /// Puts `index` in the place of the draft's. The old one, and of its leaves these, go out of use.
    fn discard(&mut self, slots: &[Slot<A>], leaves: Range<usize>, index: Option<NonNull<Index<A>>>) {
        let old = core::mem::replace(&mut self.index, index);
        let several = slots.len() > 1;
        let leaves = slots[leaves].iter().map(|slot| slot.leaf.cast());
        for block in leaves.chain(old.filter(|_| several).map(NonNull::cast)) {
            self.discard_block(block);
        }
    }

    fn discard_block(&mut self, block: NonNull<Head>) {
        // SAFETY: alive, and no longer part of the draft: discarded once.
        unsafe {
            let own = (*block.as_ptr()).version == self.version;
            if own { self.unused.push(block) } else { self.retired.push(block) }
        }
    }

    /// Called when nobody looks at the discarded blocks any more.
    fn free_unused(&mut self) {
        while let Some(block) = self.unused.pop() {
            // SAFETY: the draft's own, so that nobody else ever saw it, and no longer part of it.
            unsafe { self.set.memory.free(block.cast(), (*block.as_ptr()).layout()) };
        }
    }
}

impl<A: Attrs, M: Memory> Drop for Draft<'_, A, M> {
    fn drop(&mut self) {
        if self.index.is_some() {
            // Not committed. The published blocks stay what they are: their list is forgotten.
            self.clear();
        }
        // Release: pairs with the Acquire in `VmaSet::draft`.
        self.set.drafting.store(false, Ordering::Release);
    }
}

struct Blocks {
    leaves: ArrayVec<NonNull<u8>, 3>,
    index: Option<NonNull<u8>>,
}

/// What is to stand in place of the mappings that touch `range`, from `first` to `last`.
fn pieces<A: Attrs>(
    range: &Range<u64>,
    attrs: Option<A>,
    first: Option<&Vma<A>>,
    last: Option<&Vma<A>>,
) -> ArrayVec<Vma<A>, 3> {
    let mut pieces: ArrayVec<Vma<A>, 3> = ArrayVec::new_const();
    let mut add = |start, end, attrs| match pieces.last_mut() {
        Some(piece) if piece.end == start && piece.attrs == attrs => piece.end = end,
        _ => pieces.push(Vma { start, end, attrs }),
    };
    if let Some(first) = first
        && first.start < range.start
    {
        add(first.start, range.start, first.attrs);
    }
    if let Some(attrs) = attrs {
        add(range.start, range.end, attrs);
    }
    if let Some(last) = last
        && last.end > range.end
    {
        add(range.end, last.end, last.attrs);
    }
    pieces
}
