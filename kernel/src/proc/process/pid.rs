//! Numbers of tasks, groups and sessions.
//!
//! A number is in use as long as anybody holds it: the task, and every process whose group or session
//! is named after it. So a shell's `kill %1` never hits a stranger's group. [`Pid`] is the number as a
//! value that gives itself back; it is shared by `Arc`.

use crate::arch::try_arc;
use crate::error::Errno;
use crate::sync::{IrqSpinLock, LockClass, Rank};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

/// One more than the highest number, as Linux' default.
pub const PID_MAX: u32 = 32_768;
/// After the highest comes this one: the low numbers stay with what was started first.
const AFTER_WRAP: u32 = 300;
const WORD: u32 = u64::BITS;

const CLASS: LockClass = LockClass::new("numbers of processes", Rank::PIDS);

/// Which numbers are in use, and which was given last.
struct Numbers {
    used: [u64; (PID_MAX / WORD) as usize],
    last: u32,
}

static NUMBERS: IrqSpinLock<Numbers> = IrqSpinLock::new(&CLASS, Numbers::new());

impl Numbers {
    const fn new() -> Self {
        // 0 is nobody's.
        let mut used = [0; (PID_MAX / WORD) as usize];
        used[0] = 1;
        Self { used, last: 0 }
    }

    /// The next free number after the last one given.
    fn take(&mut self) -> Option<u32> {
        let number = self.find(self.last + 1, PID_MAX).or_else(|| self.find(AFTER_WRAP, self.last + 1))?;
        self.used[(number / WORD) as usize] |= 1 << (number % WORD);
        self.last = number;
        Some(number)
    }

    /// The first free one in `from..to`.
    fn find(&self, from: u32, to: u32) -> Option<u32> {
        let mut number = from;
        while number < to {
            let free = !self.used[(number / WORD) as usize] & (u64::MAX << (number % WORD));
            if free != 0 {
                let found = number / WORD * WORD + free.trailing_zeros();
                return (found < to).then_some(found);
            }
            number = (number / WORD + 1) * WORD;
        }
        None
    }

    fn next_in_use(&self, after: u32) -> Option<u32> {
        let mut number = after + 1;
        while number < PID_MAX {
            let used = self.used[(number / WORD) as usize] & (u64::MAX << (number % WORD));
            if used != 0 {
                return Some(number / WORD * WORD + used.trailing_zeros());
            }
            number = (number / WORD + 1) * WORD;
        }
        None
    }

    fn give_back(&mut self, number: u32) {
        self.used[(number / WORD) as usize] &= !(1 << (number % WORD));
    }
}

/// Numbers given since boot.
static GIVEN: AtomicU64 = AtomicU64::new(0);

/// How many numbers were given since boot: tasks that began.
pub fn given() -> u64 {
    GIVEN.load(Ordering::Relaxed)
}

/// The lowest number in use above that.
pub(super) fn next_in_use(number: u32) -> Option<u32> {
    NUMBERS.lock().next_in_use(number)
}

/// A number in use.
#[derive(PartialEq, Eq, Debug)]
pub struct Pid(u32);

impl Pid {
    /// The next free number.
    ///
    /// # Errors
    /// EAGAIN: all are in use. ENOMEM.
    pub fn new() -> Result<Arc<Self>, Errno> {
        let number = NUMBERS.lock().take().ok_or(Errno::EAGAIN)?;
        GIVEN.fetch_add(1, Ordering::Relaxed);
        try_arc(Self(number))
    }
    /// As Linux writes it.
    pub fn number(&self) -> u32 {
        self.0
    }
}

impl Drop for Pid {
    fn drop(&mut self) {
        NUMBERS.lock().give_back(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round_and_skip_those_in_use() {
        let mut numbers = Numbers::new();
        assert_eq!((numbers.take(), numbers.take()), (Some(1), Some(2)));
        numbers.give_back(1);
        assert_eq!(numbers.take(), Some(3), "not the one that was just given back");
        while numbers.last < PID_MAX - 1 {
            numbers.take();
        }
        assert_eq!(numbers.take(), None, "the low numbers are not given again");
        numbers.give_back(1);
        assert_eq!(numbers.take(), None);
        numbers.give_back(777);
        numbers.give_back(32_000);
        assert_eq!((numbers.take(), numbers.take(), numbers.take()), (Some(777), Some(32_000), None));
    }

    #[test]
    fn numbers_in_use_ascend() {
        let mut numbers = Numbers::new();
        while numbers.last < 200 {
            numbers.take();
        }
        (1..=200).filter(|n| ![1, 63, 64, 200].contains(n)).for_each(|n| numbers.give_back(n));
        assert_eq!(
            [0, 1, 63, 64, 200].map(|n| numbers.next_in_use(n)),
            [Some(1), Some(63), Some(64), Some(200), None]
        );
    }

    #[test]
    fn a_number_comes_back_with_its_last_holder() {
        let pid = Pid::new().expect("free");
        let number = pid.number();
        let used = || NUMBERS.lock().used[(number / WORD) as usize] & 1 << (number % WORD) != 0;
        let other = Arc::clone(&pid);
        drop(pid);
        assert!(used());
        drop(other);
    }
}
