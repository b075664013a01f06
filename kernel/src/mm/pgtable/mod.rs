//! Page tables: real ones, read by the hardware and by walkers that take no lock.
//!
//! ```text
//!  populate, map, protect, unmap, remap      writers: under the lock of the table
//!  slot, copy                                the same for page faults and for fork
//!  walk                                      the one walker, for readers and writers
//!  dump                                      the tables themselves, to look at
//!  table     TableRef loads, TableGuard stores
//!  detach -> gather -> scheme                the end of a table, in four moves
//!  frag                                      the tables of a page, each with its own life
//!  layout    how tables lie in pages         audit     each table's life, noted apart
//! ```
//!
//! Generic over the format (`arch::paging`): no file here knows how many entries a table has, how
//! large it is, or what an empty entry looks like. So one host binary tests the tables of both
//! machines, and the tests of `layout` times format are the same code.
//!
//! # The rules
//!
//! 1. An entry is loaded and stored as one atomic doubleword (H21).
//! 2. An entry changes only under the lock of its table's page; the lock is one for all tables of
//!    that page (H23).
//! 3. A table is linked under its parent's lock and unlinked under both, when all of it is empty
//!    (H12-H14). So whoever holds a table's lock and finds it linked may fill it (H22).
//! 4. A branch of new tables is built where nobody sees it and linked by one store (a group: by
//!    consecutive stores under one lock; a walker accepts any prefix, H11). Everything is allocated
//!    before anything changes.
//! 5. Unlinked, flushed on every CPU, given to the scheme, freed: in this order, by types (H29-H31).

pub mod audit;
mod copy;
pub mod counters;
pub mod detach;
pub mod dump;
pub mod frag;
pub(in crate::mm) mod hardware;
#[cfg(not(loom))]
pub mod inject;
#[cfg(not(loom))]
pub mod kernel;
pub mod layout;
mod map;
pub mod memory;
mod page_table;
mod populate;
mod remap;
pub mod scheme;
pub mod slot;
pub mod table;
mod unmap;
#[cfg(not(loom))]
pub mod users;
pub mod walk;

#[cfg(all(test, not(loom)))]
mod figures;
#[cfg(all(test, loom))]
mod loom;
#[cfg(all(test, not(loom)))]
mod model;
#[cfg(all(test, not(loom)))]
pub(in crate::mm) mod testing;
#[cfg(all(test, not(loom)))]
mod tests;

pub use layout::Layout;
pub use page_table::PageTable;

use crate::addr::PhysAddr;
use crate::cpus::CpuSet;

/// Words with a bit for each table of a page-table page.
pub const WORDS: usize = crate::arch::TABLE_WORDS;

/// The descriptor of a page-table page of this machine.
pub type PtPage = frag::PtPage<WORDS>;

/// A table, or a group of them, that was handed out.
pub type Fragment = frag::Fragment<WORDS>;

/// What page tables ask of the kernel around them: pages for tables, and the end of the pages that
/// were mapped.
pub trait Memory: frag::PageSource<WORDS> {
    /// Frees pages that were mapped: no CPU translates to them any more.
    fn free_data(&self, pages: &[PhysAddr]);
    /// The same after a grace period. Does not wait for it, and does not allocate.
    fn free_data_later(&self, pages: &[PhysAddr]);
    /// Interrupts those CPUs (not this one) and returns when each has been outside of a section with
    /// interrupts off.
    fn interrupt(&self, cpus: CpuSet);
}
