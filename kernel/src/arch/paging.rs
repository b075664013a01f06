//! What a page-table format is: the shape of its levels and the meaning of its entries.
//!
//! Everything about tables that differs between machines stands in one type that implements
//! [`PagingFormat`]: pure functions and constants, so one host binary tests every format. Neutral
//! code knows no number of entries, no size of a table, and not that "empty" might be zero.
//!
//! Levels are described by constants (the way rejected: a run-time description, which would cost a
//! load at every step of a walk and could not be checked by the compiler). [`check`] is called by
//! each format in a `const`, so levels that do not fit together do not compile.

use crate::addr::{PhysAddr, VirtAddr};

/// Bytes of an entry, at every level of every format.
pub const ENTRY_BYTES: usize = 8;

/// One level of the tables of a format.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// The manual's name of such a table.
    pub name: &'static str,
    /// Entries of a table, a power of two.
    pub entries: usize,
    /// Log2 of the bytes of address space that one entry covers.
    pub shift: u32,
}

impl Level {
    /// Bytes of a table; it is aligned to them.
    pub const fn bytes(&self) -> usize {
        self.entries * ENTRY_BYTES
    }
    /// Bytes of address space that one entry covers.
    pub const fn entry_span(&self) -> u64 {
        1 << self.shift
    }
    /// Bytes of address space that a table covers.
    pub const fn table_span(&self) -> u64 {
        (self.entries as u64) << self.shift
    }
    /// Which entry of a table translates that address.
    pub const fn index(&self, addr: VirtAddr) -> usize {
        (addr.get() >> self.shift) as usize & (self.entries - 1)
    }
}

/// What a program may do with a page.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    /// Load from it.
    pub read: bool,
    /// Store to it.
    pub write: bool,
    /// Execute it.
    pub execute: bool,
}

impl Access {
    /// Nothing: the page is there, and every access to it faults.
    pub const NONE: Self = Self { read: false, write: false, execute: false };
    /// Load.
    pub const R: Self = Self { read: true, write: false, execute: false };
    /// Load and store.
    pub const RW: Self = Self { read: true, write: true, execute: false };
    /// Load and execute.
    pub const RX: Self = Self { read: true, write: false, execute: true };
    /// Load, store and execute.
    pub const RWX: Self = Self { read: true, write: true, execute: true };

    /// What the machine's tables can say: neither has a page that may be written or executed, but
    /// not read.
    pub const fn normal(self) -> Self {
        Self { read: self.read || self.write || self.execute, ..self }
    }
}

/// A page as an entry of the last level describes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Page {
    /// Where it lies, aligned to what one entry covers.
    pub addr: PhysAddr,
    /// What a program may do with it, in the sense of [`Access::normal`].
    pub access: Access,
    /// Three bits that the hardware does not look at, for whoever owns the pages.
    pub soft: u8,
}

/// Bits of [`Page::soft`] that every format keeps.
pub const SOFT_BITS: u8 = 7;

/// The value of an entry at the time it was loaded: a copy, never a view of the live table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Entry {
    /// Nothing: the hardware raises a fault here.
    Absent,
    /// A table of the next level.
    Table(PhysAddr),
    /// A page. Only in tables of the last level.
    Page(Page),
}

/// A format of page tables.
///
/// Entry values are the manual's doublewords, most significant bit first. In memory they are
/// big-endian on both machines, also under a little-endian kernel: [`to_memory`] and
/// [`from_memory`] stand between the two.
pub trait PagingFormat: Copy + Send + Sync + 'static {
    /// For logs.
    const NAME: &'static str;
    /// The levels, root first.
    const LEVELS: &'static [Level];
    /// Log2 of the kernel's page: the unit in which frames are handed out, and in which addresses
    /// are mapped and protected. It may be more than an entry of the last level covers; then a page
    /// is a *run* of several entries.
    const PAGE_SHIFT: u32;
    /// What makes the entry of a page the same page's without the right to store: the bits that stay as
    /// they are, and those that are set.
    const READ_ONLY: (u64, u64);

    /// An entry of a table of that level that says: nothing here.
    fn empty(level: usize) -> u64;
    /// An entry that says the same to the hardware, but that only a freed table holds.
    fn poison(level: usize) -> u64;
    /// An entry of a table of that level (not the last) that points to a table of the next.
    fn table(level: usize, child: PhysAddr) -> u64;
    /// An entry of a table of the last level. `page.addr` is aligned to what one entry covers.
    fn page(page: Page) -> u64;
    /// What an entry of a table of that level says.
    fn decode(level: usize, entry: u64) -> Entry;
    /// The doubleword that makes a root known to the hardware: ASCE, process-table entry.
    fn root(table: PhysAddr) -> u64;
}

/// The last level of a format.
pub const fn last<F: PagingFormat>() -> usize {
    F::LEVELS.len() - 1
}

/// How many entries of the last level make one page.
pub const fn run<F: PagingFormat>() -> usize {
    1 << (F::PAGE_SHIFT - F::LEVELS[last::<F>()].shift)
}

/// Bytes of address space that the format translates, from 0 on.
pub const fn space_bytes<F: PagingFormat>() -> u64 {
    F::LEVELS[0].table_span()
}

/// An entry's value as it stands in memory.
pub const fn to_memory(entry: u64) -> u64 {
    entry.to_be()
}

/// The value of an entry as loaded from memory.
pub const fn from_memory(stored: u64) -> u64 {
    u64::from_be(stored)
}

/// Stops the compiler if the levels of a format do not fit together.
pub const fn check<F: PagingFormat>() {
    assert!(F::LEVELS.len() >= 2, "at least a root and page tables");
    let mut at = 0;
    while at < F::LEVELS.len() {
        let level = &F::LEVELS[at];
        assert!(level.entries.is_power_of_two());
        if at + 1 < F::LEVELS.len() {
            let below = &F::LEVELS[at + 1];
            assert!(level.entry_span() == below.table_span(), "an entry covers what its table covers");
        }
        at += 1;
    }
    assert!(space_bytes::<F>().is_power_of_two());
    assert!(F::PAGE_SHIFT >= F::LEVELS[last::<F>()].shift, "a page is one entry or a run of them");
    assert!(F::LEVELS[last::<F>()].entries >= run::<F>(), "a run lies within one table");
}
