//! The ppc64 radix formats: root 13 bits, then 9 and 9, then 9 (4 KB leaves) or 5 (64 KB leaves).
//!
//! Sources: Power ISA version 3.0B, Book III, 5.7.6 (5.7.6.1 partition-table, 5.7.6.2 process-table
//! entry) and 5.7.10 (Radix Tree Translation: 5.7.10.1 page directory entry, 5.7.10.2 page table
//! entry). Version 3.0C has one chapter more in front of it: 6.7.6 and 6.7.10 there. The manual
//! numbers bits from the left: bit 63 has the mask 1; each constant here gives both. The geometries
//! are those of POWER9; others are refused as a bad configuration (DSISR bit 44, 0x80000).
//!
//! ```text
//!  0        12            25         34         43         52          64
//!  | unused | root 13     | upper 9  | middle 9 | leaf 9   |  byte 12   |  Ppc64Radix4K
//!  | unused | root 13     | upper 9  | middle 9 | leaf 5 |  byte 16     |  Ppc64Radix64K
//! ```
//!
//! The kernel's page is 64 KB in both. With 4 KB leaves it is a run of 16 entries, and the leaf
//! tables are as large as the hash MMU's of Linux were: sixteen to a page-table page. With 64 KB
//! leaves a leaf table has 256 bytes, 256 of them to a page, as with Linux' radix MMU.
//!
//! Tables are big-endian in memory whatever the kernel is. The reference and change bits are set
//! when an entry is made: QEMU 7.2 would update them with a plain store that races with the
//! kernel's, QEMU 10 raises a fault instead, so neither is of use here.

use super::paging::{self, Access, Entry, Level, Page, PagingFormat};
use crate::addr::PhysAddr;

/// 13/9/9/9: leaves of 4 KB, a page is a run of sixteen.
#[derive(Clone, Copy, Debug)]
pub struct Ppc64Radix4K;

/// 13/9/9/5: leaves of 64 KB.
#[derive(Clone, Copy, Debug)]
pub struct Ppc64Radix64K;

/// Any entry, bit 0: valid.
pub const VALID: u64 = 1 << 63;
/// Any entry, bit 1: a leaf, that is a page.
pub const LEAF: u64 = 1 << 62;

/// Directory entry, bits 4-55: address of the next table (aligned to its size).
pub const PDE_TABLE: u64 = 0x0fff_ffff_ffff_ff00;
/// Directory entry, bits 59-63 (0x1f): log2 of the next table's entries.
pub const PDE_SIZE: u64 = 0x1f;

/// Page entry, bits 7-51: the page (bits below its size must be zero).
pub const PTE_PAGE: u64 = 0x01ff_ffff_ffff_f000;
/// Page entry, bits 52-54 (0xe00), left to programs: [`Page::soft`].
const PTE_SOFT_SHIFT: u32 = 9;
/// Page entry, bit 55 (0x100): reference.
pub const PTE_REFERENCE: u64 = 0x100;
/// Page entry, bit 56 (0x80): change.
pub const PTE_CHANGE: u64 = 0x80;
/// Page entry, bits 58-59 = 10 (0x20): non-idempotent I/O.
pub const PTE_NON_IDEMPOTENT: u64 = 0x20;
/// Page entry, bit 60 (0x8): privileged only.
pub const PTE_PRIVILEGED: u64 = 0x8;
/// Page entry, bit 61 (0x4): may be read.
pub const PTE_READ: u64 = 0x4;
/// Page entry, bit 62 (0x2): may be read and written.
pub const PTE_WRITE: u64 = 0x2;
/// Page entry, bit 63 (0x1): may be executed.
pub const PTE_EXECUTE: u64 = 0x1;

/// Root word (process-table doubleword 0, partition-table doubleword 0), bits 4-55: the root table.
pub const ROOT_TABLE: u64 = PDE_TABLE;
/// Root word, bits 1-2 and 56-58: the tree translates 2^(31 + 21) = 2^52 bytes. The five bits of
/// 21 = 0b10101 are split: the upper two go left, the lower three right.
pub const ROOT_TREE_SIZE: u64 = 0b10 << 61 | 0b101 << 5;
/// Partition-table doubleword 0, bit 0: the host uses radix translation.
pub const PARTITION_HOST_RADIX: u64 = 1 << 63;

/// Log2 of the entries of the root table; also the root word's bits 59-63.
const ROOT_BITS: u32 = 13;
const ROOT_LEVEL: usize = 0;
const LEAF_LEVEL: usize = 3;

/// What a freed table's entries hold: recognisable, and not valid.
const POISON: u64 = 0x7a11_0fa1_10fa_1100;

const fn levels(leaf_entries: usize, leaf_shift: u32) -> [Level; 4] {
    [
        Level { name: "page global directory", entries: 1 << ROOT_BITS, shift: 39 },
        Level { name: "page upper directory", entries: 512, shift: 30 },
        Level { name: "page middle directory", entries: 512, shift: 21 },
        Level { name: "page table", entries: leaf_entries, shift: leaf_shift },
    ]
}

fn directory_entry(child: PhysAddr, child_entries: usize) -> u64 {
    debug_assert!(child.is_aligned((child_entries * paging::ENTRY_BYTES) as u64));
    VALID | child.get() | u64::from(child_entries.trailing_zeros())
}

/// A page entry with that access, reference and change set; machine code adds
/// [`PTE_PRIVILEGED`] and the like. Also right for the larger leaves of upper levels.
pub fn page_entry(page: Page) -> u64 {
    let access = page.access.normal();
    debug_assert!(page.addr.get() & !PTE_PAGE == 0 && page.soft <= paging::SOFT_BITS);
    VALID
        | LEAF
        | page.addr.get()
        | u64::from(page.soft) << PTE_SOFT_SHIFT
        | PTE_REFERENCE
        | if access.read { PTE_READ } else { 0 }
        | if access.write { PTE_WRITE | PTE_CHANGE } else { 0 }
        | if access.execute { PTE_EXECUTE } else { 0 }
}

fn decode(level: usize, entry: u64) -> Entry {
    match (entry & VALID != 0, level == LEAF_LEVEL, entry & LEAF != 0) {
        (true, false, false) => Entry::Table(PhysAddr::new(entry & PDE_TABLE)),
        (true, true, true) => Entry::Page(Page {
            addr: PhysAddr::new(entry & PTE_PAGE),
            access: Access {
                read: entry & (PTE_READ | PTE_WRITE) != 0,
                write: entry & PTE_WRITE != 0,
                execute: entry & PTE_EXECUTE != 0,
            },
            soft: (entry >> PTE_SOFT_SHIFT) as u8 & paging::SOFT_BITS,
        }),
        _ => Entry::Absent,
    }
}

/// The doubleword that names a root: process table, and with [`PARTITION_HOST_RADIX`] partition
/// table.
pub fn root_word(table: PhysAddr) -> u64 {
    debug_assert!(table.get() & !ROOT_TABLE == 0);
    ROOT_TREE_SIZE | table.get() | u64::from(ROOT_BITS)
}

macro_rules! radix {
    ($format:ident, $name:literal, $leaf_entries:expr, $leaf_shift:expr) => {
        impl PagingFormat for $format {
            const NAME: &'static str = $name;
            const LEVELS: &'static [Level] = &levels($leaf_entries, $leaf_shift);
            const PAGE_SHIFT: u32 = 16;
            const READ_ONLY: (u64, u64) = (!(PTE_WRITE | PTE_CHANGE), 0);

            fn empty(_level: usize) -> u64 {
                0
            }
            fn poison(_level: usize) -> u64 {
                POISON
            }
            fn table(level: usize, child: PhysAddr) -> u64 {
                let below = (level + 1).min(LEAF_LEVEL);
                directory_entry(child, Self::LEVELS[below].entries)
            }
            fn page(page: Page) -> u64 {
                page_entry(page)
            }
            fn decode(level: usize, entry: u64) -> Entry {
                decode(level, entry)
            }
            fn root(table: PhysAddr) -> u64 {
                root_word(table)
            }
        }
    };
}
radix!(Ppc64Radix4K, "ppc64 radix (13/9/9/9)", 512, 12);
radix!(Ppc64Radix64K, "ppc64 radix (13/9/9/5)", 32, 16);

const _: () = {
    paging::check::<Ppc64Radix4K>();
    paging::check::<Ppc64Radix64K>();
    assert!(Ppc64Radix4K::LEVELS[ROOT_LEVEL].bytes() == 64 << 10);
    assert!(Ppc64Radix4K::LEVELS[LEAF_LEVEL].bytes() == 4 << 10);
    assert!(Ppc64Radix64K::LEVELS[LEAF_LEVEL].bytes() == 256);
    assert!(paging::run::<Ppc64Radix4K>() == 16 && paging::run::<Ppc64Radix64K>() == 1);
    assert!(paging::space_bytes::<Ppc64Radix4K>() == 1 << 52);
    assert!(paging::space_bytes::<Ppc64Radix64K>() == 1 << 52);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::VirtAddr;

    fn bytes(entry: u64) -> [u8; 8] {
        paging::to_memory(entry).to_ne_bytes()
    }

    fn page(addr: u64, access: Access) -> u64 {
        page_entry(Page { addr: PhysAddr::new(addr), access, soft: 0 })
    }

    /// The bytes in memory, written out by hand from the manual's figures.
    #[test]
    fn golden_bytes() {
        let at = PhysAddr::new;
        assert_eq!(bytes(root_word(at(0x3_0000))), [0x40, 0, 0, 0, 0, 0x03, 0, 0xad]);
        assert_eq!(bytes(root_word(at(0x3_0000)) | PARTITION_HOST_RADIX), [0xc0, 0, 0, 0, 0, 0x03, 0, 0xad]);
        assert_eq!(bytes(Ppc64Radix4K::table(0, at(0x4_0000))), [0x80, 0, 0, 0, 0, 0x04, 0, 0x09]);
        assert_eq!(bytes(Ppc64Radix4K::table(2, at(0x4_1000))), [0x80, 0, 0, 0, 0, 0x04, 0x10, 0x09]);
        assert_eq!(bytes(Ppc64Radix64K::table(1, at(0x4_1000))), [0x80, 0, 0, 0, 0, 0x04, 0x10, 0x09]);
        assert_eq!(bytes(Ppc64Radix64K::table(2, at(0x4_1100))), [0x80, 0, 0, 0, 0, 0x04, 0x11, 0x05]);
        assert_eq!(bytes(page(0, Access::RWX)), [0xc0, 0, 0, 0, 0, 0, 0x01, 0x87]);
        assert_eq!(bytes(page(0x1_2345_6000, Access::RW)), [0xc0, 0, 0, 1, 0x23, 0x45, 0x61, 0x86]);
        assert_eq!(bytes(page(0x1_2345_6000, Access::RX)), [0xc0, 0, 0, 1, 0x23, 0x45, 0x61, 0x05]);
        assert_eq!(bytes(page(0x1_2345_6000, Access::R)), [0xc0, 0, 0, 1, 0x23, 0x45, 0x61, 0x04]);
        assert_eq!(bytes(page(0x1_2345_6000, Access::NONE)), [0xc0, 0, 0, 1, 0x23, 0x45, 0x61, 0x00]);
        let soft = Page { addr: at(0), access: Access::R, soft: 7 };
        assert_eq!(bytes(page_entry(soft)), [0xc0, 0, 0, 0, 0, 0, 0x0f, 0x04]);
        assert_eq!(bytes(Ppc64Radix4K::empty(3)), [0; 8]);
    }

    #[test]
    fn entries_come_back_as_they_went_in() {
        for bits in 0..8 {
            let access = Access { read: bits & 1 != 0, write: bits & 2 != 0, execute: bits & 4 != 0 };
            for soft in 0..=paging::SOFT_BITS {
                for addr in [0, 0x1_0000, PTE_PAGE & !0xffff] {
                    let page = Page { addr: PhysAddr::new(addr), access: access.normal(), soft };
                    assert_eq!(Ppc64Radix4K::decode(3, Ppc64Radix4K::page(page)), Entry::Page(page));
                    assert_eq!(Ppc64Radix64K::decode(3, Ppc64Radix64K::page(page)), Entry::Page(page));
                }
            }
        }
        for level in 0..3 {
            let table = PhysAddr::new(0x12_3000);
            assert_eq!(Ppc64Radix4K::decode(level, Ppc64Radix4K::table(level, table)), Entry::Table(table));
        }
        // A 256-byte table may begin at any multiple of 256.
        let table = PhysAddr::new(0x12_3700);
        assert_eq!(Ppc64Radix64K::decode(2, Ppc64Radix64K::table(2, table)), Entry::Table(table));
    }

    #[test]
    fn empty_and_poison_are_invalid() {
        for level in 0..4 {
            for entry in [Ppc64Radix4K::empty(level), Ppc64Radix4K::poison(level)] {
                assert_eq!(entry & VALID, 0);
                assert_eq!(Ppc64Radix4K::decode(level, entry), Entry::Absent);
            }
            assert_ne!(Ppc64Radix4K::empty(level), Ppc64Radix4K::poison(level));
        }
        // A leaf where a table must be, or the reverse, is not something to follow.
        assert_eq!(decode(2, VALID | LEAF), Entry::Absent);
        assert_eq!(decode(3, VALID), Entry::Absent);
    }

    #[test]
    fn addresses_are_split_as_the_manual_draws_it() {
        let addr = VirtAddr::new(5 << 39 | 6 << 30 | 7 << 21 | 9 << 16 | 11);
        let split = |levels: &[Level]| levels.iter().map(|l| l.index(addr)).collect::<Vec<_>>();
        assert_eq!(split(Ppc64Radix4K::LEVELS), [5, 6, 7, 9 << 4]);
        assert_eq!(split(Ppc64Radix64K::LEVELS), [5, 6, 7, 9]);
    }
}
