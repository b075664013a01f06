//! A small buffer in front of the console.

use super::lock::ConsoleGuard;
use crate::arch::current::console;
use core::fmt;

const SIZE: usize = 128;

/// Collects text and hands it to the console when it is full and when it is dropped: a call of the
/// console costs an exit to the hypervisor, and formatting writes in pieces of a few bytes.
pub(super) struct LineWriter<'a> {
    buffer: [u8; SIZE],
    used: usize,
    console: &'a mut ConsoleGuard,
}

impl<'a> LineWriter<'a> {
    pub(super) const fn new(console: &'a mut ConsoleGuard) -> Self {
        Self { buffer: [0; SIZE], used: 0, console }
    }

    fn flush(&mut self) {
        if self.used > 0 {
            console::write(&self.buffer[..self.used]);
            if let Some(ring) = self.console.ring() {
                ring.put(&self.buffer[..self.used]);
            }
            self.used = 0;
        }
    }
}

impl fmt::Write for LineWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            if self.used == SIZE {
                self.flush();
            }
            let now = rest.len().min(SIZE - self.used);
            self.buffer[self.used..self.used + now].copy_from_slice(&rest[..now]);
            self.used += now;
            rest = &rest[now..];
        }
        Ok(())
    }
}

impl Drop for LineWriter<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}
