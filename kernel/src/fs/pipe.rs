//! Pipes, with and without a name.
//!
//! A ring of 64 KB in pieces of 4 KB, allocated when they are first written to; an empty pipe begins at
//! its first piece again, so a pipe through which little flows has one. What is in the ring is copied
//! twice, in and out, under the pipe's mutex: a page fault in the copy keeps the other end waiting, as
//! in Linux.
//!
//! A write of at most [`PIPE_BUF`] bytes goes in as a whole: it waits until all of it fits. A longer one
//! goes in as far as there is room, and others' bytes may come between its parts.
//!
//! How much is in it and who is at its ends stands in atomic counters beside the mutex: the conditions
//! of those who sleep look at those.

use super::anonymous::{self, PipeInode};
use super::buffer::{Dest, Source};
use super::file::{File, FileOps, OpenFlags};
use super::locks;
use super::mount::Place;
use super::poll::{Events, PollTable};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::proc::process::{self, wait_interruptible};
use crate::sync::{MaySleep, Mutex, SpinLock, WaitQueue};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Bytes that are written as a whole.
pub const PIPE_BUF: usize = 4096;
/// Bytes of a piece.
const PIECE: usize = 4096;
/// Pieces.
const PIECES: usize = 16;
/// Bytes that a pipe holds.
pub const CAPACITY: usize = PIECE * PIECES;

/// The bytes in a pipe.
///
/// # Invariants
/// Each of the pieces in which there are bytes has `PIECE` bytes. `len <= CAPACITY`.
struct Ring {
    pieces: [Vec<u8>; PIECES],
    /// Where the first byte is.
    head: usize,
    len: usize,
}

impl Ring {
    const fn new() -> Self {
        Self { pieces: [const { Vec::new() }; PIECES], head: 0, len: 0 }
    }
    fn room(&self) -> usize {
        CAPACITY - self.len
    }

    /// The bytes that come first, `most` at most, that lie together.
    fn front(&self, most: usize) -> &[u8] {
        let (piece, at) = (self.head / PIECE, self.head % PIECE);
        let len = most.min(self.len).min(PIECE - at);
        self.pieces[piece].get(at..at + len).unwrap_or_default()
    }
    fn consume(&mut self, bytes: usize) {
        self.len -= bytes;
        self.head = if self.len == 0 { 0 } else { (self.head + bytes) % CAPACITY };
    }

    /// Room for the bytes that come next, `most` at most, that lies together.
    fn back(&mut self, most: usize) -> Result<&mut [u8], Errno> {
        let end = (self.head + self.len) % CAPACITY;
        let (piece, at) = (end / PIECE, end % PIECE);
        let len = most.min(self.room()).min(PIECE - at);
        let piece = &mut self.pieces[piece];
        if piece.is_empty() {
            piece.try_reserve_exact(PIECE).map_err(|_| Errno::ENOMEM)?;
            piece.resize(PIECE, 0);
        }
        Ok(&mut piece[at..at + len])
    }

    /// Makes sure that so many bytes find memory.
    fn prepare(&mut self, bytes: usize) -> Result<(), Errno> {
        let begin = self.head + self.len;
        for piece in begin / PIECE..(begin + bytes).div_ceil(PIECE) {
            let piece = &mut self.pieces[piece % PIECES];
            if piece.is_empty() {
                piece.try_reserve_exact(PIECE).map_err(|_| Errno::ENOMEM)?;
                piece.resize(PIECE, 0);
            }
        }
        Ok(())
    }
}

/// A pipe, as long as somebody has one of its ends.
struct Pipe {
    ring: Mutex<Ring>,
    /// As in the ring; written with the mutex held.
    len: AtomicUsize,
    readers: AtomicU32,
    writers: AtomicU32,
    /// How often an end was opened: who waits for the other end sees that it came even if it has gone.
    reader_count: AtomicU32,
    writer_count: AtomicU32,
    can_read: Arc<WaitQueue>,
    can_write: Arc<WaitQueue>,
}

impl Pipe {
    fn new() -> Result<Arc<Self>, Errno> {
        try_arc(Self {
            ring: Mutex::new(&locks::PIPE, Ring::new()),
            len: AtomicUsize::new(0),
            readers: AtomicU32::new(0),
            writers: AtomicU32::new(0),
            reader_count: AtomicU32::new(0),
            writer_count: AtomicU32::new(0),
            can_read: try_arc(WaitQueue::new())?,
            can_write: try_arc(WaitQueue::new())?,
        })
    }

    // Acquire and Release below: what happened before an end went, or before bytes came, is seen by
    // whoever sees that; both go through the wait queue's lock as well.
    fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }
    fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }
    fn has_writers(&self) -> bool {
        self.writers.load(Ordering::Acquire) > 0
    }
    fn wake(&self) {
        self.can_read.wake_all();
        self.can_write.wake_all();
    }

    fn read(&self, ctx: &mut MaySleep, nonblocking: bool, into: &mut Dest<'_>) -> Result<usize, Errno> {
        if into.room() == 0 {
            return Ok(0);
        }
        loop {
            // Before the look into the ring: then nothing comes into it any more. A look afterwards may
            // find that a writer has gone who wrote in between.
            let may_come = self.has_writers();
            let mut ring = self.ring.lock(ctx);
            let mut done = 0;
            let mut failed = Ok(());
            while ring.len > 0 && into.room() > 0 {
                match into.put(ctx, ring.front(into.room())) {
                    Ok(0) => break,
                    Ok(step) => {
                        ring.consume(step);
                        done += step;
                    }
                    Err(error) => {
                        failed = Err(error);
                        break;
                    }
                }
            }
            self.len.store(ring.len, Ordering::Release);
            let empty = ring.len == 0;
            drop(ring);
            if done > 0 {
                self.can_write.wake_all();
                return Ok(done);
            }
            failed?;
            if !empty {
                continue;
            }
            if !may_come {
                return Ok(0);
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            wait_interruptible(ctx, &self.can_read, || self.len() > 0 || !self.has_writers())?;
        }
    }

    fn write(&self, ctx: &mut MaySleep, nonblocking: bool, from: &mut Source<'_>) -> Result<usize, Errno> {
        let total = from.left();
        let mut done = 0;
        while done < total {
            if !self.has_readers() {
                process::broken_pipe();
                return if done > 0 { Ok(done) } else { Err(Errno::EPIPE) };
            }
            // What must fit at once.
            let need = if total <= PIPE_BUF { total - done } else { 1 };
            let mut ring = self.ring.lock(ctx);
            let mut step = 0;
            let mut failed = Ok(());
            if ring.room() >= need {
                if total <= PIPE_BUF {
                    failed = ring.prepare(need);
                }
                while failed.is_ok() && ring.room() > 0 && from.left() > 0 {
                    match ring.back(from.left()).and_then(|room| from.take(ctx, room)) {
                        Ok(taken) => {
                            ring.len += taken;
                            step += taken;
                        }
                        Err(error) => failed = Err(error),
                    }
                }
            }
            self.len.store(ring.len, Ordering::Release);
            drop(ring);
            if step > 0 {
                done += step;
                self.can_read.wake_all();
            }
            if let Err(error) = failed {
                return if done > 0 { Ok(done) } else { Err(error) };
            }
            if done == total {
                break;
            }
            if step > 0 {
                continue;
            }
            if nonblocking {
                return if done > 0 { Ok(done) } else { Err(Errno::EAGAIN) };
            }
            let ready = || CAPACITY - self.len() >= need || !self.has_readers();
            if let Err(error) = wait_interruptible(ctx, &self.can_write, ready) {
                return if done > 0 { Ok(done) } else { Err(error) };
            }
        }
        Ok(done)
    }
}

/// One end of a pipe, or (a named pipe opened to read and write) both.
struct End {
    pipe: Arc<Pipe>,
    reads: bool,
    writes: bool,
}

impl End {
    fn new(pipe: Arc<Pipe>, reads: bool, writes: bool) -> Result<Arc<Self>, Errno> {
        let count = |ends: &AtomicU32, ever: &AtomicU32| {
            ends.fetch_add(1, Ordering::AcqRel);
            ever.fetch_add(1, Ordering::AcqRel);
        };
        if reads {
            count(&pipe.readers, &pipe.reader_count);
        }
        if writes {
            count(&pipe.writers, &pipe.writer_count);
        }
        // If there is no memory the end is dropped, which counts down.
        try_arc(Self { pipe, reads, writes })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if self.reads {
            self.pipe.readers.fetch_sub(1, Ordering::AcqRel);
        }
        if self.writes {
            self.pipe.writers.fetch_sub(1, Ordering::AcqRel);
        }
        self.pipe.wake();
    }
}

impl FileOps for End {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn read(
        &self,
        ctx: &mut MaySleep,
        file: &File,
        _at: &mut u64,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        self.pipe.read(ctx, file.nonblocking(), into)
    }
    fn write(
        &self,
        ctx: &mut MaySleep,
        file: &File,
        _at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        self.pipe.write(ctx, file.nonblocking(), from)
    }
    fn has_positions(&self) -> bool {
        false
    }
    fn poll(&self, _ctx: &mut MaySleep, _file: &File, table: &mut PollTable) -> Events {
        let mut events = Events::empty();
        if self.reads {
            table.add(&self.pipe.can_read);
        }
        if self.writes {
            table.add(&self.pipe.can_write);
        }
        // In this order, as in `read`: an end that is told is one behind which nothing comes.
        let may_come = self.pipe.has_writers();
        let len = self.pipe.len();
        if self.reads {
            if len > 0 {
                events |= Events::READABLE;
            }
            if !may_come {
                events |= Events::HUP;
            }
        }
        if self.writes {
            if CAPACITY - len >= PIPE_BUF {
                events |= Events::WRITABLE;
            }
            if !self.pipe.has_readers() {
                events |= Events::ERR;
            }
        }
        events
    }
    fn readable_bytes(&self, _ctx: &mut MaySleep, _file: &File) -> Option<u64> {
        Some(self.pipe.len() as u64)
    }
}

/// How many bytes the pipe holds that is behind an open file; `None` if none is.
pub fn capacity(file: &File) -> Option<usize> {
    file.ops().as_any().downcast_ref::<End>().map(|_| CAPACITY)
}

/// What an inode keeps of its pipe: the pipe itself is kept by its ends.
pub struct Fifo {
    pipe: SpinLock<Weak<Pipe>>,
}

impl Fifo {
    /// Without a pipe as yet.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { pipe: SpinLock::new(&locks::ATTRIBUTES, Weak::new()) })
    }

    /// The pipe: the one there is, or a new one.
    fn pipe(&self) -> Result<Arc<Pipe>, Errno> {
        if let Some(pipe) = self.pipe.lock().upgrade() {
            return Ok(pipe);
        }
        let new = Pipe::new()?;
        let mut slot = self.pipe.lock();
        if let Some(pipe) = slot.upgrade() {
            drop(slot);
            return Ok(pipe);
        }
        let old = core::mem::replace(&mut *slot, Arc::downgrade(&new));
        drop(slot);
        drop(old);
        Ok(new)
    }

    /// Opens an end, and waits for the other as `open` of a named pipe does: ENXIO instead of waiting
    /// for a reader if it may not wait.
    pub fn open(&self, ctx: &mut MaySleep, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        let pipe = self.pipe()?;
        let (reads, writes) = (flags.readable(), flags.writable());
        if writes && !reads && flags.nonblocking() && !pipe.has_readers() {
            return Err(Errno::ENXIO);
        }
        let (readers, writers) =
            (pipe.reader_count.load(Ordering::Acquire), pipe.writer_count.load(Ordering::Acquire));
        let end = End::new(pipe.clone(), reads, writes)?;
        pipe.wake();
        if !(flags.nonblocking() || reads && writes) {
            let came = || {
                if reads {
                    pipe.has_writers() || pipe.writer_count.load(Ordering::Acquire) != writers
                } else {
                    pipe.has_readers() || pipe.reader_count.load(Ordering::Acquire) != readers
                }
            };
            let queue = if reads { &pipe.can_read } else { &pipe.can_write };
            wait_interruptible(ctx, queue, came)?;
        }
        Ok(end)
    }
}

/// A pipe without a name, of that owner: its reading and its writing end. `flags` are those of `pipe2`.
pub fn pipe(flags: OpenFlags, uid: u32, gid: u32) -> Result<(Arc<File>, Arc<File>), Errno> {
    let pipe = Pipe::new()?;
    let inode =
        PipeInode::new(Fifo { pipe: SpinLock::new(&locks::ATTRIBUTES, Arc::downgrade(&pipe)) }, uid, gid)?;
    let place = Place { mount: anonymous::mount()?, inode };
    let reading = End::new(pipe.clone(), true, false)?;
    let writing = End::new(pipe, false, true)?;
    let file = |end, mode: OpenFlags| File::new(place.clone(), None, flags.with(mode.bits()), end);
    Ok((file(reading, OpenFlags::READ)?, file(writing, OpenFlags::WRITE)?))
}
