//! Reading one version of the set.

use super::block::{Index, Leaf, Slot};
use super::{Attrs, Vma};
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

/// One version of the set. Valid as long as the read section (or the draft) it came from.
pub struct View<'g, A> {
    slots: &'g [Slot<A>],
    leaves: PhantomData<&'g Leaf<A>>,
}

impl<A> Clone for View<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<A> Copy for View<'_, A> {}

impl<'g, A: Attrs> View<'g, A> {
    /// # Safety
    /// The index and its leaves stay alive and unchanged for `'g`.
    #[inline]
    pub(super) unsafe fn new(index: Option<NonNull<Index<A>>>) -> Self {
        // SAFETY: the caller's promise.
        let slots = index.map_or(&[][..], |index| unsafe { Index::slots(index) });
        Self { slots, leaves: PhantomData }
    }

    pub(super) fn slots(self) -> &'g [Slot<A>] {
        self.slots
    }

    #[inline]
    pub(super) fn vmas(self, slot: &Slot<A>) -> &'g [Vma<A>] {
        // SAFETY: a leaf of this version: `new` was promised that it is alive and unchanged.
        unsafe { &(*slot.leaf.as_ptr()).vmas }
    }

    /// Whether nothing is mapped.
    pub fn is_empty(self) -> bool {
        self.slots.is_empty()
    }

    /// The first mapping that ends after `addr`: it contains `addr`, or is the next after it.
    #[inline]
    pub fn find(self, addr: u64) -> Option<&'g Vma<A>> {
        self.iter_from(addr).next()
    }

    /// The mapping that contains `addr`.
    #[inline]
    pub fn at(self, addr: u64) -> Option<&'g Vma<A>> {
        self.find(addr).filter(|vma| vma.start <= addr)
    }

    /// The last mapping that begins before `addr`.
    pub fn before(self, addr: u64) -> Option<&'g Vma<A>> {
        let slot = self.slots[..self.slots.partition_point(|slot| slot.start < addr)].last()?;
        self.vmas(slot).iter().rev().find(|vma| vma.start < addr)
    }

    /// All mappings from the one that [`find`](Self::find) gives.
    #[inline]
    pub fn iter_from(self, addr: u64) -> Iter<'g, A> {
        let slots = &self.slots[self.slots.partition_point(|slot| slot.end <= addr)..];
        let Some((slot, later)) = slots.split_first() else {
            return Iter { view: self, later: slots, leaf: [].iter() };
        };
        let vmas = self.vmas(slot);
        let skip = vmas.iter().take_while(|vma| vma.end <= addr).count();
        Iter { view: self, later, leaf: vmas[skip..].iter() }
    }

    /// The parts of mappings that lie in the range.
    pub fn within(self, range: Range<u64>) -> impl Iterator<Item = Vma<A>> + use<'g, A> {
        let (start, end) = (range.start, range.end);
        self.iter_from(start).take_while(move |vma| vma.start < end).map(move |vma| Vma {
            start: vma.start.max(start),
            end: vma.end.min(end),
            attrs: vma.attrs,
        })
    }

    /// The highest unmapped range of `size` bytes within `window`: its first address.
    pub fn highest_gap(self, size: u64, window: Range<u64>) -> Option<u64> {
        // The gap under consideration ends here.
        let mut above = window.end;
        let fits =
            |above: u64, end: u64| (above.checked_sub(end.max(window.start))? >= size).then(|| above - size);
        for slot in self.slots[..self.slots.partition_point(|slot| slot.start < above)].iter().rev() {
            // No room is left below.
            fits(above, window.start)?;
            if let Some(found) = fits(above, slot.end) {
                return Some(found);
            }
            if slot.gap >= size {
                for vma in self.vmas(slot).iter().rev() {
                    if let Some(found) = fits(above, vma.end) {
                        return Some(found);
                    }
                    above = above.min(vma.start);
                }
            }
            above = above.min(slot.start);
        }
        fits(above, window.start)
    }

    /// Checks every rule; gives the number of leaves. For tests.
    ///
    /// # Panics
    /// If a rule is broken.
    pub fn audit(self) -> usize {
        let mut vmas = self.iter_from(0).peekable();
        while let Some(vma) = vmas.next() {
            assert!(vma.start < vma.end);
            if let Some(next) = vmas.peek() {
                assert!(vma.end <= next.start, "sorted and disjoint");
                assert!(vma.end < next.start || vma.attrs != next.attrs, "merged");
            }
        }
        for slot in self.slots {
            let is = Slot::new(slot.leaf, self.vmas(slot));
            assert_eq!((slot.start, slot.end, slot.gap), (is.start, is.end, is.gap));
        }
        self.slots.len()
    }
}

/// Mappings in ascending order.
pub struct Iter<'g, A> {
    view: View<'g, A>,
    leaf: core::slice::Iter<'g, Vma<A>>,
    later: &'g [Slot<A>],
}

impl<'g, A: Attrs> Iterator for Iter<'g, A> {
    type Item = &'g Vma<A>;

    #[inline]
    fn next(&mut self) -> Option<&'g Vma<A>> {
        if let Some(vma) = self.leaf.next() {
            return Some(vma);
        }
        let (slot, later) = self.later.split_first()?;
        self.leaf = self.view.vmas(slot).iter();
        self.later = later;
        self.leaf.next()
    }
}
