//! What happens to a frame's contents when it is freed.
//!
//! A debug build writes a pattern into freed frames and looks at it when it hands them out again: a
//! write to a frame after its end is reported by name. 64 words spread over the frame are enough to
//! meet most stray writes, and cost little. `page_poison=1` on the command line asks for the check in
//! any build, `init_on_free=1` for zeros in every byte instead (nothing is kept from a former owner;
//! nothing is checked).

use crate::arch::PAGE_SIZE;
use core::sync::atomic::{AtomicU8, Ordering};

/// What to do with a frame that is freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum OnFree {
    /// Nothing.
    Keep = 0,
    /// Write the pattern; look at it at the next allocation.
    Poison = 1,
    /// Zero every byte.
    Zero = 2,
}

/// The words that are written: not an address, not a valid entry of either machine's tables (the
/// invalid bits 0x400 and 0x20 of s390x are set, ppc64's valid bit 0 is not), and easy to see.
pub const PATTERN: u64 = 0x5a5a_f4ee_5a5a_5e7a;
const WORDS: usize = PAGE_SIZE as usize / 8;
/// One word in so many is written.
const STRIDE: usize = WORDS / 64;

pub(super) struct Policy(AtomicU8);

impl Policy {
    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(if cfg!(debug_assertions) { OnFree::Poison } else { OnFree::Keep } as u8))
    }
    pub(super) fn set(&self, on_free: OnFree) {
        self.0.store(on_free as u8, Ordering::Relaxed);
    }
    pub(super) fn get(&self) -> OnFree {
        match self.0.load(Ordering::Relaxed) {
            1 => OnFree::Poison,
            2 => OnFree::Zero,
            _ => OnFree::Keep,
        }
    }
}

/// Writes the pattern into one frame.
///
/// # Safety
/// The frame begins at the pointer and nobody else uses it.
pub(super) unsafe fn write(frame: *mut u8) {
    for word in (0..WORDS).step_by(STRIDE) {
        // SAFETY: within the frame, which is the caller's; aligned as frames are.
        unsafe { frame.cast::<u64>().add(word).write(PATTERN) };
    }
}

/// The offset of the first word that is not the pattern any more.
///
/// # Safety
/// As for `write`.
pub(super) unsafe fn damage(frame: *const u8) -> Option<usize> {
    (0..WORDS)
        .step_by(STRIDE)
        // SAFETY: within the frame, which is the caller's; aligned as frames are. Volatile: that the
        // words are as `write` left them is what is in doubt.
        .find(|&word| unsafe { frame.cast::<u64>().add(word).read_volatile() } != PATTERN)
        .map(|word| word * 8)
}
