//! Names for addresses: the kernel's own symbol table.
//!
//! The table is written after the link: the binary reserves a section `.symbols`, `xtask` reads
//! the functions of the linked kernel and fills it. Rejected: linking twice, as Linux does (a table
//! compiled in moves the addresses that it names), and DWARF, which is ten times as large.
//!
//! Format, 32-bit numbers in the machine's own byte order:
//! ```text
//! magic "FLWS"   count   bytes of names   0
//! count x { offset of the function from __text_start, offset of its name in names }   ascending
//! names, each UTF-8 and ended by a zero byte
//! ```
//! The reader is total: whatever the bytes are, it gives a name or none. It runs in a panic, where
//! nothing may be taken for granted.

use core::fmt;
use spin::Once;

const MAGIC: u32 = 0x464c_5753;
const HEADER: usize = 16;
const ENTRY: usize = 8;

/// A symbol table and the text that it describes.
#[derive(Clone, Copy, Debug)]
pub struct Symbols<'a> {
    entries: &'a [u8],
    names: &'a [u8],
    text: usize,
    text_size: usize,
}

/// A function, and how far into it an address is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// The function's name.
    pub name: &'a str,
    /// Bytes from its start.
    pub offset: usize,
    /// Its bytes, up to the next function.
    pub size: usize,
}

/// `name+0x12/0x340`, as in Linux.
impl fmt::Display for Symbol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:#x}/{:#x}", self.name, self.offset, self.size)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?) as usize)
}

impl<'a> Symbols<'a> {
    /// The table in these bytes, for the text of that start and size. `None` if there is none: the
    /// section was not filled, or the counts do not fit.
    pub fn parse(bytes: &'a [u8], text: usize, text_size: usize) -> Option<Self> {
        if word(bytes, 0)? != MAGIC as usize {
            return None;
        }
        let names_start = word(bytes, 4)?.checked_mul(ENTRY)?.checked_add(HEADER)?;
        let names_end = names_start.checked_add(word(bytes, 8)?)?;
        let (entries, names) = (bytes.get(HEADER..names_start)?, bytes.get(names_start..names_end)?);
        Some(Self { entries, names, text, text_size })
    }

    /// How many functions it names.
    pub fn count(&self) -> usize {
        self.entries.len() / ENTRY
    }

    /// Offset into the text of a function; `None` behind the last.
    fn start(&self, index: usize) -> Option<usize> {
        word(self.entries, index.checked_mul(ENTRY)?)
    }

    fn name(&self, index: usize) -> Option<&'a str> {
        let name = self.names.get(word(self.entries, index.checked_mul(ENTRY)?.checked_add(4)?)?..)?;
        let end = name.iter().position(|&byte| byte == 0)?;
        core::str::from_utf8(&name[..end]).ok()
    }

    /// The function with that index, ascending: its address and name.
    pub fn get(&self, index: usize) -> Option<(usize, &'a str)> {
        Some((self.text.checked_add(self.start(index)?)?, self.name(index)?))
    }

    /// The function that an address lies in.
    pub fn lookup(&self, address: usize) -> Option<Symbol<'a>> {
        let offset = address.checked_sub(self.text).filter(|&offset| offset < self.text_size)?;
        // The first function that starts behind the address; the one before it is it. A table out
        // of order gives a wrong name, no more.
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.start(middle)? <= offset { low = middle + 1 } else { high = middle }
        }
        let index = low.checked_sub(1)?;
        let start = self.start(index)?;
        let end = self.start(low).unwrap_or(self.text_size);
        Some(Symbol {
            name: self.name(index)?,
            offset: offset.checked_sub(start)?,
            size: end.checked_sub(start)?,
        })
    }
}

static KERNEL: Once<Symbols<'static>> = Once::new();

/// Takes the kernel's own table from its section; called once, early.
pub fn set(section: &'static [u8], text: usize, text_size: usize) {
    if let Some(symbols) = Symbols::parse(section, text, text_size) {
        KERNEL.call_once(|| symbols);
    }
}

/// The kernel's own table, if it has one.
pub fn kernel() -> Option<&'static Symbols<'static>> {
    KERNEL.get()
}

/// A code address for the reader: its function if it has a name, else the bare number.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    address: usize,
    is_return: bool,
}

impl Code {
    /// An instruction's address.
    pub const fn at(address: usize) -> Self {
        Self { address, is_return: false }
    }
    /// The address that a call returns to. The call may be its function's last instruction; so the
    /// function is looked up by the byte before, as Linux' `%pB` does.
    pub const fn return_to(address: usize) -> Self {
        Self { address, is_return: true }
    }
}

impl Code {
    /// The function's name, if it has one.
    pub fn name(&self) -> Option<&'static str> {
        let back = usize::from(self.is_return);
        Some(kernel()?.lookup(self.address.checked_sub(back)?)?.name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let back = usize::from(self.is_return);
        let symbol = kernel().and_then(|symbols| symbols.lookup(self.address.checked_sub(back)?));
        match symbol {
            Some(symbol) => write!(f, "{}", Symbol { offset: symbol.offset + back, ..symbol }),
            None => write!(f, "{:#x}", self.address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: usize = 0x10000;

    fn table(symbols: &[(u32, &str)]) -> Vec<u8> {
        let mut names = Vec::new();
        let mut entries = Vec::new();
        for (offset, name) in symbols {
            entries.extend(offset.to_ne_bytes());
            entries.extend((names.len() as u32).to_ne_bytes());
            names.extend(name.bytes().chain([0]));
        }
        let header = [MAGIC, symbols.len() as u32, names.len() as u32, 0];
        header.iter().flat_map(|word| word.to_ne_bytes()).chain(entries).chain(names).collect()
    }

    #[test]
    fn addresses_get_the_function_they_lie_in() {
        let bytes = table(&[(0x10, "first"), (0x20, "second"), (0x80, "fallow::third")]);
        let symbols = Symbols::parse(&bytes, TEXT, 0x100).expect("a table");
        let name = |offset: usize| symbols.lookup(TEXT + offset).map(|symbol| symbol.to_string());
        assert_eq!(name(0xf), None, "before the first");
        assert_eq!(name(0x10).as_deref(), Some("first+0x0/0x10"));
        assert_eq!(name(0x1f).as_deref(), Some("first+0xf/0x10"));
        assert_eq!(name(0x7f).as_deref(), Some("second+0x5f/0x60"));
        assert_eq!(name(0xff).as_deref(), Some("fallow::third+0x7f/0x80"));
        assert_eq!(name(0x100), None, "behind the text");
        assert_eq!(symbols.lookup(0), None);
        assert_eq!(symbols.lookup(usize::MAX), None);
    }

    #[test]
    fn an_unfilled_section_is_no_table() {
        assert!(Symbols::parse(&[0; 4096], TEXT, 0x100).is_none());
        assert!(Symbols::parse(&[], TEXT, 0x100).is_none());
    }

    proptest! {
        /// Flip and cut a good table: whatever comes out, no panic.
        #[test]
        fn garbage_gives_a_name_or_none(
            flips in proptest::collection::vec((0usize..80, any::<u8>()), 0..8),
            len in 0usize..80,
            address in 0usize..0x300,
        ) {
            let mut bytes = table(&[(0x10, "first"), (0x20, "second"), (0x80, "third")]);
            for (at, value) in flips {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes.truncate(len);
            if let Some(symbols) = Symbols::parse(&bytes, TEXT, 0x200) {
                let _ = symbols.lookup(TEXT - 0x80 + address).map(|symbol| symbol.to_string());
            }
        }
    }
}
