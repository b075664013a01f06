//! What was typed and not read yet: complete lines, then the line that is being edited.
//!
//! ```text
//!        taken           ends            typed
//!          |  complete    |  being edited  |
//!   -------+-----|---|----+----------------+-------   | = a byte that ends a line
//! ```
//!
//! Without lines (raw mode) all of it is read as it comes. Which bytes end a line is a bit each, as in
//! Linux: `\n` that was typed behind Ctrl-V is a byte like any other. Ctrl-D behind some text marks
//! the text's last byte, so it adds nothing to what is read; at the beginning of a line it stands as a
//! byte of its own, which nobody reads, and which gives the read that finds it the result 0.

/// Bytes that it holds, as Linux' N_TTY.
pub const SIZE: usize = 4096;

/// A bit for each place of the ring.
struct Bits([u64; SIZE / 64]);

impl Bits {
    const fn new() -> Self {
        Self([0; SIZE / 64])
    }
    fn get(&self, place: usize) -> bool {
        self.0[place / 64] & 1 << (place % 64) != 0
    }
    fn set(&mut self, place: usize, value: bool) {
        let word = &mut self.0[place / 64];
        *word = *word & !(1 << (place % 64)) | u64::from(value) << (place % 64);
    }
}

/// The ring of typed bytes.
///
/// # Invariants
/// The three positions count bytes since the beginning: `taken <= ends <= typed <= taken + SIZE`; a
/// position's place is its remainder by `SIZE`. A byte between `taken` and `ends` belongs to a line
/// that is complete; `marks` is set only where `line_ends` is.
pub struct Queue {
    bytes: [u8; SIZE],
    line_ends: Bits,
    /// Bytes that stand for an end of file.
    marks: Bits,
    taken: usize,
    ends: usize,
    typed: usize,
}

/// What a read gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Bytes copied.
    pub count: usize,
    /// A line, or the file, ends here: the read is over.
    pub is_end: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self::new()
    }
}

impl Queue {
    /// Nothing was typed.
    pub const fn new() -> Self {
        Self { bytes: [0; SIZE], line_ends: Bits::new(), marks: Bits::new(), taken: 0, ends: 0, typed: 0 }
    }

    /// How many more bytes there is room for.
    pub fn room(&self) -> usize {
        SIZE - (self.typed - self.taken)
    }
    /// Bytes of complete lines, marks of an end of file included.
    pub fn complete(&self) -> usize {
        self.ends - self.taken
    }
    /// Bytes, complete lines or not.
    pub fn all(&self) -> usize {
        self.typed - self.taken
    }
    /// Bytes of the line that is being edited.
    pub fn edited(&self) -> usize {
        self.typed - self.ends
    }
    /// Bytes that reads of complete lines will give.
    pub fn readable(&self) -> usize {
        self.complete() - (self.taken..self.ends).filter(|position| self.marks.get(position % SIZE)).count()
    }

    /// Adds a byte to the edited line. False: there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.room() == 0 {
            return false;
        }
        let place = self.typed % SIZE;
        self.bytes[place] = byte;
        self.line_ends.set(place, false);
        self.marks.set(place, false);
        self.typed += 1;
        true
    }

    /// Completes the edited line with this byte. False: there is no room.
    pub fn end_line(&mut self, byte: u8) -> bool {
        self.push(byte) && {
            self.complete_edited();
            true
        }
    }

    /// Completes the edited line as it is; if it is empty, this is the end of the file.
    pub fn end_file(&mut self) -> bool {
        if self.edited() == 0 {
            if !self.push(0) {
                return false;
            }
            self.marks.set((self.typed - 1) % SIZE, true);
        }
        self.complete_edited();
        true
    }

    /// What was typed so far can be read: the last byte ends a line.
    pub fn complete_edited(&mut self) {
        if self.edited() > 0 {
            self.line_ends.set((self.typed - 1) % SIZE, true);
            self.ends = self.typed;
        }
    }

    /// The edited line's byte with that number.
    pub fn edited_byte(&self, index: usize) -> Option<u8> {
        (index < self.edited()).then(|| self.bytes[(self.ends + index) % SIZE])
    }
    /// Takes so many bytes off the edited line's end.
    pub fn cut(&mut self, bytes: usize) {
        self.typed -= bytes.min(self.edited());
    }
    /// Forgets all.
    pub fn clear(&mut self) {
        self.taken = self.typed;
        self.ends = self.typed;
    }

    /// A read of complete lines: to the end of the first, or as much as the buffer takes.
    pub fn take_line(&mut self, buffer: &mut [u8]) -> Taken {
        let mut count = 0;
        while self.taken < self.ends {
            let place = self.taken % SIZE;
            let is_end = self.line_ends.get(place);
            if self.marks.get(place) {
                self.taken += 1;
                return Taken { count, is_end: true };
            }
            let Some(to) = buffer.get_mut(count) else { break };
            *to = self.bytes[place];
            count += 1;
            self.taken += 1;
            if is_end {
                return Taken { count, is_end: true };
            }
        }
        Taken { count, is_end: false }
    }

    /// A read without lines. Who edits lines no more reads what was being edited, too.
    pub fn take_raw(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        while self.taken < self.typed {
            let place = self.taken % SIZE;
            if !self.marks.get(place) {
                let Some(to) = buffer.get_mut(count) else { break };
                *to = self.bytes[place];
                count += 1;
            }
            self.taken += 1;
        }
        self.ends = self.ends.max(self.taken);
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_all(queue: &mut Queue, text: &[u8]) {
        assert!(text.iter().all(|&byte| queue.push(byte)));
    }

    fn line(queue: &mut Queue, most: usize) -> (Vec<u8>, bool) {
        let mut buffer = vec![0; most];
        let taken = queue.take_line(&mut buffer);
        buffer.truncate(taken.count);
        (buffer, taken.is_end)
    }

    #[test]
    fn lines_come_out_one_by_one_and_in_pieces() {
        let mut queue = Queue::new();
        push_all(&mut queue, b"one");
        assert_eq!((queue.complete(), queue.edited()), (0, 3));
        assert!(queue.end_line(b'\n'));
        push_all(&mut queue, b"two");
        assert!(queue.end_line(b'\n'));
        assert_eq!(line(&mut queue, 2), (b"on".to_vec(), false));
        assert_eq!(line(&mut queue, 9), (b"e\n".to_vec(), true));
        assert_eq!(line(&mut queue, 4), (b"two\n".to_vec(), true));
        assert_eq!(line(&mut queue, 4), (vec![], false));
    }

    #[test]
    fn an_end_of_file_behind_text_pushes_it_and_is_no_end() {
        let mut queue = Queue::new();
        push_all(&mut queue, b"abc");
        assert!(queue.end_file());
        assert_eq!(queue.readable(), 3);
        // The buffer is full just before the end: the next read must not see an end of file.
        assert_eq!(line(&mut queue, 3), (b"abc".to_vec(), true));
        assert_eq!(queue.complete(), 0);
        assert!(queue.end_file());
        assert_eq!((queue.complete(), queue.readable()), (1, 0));
        assert_eq!(line(&mut queue, 3), (vec![], true));
        assert_eq!(queue.complete(), 0);
    }

    #[test]
    fn without_lines_all_is_read() {
        let mut queue = Queue::new();
        push_all(&mut queue, b"a");
        queue.end_line(b'\n');
        queue.end_file();
        push_all(&mut queue, b"b");
        let mut buffer = [0; 8];
        assert_eq!(queue.take_raw(&mut buffer[..1]), 1);
        assert_eq!(queue.take_raw(&mut buffer), 2);
        assert_eq!(&buffer[..2], b"\nb");
        assert_eq!((queue.all(), queue.edited(), queue.complete()), (0, 0, 0));
    }

    #[test]
    fn it_is_full_at_its_size_and_goes_around() {
        let mut queue = Queue::new();
        for round in 0..3 {
            for i in 0..SIZE - 1 {
                assert!(queue.push(i as u8), "{round}");
            }
            assert!(queue.end_line(b'\n'));
            assert!(!queue.push(b'x') && !queue.end_line(b'\n') && !queue.end_file());
            let mut buffer = [0; SIZE + 1];
            assert_eq!(queue.take_line(&mut buffer), Taken { count: SIZE, is_end: true });
            assert_eq!(buffer[300], 300_usize as u8);
        }
    }

    #[test]
    fn the_edited_line_is_cut_and_no_further() {
        let mut queue = Queue::new();
        push_all(&mut queue, b"x");
        queue.end_line(b'\n');
        push_all(&mut queue, b"abc");
        assert_eq!((queue.edited_byte(2), queue.edited_byte(3)), (Some(b'c'), None));
        queue.cut(2);
        queue.cut(9);
        assert_eq!((queue.edited(), queue.complete()), (0, 2));
    }
}
