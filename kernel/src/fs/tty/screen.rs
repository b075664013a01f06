//! The way to the screen: a small buffer in front of the driver.

use super::output;

/// Writes bytes as they are. It may turn interrupts off: what it gets at once is small.
pub type Driver = fn(&[u8]);

/// Bytes that reach the driver at once. A call of the console costs an exit to the hypervisor, and
/// interrupts are off for its time.
const SIZE: usize = 128;

/// Collects what is written; the rest goes out when it is dropped.
pub struct Screen {
    driver: Driver,
    buffer: [u8; SIZE],
    used: usize,
}

impl Screen {
    /// Nothing is written yet.
    pub fn new(driver: Driver) -> Self {
        Self { driver, buffer: [0; SIZE], used: 0 }
    }
    fn flush(&mut self) {
        if self.used > 0 {
            (self.driver)(&self.buffer[..self.used]);
            self.used = 0;
        }
    }
}

impl output::Screen for Screen {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.used == SIZE {
                self.flush();
            }
            let now = bytes.len().min(SIZE - self.used);
            self.buffer[self.used..self.used + now].copy_from_slice(&bytes[..now]);
            self.used += now;
            bytes = &bytes[now..];
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.flush();
    }
}
