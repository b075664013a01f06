//! Text that is made while it is read: record by record, each when the reader gets there.
//!
//! A reader's buffer has any size, and a record is what its maker makes in one step: the two have
//! nothing to do with each other. So an open file keeps the record that is being read, the offset at
//! which it begins, and its maker, which knows what comes next. Who reads on gets the rest, then the
//! next record: the sequence is complete whatever the sizes, one byte included, and no record is torn
//! by a change between two reads. Who goes back (or reads at offset 0) makes it begin again; an offset
//! somewhere else is reached by making the records before it.
//!
//! Nothing is copied to a program while a record is made, so its maker may use read sections and locks.

use super::text::Text;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::file::{File, FileOps, Seek, seek_by_size};
use crate::fs::{Dest, Source, locks};
use crate::sync::{MaySleep, Mutex};
use alloc::sync::Arc;
use core::any::Any;

/// Makes records.
pub trait Sequence: Send + 'static {
    /// The next record will be the first.
    fn rewind(&mut self);
    /// Adds the next record, or several; maybe nothing. False: there is none after it.
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno>;
    /// Takes what was written, as one piece.
    fn store(&mut self, _ctx: &mut MaySleep, _bytes: &[u8]) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }
}

/// A sequence of one record.
pub struct Whole<F>(pub F);

impl<F> Sequence for Whole<F>
where
    F: FnMut(&mut MaySleep, &mut Text) -> Result<(), Errno> + Send + 'static,
{
    fn rewind(&mut self) {}
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        (self.0)(ctx, to).map(|()| false)
    }
}

/// # Invariants
/// `text` is the sequence's text from offset `start` on, up to the end of the records made so far.
struct State<S> {
    sequence: S,
    text: Text,
    start: u64,
    /// Nothing follows `text`.
    ended: bool,
}

/// An open file that reads a sequence.
pub struct OpenSequence<S>(Mutex<State<S>>);

/// The most that is taken in one write.
const MOST_STORED: usize = 256;

impl<S: Sequence> OpenSequence<S> {
    /// At its beginning.
    pub fn open(sequence: S) -> Result<Arc<dyn FileOps>, Errno> {
        let state = State { sequence, text: Text::new(), start: 0, ended: false };
        Ok(try_arc(Self(Mutex::new(&locks::TEXT, state)))?)
    }
}

impl<S: Sequence> State<S> {
    fn rewind(&mut self) {
        self.sequence.rewind();
        self.text = Text::new();
        self.start = 0;
        self.ended = false;
    }

    /// The text from that offset on, as far as it has been made; nothing at the end.
    fn at(&mut self, ctx: &mut MaySleep, offset: u64) -> Result<&[u8], Errno> {
        if offset < self.start {
            self.rewind();
        }
        while !self.ended && offset >= self.start + self.text.len() as u64 {
            self.start += self.text.len() as u64;
            self.text.clear();
            match self.sequence.next(ctx, &mut self.text) {
                Ok(more) => self.ended = !more,
                Err(error) => {
                    // Half a record is none. The next read begins again.
                    self.rewind();
                    return Err(error);
                }
            }
            if let Err(error) = self.text.bytes() {
                self.rewind();
                return Err(error);
            }
        }
        let skip = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        Ok(self.text.bytes()?.get(skip..).unwrap_or_default())
    }
}

impl<S: Sequence> FileOps for OpenSequence<S> {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn read(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        at: &mut u64,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        let mut state = self.0.lock(ctx);
        if *at == 0 && into.room() > 0 {
            state.rewind();
        }
        let mut done = 0;
        while into.room() > 0 {
            let text = match state.at(ctx, *at) {
                Ok([]) => break,
                Ok(text) => text,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            match into.put(ctx, text) {
                Ok(count) => {
                    done += count;
                    *at += count as u64;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
    fn write(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        let mut buffer = [0; MOST_STORED];
        if from.left() > buffer.len() {
            return Err(Errno::EINVAL);
        }
        let count = from.take(ctx, &mut buffer)?;
        self.0.lock(ctx).sequence.store(ctx, &buffer[..count])?;
        *at += count as u64;
        Ok(count)
    }
    /// There is no end before all has been read.
    fn seek(&self, _ctx: &mut MaySleep, _file: &File, now: u64, to: Seek) -> Result<u64, Errno> {
        match to {
            Seek::Set(_) | Seek::Current(_) => seek_by_size(now, 0, to),
            _ => Err(Errno::EINVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token() -> MaySleep {
        // SAFETY: a thread of the host's tests may sleep; one token per use.
        unsafe { MaySleep::mint() }
    }

    /// Numbers up to a last one, a record each, of different lengths; some make no text.
    struct Numbers {
        next: u64,
        last: u64,
    }

    impl Sequence for Numbers {
        fn rewind(&mut self) {
            self.next = 0;
        }
        fn next(&mut self, _ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
            if self.next % 5 != 3 {
                to.print(format_args!("{}\n", self.next.pow(3)));
            }
            self.next += 1;
            Ok(self.next < self.last)
        }
    }

    fn all(last: u64) -> Vec<u8> {
        (0..last).filter(|n| n % 5 != 3).flat_map(|n| format!("{}\n", n.pow(3)).into_bytes()).collect()
    }

    fn state(last: u64) -> State<Numbers> {
        State { sequence: Numbers { next: 0, last }, text: Text::new(), start: 0, ended: false }
    }

    /// As `read` does, without a `File`.
    fn read(state: &mut State<Numbers>, at: u64, most: usize) -> Vec<u8> {
        let mut got = vec![];
        while got.len() < most {
            let text = state.at(&mut token(), at + got.len() as u64).expect("memory");
            if text.is_empty() {
                break;
            }
            let take = text.len().min(most - got.len());
            got.extend_from_slice(&text[..take]);
        }
        got
    }

    #[test]
    fn byte_by_byte_it_is_complete() {
        let mut state = state(50);
        let mut got = vec![];
        loop {
            let more = read(&mut state, got.len() as u64, 1);
            if more.is_empty() {
                break;
            }
            got.extend(more);
        }
        assert_eq!(got, all(50));
        assert_eq!(read(&mut state, 1 << 40, 10), b"");
    }

    proptest! {
        #[test]
        fn any_offsets_and_sizes(reads in proptest::collection::vec((0u64..400, 1usize..100), 1..30)) {
            let (mut state, whole) = (state(60), all(60));
            for (at, most) in reads {
                let start = (at as usize).min(whole.len());
                let end = (start + most).min(whole.len());
                prop_assert_eq!(read(&mut state, at, most), &whole[start..end]);
            }
        }
    }
}
