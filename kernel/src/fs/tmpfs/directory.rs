//! The names in a directory.
//!
//! Names stand in a list in the order in which they came, each with a position that it never changes:
//! so `getdents` finds where it was, whatever came and went meanwhile. A hash table finds them by
//! name. Both are made larger before anything is changed.

use super::node::Node;
use crate::error::Errno;
use crate::fs::inode::FIRST_ENTRY;
use crate::fs::walk::copy;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// One name.
pub struct Named {
    /// The name.
    pub name: Box<[u8]>,
    /// What has it.
    pub node: Arc<Node>,
    /// Its place in the order of `getdents`.
    pub position: u64,
}

/// The names in a directory.
///
/// # Invariants
/// `list` is sorted by position. `index` holds the place in `list` of each name, once.
pub struct Directory {
    list: Vec<Option<Named>>,
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// The positions of the list's entries; an emptied entry has one still.
    positions: Vec<u64>,
    next: u64,
    /// It was removed: nothing is made in it any more.
    pub gone: bool,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// Without names.
    pub fn new() -> Self {
        Self {
            list: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            positions: Vec::new(),
            next: FIRST_ENTRY,
            gone: false,
        }
    }

    fn at(&self, name: &[u8]) -> Option<usize> {
        let is = |&at: &usize| self.list[at].as_ref().is_some_and(|entry| *entry.name == *name);
        self.index.find(self.hasher.hash_one(name), is).copied()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }
    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has the name.
    pub fn get(&self, name: &[u8]) -> Option<&Arc<Node>> {
        self.at(name).and_then(|at| self.list[at].as_ref()).map(|entry| &entry.node)
    }

    /// Makes room for one more name, and copies it: what comes after does not fail.
    pub fn prepare(&mut self, name: &[u8]) -> Result<Box<[u8]>, Errno> {
        let name = copy(name)?.into_boxed_slice();
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.positions.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let (list, hasher) = (&self.list, &self.hasher);
        let hash = |&at: &usize| list[at].as_ref().map_or(0, |entry| hasher.hash_one(&*entry.name));
        self.index.try_reserve(1, hash).map_err(|_| Errno::ENOMEM)?;
        Ok(name)
    }

    /// Adds a name for which there is room and which is not there.
    pub fn insert(&mut self, name: Box<[u8]>, node: Arc<Node>) {
        let (at, position) = (self.list.len(), self.next);
        self.next += 1;
        let hash = self.hasher.hash_one(&*name);
        self.list.push(Some(Named { name, node, position }));
        self.positions.push(position);
        let (list, hasher) = (&self.list, &self.hasher);
        let rehash = |&at: &usize| list[at].as_ref().map_or(0, |entry| hasher.hash_one(&*entry.name));
        self.index.insert_unique(hash, at, rehash);
    }

    /// Gives the name to another node; what had it is given back.
    pub fn replace(&mut self, name: &[u8], node: Arc<Node>) -> Option<Arc<Node>> {
        let at = self.at(name)?;
        let entry = self.list[at].as_mut()?;
        Some(core::mem::replace(&mut entry.node, node))
    }

    /// Takes a name away.
    pub fn remove(&mut self, name: &[u8]) -> Option<Arc<Node>> {
        let at = self.at(name)?;
        let hash = self.hasher.hash_one(name);
        if let Ok(entry) = self.index.find_entry(hash, |&found| found == at) {
            entry.remove();
        }
        let entry = self.list[at].take()?;
        self.compact();
        Some(entry.node)
    }

    /// Closes the gaps when they are most of the list. Nothing is allocated.
    fn compact(&mut self) {
        if self.list.len() < 16 || self.list.len() < 2 * self.index.len() {
            return;
        }
        self.list.retain(Option::is_some);
        self.positions.clear();
        self.positions.extend(self.list.iter().flatten().map(|entry| entry.position));
        self.index.clear();
        let (list, hasher) = (&self.list, &self.hasher);
        let hash = |at: usize| list[at].as_ref().map_or(0, |entry| hasher.hash_one(&*entry.name));
        for at in 0..list.len() {
            self.index.insert_unique(hash(at), at, |&at| hash(at));
        }
    }

    /// The names from a position on, in order.
    pub fn from(&self, position: u64) -> impl Iterator<Item = &Named> {
        let begin = self.positions.partition_point(|&other| other < position);
        self.list[begin..].iter().flatten()
    }
}
