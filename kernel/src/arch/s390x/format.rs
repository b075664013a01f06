//! The s390x format: region-third table, segment table, page table, for 42-bit addresses.
//!
//! Sources: z/Architecture Principles of Operation (SA22-7832), chapter 3, "Dynamic Address
//! Translation": "Address-Space-Control Element", "Region-Table Entries", "Segment-Table Entries",
//! "Page-Table Entries". The manual numbers bits from the left: bit 63 has the mask 1; each
//! constant here gives both.
//!
//! ```text
//!  0                     22          33          44         52          64
//!  |  must be zero       |region 3rd | segment   |  page    |   byte     |
//!  |                     | 11 bits   | 11 bits   |  8 bits  |  12 bits   |
//! ```
//!
//! A table of 2048 entries takes 16 KB, a page table of 256 entries 2 KB: two of them share a
//! frame of 4 KB, which is what this kernel is about. *Empty is not zero* here (H7): a page-table
//! entry of zero maps absolute address 0 for reading and writing.
//!
//! A page on which no access is allowed has an invalid entry that keeps its frame; what tells it
//! from an empty one is a bit of the low byte, which the machine leaves to programs.

use super::paging::{self, Access, Entry, Level, Page, PagingFormat};
use crate::addr::PhysAddr;

/// The format's name as a type.
#[derive(Clone, Copy, Debug)]
pub struct S390Dat;

/// ASCE, bits 0-51: origin of the table.
pub const ASCE_ORIGIN: u64 = !0xfff;
/// ASCE, bits 60-61 = 01 (0x4): the table is a region-third table.
pub const ASCE_REGION_THIRD: u64 = 0x4;
/// ASCE, bits 62-63 = 11 (0x3): the table has its full 2048 entries.
pub const ASCE_FULL: u64 = 0x3;

/// Region-third entry, bits 0-51: origin of the segment table.
pub const REGION_ORIGIN: u64 = !0xfff;
/// Region-third entry, bit 58 (0x20): invalid.
pub const REGION_INVALID: u64 = 0x20;
/// Region-third entry, bits 60-61 = 01 (0x4): stands in a region-third table; other values there
/// are a translation-specification exception.
pub const REGION_THIRD: u64 = 0x4;
/// Region-third entry, bits 62-63 = 11 (0x3): the segment table has its full 2048 entries.
pub const REGION_FULL: u64 = 0x3;

/// Segment entry, bits 0-52: origin of the page table.
pub const SEGMENT_ORIGIN: u64 = !0x7ff;
/// Segment entry, bit 54 (0x200): no store anywhere in the segment.
pub const SEGMENT_PROTECT: u64 = 0x200;
/// Segment entry, bit 58 (0x20): invalid.
pub const SEGMENT_INVALID: u64 = 0x20;

/// Page-table entry, bits 0-51: the page frame.
pub const PAGE_FRAME: u64 = !0xfff;
/// Page-table entry, bit 52 (0x800): must be zero, or translation-specification exception.
pub const PAGE_ZERO: u64 = 0x800;
/// Page-table entry, bit 53 (0x400): invalid.
pub const PAGE_INVALID: u64 = 0x400;
/// Page-table entry, bit 54 (0x200): no store.
pub const PAGE_PROTECT: u64 = 0x200;
/// Page-table entry, bit 55 (0x100): no instruction fetch (instruction-execution protection,
/// facility 130, turned on by bit 43 of control register 0).
pub const PAGE_NO_EXECUTE: u64 = 0x100;
/// Page-table entry, bit 63 (0x1), left to programs: a page is here, also if it is invalid.
pub const PAGE_PRESENT: u64 = 0x1;
/// Page-table entry, bits 59-61 (0x1c), left to programs: [`Page::soft`].
const PAGE_SOFT_SHIFT: u32 = 2;

/// An empty entry of a region-third table. It keeps its type, as the manual wants it of IDTE.
pub const REGION_EMPTY: u64 = REGION_INVALID | REGION_THIRD;
/// An empty entry of a segment table.
pub const SEGMENT_EMPTY: u64 = SEGMENT_INVALID;
/// An empty entry of a page table.
pub const PAGE_EMPTY: u64 = PAGE_INVALID;

/// The number of the region-third table's level.
pub const REGION_LEVEL: usize = 0;
/// The number of the segment table's level.
pub const SEGMENT_LEVEL: usize = 1;
/// The number of the page table's level.
pub const PAGE_LEVEL: usize = 2;

/// What stands in the address field of a freed table's entries: recognisable, and no frame.
const POISON: u64 = 0xfa11_0fa1_10fa_1000;

impl PagingFormat for S390Dat {
    const NAME: &'static str = "s390x DAT (11/11/8)";
    const LEVELS: &'static [Level] = &[
        Level { name: "region-third table", entries: 2048, shift: 31 },
        Level { name: "segment table", entries: 2048, shift: 20 },
        Level { name: "page table", entries: 256, shift: 12 },
    ];
    const PAGE_SHIFT: u32 = 12;
    const READ_ONLY: (u64, u64) = (!0, PAGE_PROTECT);

    fn empty(level: usize) -> u64 {
        match level {
            REGION_LEVEL => REGION_EMPTY,
            SEGMENT_LEVEL => SEGMENT_EMPTY,
            _ => PAGE_EMPTY,
        }
    }

    fn poison(level: usize) -> u64 {
        POISON | Self::empty(level)
    }

    fn table(level: usize, child: PhysAddr) -> u64 {
        match level {
            REGION_LEVEL => {
                debug_assert!(child.get() & !REGION_ORIGIN == 0);
                child.get() | REGION_THIRD | REGION_FULL
            }
            _ => {
                debug_assert!(child.get() & !SEGMENT_ORIGIN == 0);
                child.get()
            }
        }
    }

    fn page(page: Page) -> u64 {
        let access = page.access.normal();
        debug_assert!(page.addr.get() & !PAGE_FRAME == 0 && page.soft <= paging::SOFT_BITS);
        page.addr.get()
            | PAGE_PRESENT
            | u64::from(page.soft) << PAGE_SOFT_SHIFT
            | if access.read { 0 } else { PAGE_INVALID }
            | if access.write { 0 } else { PAGE_PROTECT }
            | if access.execute { 0 } else { PAGE_NO_EXECUTE }
    }

    fn decode(level: usize, entry: u64) -> Entry {
        match level {
            REGION_LEVEL if entry & REGION_INVALID == 0 => Entry::Table(PhysAddr::new(entry & REGION_ORIGIN)),
            SEGMENT_LEVEL if entry & SEGMENT_INVALID == 0 => {
                Entry::Table(PhysAddr::new(entry & SEGMENT_ORIGIN))
            }
            PAGE_LEVEL if entry & PAGE_PRESENT != 0 => Entry::Page(Page {
                addr: PhysAddr::new(entry & PAGE_FRAME),
                access: Access {
                    read: entry & PAGE_INVALID == 0,
                    write: entry & (PAGE_INVALID | PAGE_PROTECT) == 0,
                    execute: entry & (PAGE_INVALID | PAGE_NO_EXECUTE) == 0,
                },
                soft: (entry >> PAGE_SOFT_SHIFT) as u8 & paging::SOFT_BITS,
            }),
            _ => Entry::Absent,
        }
    }

    fn root(table: PhysAddr) -> u64 {
        debug_assert!(table.get() & !ASCE_ORIGIN == 0);
        table.get() | ASCE_REGION_THIRD | ASCE_FULL
    }
}

const _: () = {
    paging::check::<S390Dat>();
    assert!(S390Dat::LEVELS[REGION_LEVEL].bytes() == 16 << 10);
    assert!(S390Dat::LEVELS[SEGMENT_LEVEL].bytes() == 16 << 10);
    assert!(S390Dat::LEVELS[PAGE_LEVEL].bytes() == 2 << 10);
    assert!(paging::run::<S390Dat>() == 1);
    assert!(paging::space_bytes::<S390Dat>() == 1 << 42);
};

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(entry: u64) -> [u8; 8] {
        paging::to_memory(entry).to_ne_bytes()
    }

    fn page(addr: u64, access: Access) -> u64 {
        S390Dat::page(Page { addr: PhysAddr::new(addr), access, soft: 0 })
    }

    /// The bytes in memory, written out by hand from the manual's figures.
    #[test]
    fn golden_bytes() {
        let at = PhysAddr::new;
        assert_eq!(bytes(S390Dat::root(at(0x1234_4000))), [0, 0, 0, 0, 0x12, 0x34, 0x40, 0x07]);
        assert_eq!(bytes(S390Dat::table(0, at(0x1234_4000))), [0, 0, 0, 0, 0x12, 0x34, 0x40, 0x07]);
        // The second half of a frame: bit 52 of a segment entry is part of the origin.
        assert_eq!(bytes(S390Dat::table(1, at(0x1234_5800))), [0, 0, 0, 0, 0x12, 0x34, 0x58, 0x00]);
        assert_eq!(bytes(S390Dat::empty(0)), [0, 0, 0, 0, 0, 0, 0, 0x24]);
        assert_eq!(bytes(S390Dat::empty(1)), [0, 0, 0, 0, 0, 0, 0, 0x20]);
        assert_eq!(bytes(S390Dat::empty(2)), [0, 0, 0, 0, 0, 0, 0x04, 0x00]);
        assert_eq!(bytes(page(0x7_0000_1000, Access::RWX)), [0, 0, 0, 7, 0, 0, 0x10, 0x01]);
        assert_eq!(bytes(page(0x7_0000_1000, Access::RW)), [0, 0, 0, 7, 0, 0, 0x11, 0x01]);
        assert_eq!(bytes(page(0x7_0000_1000, Access::RX)), [0, 0, 0, 7, 0, 0, 0x12, 0x01]);
        assert_eq!(bytes(page(0x7_0000_1000, Access::R)), [0, 0, 0, 7, 0, 0, 0x13, 0x01]);
        assert_eq!(bytes(page(0x7_0000_1000, Access::NONE)), [0, 0, 0, 7, 0, 0, 0x17, 0x01]);
        let soft = Page { addr: at(0x1000), access: Access::RWX, soft: 5 };
        assert_eq!(bytes(S390Dat::page(soft)), [0, 0, 0, 0, 0, 0, 0x10, 0x15]);
    }

    #[test]
    fn entries_come_back_as_they_went_in() {
        for bits in 0..8 {
            let access = Access { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 };
            for soft in 0..=paging::SOFT_BITS {
                for addr in [0, 0x1000, 0xffff_ffff_ffff_f000] {
                    let page = Page { addr: PhysAddr::new(addr), access: access.normal(), soft };
                    assert_eq!(S390Dat::decode(2, S390Dat::page(page)), Entry::Page(page));
                    let access = Access { write: false, ..page.access };
                    let (kept, set) = S390Dat::READ_ONLY;
                    let entry = S390Dat::page(Page { access, ..page });
                    assert_eq!(S390Dat::page(page) & kept | set, entry);
                    assert_eq!(S390Dat::page(page) & PAGE_ZERO, 0);
                    assert_eq!(S390Dat::page(page) & PAGE_INVALID == 0, page.access.read);
                }
            }
        }
        for addr in [0x800, 0x7ff_f800] {
            assert_eq!(
                S390Dat::decode(1, S390Dat::table(1, PhysAddr::new(addr))),
                Entry::Table(PhysAddr::new(addr))
            );
        }
        let table = PhysAddr::new(0x40_4000);
        assert_eq!(S390Dat::decode(0, S390Dat::table(0, table)), Entry::Table(table));
    }

    /// H7: to the hardware both are invalid, to the kernel both are absent, and they differ.
    #[test]
    fn empty_and_poison_are_invalid() {
        let invalid = [REGION_INVALID, SEGMENT_INVALID, PAGE_INVALID];
        for (level, invalid) in invalid.into_iter().enumerate() {
            for entry in [S390Dat::empty(level), S390Dat::poison(level)] {
                assert_eq!(entry & invalid, invalid);
                assert_eq!(S390Dat::decode(level, entry), Entry::Absent);
            }
            assert_ne!(S390Dat::empty(level), S390Dat::poison(level));
        }
        assert_eq!(S390Dat::decode(1, 0), Entry::Table(PhysAddr::new(0)), "zero is not empty");
    }

    #[test]
    fn addresses_are_split_as_the_manual_draws_it() {
        let addr = crate::addr::VirtAddr::new(5 << 31 | 7 << 20 | 9 << 12 | 11);
        let indices: Vec<_> = S390Dat::LEVELS.iter().map(|level| level.index(addr)).collect();
        assert_eq!(indices, [5, 7, 9]);
    }
}
