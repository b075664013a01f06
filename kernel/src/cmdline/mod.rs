//! The kernel command line: `name=value` words, Linux' names where Linux has one.
//!
//! Nothing is stored: a [`CommandLine`] is the bytes that the machine handed over, and a question
//! reads them again. The rejected alternative, a structure with one field per parameter, makes this
//! file know every subsystem; here a parameter is one line in [`params::KNOWN`], and its subsystem
//! asks for it by name. Reading again costs microseconds, a few times per boot.
//!
//! Every function is total: the bytes come from whoever started the machine, and need be neither
//! UTF-8 nor sensible. What is not understood is logged and skipped, as Linux does: an unknown word
//! is kept for init ([`CommandLine::for_init`]), a bad value leaves the default. Words after `--`
//! are init's.

mod number;
mod params;
mod words;

pub use params::{KNOWN, Kind, Parameter};
pub use words::{Word, Words};

use core::fmt;
use core::sync::atomic::{AtomicPtr, Ordering};

/// A kernel command line, bytes as given.
#[derive(Clone, Copy)]
pub struct CommandLine<'a>(&'a [u8]);

impl<'a> CommandLine<'a> {
    /// The command line with these bytes; any will do.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The words before `--`.
    pub fn words(self) -> Words<'a> {
        Words::before_dashes(self.0)
    }

    /// The value of the last word with that name (`-` and `_` are the same letter, as in Linux). A
    /// word without `=` has an empty value. `None` if the name does not occur or its value is bad.
    pub fn text(self, name: &str) -> Option<&'a [u8]> {
        self.words().filter(|word| word.is_named(name) && params::is_valid(word)).last().map(|w| w.value)
    }

    /// Whether a word of that name occurs.
    pub fn flag(self, name: &str) -> bool {
        self.text(name).is_some()
    }

    /// A number, decimal or `0x` hexadecimal.
    pub fn number(self, name: &str) -> Option<u64> {
        number::number(self.text(name)?)
    }

    /// A number of bytes, with an optional suffix `K`, `M`, `G` or `T`.
    pub fn size(self, name: &str) -> Option<u64> {
        number::size(self.text(name)?)
    }

    /// What init gets as arguments: words the kernel does not know, then all behind `--`.
    pub fn for_init(self) -> impl Iterator<Item = Word<'a>> {
        let unknown = self.words().filter(|word| params::find(word).is_none());
        unknown.chain(Words::behind_dashes(self.0))
    }

    /// What is wrong with it, word by word.
    pub fn complaints(self) -> impl Iterator<Item = Complaint<'a>> {
        self.words().filter_map(|word| params::complaint(&word))
    }
}

/// The bytes, with what does not print escaped.
impl fmt::Display for CommandLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for CommandLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandLine({self})")
    }
}

/// A word that the kernel does not use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Complaint<'a> {
    /// No parameter has that name; init gets it.
    Unknown(Word<'a>),
    /// The parameter does not take that value; the default stays.
    BadValue(Word<'a>, Kind),
    /// The parameter is Linux' or planned, and nothing in this kernel asks for it.
    NotYet(Word<'a>),
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "unknown parameter '{word}', kept for init"),
            Self::BadValue(word, kind) => write!(f, "bad value in '{word}', ignored: {kind} is wanted"),
            Self::NotYet(word) => write!(f, "'{word}' has no effect yet"),
        }
    }
}

static GIVEN: AtomicPtr<&'static [u8]> = AtomicPtr::new(core::ptr::null_mut());

/// Remembers the machine's command line; called once, first thing at boot.
pub fn set(bytes: &'static &'static [u8]) {
    // Release: pairs with the Acquire in `get`.
    GIVEN.store(core::ptr::from_ref(bytes).cast_mut(), Ordering::Release);
}

/// The kernel's own command line; empty before `set`.
pub fn get() -> CommandLine<'static> {
    // SAFETY: null or the `&'static &'static [u8]` given to `set`.
    CommandLine(unsafe { GIVEN.load(Ordering::Acquire).as_ref() }.copied().unwrap_or_default())
}

#[cfg(test)]
mod tests;
