//! Text that is made to be read once: a growing buffer that says so when there is no memory.

use crate::error::Errno;
use alloc::vec::Vec;
use core::fmt;

/// Room for the longest number, in decimal, and some.
const FIELD: usize = 24;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes a number in decimal so that it ends where the field does, as far as there is room. Gives where
/// it begins.
#[inline]
pub fn write_decimal(field: &mut [u8], value: u64) -> usize {
    let mut rest = value;
    let mut at = field.len();
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        at -= 1;
        if rest == 0 {
            break;
        }
    }
    at
}

/// Text under construction.
///
/// # Invariants
/// If an allocation failed, `failed` is set and nothing is added any more.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    failed: bool,
}

impl Text {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), failed: false }
    }

    /// Adds bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) {
        self.failed |= self.bytes.try_reserve(bytes.len()).is_err();
        if !self.failed {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Adds formatted text.
    pub fn print(&mut self, text: fmt::Arguments<'_>) {
        // An error is a want of memory, and remembered.
        let _ = fmt::Write::write_fmt(self, text);
    }

    /// Adds a block of text, and gives it to be filled in. `None` if there is no memory for it.
    #[inline]
    pub fn put_block<const N: usize>(&mut self, block: &[u8; N]) -> Option<&mut [u8; N]> {
        self.failed |= self.bytes.try_reserve(N).is_err();
        if self.failed {
            return None;
        }
        self.bytes.extend_from_slice(block);
        self.bytes.last_chunk_mut()
    }

    /// Adds a number in decimal, at the right end of a field of at least that width.
    ///
    /// This and [`put_hex`](Self::put_hex) are what `print` does with `{:>width$}` and `{:0width$x}`, in a
    /// tenth of the instructions: files of many numbers are read in loops.
    pub fn put_decimal(&mut self, value: u64, width: usize) {
        let mut field = [b' '; FIELD];
        let start = write_decimal(&mut field, value).min(FIELD.saturating_sub(width));
        self.put(field.get(start..).unwrap_or_default());
    }

    /// Adds a number in hexadecimal, with zeros in front up to that width.
    pub fn put_hex(&mut self, value: u64, width: usize) {
        let mut field = [b'0'; FIELD];
        let digits = ((u64::BITS - value.leading_zeros()).div_ceil(4) as usize).max(width).clamp(1, FIELD);
        let mut rest = value;
        for digit in field.iter_mut().rev().take(digits) {
            *digit = HEX[(rest & 15) as usize];
            rest >>= 4;
        }
        self.put(&field[FIELD - digits..]);
    }

    /// Adds bytes, each of these and the backslash as `\ooo`: how Linux keeps names from breaking a
    /// line's format.
    pub fn put_escaped(&mut self, bytes: &[u8], special: &[u8]) {
        for &byte in bytes {
            if byte == b'\\' || special.contains(&byte) {
                self.print(format_args!("\\{byte:03o}"));
            } else {
                self.put(&[byte]);
            }
        }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Forgets the text, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.failed = false;
    }
    /// The text. ENOMEM if some of it is missing.
    pub fn bytes(&self) -> Result<&[u8], Errno> {
        if self.failed { Err(Errno::ENOMEM) } else { Ok(&self.bytes) }
    }
    /// The text, to keep.
    pub fn into_bytes(self) -> Result<Vec<u8>, Errno> {
        if self.failed { Err(Errno::ENOMEM) } else { Ok(self.bytes) }
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        if self.failed { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_print_writes_them() {
        for value in
            [0, 1, 7, 9, 10, 15, 16, 99, 100, 4095, 65_536, 99_999_999, u64::from(u32::MAX), u64::MAX]
        {
            for width in [0, 1, 2, 8, 16, 20] {
                let (mut fast, mut slow) = (Text::new(), Text::new());
                fast.put_decimal(value, width);
                fast.put_hex(value, width);
                slow.print(format_args!("{value:>width$}{value:0width$x}"));
                assert_eq!(fast.bytes(), slow.bytes(), "{value} in {width}");
            }
        }
    }

    #[test]
    fn names_are_escaped() {
        let mut text = Text::new();
        text.put_escaped(b"a b\n\\c", b" \n");
        text.print(format_args!("{:>4}", 7));
        assert_eq!(text.bytes(), Ok(b"a\\040b\\012\\134c   7".as_slice()));
        text.clear();
        assert!(text.is_empty());
    }
}
