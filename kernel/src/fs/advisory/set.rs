//! The locks that are held, as a value: who conflicts with whom, and how ranges are cut and joined.
//!
//! One list for all files. Few programs hold more than one lock, and none here thousands: a list of each
//! file's own would cost every file a word, and every close a look at it.

use crate::error::Errno;
use alloc::vec::Vec;

/// Who holds a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// All who share these descriptors; the address of their table.
    Descriptors(usize),
    /// Whoever has this open file; its address.
    OpenFile(usize),
}

/// Which locks know of each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The inode's address.
    pub inode: usize,
    /// By `flock`. Such a lock and one of `fcntl` do not see each other.
    pub whole: bool,
}

/// Whether others may hold it, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// Others may share it.
    Shared,
    /// Nobody else may have any.
    Exclusive,
}

/// Bytes of a file, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first one.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Range {
    /// The last byte that a file can have.
    pub const END: u64 = i64::MAX as u64;
    /// All of it.
    pub const ALL: Self = Self { first: 0, last: Self::END };

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
    /// Overlaps it or is next to it.
    fn touches(self, other: Self) -> bool {
        self.first <= other.last.saturating_add(1) && other.first <= self.last.saturating_add(1)
    }
}

/// A lock that is held or wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lock {
    /// Of which file.
    pub place: Place,
    /// Whose.
    pub owner: Owner,
    /// How.
    pub hold: Hold,
    /// Of which bytes.
    pub range: Range,
    /// The process that asked for it, to be told to others.
    pub pid: u32,
}

/// Why a lock is not to be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// That one is in the way.
    Held(Lock),
    /// No memory: ENOLCK.
    Memory,
}

/// All locks.
///
/// # Invariants
/// Locks of one owner at one place do not overlap. Exclusive ones overlap with nobody's at that place.
#[derive(Debug)]
pub struct Set(Vec<Lock>);

impl Set {
    /// None.
    pub const fn new() -> Self {
        Self(Vec::new())
    }
    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Somebody else's lock that is in the way.
    pub fn conflict(&self, wanted: &Lock) -> Option<Lock> {
        let is_in_the_way = |lock: &&Lock| {
            lock.place == wanted.place
                && lock.owner != wanted.owner
                && lock.range.overlaps(wanted.range)
                && (lock.hold == Hold::Exclusive || wanted.hold == Hold::Exclusive)
        };
        self.0.iter().find(is_in_the_way).copied()
    }

    /// Adds a lock; what the owner had of these bytes is replaced. Nothing has changed if it is refused.
    ///
    /// # Errors
    /// Somebody else's is in the way, or no memory.
    pub fn add(&mut self, wanted: Lock) -> Result<(), Refused> {
        if let Some(lock) = self.conflict(&wanted) {
            return Err(Refused::Held(lock));
        }
        // One that is split, and the new one.
        self.0.try_reserve(2).map_err(|_| Refused::Memory)?;
        self.cut(wanted.place, wanted.owner, wanted.range);
        let mut all = wanted.range;
        self.0.retain(|lock| {
            let joins = lock.place == wanted.place
                && lock.owner == wanted.owner
                && lock.hold == wanted.hold
                && lock.range.touches(wanted.range);
            if joins {
                all.first = all.first.min(lock.range.first);
                all.last = all.last.max(lock.range.last);
            }
            !joins
        });
        self.0.push(Lock { range: all, ..wanted });
        Ok(())
    }

    /// Gives back what the owner has of these bytes.
    ///
    /// # Errors
    /// ENOLCK: a lock would have to be split, and there is no memory.
    pub fn remove(&mut self, place: Place, owner: Owner, range: Range) -> Result<(), Errno> {
        self.0.try_reserve(1).map_err(|_| Errno::ENOLCK)?;
        self.cut(place, owner, range);
        Ok(())
    }

    /// Gives back all such locks; says whether there were any.
    pub fn forget(&mut self, which: impl Fn(&Lock) -> bool) -> bool {
        let before = self.0.len();
        self.0.retain(|lock| !which(lock));
        self.0.len() != before
    }

    /// There is room for one more lock.
    fn cut(&mut self, place: Place, owner: Owner, range: Range) {
        let mut at = 0;
        let mut behind = None;
        while let Some(lock) = self.0.get_mut(at) {
            let old = lock.range;
            if lock.place != place || lock.owner != owner || !old.overlaps(range) {
                at += 1;
                continue;
            }
            let after = Lock { range: Range { first: range.last.saturating_add(1), ..old }, ..*lock };
            match (old.first < range.first, range.last < old.last) {
                (true, rest) => {
                    lock.range.last = range.first - 1;
                    behind = rest.then_some(after).or(behind);
                    at += 1;
                }
                (false, true) => {
                    *lock = after;
                    at += 1;
                }
                (false, false) => {
                    self.0.swap_remove(at);
                }
            }
        }
        self.0.extend(behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place = Place { inode: 1, whole: false };

    fn lock(owner: usize, hold: Hold, first: u64, last: u64) -> Lock {
        Lock { place: PLACE, owner: Owner::Descriptors(owner), hold, range: Range { first, last }, pid: 1 }
    }

    fn ranges(set: &Set) -> Vec<(u64, u64)> {
        let mut all: Vec<_> = set.0.iter().map(|lock| (lock.range.first, lock.range.last)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn readers_share_and_writers_do_not() {
        let mut set = Set::new();
        set.add(lock(1, Hold::Shared, 0, 9)).unwrap();
        set.add(lock(2, Hold::Shared, 5, 20)).unwrap();
        assert!(matches!(set.add(lock(2, Hold::Exclusive, 9, 9)), Err(Refused::Held(_))));
        set.add(lock(2, Hold::Exclusive, 10, 20)).unwrap();
        assert!(matches!(set.add(lock(1, Hold::Shared, 0, Range::END)), Err(Refused::Held(_))));
        // At another place nobody is in the way.
        let other = Lock { place: Place { whole: true, ..PLACE }, ..lock(1, Hold::Exclusive, 0, 99) };
        set.add(other).unwrap();
    }

    #[test]
    fn neighbours_become_one_and_holes_split() {
        let mut set = Set::new();
        set.add(lock(1, Hold::Exclusive, 0, 9)).unwrap();
        set.add(lock(1, Hold::Exclusive, 10, 19)).unwrap();
        assert_eq!(ranges(&set), [(0, 19)]);
        set.remove(PLACE, Owner::Descriptors(1), Range { first: 5, last: 6 }).unwrap();
        assert_eq!(ranges(&set), [(0, 4), (7, 19)]);
        set.add(lock(1, Hold::Shared, 0, 10)).unwrap();
        assert_eq!(ranges(&set), [(0, 10), (11, 19)]);
        set.add(lock(1, Hold::Shared, 11, Range::END)).unwrap();
        assert_eq!(ranges(&set), [(0, Range::END)]);
        set.remove(PLACE, Owner::Descriptors(1), Range::ALL).unwrap();
        assert_eq!(set.count(), 0);
    }

    proptest! {
        /// Against a list of who holds each byte how.
        #[test]
        fn as_a_list_of_bytes_says(
            ops in prop::collection::vec((0..3_usize, 0..3_u8, 0..12_u64, 0..6_u64), 1..60),
        ) {
            let mut set = Set::new();
            let mut model = [[None; 3]; 20];
            for (owner, what, first, more) in ops {
                let hold = if what == 1 { Hold::Shared } else { Hold::Exclusive };
                let wanted = lock(owner, hold, first, first + more);
                let bytes = first as usize..=(first + more) as usize;
                if what == 0 {
                    set.remove(PLACE, wanted.owner, wanted.range).unwrap();
                    model[bytes].iter_mut().for_each(|byte| byte[owner] = None);
                    continue;
                }
                let free = model[bytes.clone()].iter().all(|byte| {
                    (0..3).filter(|&other| other != owner).all(|other| match byte[other] {
                        None => true,
                        Some(held) => held == Hold::Shared && hold == Hold::Shared,
                    })
                });
                prop_assert_eq!(set.add(wanted).is_ok(), free);
                if free {
                    model[bytes].iter_mut().for_each(|byte| byte[owner] = Some(hold));
                }
                for (at, byte) in model.iter().enumerate() {
                    for (owner, held) in byte.iter().enumerate() {
                        let one = lock(owner, Hold::Shared, at as u64, at as u64);
                        let mut found =
                            set.0.iter().filter(|lock| lock.owner == one.owner && lock.range.overlaps(one.range));
                        prop_assert_eq!(found.next().map(|lock| lock.hold), *held);
                        prop_assert!(found.next().is_none(), "two locks of one owner overlap");
                    }
                }
            }
        }
    }
}
