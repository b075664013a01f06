//! How a mapping is mapped: its flags, as smaps' `VmFlags` knows them.

use crate::arch::paging::Access;
use core::ops::{BitAnd, BitOr, Not};

/// A set of the constants.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct VmFlags(u64);

impl VmFlags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// A program may load from it (`rd`).
    pub const READ: Self = Self(1 << 0);
    /// Store to it (`wr`).
    pub const WRITE: Self = Self(1 << 1);
    /// Execute it (`ex`).
    pub const EXEC: Self = Self(1 << 2);
    /// Stores go to the object (`sh`).
    pub const SHARED: Self = Self(1 << 3);
    /// `mprotect` may allow to load (`mr`).
    pub const MAY_READ: Self = Self(1 << 4);
    /// To store (`mw`).
    pub const MAY_WRITE: Self = Self(1 << 5);
    /// To execute (`me`).
    pub const MAY_EXEC: Self = Self(1 << 6);
    /// It is shared between those who inherit it or map the object for writing (`ms`).
    pub const MAY_SHARE: Self = Self(1 << 7);
    /// It grows down (`gd`).
    pub const GROWSDOWN: Self = Self(1 << 8);
    /// Counted as locked (`lo`).
    pub const LOCKED: Self = Self(1 << 9);
    /// It will be read from one end to the other (`sr`).
    pub const SEQUENTIAL: Self = Self(1 << 10);
    /// At random (`rr`).
    pub const RANDOM: Self = Self(1 << 11);
    /// A child does not inherit it (`dc`).
    pub const DONT_FORK: Self = Self(1 << 12);
    /// It does not grow by `mremap` (`de`).
    pub const DONT_EXPAND: Self = Self(1 << 13);
    /// Counted as committed (`ac`).
    pub const ACCOUNT: Self = Self(1 << 14);
    /// Not counted by wish (`nr`).
    pub const NORESERVE: Self = Self(1 << 15);
    /// A child finds zeros (`wf`).
    pub const WIPE_ON_FORK: Self = Self(1 << 16);
    /// Left out of dumps (`dd`).
    pub const DONT_DUMP: Self = Self(1 << 17);
    /// The kernel's own part of a program.
    pub const SPECIAL: Self = Self(1 << 18);

    /// What the flags say by their names in smaps' `VmFlags`, in that line's order.
    pub const NAMES: [(Self, &'static str); 18] = [
        (Self::READ, "rd"),
        (Self::WRITE, "wr"),
        (Self::EXEC, "ex"),
        (Self::SHARED, "sh"),
        (Self::MAY_READ, "mr"),
        (Self::MAY_WRITE, "mw"),
        (Self::MAY_EXEC, "me"),
        (Self::MAY_SHARE, "ms"),
        (Self::GROWSDOWN, "gd"),
        (Self::LOCKED, "lo"),
        (Self::SEQUENTIAL, "sr"),
        (Self::RANDOM, "rr"),
        (Self::DONT_FORK, "dc"),
        (Self::DONT_EXPAND, "de"),
        (Self::ACCOUNT, "ac"),
        (Self::NORESERVE, "nr"),
        (Self::WIPE_ON_FORK, "wf"),
        (Self::DONT_DUMP, "dd"),
    ];

    /// Whether all of these are in it.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
    /// Without these.
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
    /// With these or without, as it says.
    pub const fn set(self, flags: Self, on: bool) -> Self {
        if on { Self(self.0 | flags.0) } else { self.without(flags) }
    }
    /// What a program may do, as it was said.
    pub const fn access(self) -> Access {
        Access { read: self.has(Self::READ), write: self.has(Self::WRITE), execute: self.has(Self::EXEC) }
    }
    /// With another access.
    pub const fn with_access(self, access: Access) -> Self {
        self.set(Self::READ, access.read).set(Self::WRITE, access.write).set(Self::EXEC, access.execute)
    }
    /// What `mprotect` may allow.
    pub const fn most(self) -> Access {
        Access {
            read: self.has(Self::MAY_READ),
            write: self.has(Self::MAY_WRITE),
            execute: self.has(Self::MAY_EXEC),
        }
    }
    /// With another limit for `mprotect`.
    pub const fn with_most(self, most: Access) -> Self {
        self.set(Self::MAY_READ, most.read).set(Self::MAY_WRITE, most.write).set(Self::MAY_EXEC, most.execute)
    }
    /// Whether stores stay with the address space.
    pub const fn is_private(self) -> bool {
        !self.has(Self::SHARED)
    }
}

impl BitOr for VmFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
impl BitAnd for VmFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}
impl Not for VmFlags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}
