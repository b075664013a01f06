//! Sets of CPUs, as values.

use crate::arch::MAX_CPUS;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

const _: () = assert!(MAX_CPUS < 32);

/// A set of logical CPU numbers.
///
/// # Invariants
/// Only bits below `MAX_CPUS` are set.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuSet(u32);

impl CpuSet {
    /// No CPU.
    pub const NONE: Self = Self(0);
    /// Every CPU there can be.
    pub const ALL: Self = Self((1 << MAX_CPUS) - 1);

    /// That CPU alone.
    pub const fn one(cpu: usize) -> Self {
        assert!(cpu < MAX_CPUS);
        Self(1 << cpu)
    }
    /// Whether the CPU is in it.
    pub const fn contains(self, cpu: usize) -> bool {
        cpu < MAX_CPUS && self.0 & (1 << cpu) != 0
    }
    /// Those in either.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Those that are not in the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// Those in both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// How many.
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }
    /// The lowest.
    pub fn first(self) -> Option<usize> {
        self.iter().next()
    }
    /// All of them, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CPUS).filter(move |&cpu| self.contains(cpu))
    }
}

/// `0-1,3`, as in Linux.
impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for first in self.iter().filter(|&cpu| cpu == 0 || !self.contains(cpu - 1)) {
            write!(f, "{separator}{first}")?;
            let last = (first..MAX_CPUS).take_while(|&cpu| self.contains(cpu)).last().unwrap_or(first);
            if last > first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet({self})")
    }
}

/// A set that CPUs change at the same time.
///
/// All accesses are sequentially consistent: changes are rare, and who reads it to decide whom to
/// wake or to ask must agree with all others on the order.
#[derive(Debug, Default)]
pub struct AtomicCpuSet(AtomicU32);

impl AtomicCpuSet {
    /// No CPU.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }
    /// The set now.
    pub fn get(&self) -> CpuSet {
        CpuSet(self.0.load(Ordering::SeqCst))
    }
    /// Replaces it.
    pub fn set(&self, cpus: CpuSet) {
        self.0.store(cpus.0, Ordering::SeqCst);
    }
    /// Adds a CPU.
    pub fn insert(&self, cpu: usize) {
        self.0.fetch_or(CpuSet::one(cpu).0, Ordering::SeqCst);
    }
    /// Takes a CPU out; says whether it was in.
    pub fn remove(&self, cpu: usize) -> bool {
        let bit = CpuSet::one(cpu).0;
        self.0.fetch_and(!bit, Ordering::SeqCst) & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let set = CpuSet::one(0).with(CpuSet::one(1)).with(CpuSet::one(3));
        assert_eq!(set.to_string(), "0-1,3");
        assert_eq!(CpuSet::ALL.to_string(), "0-15");
        assert_eq!(CpuSet::NONE.to_string(), "");
        assert_eq!(set.without(CpuSet::one(1)).iter().collect::<Vec<_>>(), [0, 3]);
        assert!(!set.contains(2) && !set.contains(99));
        assert_eq!((set.len(), set.first()), (3, Some(0)));
    }

    #[test]
    fn changes_of_a_shared_set() {
        let set = AtomicCpuSet::new();
        set.insert(5);
        assert!(set.remove(5));
        assert!(!set.remove(5));
        assert!(set.get().is_empty());
    }
}
