//! The table of descriptors: one for each frame from the lowest to the highest.

use super::descriptor::{Descriptor, Word};
use super::reserve;
use crate::addr::{Pfn, PhysAddr, PhysRange};
use crate::arch::{PAGE_SIZE, current::mmu};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::mem::size_of;

/// # Invariants
/// `entries` lies in memory that the frame allocator does not hand out, and is written whole.
pub(super) struct Table {
    entries: &'static [Descriptor],
    base: u64,
}

/// What [`Table::build`] took from the early memory.
pub(super) struct Built {
    pub(super) table: Table,
    /// For the reserve.
    pub(super) reserve: *mut u8,
    /// Frames and ranges that the allocator gets.
    pub(super) frames: usize,
    pub(super) ranges: arrayvec::ArrayVec<PhysRange, { 2 * crate::boot::MAX_RANGES }>,
}

impl Table {
    /// Takes memory for the table and the reserve, and describes what is left as free.
    pub(super) fn build(mut early: EarlyFrames) -> Result<Built, Errno> {
        let ranges = early.ranges();
        let (first, last) = ranges.first().zip(ranges.last()).ok_or(Errno::ENOMEM)?;
        let base = Pfn::containing(first.start()).get();
        let span = Pfn::containing(last.end()).get() - base;
        // The cache and the list nodes keep numbers in 32 bits.
        if u32::try_from(base + span).is_err() {
            return Err(Errno::EINVAL);
        }
        let table_bytes = span * size_of::<Descriptor>() as u64;
        let reserve_bytes = reserve::size((early.bytes() / PAGE_SIZE) as usize, ranges.len() + 1) as u64;
        let table_bytes = table_bytes.next_multiple_of(16);
        let memory = early.alloc(table_bytes + reserve_bytes, PAGE_SIZE).ok_or(Errno::ENOMEM)?;

        let mut ranges = early.into_ranges();
        // Frame 0 is where null pointers point.
        if let Some(range) = ranges.first_mut()
            && range.start().get() == 0
        {
            let rest = PhysRange::new(PhysAddr::new(PAGE_SIZE), range.end());
            *range = rest.ok_or(Errno::ENOMEM)?;
        }
        ranges.retain(|range| !range.is_empty());
        let pointer: *mut Descriptor = mmu::linear(memory).cast();
        // In one pass upwards: a reserved gap, then a range. Each descriptor is written once.
        let mut next = 0;
        for range in &ranges {
            let start = (Pfn::containing(range.start()).get() - base) as usize;
            let end = (Pfn::containing(range.end()).get() - base) as usize;
            for index in next..end {
                let word = if index < start { Word::RESERVED } else { Word::FREE };
                // SAFETY: below `span`; the early allocator gave the memory to nobody else.
                unsafe { pointer.add(index).write(Descriptor::new(word)) };
            }
            next = end;
        }
        for index in next..span as usize {
            // SAFETY: as above.
            unsafe { pointer.add(index).write(Descriptor::new(Word::RESERVED)) };
        }
        // SAFETY: `span` descriptors were written; the memory is never given back.
        let entries = unsafe { core::slice::from_raw_parts(pointer, span as usize) };
        let frames = ranges.iter().map(|range| range.size() / PAGE_SIZE).sum::<u64>() as usize;
        // SAFETY: `reserve_bytes` of the block lie behind the table.
        let reserve = unsafe { pointer.cast::<u8>().add(table_bytes as usize) };
        Ok(Built { table: Table { entries, base }, reserve, frames, ranges })
    }

    /// The frame's descriptor; `None` outside the table.
    #[inline(always)]
    pub(super) fn get(&self, frame: Pfn) -> Option<&'static Descriptor> {
        self.entries.get(frame.get().checked_sub(self.base)? as usize)
    }
}
