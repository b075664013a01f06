//! Text that is made to be read once: a growing buffer that says so when there is no memory.

use crate::error::Errno;
use alloc::vec::Vec;
use core::fmt;

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
    fn names_are_escaped() {
        let mut text = Text::new();
        text.put_escaped(b"a b\n\\c", b" \n");
        text.print(format_args!("{:>4}", 7));
        assert_eq!(text.bytes(), Ok(b"a\\040b\\012\\134c   7".as_slice()));
        text.clear();
        assert!(text.is_empty());
    }
}
