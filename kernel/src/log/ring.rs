//! The newest lines of the log, for `dmesg`.
//!
//! Written and read under the console's lock, which [`super::lock`] gives. Only the log's own lines are
//! kept, not what programs print.

/// Bytes that are kept.
pub const SIZE: usize = 16 << 10;

/// # Invariants
/// `end` counts the bytes since the beginning; the byte with number `n` stands at `n % SIZE` as long as
/// `end <= n + SIZE`. `first <= end`.
pub(super) struct Ring {
    bytes: [u8; SIZE],
    end: u64,
    /// Before it nothing is shown: it was cleared.
    first: u64,
}

impl Ring {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; SIZE], end: 0, first: 0 }
    }
    pub(super) fn put(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.bytes[(self.end % SIZE as u64) as usize] = byte;
            self.end += 1;
        }
    }
    /// From the first byte that is kept to behind the last.
    pub(super) fn kept(&self) -> (u64, u64) {
        (self.first.max(self.end.saturating_sub(SIZE as u64)), self.end)
    }
    pub(super) fn clear(&mut self) {
        self.first = self.end;
    }
    /// Copies from that byte on, or from the first that is kept; says which, and how many.
    pub(super) fn copy(&self, from: u64, into: &mut [u8]) -> (u64, usize) {
        let (first, end) = self.kept();
        let start = from.clamp(first, end);
        let count = into.len().min((end - start) as usize);
        for (byte, number) in into[..count].iter_mut().zip(start..) {
            *byte = self.bytes[(number % SIZE as u64) as usize];
        }
        (start, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept() {
        let mut ring = Ring::new();
        (0..SIZE + 10).for_each(|n| ring.put(&[n as u8]));
        assert_eq!(ring.kept(), (10, SIZE as u64 + 10));
        let mut buffer = [0; 4];
        assert_eq!((ring.copy(0, &mut buffer), buffer), ((10, 4), [10, 11, 12, 13]));
        assert_eq!(ring.copy(SIZE as u64 + 8, &mut buffer), (SIZE as u64 + 8, 2));
        ring.clear();
        assert_eq!(ring.copy(0, &mut buffer), (SIZE as u64 + 10, 0));
    }
}
