//! The events, and how one fits into three words.

use crate::addr::PhysAddr;
use core::fmt;

/// What can be turned on by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Group {
    /// The life of page tables.
    PgTable,
    /// Walks by readers without a lock.
    Walk,
    /// Grace periods.
    Rcu,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PgTable, Self::Walk, Self::Rcu];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PgTable => "pgtable",
            Self::Walk => "walk",
            Self::Rcu => "rcu",
        }
    }
    pub(super) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Groups(u32);

impl Groups {
    /// None.
    pub const NONE: Self = Self(0);

    pub(super) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
    pub(super) const fn bits(self) -> u32 {
        self.0
    }
    /// Whether the group is in the set.
    pub const fn has(self, group: Group) -> bool {
        self.0 & group.bit() != 0
    }
    /// With that group.
    #[must_use]
    pub const fn with(self, group: Group) -> Self {
        Self(self.0 | group.bit())
    }
    /// The set that a list of names (with commas, or spaces) gives; `all` is all of them. The first name
    /// that there is not is the error.
    pub fn parse(names: &str) -> Result<Self, &str> {
        let mut groups = Self::NONE;
        for name in names.split([',', ' ', '\n']).filter(|name| !name.is_empty()) {
            if name == "all" {
                Group::ALL.into_iter().for_each(|group| groups = groups.with(group));
                continue;
            }
            let group = Group::ALL.into_iter().find(|group| group.name() == name).ok_or(name)?;
            groups = groups.with(group);
        }
        Ok(groups)
    }
}

/// The names, with blanks between.
impl fmt::Display for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        for group in Group::ALL.into_iter().filter(|&group| self.has(group)) {
            write!(f, "{blank}{}", group.name())?;
            blank = " ";
        }
        Ok(())
    }
}

/// Something that happened. A table is named by its address, a group of tables by that of the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A table was handed out that was never used before.
    Alloc(PhysAddr),
    /// A table was handed out that had been freed by its last user.
    Reuse(PhysAddr),
    /// An upper table points to it from now on.
    Link {
        /// The table.
        table: PhysAddr,
        /// Its level; the root's is 0.
        level: u8,
    },
    /// Nothing points to it any more.
    Unlink {
        /// The table.
        table: PhysAddr,
        /// Its level.
        level: u8,
    },
    /// Every CPU has forgotten translations.
    Flush {
        /// How many leaves; `u32::MAX`: the whole address space.
        leaves: u32,
        /// How many tables hung on it.
        tables: u32,
    },
    /// It waits for a grace period from now on.
    Queue(PhysAddr),
    /// It may be handed out again: its grace period is over.
    Free(PhysAddr),
    /// It may be handed out again at once: nobody could see it, or the scheme does not wait.
    Release(PhysAddr),
    /// A page of tables came from the frame allocator.
    PageNew(PhysAddr),
    /// A page of tables went back.
    PageGone(PhysAddr),
    /// A reader began a section of a walk.
    WalkBegin {
        /// The root.
        root: PhysAddr,
        /// The address at which it begins.
        at: u64,
    },
    /// It ended it.
    WalkEnd {
        /// The root.
        root: PhysAddr,
        /// The address at which it ended.
        at: u64,
    },
    /// A grace period began.
    GraceBegin {
        /// Its number.
        seq: u64,
        /// The CPUs that it waits for, a bit each.
        cpus: u64,
    },
    /// It ended.
    GraceEnd {
        /// Its number.
        seq: u64,
    },
    /// CPUs passed a quiescent state that it waited for.
    Quiescent {
        /// A bit each.
        cpus: u64,
        /// Those that it still waits for.
        left: u64,
    },
}

/// An event as the ring holds it.
pub(super) type Words = (u8, u64, u64);

impl Event {
    pub(super) const fn to_words(self) -> Words {
        match self {
            Self::Alloc(table) => (0, table.get(), 0),
            Self::Reuse(table) => (1, table.get(), 0),
            Self::Link { table, level } => (2, table.get(), level as u64),
            Self::Unlink { table, level } => (3, table.get(), level as u64),
            Self::Flush { leaves, tables } => (4, leaves as u64, tables as u64),
            Self::Queue(table) => (5, table.get(), 0),
            Self::Free(table) => (6, table.get(), 0),
            Self::Release(table) => (7, table.get(), 0),
            Self::PageNew(page) => (8, page.get(), 0),
            Self::PageGone(page) => (9, page.get(), 0),
            Self::WalkBegin { root, at } => (10, root.get(), at),
            Self::WalkEnd { root, at } => (11, root.get(), at),
            Self::GraceBegin { seq, cpus } => (12, seq, cpus),
            Self::GraceEnd { seq } => (13, seq, 0),
            Self::Quiescent { cpus, left } => (14, cpus, left),
        }
    }

    pub(super) const fn from_words((kind, a, b): Words) -> Option<Self> {
        let table = PhysAddr::new(a);
        Some(match kind {
            0 => Self::Alloc(table),
            1 => Self::Reuse(table),
            2 => Self::Link { table, level: b as u8 },
            3 => Self::Unlink { table, level: b as u8 },
            4 => Self::Flush { leaves: a as u32, tables: b as u32 },
            5 => Self::Queue(table),
            6 => Self::Free(table),
            7 => Self::Release(table),
            8 => Self::PageNew(table),
            9 => Self::PageGone(table),
            10 => Self::WalkBegin { root: table, at: b },
            11 => Self::WalkEnd { root: table, at: b },
            12 => Self::GraceBegin { seq: a, cpus: b },
            13 => Self::GraceEnd { seq: a },
            14 => Self::Quiescent { cpus: a, left: b },
            _ => return None,
        })
    }
}

/// `pgtable_link: table=0x1234800 level=2`
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Alloc(table) => write!(f, "pgtable_alloc: table={:#x}", table.get()),
            Self::Reuse(table) => write!(f, "pgtable_reuse: table={:#x}", table.get()),
            Self::Link { table, level } => {
                write!(f, "pgtable_link: table={:#x} level={level}", table.get())
            }
            Self::Unlink { table, level } => {
                write!(f, "pgtable_unlink: table={:#x} level={level}", table.get())
            }
            Self::Flush { leaves: u32::MAX, tables } => {
                write!(f, "pgtable_flush: leaves=all tables={tables}")
            }
            Self::Flush { leaves, tables } => write!(f, "pgtable_flush: leaves={leaves} tables={tables}"),
            Self::Queue(table) => write!(f, "pgtable_queue: table={:#x}", table.get()),
            Self::Free(table) => write!(f, "pgtable_free: table={:#x}", table.get()),
            Self::Release(table) => write!(f, "pgtable_release: table={:#x}", table.get()),
            Self::PageNew(page) => write!(f, "pgtable_page_new: page={:#x}", page.get()),
            Self::PageGone(page) => write!(f, "pgtable_page_gone: page={:#x}", page.get()),
            Self::WalkBegin { root, at } => write!(f, "walk_begin: root={:#x} at={at:#x}", root.get()),
            Self::WalkEnd { root, at } => write!(f, "walk_end: root={:#x} at={at:#x}", root.get()),
            Self::GraceBegin { seq, cpus } => write!(f, "rcu_gp_begin: seq={seq:#x} cpus={cpus:#x}"),
            Self::GraceEnd { seq } => write!(f, "rcu_gp_end: seq={seq:#x}"),
            Self::Quiescent { cpus, left } => {
                write!(f, "rcu_quiescent: cpus={cpus:#x} left={left:#x}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_comes_back_from_its_words() {
        let mut kinds = 0;
        for kind in 0..=u8::MAX {
            if let Some(event) = Event::from_words((kind, 0x1000, 3)) {
                let (again, a, b) = event.to_words();
                assert_eq!((again, a), (kind, 0x1000));
                assert_eq!(Event::from_words((again, a, b)), Some(event));
                assert!(std::format!("{event}").contains(": "), "{event}");
                kinds += 1;
            }
        }
        assert_eq!(kinds, 15);
    }

    #[test]
    fn names_of_groups() {
        assert_eq!(Groups::parse(""), Ok(Groups::NONE));
        assert_eq!(Groups::parse("rcu, walk"), Ok(Groups::NONE.with(Group::Rcu).with(Group::Walk)));
        assert_eq!(Groups::parse("walk,nonsense"), Err("nonsense"));
        let all = Groups::parse("all").expect("all");
        assert!(Group::ALL.into_iter().all(|group| all.has(group)));
    }
}
