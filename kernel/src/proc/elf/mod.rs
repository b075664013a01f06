//! ELF programs: from the bytes of a file to what is to be mapped where.
//!
//! The crate `elf` reads the fields; whether they make sense is decided here, once, before anything is
//! mapped. What is refused is ENOEXEC, as Linux refuses it, whatever is wrong: a file is either a
//! program of this machine or it is not. Nothing here touches memory or files, so the host tests it,
//! with the formats of both machines.

use crate::arch::paging::Access;
use crate::error::Errno;
use arrayvec::ArrayVec;
use elf::abi;
use elf::endian::{AnyEndian, EndianParse};
use elf::file::{Class, FileHeader, parse_ident};
use elf::segment::{ProgramHeader, SegmentTable};

/// Bytes of the file's header.
pub const HEADER: usize = 64;
/// Bytes of one program header.
const ENTRY: u64 = 56;
/// The most program headers; linkers write about ten.
const MOST: u64 = 64;
/// The most bytes of all program headers.
pub const TABLE: usize = (ENTRY * MOST) as usize;
/// The most segments that are mapped.
const SEGMENTS: usize = 16;
/// The most bytes of the name of an interpreter.
pub const INTERPRETER: u64 = 4096;
/// No program lies below: a null pointer is no pointer.
const LOWEST: u64 = 0x1_0000;

/// What the machine expects of a program.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// ELF's number.
    pub number: u16,
    /// Its byte order.
    pub big_endian: bool,
    /// Bytes of a page.
    pub page: u64,
    /// The first address that a program cannot have.
    pub end: u64,
}

/// A part of the file that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where; plus the base, for a program that may be moved.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
    /// Where in the file. Congruent to `address` modulo a page.
    pub offset: u64,
    /// Bytes from the file; the rest is zero.
    pub from_file: u64,
    /// What the program may do there.
    pub access: Access,
}

/// The file's header, checked as far as it stands alone.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    movable: bool,
    entry: u64,
    table: u64,
    count: u64,
    big_endian: bool,
}

/// A program as it is to be mapped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// It may lie anywhere (ET_DYN): `base` is added to each address.
    pub movable: bool,
    /// Where it begins.
    pub entry: u64,
    /// Ascending, not overlapping, not sharing pages.
    pub segments: ArrayVec<Segment, SEGMENTS>,
    /// Where in the file the name of its interpreter lies, and its length, the NUL included.
    pub interpreter: Option<(u64, usize)>,
    /// Where its program headers are in memory; 0: they are not mapped.
    pub headers: u64,
    /// How many.
    pub count: u64,
    /// The largest alignment that it asks for, at least a page.
    pub align: u64,
}

/// AT_PHENT.
pub const HEADER_ENTRY: u64 = ENTRY;

const NO: Errno = Errno::ENOEXEC;

impl Header {
    /// Checks the first bytes of a file.
    ///
    /// # Errors
    /// ENOEXEC: not a program of this machine.
    pub fn parse(bytes: &[u8], machine: &Machine) -> Result<Self, Errno> {
        let (ident, tail) = bytes.split_at_checked(abi::EI_NIDENT).ok_or(NO)?;
        let ident = parse_ident::<AnyEndian>(ident).map_err(|_| NO)?;
        let big_endian = matches!(ident.0, AnyEndian::Big);
        if !matches!(ident.1, Class::ELF64) || big_endian != machine.big_endian {
            return Err(NO);
        }
        let header = FileHeader::parse_tail(ident, tail).map_err(|_| NO)?;
        let movable = match header.e_type {
            abi::ET_EXEC => false,
            abi::ET_DYN => true,
            _ => return Err(NO),
        };
        let count = u64::from(header.e_phnum);
        let right = header.e_machine == machine.number
            && header.version == u32::from(abi::EV_CURRENT)
            && u64::from(header.e_phentsize) == ENTRY
            && (1..=MOST).contains(&count)
            && header.e_phoff.checked_add(count * ENTRY).is_some();
        right
            .then_some(Self { movable, entry: header.e_entry, table: header.e_phoff, count, big_endian })
            .ok_or(NO)
    }

    /// Where the program headers are in the file, and how many bytes of them.
    pub fn table(&self) -> (u64, usize) {
        (self.table, (self.count * ENTRY) as usize)
    }
}

impl Image {
    /// Checks the program headers. `size` is the file's.
    ///
    /// # Errors
    /// ENOEXEC.
    pub fn parse(header: &Header, table: &[u8], size: u64, machine: &Machine) -> Result<Self, Errno> {
        let table = table.get(..header.table().1).ok_or(NO)?;
        let endian = if header.big_endian { AnyEndian::Big } else { AnyEndian::Little };
        let mut image = Self {
            movable: header.movable,
            entry: header.entry,
            segments: ArrayVec::new(),
            interpreter: None,
            headers: 0,
            count: header.count,
            align: machine.page,
        };
        let mut said = None;
        for entry in segments(endian, table) {
            match entry.p_type {
                abi::PT_LOAD if entry.p_memsz > 0 => image.add(&entry, size, machine)?,
                abi::PT_INTERP => {
                    let inside = entry.p_offset.checked_add(entry.p_filesz).is_some_and(|end| end <= size);
                    if !inside || !(2..=INTERPRETER).contains(&entry.p_filesz) || image.interpreter.is_some()
                    {
                        return Err(NO);
                    }
                    image.interpreter = Some((entry.p_offset, entry.p_filesz as usize));
                }
                abi::PT_PHDR => said = Some(entry.p_vaddr),
                _ => {}
            }
        }
        image.headers = image.find_headers(header, said);
        let begins = |segment: &Segment| {
            segment.access.execute && image.entry.wrapping_sub(segment.address) < segment.size
        };
        if image.segments.iter().any(begins) { Ok(image) } else { Err(NO) }
    }

    fn add(&mut self, entry: &ProgramHeader, size: u64, machine: &Machine) -> Result<(), Errno> {
        let page = machine.page;
        let end = entry.p_vaddr.checked_add(entry.p_memsz).ok_or(NO)?;
        let file_end = entry.p_offset.checked_add(entry.p_filesz).ok_or(NO)?;
        let align_is_one = entry.p_align <= 1 || entry.p_align.is_power_of_two();
        let lowest = if self.movable { 0 } else { LOWEST };
        let behind = self.segments.last().is_none_or(|last| {
            // Both below the end of the address space: no overflow.
            (last.address + last.size).next_multiple_of(page) <= entry.p_vaddr / page * page
        });
        let right = entry.p_filesz <= entry.p_memsz
            && file_end <= size
            && entry.p_offset % page == entry.p_vaddr % page
            && entry.p_vaddr >= lowest
            && end <= machine.end
            && align_is_one
            && entry.p_align <= machine.end / 4
            && behind;
        if !right {
            return Err(NO);
        }
        self.align = self.align.max(entry.p_align);
        let flag = |bit: u32| entry.p_flags & bit != 0;
        let segment = Segment {
            address: entry.p_vaddr,
            size: entry.p_memsz,
            offset: entry.p_offset,
            from_file: entry.p_filesz,
            access: Access { read: flag(abi::PF_R), write: flag(abi::PF_W), execute: flag(abi::PF_X) },
        };
        self.segments.try_push(segment).map_err(|_| NO)
    }

    /// The program headers' address: as PT_PHDR says, or where the segment lies that contains them.
    fn find_headers(&self, header: &Header, said: Option<u64>) -> u64 {
        let (offset, bytes) = header.table();
        let mapped = |segment: &&Segment| {
            offset >= segment.offset && offset + bytes as u64 <= segment.offset + segment.from_file
        };
        said.or_else(|| {
            self.segments.iter().find(mapped).map(|segment| segment.address + (offset - segment.offset))
        })
        .unwrap_or(0)
    }

    /// From its first address to its end, whole pages.
    pub fn span(&self, page: u64) -> (u64, u64) {
        let first = self.segments.first().map_or(0, |segment| segment.address / page * page);
        let end =
            self.segments.last().map_or(0, |segment| (segment.address + segment.size).next_multiple_of(page));
        (first, end)
    }
}

fn segments<E: EndianParse>(endian: E, table: &[u8]) -> impl Iterator<Item = ProgramHeader> {
    SegmentTable::new(endian, Class::ELF64, table).iter()
}

#[cfg(test)]
mod tests;
