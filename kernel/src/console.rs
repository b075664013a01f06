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
//! A full ring loses the newest keys and counts them, and whoever reads says how many. Rejected:
//! leaving them in the machine. The service processor interrupts once for what has arrived; a key
//! left there would be found with the next one only.

use crate::arch::current::console;
use crate::sync::{InIrq, IrqSpinLock, LockClass, MaySleep, Rank, WaitQueue};

const CLASS: LockClass = LockClass::new("console input", Rank::CONSOLE_INPUT);

/// Some lines, pasted: faster than anybody types.
const SIZE: usize = 1024;

static KEYS: IrqSpinLock<Ring> = IrqSpinLock::new(&CLASS, Ring::new());
static READER: WaitQueue = WaitQueue::new();

/// What a reader gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Typed {
    /// A byte as the terminal sent it.
    Key(u8),
    /// So many bytes came while the ring was full.
    Lost(usize),
}

/// The machine has input: takes all of it.
pub fn input(_irq: &mut InIrq) {
    let mut keys = KEYS.lock();
    let mut buffer = [0; 64];
    loop {
        let count = console::read(&mut buffer);
        buffer[..count].iter().for_each(|&key| keys.put(key));
        if count < buffer.len() {
            break;
        }
    }
    drop(keys);
    READER.wake_one();
}

/// The next key; sleeps until there is one.
pub fn read(ctx: &mut MaySleep) -> Typed {
    let mut typed = None;
    loop {
        READER.wait(ctx, || {
            typed = KEYS.lock().take();
            typed.is_some()
        });
        if let Some(typed) = typed {
            return typed;
        }
    }
}

/// # Invariants
/// `first < SIZE` and `len <= SIZE`; the oldest of `len` keys is at `first`. `lost` keys came after
/// the newest of them.
struct Ring {
    keys: [u8; SIZE],
    first: usize,
    len: usize,
    lost: usize,
}

impl Ring {
    const fn new() -> Self {
        Self { keys: [0; SIZE], first: 0, len: 0, lost: 0 }
    }

    /// Takes a key in. After a loss none until the loss is told, so that it is told in its place.
    fn put(&mut self, key: u8) {
        if self.len == SIZE || self.lost > 0 {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        self.keys[(self.first + self.len) % SIZE] = key;
        self.len += 1;
    }

    /// The oldest key, or what was lost behind the last one.
    fn take(&mut self) -> Option<Typed> {
        if self.len > 0 {
            let key = self.keys[self.first];
            self.first = (self.first + 1) % SIZE;
            self.len -= 1;
            return Some(Typed::Key(key));
        }
        let lost = core::mem::take(&mut self.lost);
        (lost > 0).then_some(Typed::Lost(lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_in_order_all_around_the_ring() {
        let mut ring = Ring::new();
        for round in 0..3 * SIZE {
            let key = round as u8;
            ring.put(key);
            ring.put(!key);
            assert_eq!(ring.take(), Some(Typed::Key(key)));
            assert_eq!(ring.take(), Some(Typed::Key(!key)));
            assert_eq!(ring.take(), None);
        }
    }

    #[test]
    fn what_a_full_ring_loses_is_told_once_and_in_its_place() {
        let mut ring = Ring::new();
        (0..SIZE + 3).for_each(|key| ring.put(key as u8));
        assert_eq!(ring.take(), Some(Typed::Key(0)));
        // There is room again, but it would be taken for the key that follows `SIZE - 1`.
        ring.put(b'x');
        for key in 1..SIZE {
            assert_eq!(ring.take(), Some(Typed::Key(key as u8)));
        }
        assert_eq!(ring.take(), Some(Typed::Lost(4)));
        assert_eq!(ring.take(), None);
        ring.put(b'y');
        assert_eq!(ring.take(), Some(Typed::Key(b'y')));
    }
}
