//! Where bytes go to and come from: [`Dest`] and [`Source`].
//!
//! A file's code is the same whether a program reads, the kernel does (an ELF header), or a test: it
//! puts its bytes into a [`Dest`] and takes them from a [`Source`]. Each is a list of pieces, as
//! `readv` has them, in one memory: a program's, or a slice.
//!
//! A bad address stops the copy where it lies, to the byte: what came before counts, and only a copy
//! of nothing is EFAULT, as in Linux. Addresses of programs fault by pages, so a copy that failed is
//! repeated page by page.

use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::error::Errno;
use crate::sync::MaySleep;

/// A program's memory. The running task's address space; tests make their own.
pub trait UserMemory {
    /// Copies from the program's memory. EFAULT leaves `into` in any state.
    fn read(&self, ctx: &mut MaySleep, from: VirtAddr, into: &mut [u8]) -> Result<(), Errno>;
    /// Copies into the program's memory. EFAULT leaves that in any state.
    fn write(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno>;
}

/// Bytes at an address of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Where.
    pub at: VirtAddr,
    /// How many.
    pub len: usize,
}

impl Piece {
    /// The piece without its first bytes, of which it has that many.
    fn behind(self, bytes: usize) -> Self {
        Self { at: VirtAddr::new(self.at.get().wrapping_add(bytes as u64)), len: self.len - bytes }
    }
    /// Its beginning: up to the end of its page, and at most `most` bytes.
    fn in_page(self, most: usize) -> Self {
        let to_border = PAGE_SIZE - self.at.get() % PAGE_SIZE;
        Self { at: self.at, len: self.len.min(most).min(to_border as usize) }
    }
}

/// Pieces, what is left of them.
#[derive(Clone, Copy)]
struct Pieces<'a> {
    first: Piece,
    rest: &'a [Piece],
}

impl<'a> Pieces<'a> {
    const EMPTY: Piece = Piece { at: VirtAddr::new(0), len: 0 };

    fn new(pieces: &'a [Piece]) -> Self {
        Self { first: Self::EMPTY, rest: pieces }
    }
    fn len(&self) -> usize {
        self.rest.iter().fold(self.first.len, |sum, piece| sum.saturating_add(piece.len))
    }
    /// The next bytes that lie together, at least one; `None` at the end.
    fn front(&mut self) -> Option<Piece> {
        while self.first.len == 0 {
            let (first, rest) = self.rest.split_first()?;
            (self.first, self.rest) = (*first, rest);
        }
        Some(self.first)
    }
    fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let Some(front) = self.front() else { return };
            let step = front.len.min(bytes);
            self.first = front.behind(step);
            bytes -= step;
        }
    }
}

enum To<'a> {
    Slice(&'a mut [u8]),
    User(&'a dyn UserMemory, Pieces<'a>),
}

/// Where bytes go.
pub struct Dest<'a> {
    to: To<'a>,
    done: usize,
}

/// Bytes that are copied at once by those who need a buffer between.
pub const BOUNCE: usize = 512;

impl<'a> Dest<'a> {
    /// Into a slice.
    pub fn slice(slice: &'a mut [u8]) -> Self {
        Self { to: To::Slice(slice), done: 0 }
    }
    /// Into a program's memory, one piece after the other.
    pub fn user(memory: &'a dyn UserMemory, pieces: &'a [Piece]) -> Self {
        Self { to: To::User(memory, Pieces::new(pieces)), done: 0 }
    }
    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        match &self.to {
            To::Slice(slice) => slice.len() - self.done,
            To::User(_, pieces) => pieces.len(),
        }
    }
    /// Bytes that were put.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Puts as many of the bytes as fit, and says how many. EFAULT if there is room and not one could
    /// be put.
    pub fn put(&mut self, ctx: &mut MaySleep, bytes: &[u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < bytes.len() {
            match self.put_front(ctx, &bytes[done..]) {
                Ok(0) => break,
                Ok(step) => done += step,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Puts that many zeros, or as many as fit.
    pub fn zero(&mut self, ctx: &mut MaySleep, bytes: usize) -> Result<usize, Errno> {
        static ZEROS: [u8; 4096] = [0; 4096];
        self.repeat(ctx, bytes, |left| &ZEROS[..left.min(ZEROS.len())])
    }

    /// Puts what `chunk` gives (for the bytes that are left) again and again.
    fn repeat<'b>(
        &mut self,
        ctx: &mut MaySleep,
        bytes: usize,
        chunk: impl Fn(usize) -> &'b [u8],
    ) -> Result<usize, Errno> {
        let mut done = 0;
        while done < bytes {
            let chunk = chunk(bytes - done);
            match self.put(ctx, chunk) {
                Ok(step) => {
                    done += step;
                    if step < chunk.len() {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn put_front(&mut self, ctx: &mut MaySleep, bytes: &[u8]) -> Result<usize, Errno> {
        let step = match &mut self.to {
            To::Slice(slice) => {
                let room = &mut slice[self.done..];
                let step = room.len().min(bytes.len());
                room[..step].copy_from_slice(&bytes[..step]);
                step
            }
            To::User(memory, pieces) => {
                let Some(front) = pieces.front() else { return Ok(0) };
                let step = front.len.min(bytes.len());
                let step = match memory.write(ctx, front.at, &bytes[..step]) {
                    Ok(()) => step,
                    Err(error) => {
                        let step = front.in_page(step).len;
                        memory.write(ctx, front.at, &bytes[..step]).map_err(|_| error)?;
                        step
                    }
                };
                pieces.skip(step);
                step
            }
        };
        self.done += step;
        Ok(step)
    }
}

enum From<'a> {
    Slice(&'a [u8]),
    User(&'a dyn UserMemory, Pieces<'a>),
}

/// Where bytes come from.
pub struct Source<'a> {
    from: From<'a>,
    done: usize,
}

impl<'a> Source<'a> {
    /// From a slice.
    pub fn slice(slice: &'a [u8]) -> Self {
        Self { from: From::Slice(slice), done: 0 }
    }
    /// From a program's memory, one piece after the other.
    pub fn user(memory: &'a dyn UserMemory, pieces: &'a [Piece]) -> Self {
        Self { from: From::User(memory, Pieces::new(pieces)), done: 0 }
    }
    /// Bytes that are left.
    pub fn left(&self) -> usize {
        match &self.from {
            From::Slice(slice) => slice.len() - self.done,
            From::User(_, pieces) => pieces.len(),
        }
    }
    /// Bytes that were taken.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Takes as many bytes as there are and fit, and says how many. EFAULT if there are some and not
    /// one could be taken.
    pub fn take(&mut self, ctx: &mut MaySleep, into: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < into.len() {
            match self.take_front(ctx, &mut into[done..]) {
                Ok(0) => break,
                Ok(step) => done += step,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Passes over that many bytes, or all that are left: for what swallows what is written.
    pub fn skip(&mut self, bytes: usize) -> usize {
        let step = bytes.min(self.left());
        if let From::User(_, pieces) = &mut self.from {
            pieces.skip(step);
        }
        self.done += step;
        step
    }

    fn take_front(&mut self, ctx: &mut MaySleep, into: &mut [u8]) -> Result<usize, Errno> {
        let step = match &mut self.from {
            From::Slice(slice) => {
                let left = &slice[self.done..];
                let step = left.len().min(into.len());
                into[..step].copy_from_slice(&left[..step]);
                step
            }
            From::User(memory, pieces) => {
                let Some(front) = pieces.front() else { return Ok(0) };
                let step = front.len.min(into.len());
                let step = match memory.read(ctx, front.at, &mut into[..step]) {
                    Ok(()) => step,
                    Err(error) => {
                        let step = front.in_page(step).len;
                        memory.read(ctx, front.at, &mut into[..step]).map_err(|_| error)?;
                        step
                    }
                };
                pieces.skip(step);
                step
            }
        };
        self.done += step;
        Ok(step)
    }
}
