//! Reading a cpio archive, format "newc", as `cpio -H newc` writes it and Linux takes it for its
//! initial file system.
//!
//! ```text
//! header    110 bytes of ASCII: magic 070701 (070702: with checksums), then 13 numbers of 8 hex digits
//! name      as long as the header says, its NUL included; then up to a multiple of 4
//! data      as long as the header says; then up to a multiple of 4
//! ...       until a name of TRAILER!!!; zeros may follow, and another archive
//! ```
//!
//! Everything is checked, and what is wrong is told with its place: an archive comes from outside, and
//! one that is cut off is the most usual mistake. A library would do for good archives; those there are
//! stop at a bad entry as if the archive ended there.

use core::fmt;

/// Bytes of a header.
const HEADER: usize = 110;
/// The end of an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The longest name, its NUL included, as for any path.
const NAME_MOST: u32 = 4096;

/// A file in the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its number: entries of the same number are one file, if `nlink` is more than 1.
    pub ino: u32,
    /// Type and permissions.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names that it has.
    pub nlink: u32,
    /// Last changed, seconds since 1970.
    pub mtime: u32,
    /// The device that it lay on: with `ino`, which file it is.
    pub device: (u32, u32),
    /// The device that it is.
    pub rdevice: (u32, u32),
    /// Its path.
    pub name: &'a [u8],
    /// Its bytes, or a link's text.
    pub data: &'a [u8],
}

/// What is wrong with an archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It ends within a header.
    HeaderCut,
    /// A header does not begin with the magic number.
    Magic,
    /// A field is no hexadecimal number.
    Number,
    /// A name of no bytes, or of more than a path may have.
    NameLength,
    /// It ends within a name.
    NameCut,
    /// A name does not end with a NUL, or has one within.
    NameNul,
    /// It ends within a file's bytes.
    DataCut,
    /// A file's bytes do not add up to the checksum.
    Checksum,
    /// It ends without a trailer.
    NoTrailer,
}

/// What is wrong, and where: the offset of the header of the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// What.
    pub wrong: Wrong,
    /// Where.
    pub at: usize,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.wrong {
            Wrong::HeaderCut => "the archive ends within a header",
            Wrong::Magic => "this is no newc header (070701)",
            Wrong::Number => "a field of the header is no number",
            Wrong::NameLength => "the name's length is wrong",
            Wrong::NameCut => "the archive ends within a name",
            Wrong::NameNul => "the name is not a string",
            Wrong::DataCut => "the archive ends within a file",
            Wrong::Checksum => "the checksum is wrong",
            Wrong::NoTrailer => "the archive ends without a trailer",
        };
        write!(f, "cpio, byte {}: {what}", self.at)
    }
}

/// The entries of an archive, or of several one after the other. After an error there are no more.
#[derive(Clone, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Entries come before a trailer.
    inside: bool,
}

impl<'a> Archive<'a> {
    /// The archive in these bytes.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, inside: true }
    }

    /// Bytes from an offset on; `None` beyond the end.
    fn slice(&self, from: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(from..from.checked_add(len)?)
    }

    /// The next entry; `None` behind the last trailer.
    fn next_entry(&mut self) -> Result<Option<Entry<'a>>, Wrong> {
        loop {
            if !self.inside {
                // Between archives: zeros, which fill up a block.
                let zeros = self.bytes[self.at..].iter().take_while(|&&byte| byte == 0).count();
                self.at += zeros;
                if self.at == self.bytes.len() {
                    return Ok(None);
                }
                self.inside = true;
            }
            let (entry, end) = self.entry()?;
            self.at = end;
            if entry.name != TRAILER {
                return Ok(Some(entry));
            }
            self.inside = false;
        }
    }

    fn entry(&self) -> Result<(Entry<'a>, usize), Wrong> {
        if self.at == self.bytes.len() {
            return Err(Wrong::NoTrailer);
        }
        let header = self.slice(self.at, HEADER).ok_or(Wrong::HeaderCut)?;
        let with_sum = match &header[..6] {
            b"070701" => false,
            b"070702" => true,
            _ => return Err(Wrong::Magic),
        };
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(header[6..].chunks_exact(8)) {
            *number = hex(digits).ok_or(Wrong::Number)?;
        }
        let [ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, name_len, sum] = numbers;
        if name_len == 0 || name_len > NAME_MOST {
            return Err(Wrong::NameLength);
        }
        let name_at = self.at + HEADER;
        let name = self.slice(name_at, name_len as usize).ok_or(Wrong::NameCut)?;
        let name = match name.iter().position(|&byte| byte == 0) {
            Some(at) if at + 1 == name.len() => &name[..at],
            _ => return Err(Wrong::NameNul),
        };
        // Offsets are padded, counted from the archive's beginning; the last bytes may lack it.
        let data_at = (name_at + name_len as usize).next_multiple_of(4);
        let data = match size {
            0 => &[],
            size => self.slice(data_at, size as usize).ok_or(Wrong::DataCut)?,
        };
        let add = |sum: u32, &byte: &u8| sum.wrapping_add(u32::from(byte));
        if with_sum && data.iter().fold(0, add) != sum {
            return Err(Wrong::Checksum);
        }
        let end = (data_at + data.len()).next_multiple_of(4).min(self.bytes.len());
        let (device, rdevice) = ((major, minor), (rmajor, rminor));
        Ok((Entry { ino, mode, uid, gid, nlink, mtime, device, rdevice, name, data }, end))
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| Some(number << 4 | (digit as char).to_digit(16)?))
}

impl<'a> Iterator for Archive<'a> {
    type Item = Result<Entry<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        match self.next_entry() {
            Ok(entry) => entry.map(Ok),
            Err(wrong) => {
                // Where the entry begins that is wrong; behind zeros, if such came first.
                let at = self.at.max(at);
                (self.at, self.inside) = (self.bytes.len(), false);
                Some(Err(Error { wrong, at }))
            }
        }
    }
}

#[cfg(test)]
pub mod testing {
    //! Archives for tests.

    /// Appends an entry. `fields` as in the header, without the name's length and the checksum.
    pub fn append(archive: &mut Vec<u8>, fields: [u32; 11], name: &str, data: &[u8]) {
        let [ino, mode, uid, gid, nlink, mtime, _, major, minor, rmajor, rminor] = fields;
        let size = data.len() as u32;
        archive.extend_from_slice(b"070701");
        let name_len = name.len() as u32 + 1;
        for number in [ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, name_len, 0] {
            archive.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        archive.extend_from_slice(name.as_bytes());
        archive.push(0);
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend_from_slice(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }

    /// Appends a file of that mode.
    pub fn file(archive: &mut Vec<u8>, ino: u32, mode: u32, name: &str, data: &[u8]) {
        append(archive, [ino, mode, 0, 0, 1, 77, 0, 0, 0, 0, 0], name, data);
    }

    /// Ends it.
    pub fn end(archive: &mut Vec<u8>) {
        append(archive, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "TRAILER!!!", &[]);
    }

    /// A small archive of all kinds.
    pub fn example() -> Vec<u8> {
        let mut archive = Vec::new();
        file(&mut archive, 1, 0o040755, "etc", &[]);
        file(&mut archive, 2, 0o100644, "etc/passwd", b"root:x:0:0::/:/bin/sh\n");
        file(&mut archive, 3, 0o120777, "link", b"etc/passwd");
        append(&mut archive, [4, 0o020620, 1, 5, 1, 0, 0, 0, 0, 5, 1], "dev/console", &[]);
        end(&mut archive);
        archive.resize(archive.len().next_multiple_of(512), 0);
        archive
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{end, example, file};
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Entry<'_>>, Error> {
        Archive::new(bytes).collect()
    }

    #[test]
    fn a_good_archive_is_read() {
        let archive = example();
        let entries = all(&archive).expect("good");
        let names: Vec<&[u8]> = entries.iter().map(|entry| entry.name).collect();
        assert_eq!(names, [&b"etc"[..], b"etc/passwd", b"link", b"dev/console"]);
        assert_eq!(entries[1].data, b"root:x:0:0::/:/bin/sh\n");
        assert_eq!((entries[1].mode, entries[1].mtime, entries[2].data), (0o100644, 77, &b"etc/passwd"[..]));
        assert_eq!((entries[3].uid, entries[3].gid, entries[3].rdevice), (1, 5, (5, 1)));
    }

    #[test]
    fn archives_follow_each_other() {
        let mut two = example();
        file(&mut two, 9, 0o100600, "more", b"x");
        end(&mut two);
        assert_eq!(all(&two).expect("good").len(), 5);
        two.extend_from_slice(b"\0\0\0\0garbage");
        let error = all(&two).expect_err("garbage");
        assert_eq!((error.wrong, error.at), (Wrong::HeaderCut, two.len() - 7));
    }

    #[test]
    fn cut_anywhere_it_says_so() {
        let archive = example();
        let trailer = archive.windows(10).position(|bytes| bytes == TRAILER).expect("a trailer");
        // Behind the trailer's name come zeros only.
        for cut in 0..=trailer + TRAILER.len() {
            let error = all(&archive[..cut]).expect_err("cut off");
            assert!(error.at <= cut, "{error} at {cut}");
            assert!(!matches!(error.wrong, Wrong::Magic | Wrong::Number | Wrong::Checksum), "{error}");
        }
        assert_eq!(all(&archive[..trailer + TRAILER.len() + 1]).expect("whole").len(), 4);
        assert_eq!(all(&[]).expect_err("nothing").wrong, Wrong::NoTrailer);
    }

    #[test]
    fn every_field_broken_is_an_error_or_a_value_and_no_panic() {
        let archive = example();
        // The second entry's header.
        let header = archive.windows(6).enumerate().filter(|(_, bytes)| *bytes == b"070701").nth(1);
        let header = header.expect("a header").0;
        for field in 0..13 {
            for value in [
                "zzzzzzzz", "ffffffff", "00000000", "80000000", "7fffffff", "0000000g", " 0000001",
                "+0000001",
            ] {
                let mut broken = archive.clone();
                let at = header + 6 + field * 8;
                broken[at..at + 8].copy_from_slice(value.as_bytes());
                let result = all(&broken);
                if u32::from_str_radix(value, 16).is_err() || value.starts_with('+') {
                    assert_eq!(result, Err(Error { wrong: Wrong::Number, at: header }));
                } else if field == 11 {
                    let wrong = result.expect_err("no such name").wrong;
                    assert_eq!(wrong, Wrong::NameLength);
                } else if field == 6 && value != "00000000" {
                    assert_eq!(result.expect_err("no such size").wrong, Wrong::DataCut);
                }
            }
        }
        for magic in ["070707", "070700", "\0\0\0\0\0\0"] {
            let mut broken = archive.clone();
            broken[header..header + 6].copy_from_slice(magic.as_bytes());
            assert_eq!(all(&broken), Err(Error { wrong: Wrong::Magic, at: header }));
        }
        let mut summed = archive.clone();
        summed[header..header + 6].copy_from_slice(b"070702");
        assert_eq!(all(&summed).expect_err("sum 0").wrong, Wrong::Checksum);
        let sum: u32 = b"root:x:0:0::/:/bin/sh\n".iter().map(|&byte| u32::from(byte)).sum();
        summed[header + 102..header + 110].copy_from_slice(format!("{sum:08X}").as_bytes());
        assert!(all(&summed).is_ok());
        let mut name = archive.clone();
        name[header + 110 + 3] = 0;
        assert_eq!(all(&name).expect_err("a NUL").wrong, Wrong::NameNul);
    }

    proptest::proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>) {
            let _ = all(&bytes);
        }
        #[test]
        fn mutants_never_panic(at in 0_usize..1024, byte: u8, cut in 0_usize..1024) {
            let mut archive = example();
            let len = archive.len();
            archive[at % len] = byte;
            let _ = all(&archive);
            let _ = all(&archive[..cut % len]);
        }
    }
}
