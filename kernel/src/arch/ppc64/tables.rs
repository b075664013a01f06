//! Building the kernel's tree: tables are 4 KB pieces of early frames, entries come from the format that
//! programs' tables have, too.

use super::mmu::{self, linear};
use super::{LINEAR, STACK_AREA};
use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::arch::PAGE_SIZE;
use crate::arch::paging::{Access, Level, Page, PagingFormat, from_memory, to_memory};
use crate::arch::ppc64_format::{PDE_TABLE, PTE_NON_IDEMPOTENT, PTE_PRIVILEGED, Ppc64Radix4K, page_entry};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

const LEVELS: &[Level] = Ppc64Radix4K::LEVELS;
/// Levels whose entries may be leaves of 1 GB, 2 MB, 4 KB.
const HUGE: usize = 1;
const LARGE: usize = 2;
const SMALL: usize = 3;

/// Bytes of a leaf of the last level.
pub const SMALL_PAGE: u64 = LEVELS[SMALL].entry_span();

/// A leaf of the kernel.
pub fn leaf(addr: u64, access: Access) -> u64 {
    page_entry(Page { addr: PhysAddr::new(addr), access, soft: 0 }) | PTE_PRIVILEGED
}

/// An entry of a table in memory.
fn slot(table: u64, index: usize) -> &'static AtomicU64 {
    let pointer = linear(PhysAddr::new(table)).cast::<u64>().wrapping_add(index);
    // SAFETY: tables of the kernel are never freed, and accessed by atomic operations only.
    unsafe { AtomicU64::from_ptr(pointer) }
}

/// Reads an entry of a table.
pub fn load(table: u64, index: usize) -> u64 {
    from_memory(slot(table, index).load(Ordering::Relaxed))
}

/// Writes one.
pub fn store(table: u64, index: usize, value: u64) {
    slot(table, index).store(to_memory(value), Ordering::Relaxed);
}

/// The last-level table that translates the address, and its index there, in a tree whose tables are
/// all present.
pub fn find(root: u64, address: u64) -> (u64, usize) {
    let address = VirtAddr::new(address);
    let table =
        LEVELS[..SMALL].iter().fold(root, |table, level| load(table, level.index(address)) & PDE_TABLE);
    (table, LEVELS[SMALL].index(address))
}

/// Builds a tree.
pub struct Builder<'a> {
    early: &'a mut EarlyFrames,
    root: u64,
    /// Tables of the last frame that are not used yet.
    rest: Range<u64>,
}

impl<'a> Builder<'a> {
    /// An empty tree.
    pub fn new(early: &'a mut EarlyFrames) -> Result<Self, Errno> {
        let root = Self::zeroed(early, LEVELS[0].bytes() as u64)?;
        Ok(Self { early, root, rest: 0..0 })
    }

    /// Where its root is.
    pub fn root(&self) -> u64 {
        self.root
    }

    /// A zeroed block of early memory, aligned to its size.
    pub fn block(&mut self, size: u64) -> Result<u64, Errno> {
        Self::zeroed(self.early, size)
    }

    fn zeroed(early: &mut EarlyFrames, size: u64) -> Result<u64, Errno> {
        let block = early.alloc(size, size).ok_or(Errno::ENOMEM)?;
        // SAFETY: ours, and of that size.
        unsafe { linear(block).write_bytes(0, size as usize) };
        Ok(block.get())
    }

    fn table(&mut self) -> Result<u64, Errno> {
        if self.rest.is_empty() {
            let block = self.block(PAGE_SIZE)?;
            self.rest = block..block + PAGE_SIZE;
        }
        let table = self.rest.start;
        self.rest.start += LEVELS[SMALL].bytes() as u64;
        Ok(table)
    }

    /// The table of that level on the way to the address, made if need be.
    fn table_of(&mut self, address: u64, level: usize) -> Result<u64, Errno> {
        let mut table = self.root;
        for (number, shape) in LEVELS[..level].iter().enumerate() {
            let index = shape.index(VirtAddr::new(address));
            if load(table, index) == 0 {
                let below = self.table()?;
                store(table, index, Ppc64Radix4K::table(number, PhysAddr::new(below)));
            }
            table = load(table, index) & PDE_TABLE;
        }
        Ok(table)
    }

    fn map(&mut self, address: u64, level: usize, entry: u64) -> Result<(), Errno> {
        let table = self.table_of(address, level)?;
        store(table, LEVELS[level].index(VirtAddr::new(address)), entry);
        Ok(())
    }

    /// Maps the memory in the linear map, with the largest leaves that fit. `mixed` are the parts where
    /// what is allowed may change from one small page to the next.
    pub fn linear_map(&mut self, memory: PhysRange, mixed: &[Range<u64>]) -> Result<(), Errno> {
        let (mut at, end) = (memory.start().align_down(SMALL_PAGE).get(), memory.end().get());
        while at < end {
            let fits = |level: &usize| {
                let size = LEVELS[*level].entry_span();
                let plain = mixed.iter().all(|part| part.end <= at || at + size <= part.start);
                at.is_multiple_of(size) && end - at >= size && plain
            };
            let level = [HUGE, LARGE].into_iter().find(fits).unwrap_or(SMALL);
            if let Some(access) = mmu::access(at) {
                self.map(LINEAR | at, level, leaf(at, access))?;
            }
            at += LEVELS[level].entry_span();
        }
        Ok(())
    }

    /// Maps the small page around a device's register.
    pub fn device(&mut self, register: u64) -> Result<(), Errno> {
        let page = register & !(SMALL_PAGE - 1);
        self.map(LINEAR | page, SMALL, leaf(page, Access::RW) | PTE_NON_IDEMPOTENT)
    }

    /// Makes the tables for the stacks that blocks of that memory may become.
    pub fn stack_tables(&mut self, memory: PhysRange) -> Result<(), Errno> {
        let span = LEVELS[LARGE].entry_span();
        let first = memory.start().align_down(span).get();
        for block in (first..memory.end().get()).step_by(span as usize) {
            self.table_of(STACK_AREA + block, SMALL)?;
        }
        Ok(())
    }
}
