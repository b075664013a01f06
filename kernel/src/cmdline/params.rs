//! Which parameters there are. A new one is one line here; its subsystem asks for it by name.

use super::{Complaint, Word, number};
use core::fmt;

/// What values a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The bare name.
    Flag,
    /// A number from the first to the second.
    Number(u64, u64),
    /// Bytes, with `K`, `M`, `G` or `T`.
    Size,
    /// Anything that is not empty.
    Text,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl Kind {
    fn accepts(self, word: &Word<'_>) -> bool {
        match self {
            Self::Flag => !word.has_value,
            Self::Number(min, max) => number::number(word.value).is_some_and(|n| (min..=max).contains(&n)),
            Self::Size => number::size(word.value).is_some_and(|bytes| bytes > 0),
            Self::Text => !word.value.is_empty(),
            Self::OneOf(values) => values.iter().any(|value| value.as_bytes() == word.value),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("no value"),
            Self::Number(min, max) => write!(f, "a number from {min} to {max}"),
            Self::Size => f.write_str("a number of bytes like 64M"),
            Self::Text => f.write_str("some text"),
            Self::OneOf(values) => {
                f.write_str("one of")?;
                values.iter().try_for_each(|value| write!(f, " {value}"))
            }
        }
    }
}

/// A parameter: its name, the values it takes.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// As on the command line.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// Whether anything asks for it. Who names another gets a warning, not silence.
    pub is_used: bool,
}

const fn param(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_used: true }
}

/// A parameter whose subsystem does not exist yet, or does not ask for it yet.
const fn later(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, is_used: false }
}

/// All parameters, in the order of the alphabet.
pub const KNOWN: &[Parameter] = &[
    later("console", Kind::Text),
    param("debug", Kind::Flag),
    param("fallow.crash", Kind::Text),
    param("init", Kind::Text),
    param("init_on_free", Kind::OneOf(&["0", "1"])),
    param("kunit.action", Kind::OneOf(&["list"])),
    param("kunit.filter_glob", Kind::Text),
    param("kunit_shutdown", Kind::OneOf(&["poweroff"])),
    param("loglevel", Kind::Number(0, 15)),
    param("mem", Kind::Size),
    param("nr_cpus", Kind::Number(1, 4096)),
    param("oops", Kind::OneOf(&["panic"])),
    param("page_poison", Kind::OneOf(&["0", "1"])),
    later("panic", Kind::Number(0, 3600)),
    param("pgtable.free", Kind::OneOf(&["immediate", "ipi", "rcu"])),
    param("pgtable.layout", Kind::OneOf(&["page", "frag", "group"])),
    later("pgtable.mutant", Kind::Text),
    param("quiet", Kind::Flag),
    param("rcupdate.rcu_cpu_stall_timeout", Kind::Number(1, 300)),
    param("torture", Kind::Number(1, 1 << 20)),
    param("trace_event", Kind::Text),
];

/// The parameter that a word names.
pub(super) fn find(word: &Word<'_>) -> Option<&'static Parameter> {
    KNOWN.iter().find(|parameter| word.is_named(parameter.name))
}

/// Whether the word names a parameter and has a value that it takes.
pub(super) fn is_valid(word: &Word<'_>) -> bool {
    find(word).is_some_and(|parameter| parameter.kind.accepts(word))
}

/// Why the kernel does not use the word.
pub(super) fn complaint<'a>(word: &Word<'a>) -> Option<Complaint<'a>> {
    match find(word) {
        None => Some(Complaint::Unknown(*word)),
        Some(parameter) if !parameter.kind.accepts(word) => Some(Complaint::BadValue(*word, parameter.kind)),
        Some(parameter) => (!parameter.is_used).then_some(Complaint::NotYet(*word)),
    }
}
