//! One descriptor for each frame: who has it, and one pointer for the owner's own use.
//!
//! ```text
//!          alloc              the last reference is dropped
//!   Free ---------> Allocated ------------------------------> Waiting
//!    ^                 |                                         |
//!    +-----------------+<----------------------------------------+
//!          free                    a grace period later
//! ```
//!
//! Only the first frame of a block is `Allocated`; the others stay `Free`, so taking a large block
//! writes one descriptor. Whether a free block is in a CPU's cache or in the lists is not noted: nobody
//! would do anything else for it. `Reserved` frames are in the table and never handed out: the kernel's
//! image, firmware, holes between the ranges of memory.
//!
//! 16 bytes a frame are 0.4 % of memory with 4 KB frames. Linux' `struct page` has 64, in which
//! every user overlays his own fields; that one field served as list link and as RCU head is how a
//! page table came to be corrupted (H5). Here an owner that needs more keeps a structure of its own
//! and its address in the descriptor.

use core::fmt;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// What a frame is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Anything not listed below.
    Kernel = 0,
    /// A kernel stack.
    Stack,
    /// Page tables.
    PageTable,
    /// Small objects.
    Slab,
    /// The heap's large blocks.
    Heap,
    /// Memory of user programs.
    User,
    /// A page of a file.
    File,
    /// A page of memory that programs share.
    Shmem,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kernel,
        Self::Stack,
        Self::PageTable,
        Self::Slab,
        Self::Heap,
        Self::User,
        Self::File,
        Self::Shmem,
    ];

    /// What statistics call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Stack => "stack",
            Self::PageTable => "page table",
            Self::Slab => "slab",
            Self::Heap => "heap",
            Self::User => "user",
            Self::File => "file",
            Self::Shmem => "shared",
        }
    }

    fn from_bits(bits: u8) -> Self {
        // Never the default: the word is written by this module alone.
        Self::ALL.get(usize::from(bits)).copied().unwrap_or(Self::Kernel)
    }
}

/// Where a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum State {
    /// Never handed out.
    Reserved = 0,
    /// Part of a free block, or of an allocated one and not its first.
    Free = 1,
    /// The first frame of a block that has an owner.
    Allocated = 2,
    /// The same, after its last owner: it waits for a grace period.
    Waiting = 3,
}

/// A descriptor's first word, decoded.
///
/// ```text
///  31      25    24     23    16 15     8 7      0
///  | 0       | poisoned |  kind  | order  | state |
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Word {
    /// Where it is.
    pub state: State,
    /// Log2 of the frames in the block that begins here; 0 unless `Allocated`.
    pub order: u8,
    /// What for; meaningless unless `Allocated`.
    pub kind: Kind,
    /// The frame was filled with the poison pattern when it was freed.
    pub poisoned: bool,
}

impl Word {
    pub(super) const FREE: Self = Self { state: State::Free, order: 0, kind: Kind::Kernel, poisoned: false };
    pub(super) const RESERVED: Self = Self { state: State::Reserved, ..Self::FREE };

    const fn bits(self) -> u32 {
        (self.poisoned as u32) << 24 | (self.kind as u32) << 16 | (self.order as u32) << 8 | self.state as u32
    }

    fn from_bits(bits: u32) -> Self {
        let [poisoned, kind, order, state] = bits.to_be_bytes();
        let state = match state {
            1 => State::Free,
            2 => State::Allocated,
            3 => State::Waiting,
            _ => State::Reserved,
        };
        Self { state, order, kind: Kind::from_bits(kind), poisoned: poisoned & 1 != 0 }
    }
}

/// One frame's descriptor.
#[derive(Debug)]
#[repr(C)]
pub struct Descriptor {
    word: AtomicU32,
    /// References to a frame that is shared by counting; else 0.
    references: AtomicU32,
    owner: AtomicPtr<()>,
}

impl Descriptor {
    /// Without an owner.
    pub(super) const fn new(word: Word) -> Self {
        Self {
            word: AtomicU32::new(word.bits()),
            references: AtomicU32::new(0),
            owner: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// State, order, kind. Old by the time one looks at it, unless one owns the frame.
    pub fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Relaxed))
    }
    /// The kind alone: of a frame to which the caller has a reference.
    #[inline]
    pub fn kind(&self) -> Kind {
        Kind::from_bits((self.word.load(Ordering::Relaxed) >> 16) as u8)
    }
    /// The pointer that the frame's owner left here, null if none.
    #[inline(always)]
    pub fn owner(&self) -> *mut () {
        // Acquire: pairs with the Release in `set_owner`: what it points to was written before.
        self.owner.load(Ordering::Acquire)
    }
    /// For the frame's owner: how his own structure is found from the frame. Null again when the
    /// frame is freed.
    pub fn set_owner(&self, owner: *mut ()) {
        // Release: pairs with the Acquire in `owner`.
        self.owner.store(owner, Ordering::Release);
    }

    /// The frame is counted from now on; there is one reference.
    pub(in crate::mm) fn begin_sharing(&self) {
        self.references.store(1, Ordering::Relaxed);
    }
    /// How many references there are.
    pub fn references(&self) -> u32 {
        self.references.load(Ordering::Relaxed)
    }
    /// One more, by somebody who has one.
    #[inline]
    pub(in crate::mm) fn get(&self) {
        self.references.fetch_add(1, Ordering::Relaxed);
    }
    /// One less; gives those that are left. After the last the frame is `Waiting`, and the caller's.
    pub(in crate::mm) fn put(&self) -> Result<u32, Misuse> {
        // Release and Acquire: pair with each other: what others did with their references happened
        // before what the last one does with the frame.
        let less = |references: u32| references.checked_sub(1);
        let seen = self
            .references
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, less)
            .map_err(|_| Misuse::NoReference)?;
        if seen == 1 {
            self.set(Word { state: State::Waiting, ..self.word() });
        }
        Ok(seen - 1)
    }

    /// For whoever has the frame exclusively: no other CPU changes the word meanwhile.
    pub(super) fn set(&self, word: Word) {
        self.word.store(word.bits(), Ordering::Relaxed);
    }

    /// From `Allocated` with that order to `Free`: of two that free the same block, one succeeds.
    pub(super) fn release(&self, order: u8) -> Result<Kind, Misuse> {
        let seen = self.word.load(Ordering::Relaxed);
        let word = Word::from_bits(seen);
        match word.state {
            State::Reserved => return Err(Misuse::Reserved),
            State::Free | State::Waiting => return Err(Misuse::NotAllocated),
            State::Allocated if word.order != order => {
                return Err(Misuse::WrongOrder { is: word.order, given: order });
            }
            State::Allocated if self.references() != 0 => return Err(Misuse::Shared),
            State::Allocated => {}
        }
        // Relaxed: the block's contents change hands under the lock of the list it goes to.
        match self.word.compare_exchange(seen, Word::FREE.bits(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => {
                self.owner.store(core::ptr::null_mut(), Ordering::Relaxed);
                Ok(word.kind)
            }
            Err(_) => Err(Misuse::NotAllocated),
        }
    }
}

/// What was wrong with a request to free a block. Nothing was freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Misuse {
    /// No memory of this allocator lies there.
    Foreign,
    /// The frame is reserved.
    Reserved,
    /// The frame is free, waiting, or inside a block: most likely it was freed twice.
    NotAllocated,
    /// The frame is shared by counting, and somebody has a reference.
    Shared,
    /// A reference to a shared frame that has none.
    NoReference,
    /// The block belongs to somebody else.
    WrongKind {
        /// What it is used for.
        is: Kind,
    },
    /// The pointer is not where the block begins.
    NotStart,
    /// The block has another order.
    WrongOrder {
        /// The order it was allocated with.
        is: u8,
        /// The order given to free it.
        given: u8,
    },
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("free of a foreign frame"),
            Self::Reserved => f.write_str("free of a reserved frame"),
            Self::Shared => f.write_str("free of a frame to which there are references"),
            Self::NoReference => f.write_str("reference dropped that nobody held"),
            Self::NotAllocated => f.write_str("double free, or free of a frame inside a block"),
            Self::WrongKind { is } => write!(f, "free of a frame of another kind: {}", is.name()),
            Self::NotStart => f.write_str("free of a pointer into the middle of a frame"),
            Self::WrongOrder { is, given } => write!(f, "free with order {given} of a block of order {is}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_encoding() {
        for state in [State::Reserved, State::Free, State::Allocated, State::Waiting] {
            for kind in Kind::ALL {
                for poisoned in [false, true] {
                    let word = Word { state, order: 7, kind, poisoned };
                    assert_eq!(Word::from_bits(word.bits()), word);
                }
            }
        }
        assert_eq!(core::mem::size_of::<Descriptor>(), 16);
    }

    #[test]
    fn a_block_is_released_once() {
        let descriptor = Descriptor::new(Word::FREE);
        descriptor.set(Word { state: State::Allocated, order: 1, kind: Kind::Stack, poisoned: false });
        assert_eq!(descriptor.release(0), Err(Misuse::WrongOrder { is: 1, given: 0 }));
        assert_eq!(descriptor.release(1), Ok(Kind::Stack));
        assert_eq!(descriptor.release(1), Err(Misuse::NotAllocated));
        descriptor.set(Word { state: State::Allocated, order: 0, kind: Kind::User, poisoned: false });
        descriptor.begin_sharing();
        descriptor.get();
        assert_eq!(descriptor.release(0), Err(Misuse::Shared));
        assert_eq!((descriptor.put(), descriptor.put()), (Ok(1), Ok(0)));
        assert_eq!(descriptor.release(0), Err(Misuse::NotAllocated));
        assert_eq!(descriptor.put(), Err(Misuse::NoReference));
        assert_eq!(Descriptor::new(Word::RESERVED).release(0), Err(Misuse::Reserved));
    }
}
