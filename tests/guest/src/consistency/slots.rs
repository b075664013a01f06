//! What the watched process does with its memory, as a function of how often it has done something.
//!
//! Its address space has *slots*, far apart, each twelve pages with a page on either side that nobody may
//! use. A slot goes round through a few states; each step is one system call, or touches pages. The state
//! follows from the number of steps alone, so a reader who knows that number before and after his read
//! knows what he may have seen.

use crate::harness::memory::{page, poke};
use crate::harness::{Failure, Outcome};
use crate::sys;
use libc::{MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_NONE, PROT_READ, PROT_WRITE};
use std::ops::Range;

/// Pages of a slot.
pub const PAGES: usize = 12;
/// Bytes from one slot to the next: enough for page tables of its own in every layout.
pub const STRIDE: usize = 64 << 20;
const RW: i32 = PROT_READ | PROT_WRITE;

/// What happens to a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing. Every other page was touched.
    Still,
    /// Parts of it lose and regain the right to store: mappings are cut and grow together.
    Split,
    /// A hole is made in it, and filled again.
    Hole,
    /// One half is moved to the place of the other, and back (`mremap`).
    Move,
    /// It grows where it is, and shrinks (`mremap`).
    Grow,
    /// It comes and goes, with its page tables.
    Whole,
    /// The process has a child, which has written to half of it.
    Fork,
}

/// The slots, from the lowest address on.
pub const SLOTS: [Kind; 12] = [
    Kind::Still,
    Kind::Split,
    Kind::Hole,
    Kind::Whole,
    Kind::Move,
    Kind::Still,
    Kind::Grow,
    Kind::Whole,
    Kind::Split,
    Kind::Fork,
    Kind::Hole,
    Kind::Still,
];

/// A mapping in a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its pages, counted from the slot's first.
    pub pages: Range<usize>,
    /// What may be done with it.
    pub rights: &'static str,
    /// Pages that are present.
    pub present: usize,
}

const fn piece(pages: Range<usize>, rights: &'static str, present: usize) -> Piece {
    Piece { pages, rights, present }
}

impl Kind {
    /// After so many steps it is as it was.
    pub fn period(self) -> u64 {
        match self {
            Self::Still => 1,
            Self::Move | Self::Fork => 2,
            Self::Hole | Self::Whole => 3,
            Self::Split | Self::Grow => 4,
        }
    }

    /// The mappings after so many steps.
    pub fn state(self, steps: u64) -> Vec<Piece> {
        match (self, steps % self.period()) {
            (Self::Still, _) => vec![piece(0..12, "rw-p", 6)],
            (Self::Fork, _) | (Self::Split | Self::Hole, 0) => vec![piece(0..12, "rw-p", 12)],
            (Self::Split, 1) => vec![piece(0..4, "rw-p", 4), piece(4..8, "r--p", 4), piece(8..12, "rw-p", 4)],
            (Self::Split, 2) => vec![piece(0..4, "rw-p", 4), piece(4..12, "r--p", 8)],
            (Self::Split, _) => vec![piece(0..12, "r--p", 12)],
            (Self::Hole, 1) => vec![piece(0..4, "rw-p", 4), piece(8..12, "rw-p", 4)],
            (Self::Hole, _) => vec![piece(0..12, "rw-p", 8)],
            (Self::Move, 0) => vec![piece(0..6, "rw-p", 6)],
            (Self::Move, _) => vec![piece(6..12, "rw-p", 6)],
            (Self::Grow, 0) => vec![piece(0..4, "rw-p", 4)],
            (Self::Grow, 1) => vec![piece(0..8, "rw-p", 4)],
            (Self::Grow, 2) => vec![piece(0..12, "rw-p", 4)],
            (Self::Grow, _) => vec![piece(0..12, "rw-p", 12)],
            (Self::Whole, 0) => vec![],
            (Self::Whole, 1) => vec![piece(0..12, "rw-p", 0)],
            (Self::Whole, _) => vec![piece(0..12, "rw-p", 12)],
        }
    }
}

/// A slot of this process.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// What happens to it.
    pub kind: Kind,
    /// Its first address.
    pub start: u64,
}

impl Slot {
    /// The address of a page.
    pub fn at(&self, page_number: usize) -> u64 {
        self.start + (page_number * page()) as u64
    }

    /// Its addresses.
    pub fn range(&self) -> Range<u64> {
        self.start..self.at(PAGES)
    }

    fn map(&self, pages: Range<usize>, rights: i32) -> Outcome {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
        let len = pages.len() * page();
        sys!(mmap(self.at(pages.start) as *mut _, len, rights, flags, -1, 0));
        Ok(())
    }

    fn unmap(&self, pages: Range<usize>) -> Outcome {
        sys!(munmap(self.at(pages.start) as *mut _, pages.len() * page()));
        Ok(())
    }

    fn protect(&self, pages: Range<usize>, rights: i32) -> Outcome {
        sys!(mprotect(self.at(pages.start) as *mut _, pages.len() * page(), rights));
        Ok(())
    }

    fn touch(&self, pages: impl Iterator<Item = usize>) {
        pages.for_each(|n| poke(self.at(n) as *mut u8, 1));
    }

    fn resize(&self, from: usize, to: usize) -> Outcome {
        sys!(mremap(self.start as *mut _, from * page(), to * page(), 0));
        Ok(())
    }

    fn shift(&self, from: usize, to: usize) -> Outcome {
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        let len = 6 * page();
        // SAFETY: from one half of the slot to the other.
        let moved = unsafe { libc::mremap(self.at(from) as *mut _, len, len, flags, self.at(to)) };
        crate::harness::call(moved as i64, "mremap()").map(drop)
    }

    /// Makes the state after no step, out of a room that nobody may use.
    pub fn begin(&self) -> Outcome {
        self.unmap(0..PAGES)?;
        for piece in self.kind.state(0) {
            self.map(piece.pages.clone(), RW)?;
            let each = piece.pages.len() / piece.present.max(1);
            self.touch(piece.pages.step_by(each));
        }
        Ok(())
    }

    /// Does the step after so many. `child` is there for `Fork` alone.
    pub fn step(&self, steps: u64, child: &mut Option<Partner>) -> Outcome {
        match (self.kind, steps % self.kind.period()) {
            (Kind::Still, _) => Ok(()),
            (Kind::Split, 0) => self.protect(4..8, PROT_READ),
            (Kind::Split, 1) => self.protect(8..12, PROT_READ),
            (Kind::Split, 2) => self.protect(0..4, PROT_READ),
            (Kind::Split, _) => self.protect(0..12, RW),
            (Kind::Hole, 0) => self.unmap(4..8),
            (Kind::Hole, 1) => self.map(4..8, RW),
            (Kind::Hole, _) | (Kind::Whole, 1) => {
                self.touch(0..12);
                Ok(())
            }
            (Kind::Move, 0) => self.shift(0, 6),
            (Kind::Move, _) => self.shift(6, 0),
            (Kind::Grow, 0) => self.resize(4, 8),
            (Kind::Grow, 1) => self.resize(8, 12),
            (Kind::Grow, 2) => {
                self.touch(4..12);
                Ok(())
            }
            (Kind::Grow, _) => self.resize(12, 4),
            (Kind::Whole, 0) => self.map(0..12, RW),
            (Kind::Whole, _) => self.unmap(0..12),
            (Kind::Fork, 0) => {
                *child = Some(Partner::new(|| self.touch(0..6))?);
                Ok(())
            }
            (Kind::Fork, _) => child.take().map_or(Ok(()), Partner::end),
        }
    }
}

/// Makes the slots of this process.
pub fn make() -> Result<Vec<Slot>, Failure> {
    let bytes = (SLOTS.len() + 1) * STRIDE;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let room = sys!(mmap(std::ptr::null_mut(), bytes, PROT_NONE, flags, -1, 0)) as usize;
    let first = room.next_multiple_of(STRIDE) + page();
    let slot = |(n, kind)| Slot { kind, start: (first + n * STRIDE) as u64 };
    let slots: Vec<Slot> = SLOTS.into_iter().enumerate().map(slot).collect();
    slots.iter().try_for_each(Slot::begin)?;
    Ok(slots)
}

/// A child that did something, and waits for its end.
pub struct Partner {
    child: crate::harness::child::Child,
    pipe: i32,
}

impl Partner {
    fn new(work: impl FnOnce()) -> Result<Self, Failure> {
        let (mut there, mut back) = ([0; 2], [0; 2]);
        sys!(pipe2(there.as_mut_ptr(), libc::O_CLOEXEC));
        sys!(pipe2(back.as_mut_ptr(), libc::O_CLOEXEC));
        let child = crate::harness::child::fork(|| {
            sys!(close(there[1]));
            work();
            sys!(write(back[1], [1_u8].as_ptr().cast(), 1));
            // Until the other end is closed.
            sys!(read(there[0], [0_u8].as_mut_ptr().cast(), 1));
            Ok(())
        })?;
        sys!(close(there[0]));
        sys!(close(back[1]));
        sys!(read(back[0], [0_u8].as_mut_ptr().cast(), 1));
        sys!(close(back[0]));
        Ok(Self { child, pipe: there[1] })
    }

    /// Lets it end, and waits for that.
    pub fn end(self) -> Outcome {
        sys!(close(self.pipe));
        self.child.succeeds()
    }
}
