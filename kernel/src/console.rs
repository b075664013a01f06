//! What is typed: a bounded ring between the interrupt that brings keys and the thread that reads
//! them.
//!
//! Each machine's `console::read` wants one caller at a time. The lock of the ring is that promise:
//! the only call is in [`input`], under it. It is not the lock of the console's output (`log`'s): a
//! CPU may read while another writes, since on every machine the two touch nothing in common (a
//! control block of its own for each; different hypervisor calls; different registers of the UART).
//! One lock for both was rejected: a handler that finds the log busy would wait for the slowest
//! thing that the machine does.
//!
//! Nothing is lost: what a full ring has no room for stays in the machine, whose own buffers fill up
//! until the one who types, or pastes, has to wait. Whoever has emptied the ring looks there himself:
//! the service processor interrupts once for what has arrived, not again for what is left.

use crate::arch::current::console;
use crate::sync::{InIrq, IrqSpinLock, LockClass, MaySleep, Rank, WaitQueue};

const CLASS: LockClass = LockClass::new("console input", Rank::CONSOLE_INPUT);

/// Some lines.
const SIZE: usize = 1024;

static KEYS: IrqSpinLock<Ring> = IrqSpinLock::new(&CLASS, Ring::new());
static READER: WaitQueue = WaitQueue::new();

/// The machine has input: takes as much of it as there is room for.
pub fn input(_irq: &mut InIrq) {
    KEYS.lock().fill(console::read);
    READER.wake_one();
}

/// The next key, a byte as the terminal sent it; sleeps until there is one.
pub fn read(ctx: &mut MaySleep) -> u8 {
    let mut key = None;
    loop {
        READER.wait(ctx, || {
            key = KEYS.lock().take(console::read);
            key.is_some()
        });
        if let Some(key) = key {
            return key;
        }
    }
}

/// # Invariants
/// `first < SIZE` and `len <= SIZE`; the oldest of `len` keys is at `first`.
struct Ring {
    keys: [u8; SIZE],
    first: usize,
    len: usize,
    /// The machine may have more.
    is_more: bool,
}

impl Ring {
    const fn new() -> Self {
        Self { keys: [0; SIZE], first: 0, len: 0, is_more: false }
    }

    /// Takes in what `read` gives, until it gives less than it is asked for.
    fn fill(&mut self, mut read: impl FnMut(&mut [u8]) -> usize) {
        let mut buffer = [0; 64];
        self.is_more = true;
        while self.is_more && self.len < SIZE {
            let room = buffer.len().min(SIZE - self.len);
            let count = read(&mut buffer[..room]);
            self.is_more = count == room;
            for &key in &buffer[..count] {
                self.keys[(self.first + self.len) % SIZE] = key;
                self.len += 1;
            }
        }
    }

    /// The oldest key.
    fn take(&mut self, read: impl FnMut(&mut [u8]) -> usize) -> Option<u8> {
        if self.len == 0 && self.is_more {
            self.fill(read);
        }
        if self.len == 0 {
            return None;
        }
        let key = self.keys[self.first];
        self.first = (self.first + 1) % SIZE;
        self.len -= 1;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that has these bytes, and gives some of them at a time.
    fn machine(bytes: &mut Vec<u8>, most: usize) -> impl FnMut(&mut [u8]) -> usize {
        move |into| {
            let count = into.len().min(bytes.len()).min(most);
            into[..count].copy_from_slice(&bytes[..count]);
            bytes.drain(..count);
            count
        }
    }

    #[test]
    fn keys_come_out_in_order_all_around_the_ring() {
        let mut ring = Ring::new();
        for round in 0..3 * SIZE {
            let key = round as u8;
            ring.fill(machine(&mut vec![key, !key], 64));
            assert_eq!(ring.take(|_| 0), Some(key));
            assert_eq!(ring.take(|_| 0), Some(!key));
            assert_eq!(ring.take(|_| panic!("there was no more")), None);
        }
    }

    #[test]
    fn what_a_full_ring_has_no_room_for_comes_later() {
        let mut ring = Ring::new();
        let typed: Vec<u8> = (0..3 * SIZE + 5).map(|key| (key % 251) as u8).collect();
        let mut left = typed.clone();
        ring.fill(machine(&mut left, 64));
        assert_eq!(left.len(), typed.len() - SIZE);
        let mut seen = Vec::new();
        while let Some(key) = ring.take(machine(&mut left, 64)) {
            seen.push(key);
        }
        assert_eq!(seen, typed);
        // Another interrupt finds the rest, too.
        let mut left = typed.clone();
        let mut seen = Vec::new();
        while !left.is_empty() {
            ring.fill(machine(&mut left, 16));
            seen.extend(ring.take(|_| 0));
        }
        while let Some(key) = ring.take(|_| 0) {
            seen.push(key);
        }
        assert_eq!(seen, typed);
    }
}
