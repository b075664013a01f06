//! Memory before there is a frame allocator: whole, zero-cost, never given back.

use super::{BootInfo, MAX_RANGES};
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::PAGE_SIZE;
use arrayvec::ArrayVec;

/// What nobody has reserved, handed out from the lowest address up. The rest goes to the frame
/// allocator.
///
/// # Invariants
/// The ranges are sorted, disjoint, not empty, begin and end on frame borders, and overlap no
/// reserved range.
#[derive(Debug)]
pub struct EarlyFrames {
    free: ArrayVec<PhysRange, { 2 * MAX_RANGES }>,
}

impl EarlyFrames {
    /// All whole frames of `info.memory` that touch no reserved range.
    pub fn new(info: &BootInfo) -> Self {
        let mut early = Self { free: ArrayVec::new() };
        for range in &info.memory {
            let mut start = range.start();
            // Ascending: the next reserved range at or behind `start`, until none is left.
            loop {
                let next = info
                    .reserved
                    .iter()
                    .map(|reserved| reserved.range)
                    .filter(|taken| {
                        !taken.is_empty()
                            && taken.end().get() > start.get()
                            && taken.start().get() < range.end().get()
                    })
                    .min_by_key(|taken| taken.start());
                early.push(start, next.map_or(range.end(), |taken| taken.start()));
                match next {
                    Some(taken) => start = taken.end(),
                    None => break,
                }
            }
        }
        early
    }

    /// Forgets what lies at or above the address.
    pub fn limit(&mut self, end: PhysAddr) {
        let end = end.align_down(PAGE_SIZE);
        for range in &mut self.free {
            let end = range.end().min(end).max(range.start());
            // Never `None`: the end is not below the start.
            *range = PhysRange::new(range.start(), end).unwrap_or(*range);
        }
        self.free.retain(|range| !range.is_empty());
    }

    fn push(&mut self, start: PhysAddr, end: PhysAddr) {
        let Some(start) = start.align_up(PAGE_SIZE) else { return };
        let Some(range) = PhysRange::new(start, end.align_down(PAGE_SIZE)) else { return };
        if !range.is_empty() {
            // Full: the range is lost, never handed out twice.
            let _ = self.free.try_push(range);
        }
    }

    /// `size` bytes, aligned to `align` (a power of two), lowest first. Both are rounded up to
    /// whole frames. Not zeroed. `None` if there is no such block.
    pub fn alloc(&mut self, size: u64, align: u64) -> Option<PhysAddr> {
        let size = size.checked_next_multiple_of(PAGE_SIZE).filter(|&size| size > 0)?;
        let align = align.max(PAGE_SIZE);
        let (index, block) = self.free.iter().enumerate().find_map(|(index, range)| {
            let block = PhysRange::sized(range.start().align_up(align)?, size)?;
            (block.end() <= range.end()).then_some((index, block))
        })?;
        let whole = self.free.remove(index);
        // Behind first: inserting at `index` moves it up. A full list loses the smaller rest.
        for rest in [PhysRange::new(block.end(), whole.end()), PhysRange::new(whole.start(), block.start())] {
            if let Some(rest) = rest.filter(|rest| !rest.is_empty())
                && self.free.try_insert(index, rest).is_err()
            {
                break;
            }
        }
        Some(block.start())
    }

    /// What is left.
    pub fn ranges(&self) -> &[PhysRange] {
        &self.free
    }

    /// What is left, to be handed out by somebody else.
    pub fn into_ranges(self) -> ArrayVec<PhysRange, { 2 * MAX_RANGES }> {
        self.free
    }

    /// Bytes left.
    pub fn bytes(&self) -> u64 {
        self.free.iter().map(|range| range.size()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Reserved;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)).expect("a range")
    }

    fn info(memory: &[(u64, u64)], reserved: &[(u64, u64)]) -> BootInfo {
        BootInfo {
            machine: "test",
            cmdline: b"",
            memory: memory.iter().map(|&(s, e)| range(s, e)).collect(),
            reserved: reserved.iter().map(|&(s, e)| Reserved { range: range(s, e), owner: "x" }).collect(),
            initrd: None,
            cpus: ArrayVec::new(),
            cpus_found: 0,
            complaints: ArrayVec::new(),
        }
    }

    const P: u64 = PAGE_SIZE;

    #[test]
    fn reserved_frames_are_left_out_whole() {
        let info =
            info(&[(0, 16 * P)], &[(P + 1, P + 2), (4 * P, 6 * P), (5 * P, 7 * P - 1), (15 * P, 99 * P)]);
        let early = EarlyFrames::new(&info);
        assert_eq!(early.into_ranges()[..], [range(0, P), range(2 * P, 4 * P), range(7 * P, 15 * P)]);
    }

    #[test]
    fn a_limit_cuts_off_the_upper_end() {
        let mut early = EarlyFrames::new(&info(&[(0, 4 * P), (8 * P, 16 * P), (20 * P, 22 * P)], &[]));
        early.limit(PhysAddr::new(10 * P + 1));
        assert_eq!(early.ranges(), [range(0, 4 * P), range(8 * P, 10 * P)]);
        early.limit(PhysAddr::new(8 * P));
        assert_eq!(early.ranges(), [range(0, 4 * P)]);
    }

    #[test]
    fn alignment_keeps_what_lies_before() {
        let mut early = EarlyFrames::new(&info(&[(P, 16 * P)], &[]));
        assert_eq!(early.alloc(2 * P, 4 * P), Some(PhysAddr::new(4 * P)));
        assert_eq!(early.alloc(1, 1), Some(PhysAddr::new(P)));
        assert_eq!(early.bytes(), 12 * P);
        assert_eq!(early.alloc(16 * P, P), None);
        assert_eq!(early.into_ranges()[..], [range(2 * P, 4 * P), range(6 * P, 16 * P)]);
    }
}
