//! What is asked of an address space, and what it answers: plain values.

use crate::addr::VirtAddr;
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::mm::object::PageObject;
use alloc::sync::Arc;
use core::ops::{BitOr, Range};

/// What a program does with an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessKind {
    /// It loads.
    Read,
    /// It stores.
    Write,
    /// It executes.
    Execute,
}

/// Why a fault cannot be mended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MmFault {
    /// Nothing is mapped there: SIGSEGV, SEGV_MAPERR.
    MapErr,
    /// What is mapped there forbids it: SIGSEGV, SEGV_ACCERR.
    AccErr,
    /// The object has no such page: SIGBUS, BUS_ADRERR.
    Bus,
    /// No memory: somebody must be ended.
    NoMemory,
}

impl From<MmFault> for Errno {
    /// As a system call reports it that was given the address.
    fn from(_fault: MmFault) -> Self {
        Self::EFAULT
    }
}

/// How something is to be mapped: a set of the constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MapFlags(u32);

impl MapFlags {
    /// None of them: a private mapping, anywhere.
    pub const NONE: Self = Self(0);
    /// Stores go to the object, and all who map it see them; without an object, those who inherit the
    /// mapping.
    pub const SHARED: Self = Self(1 << 0);
    /// At the address, whatever is mapped there goes.
    pub const FIXED: Self = Self(1 << 1);
    /// At the address; EEXIST if something is mapped there.
    pub const FIXED_NOREPLACE: Self = Self(1 << 2);
    /// It grows down to where a program touches below it.
    pub const GROWSDOWN: Self = Self(1 << 3);
    /// Not counted as committed.
    pub const NORESERVE: Self = Self(1 << 4);
    /// Its pages are made at once.
    pub const POPULATE: Self = Self(1 << 5);
    /// It is a stack.
    pub const STACK: Self = Self(1 << 6);
    /// Its pages are counted as locked.
    pub const LOCKED: Self = Self(1 << 7);
    /// The kernel's own part of a program (the trampoline of signals).
    pub const SPECIAL: Self = Self(1 << 8);

    /// Whether all of these are in it.
    pub const fn has(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

impl BitOr for MapFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `mmap`.
pub struct MapRequest {
    /// Where; 0, or a wish, unless the flags say that it must be there.
    pub addr: VirtAddr,
    /// Bytes; rounded up to pages.
    pub len: u64,
    /// What a program may do there now, as it said it.
    pub access: Access,
    /// What `mprotect` may allow later: a shared mapping of a file that is not open for writing leaves
    /// `write` out.
    pub most: Access,
    /// How.
    pub flags: MapFlags,
    /// What is mapped, and from which byte of it on (a multiple of a page); `None`: anonymous memory.
    pub object: Option<(Arc<dyn PageObject>, u64)>,
}

impl MapRequest {
    /// Private anonymous memory, anywhere.
    pub fn anonymous(len: u64, access: Access) -> Self {
        Self { addr: VirtAddr::new(0), len, access, most: Access::RWX, flags: MapFlags::NONE, object: None }
    }
    /// At exactly that address, in the place of what is there.
    pub fn at(self, addr: VirtAddr) -> Self {
        Self { addr, flags: self.flags | MapFlags::FIXED, ..self }
    }
    /// With these flags, too.
    pub fn with(self, flags: MapFlags) -> Self {
        Self { flags: self.flags | flags, ..self }
    }
    /// Of that object, from that byte of it on.
    pub fn of(self, object: Arc<dyn PageObject>, offset: u64) -> Self {
        Self { object: Some((object, offset)), ..self }
    }
}

/// `mremap`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemapRequest {
    /// Where it is.
    pub addr: VirtAddr,
    /// Its bytes; 0 for another mapping of the same shared pages.
    pub old_len: u64,
    /// The bytes it shall have.
    pub new_len: u64,
    /// Whether it may move (MREMAP_MAYMOVE).
    pub may_move: bool,
    /// Where to, whatever is mapped there (MREMAP_FIXED).
    pub to: Option<VirtAddr>,
    /// Whether the old range stays mapped, empty (MREMAP_DONTUNMAP).
    pub keep_old: bool,
}

/// `madvise`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// The contents are not needed any more (MADV_DONTNEED).
    DontNeed,
    /// They may go when memory is short (MADV_FREE). Here they go at once, which is allowed.
    Free,
    /// They go, and the object's pages with them (MADV_REMOVE).
    Remove,
    /// Make the pages, as reading (false) or writing (true) would (MADV_POPULATE_READ, _WRITE).
    Populate(bool),
    /// How it will be used: normal.
    Normal,
    /// At random.
    Random,
    /// From one end to the other.
    Sequential,
    /// Soon. A hint, without an effect here.
    WillNeed,
    /// A child does not inherit it (MADV_DONTFORK), or does (MADV_DOFORK).
    Fork(bool),
    /// A child finds zeros there (MADV_WIPEONFORK), or the contents (MADV_KEEPONFORK).
    WipeOnFork(bool),
    /// It is left out of dumps (MADV_DONTDUMP), or is not.
    Dump(bool),
    /// About large and equal pages: kept for smaps, without an effect.
    Ignored,
}

/// What a process may have: its resource limits, as far as they concern memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// RLIMIT_AS: bytes of all mappings.
    pub address_space: u64,
    /// RLIMIT_DATA: bytes that are private and writable.
    pub data: u64,
    /// RLIMIT_STACK: bytes of a mapping that grows down.
    pub stack: u64,
    /// RLIMIT_MEMLOCK: bytes that are locked.
    pub locked: u64,
}

impl Limits {
    /// None, but the usual 8 MB of stack.
    pub const NONE: Self = Self { address_space: u64::MAX, data: u64::MAX, stack: 8 << 20, locked: u64::MAX };
}

/// What stands where in a program: for `brk`, and for `/proc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks {
    /// The text.
    pub code: (u64, u64),
    /// The data, initialised or not.
    pub data: (u64, u64),
    /// Where `brk` begins, and where it is: [`Mm::set_brk`](super::Mm::set_brk) moves the second.
    pub brk: (u64, u64),
    /// Where the stack pointer was at first.
    pub stack: u64,
    /// The arguments' strings.
    pub args: (u64, u64),
    /// The environment's.
    pub env: (u64, u64),
}

/// Numbers of pages and bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MmStats {
    /// Pages that are mapped, touched or not.
    pub total: u64,
    /// Those that are private and writable, and no stack.
    pub data: u64,
    /// Those that may be executed and not written.
    pub text: u64,
    /// Those of mappings that grow down.
    pub stack: u64,
    /// Those that are counted as locked.
    pub locked: u64,
    /// Those that count as committed.
    pub committed: u64,
    /// Pages in the tables: anonymous.
    pub anon: u64,
    /// Of files.
    pub file: u64,
    /// Of shared memory.
    pub shmem: u64,
    /// The most pages that were in the tables at one time.
    pub most_resident: u64,
    /// The most that were mapped at one time.
    pub most_total: u64,
    /// Bytes of page tables.
    pub table_bytes: u64,
    /// Bytes of a page.
    pub page_bytes: u64,
}

impl MmStats {
    /// Pages in the tables.
    pub fn resident(&self) -> u64 {
        self.anon + self.file + self.shmem
    }
}

/// `mlock` and its relatives, for one range or (`mlockall`) for what is and for what comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockAll {
    /// What is mapped now.
    pub current: bool,
    /// What will be mapped.
    pub future: bool,
}

/// A word that programs wait at and wake others through.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FutexKey {
    /// In private memory, or asked for as private: the address space and the address.
    Private {
        /// The address space's number; each has its own.
        mm: u64,
        /// The address.
        addr: u64,
    },
    /// In shared memory: the object and the byte of it.
    Shared {
        /// The object.
        object: crate::mm::object::Identity,
        /// The byte.
        offset: u64,
    },
}

/// A mapping as `/proc` shows it. A copy: what it names is looked at under the guard that it came from.
#[derive(Clone, Debug)]
pub struct VmaInfo<'g> {
    /// Its addresses.
    pub range: Range<u64>,
    /// How it is mapped.
    pub flags: super::VmFlags,
    /// What is mapped, and from which byte of it on.
    pub object: Option<(&'g Arc<dyn PageObject>, u64)>,
}

impl core::fmt::Debug for dyn PageObject {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.identity())
    }
}
