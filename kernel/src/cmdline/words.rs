//! Splitting a command line into words.

use core::fmt;

/// One word, `name` or `name=value`; a double quote at either end of the value (or of the word) is
/// taken off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word<'a> {
    /// What stands before the first `=`, or all of it.
    pub name: &'a [u8],
    /// What stands behind the first `=`; empty if there is none.
    pub value: &'a [u8],
    /// Whether there was a `=`.
    pub has_value: bool,
}

impl<'a> Word<'a> {
    fn parse(word: &'a [u8]) -> Self {
        let word = word.strip_prefix(b"\"").map_or(word, unquote_end);
        match word.iter().position(|&byte| byte == b'=') {
            Some(at) => Self { name: &word[..at], value: unquote(&word[at + 1..]), has_value: true },
            None => Self { name: word, value: b"", has_value: false },
        }
    }

    /// Whether this is its name; `-` and `_` are the same letter.
    pub fn is_named(&self, name: &str) -> bool {
        let fold = |byte: u8| if byte == b'-' { b'_' } else { byte };
        self.name.len() == name.len()
            && self.name.iter().zip(name.as_bytes()).all(|(&a, &b)| fold(a) == fold(b))
    }
}

fn unquote_end(text: &[u8]) -> &[u8] {
    text.strip_suffix(b"\"").unwrap_or(text)
}

fn unquote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\"").map_or(text, unquote_end)
}

/// What does not print is escaped.
impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.has_value { "=" } else { "" };
        write!(f, "{}{equals}{}", self.name.escape_ascii(), self.value.escape_ascii())
    }
}

impl fmt::Debug for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Word({self})")
    }
}

/// Words separated by blanks; within double quotes a blank does not separate.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
    /// Whether `--` ends them.
    stops: bool,
}

fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0
}

impl<'a> Words<'a> {
    /// All words before `--`.
    pub(super) fn before_dashes(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, stops: true }
    }

    /// All words behind the first `--`, further ones among them.
    pub(super) fn behind_dashes(bytes: &'a [u8]) -> Self {
        let mut words = Self { rest: bytes, stops: false };
        while let Some((word, rest)) = words.split() {
            words.rest = rest;
            if word == b"--" {
                break;
            }
        }
        words
    }

    /// The next word as it stands, and what is behind it.
    fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        let start = self.rest.iter().position(|&byte| !is_blank(byte))?;
        let rest = &self.rest[start..];
        let mut quoted = false;
        let end = rest.iter().position(|&byte| {
            quoted ^= byte == b'"';
            !quoted && is_blank(byte)
        });
        // A quote that is never closed reaches to the end.
        Some(rest.split_at(end.unwrap_or(rest.len())))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let (word, rest) = self.split()?;
        self.rest = rest;
        if self.stops && word == b"--" {
            self.rest = b"";
            return None;
        }
        Some(Word::parse(word))
    }
}
