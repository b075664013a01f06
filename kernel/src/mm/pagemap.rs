//! A sparse array of frames: which page of an object is where.
//!
//! A tree of nodes with 64 places each, as high as the highest page asks for. Inserting is the only thing
//! that needs memory, and may fail; a standard map would panic.

use crate::addr::Pfn;
use crate::arch::try_box;
use crate::error::Errno;
use alloc::boxed::Box;
use core::ops::Range;

const BITS: u32 = 6;
const PLACES: usize = 1 << BITS;

enum Place {
    Empty,
    Node(Box<Node>),
    Frame(Pfn),
}

struct Node {
    places: [Place; PLACES],
    used: u8,
}

impl Node {
    fn new() -> Result<Box<Self>, Errno> {
        try_box(Self { places: [const { Place::Empty }; PLACES], used: 0 })
    }
}

/// Frames by page number.
///
/// # Invariants
/// `height` levels of nodes hang below `root`; frames are in the lowest.
pub struct PageMap {
    root: Option<Box<Node>>,
    height: u32,
    frames: u64,
}

impl PageMap {
    /// Empty.
    pub const fn new() -> Self {
        Self { root: None, height: 0, frames: 0 }
    }

    /// How many frames there are.
    pub fn len(&self) -> u64 {
        self.frames
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.frames == 0
    }

    fn covers(&self, index: u64) -> bool {
        let bits = BITS * self.height;
        self.height != 0 && (bits >= u64::BITS || index >> bits == 0)
    }

    fn place(index: u64, level: u32) -> usize {
        (index >> (BITS * level)) as usize % PLACES
    }

    /// The frame of that page.
    pub fn get(&self, index: u64) -> Option<Pfn> {
        if !self.covers(index) {
            return None;
        }
        let mut node = self.root.as_deref()?;
        for level in (0..self.height).rev() {
            match &node.places[Self::place(index, level)] {
                Place::Node(below) => node = below,
                Place::Frame(frame) => return Some(*frame),
                Place::Empty => return None,
            }
        }
        None
    }

    /// Puts a frame where none is. ENOMEM, EEXIST: the frame is still the caller's.
    pub fn insert(&mut self, index: u64, frame: Pfn) -> Result<(), Errno> {
        while !self.covers(index) {
            let mut above = Node::new()?;
            if let Some(root) = self.root.take() {
                above.places[0] = Place::Node(root);
                above.used = 1;
            }
            self.root = Some(above);
            self.height += 1;
        }
        let Some(mut node) = self.root.as_deref_mut() else { return Err(Errno::ENOMEM) };
        for level in (1..self.height).rev() {
            let place = Self::place(index, level);
            if matches!(node.places[place], Place::Empty) {
                node.places[place] = Place::Node(Node::new()?);
                node.used += 1;
            }
            let Place::Node(below) = &mut node.places[place] else { return Err(Errno::EEXIST) };
            node = below;
        }
        let place = &mut node.places[Self::place(index, 0)];
        if !matches!(place, Place::Empty) {
            return Err(Errno::EEXIST);
        }
        *place = Place::Frame(frame);
        node.used += 1;
        self.frames += 1;
        Ok(())
    }

    /// Takes out the first frame of the range, with its page's number.
    pub fn take_first(&mut self, range: Range<u64>) -> Option<(u64, Pfn)> {
        let height = self.height;
        let taken = Self::take_below(self.root.as_deref_mut()?, height.checked_sub(1)?, 0, &range)?;
        self.frames -= 1;
        if self.frames == 0 {
            (self.root, self.height) = (None, 0);
        }
        Some(taken)
    }

    // As deep as the tree is high: eleven at most.
    fn take_below(node: &mut Node, level: u32, base: u64, range: &Range<u64>) -> Option<(u64, Pfn)> {
        for place in 0..PLACES {
            let Some(first) = (place as u64).checked_shl(BITS * level).and_then(|at| base.checked_add(at))
            else {
                break;
            };
            let last = first.saturating_add((1_u64.checked_shl(BITS * level).unwrap_or(0)).wrapping_sub(1));
            if last < range.start || first >= range.end {
                continue;
            }
            let found = match &mut node.places[place] {
                Place::Empty => None,
                Place::Frame(frame) => Some((first, *frame)),
                Place::Node(below) => {
                    let found = Self::take_below(below, level - 1, first, range);
                    if found.is_none() || below.used != 0 {
                        if found.is_some() {
                            return found;
                        }
                        continue;
                    }
                    found
                }
            };
            if found.is_some() {
                node.places[place] = Place::Empty;
                node.used -= 1;
                return found;
            }
        }
        None
    }
}

impl Default for PageMap {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn like_a_map(steps in prop::collection::vec((0..3_u8, 0..400_u64, 0..50_u32), 1..200)) {
            let mut map = PageMap::new();
            let mut model = BTreeMap::new();
            for (what, index, shift) in steps {
                let index = index << shift;
                match what {
                    0 => {
                        let fresh = !model.contains_key(&index);
                        let result = map.insert(index, Pfn::new(index + 7));
                        prop_assert_eq!(result, if fresh { Ok(()) } else { Err(Errno::EEXIST) });
                        model.insert(index, Pfn::new(index + 7));
                    }
                    1 => prop_assert_eq!(map.get(index), model.get(&index).copied()),
                    _ => {
                        let range = index..index.saturating_add(100);
                        let first = model.range(range.clone()).next().map(|(k, v)| (*k, *v));
                        prop_assert_eq!(map.take_first(range), first);
                        first.map(|(index, _)| model.remove(&index));
                    }
                }
                prop_assert_eq!(map.len(), model.len() as u64);
            }
            while let Some((index, frame)) = map.take_first(0..u64::MAX) {
                prop_assert_eq!(model.remove(&index), Some(frame));
            }
            prop_assert!(model.is_empty() && map.is_empty());
        }
    }
}
