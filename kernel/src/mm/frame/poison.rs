//! What happens to a frame's contents when it is freed.
//!
//! A debug build writes a pattern into freed frames and looks at it when it hands them out again: a
//! write to a frame after its end is reported by name. 64 words spread over the frame are enough to
//! meet most stray writes, and cost little. `page_poison=1` on the command line asks for the check in
//! any build, `init_on_free=1` for zeros in every byte instead (nothing is kept from a former owner;
//! nothing is checked).

use super::{FrameAllocator, Word};
use crate::addr::Pfn;
use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu;
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
unsafe fn write(frame: *mut u8) {
    for word in (0..WORDS).step_by(STRIDE) {
        // SAFETY: within the frame, which is the caller's; aligned as frames are.
        unsafe { frame.cast::<u64>().add(word).write(PATTERN) };
    }
}

/// The offset of the first word that is not the pattern any more.
///
/// # Safety
/// As for `write`.
unsafe fn damage(frame: *const u8) -> Option<usize> {
    (0..WORDS)
        .step_by(STRIDE)
        // SAFETY: within the frame, which is the caller's; aligned as frames are. Volatile: that the
        // words are as `write` left them is what is in doubt.
        .find(|&word| unsafe { frame.cast::<u64>().add(word).read_volatile() } != PATTERN)
        .map(|word| word * 8)
}

impl FrameAllocator {
    /// Does to a freed block what the policy says. The block is this CPU's alone.
    pub(super) fn wipe(&self, start: Pfn, order: u8) {
        let on_free = self.poison.get();
        for number in start.get()..start.get() + (1 << order) {
            let frame = Pfn::new(number);
            let memory = mmu::linear(frame.start());
            match on_free {
                OnFree::Keep => return,
                // SAFETY: the frame is this CPU's alone, and mapped.
                OnFree::Zero => unsafe { memory.write_bytes(0, PAGE_SIZE as usize) },
                OnFree::Poison => {
                    // SAFETY: as above.
                    unsafe { write(memory) };
                    let descriptor = self.descriptor_of_block(frame);
                    descriptor.set(Word { poisoned: true, ..descriptor.word() });
                }
            }
        }
    }

    /// Looks whether somebody wrote into the block while it was free, and forgets the poison.
    pub(super) fn check_poison(&self, start: Pfn, order: u8) {
        for number in start.get()..start.get() + (1 << order) {
            let descriptor = self.descriptor_of_block(Pfn::new(number));
            let word = descriptor.word();
            if !word.poisoned {
                continue;
            }
            descriptor.set(Word { poisoned: false, ..word });
            let addr = Pfn::new(number).start();
            // SAFETY: the block is this CPU's alone, and mapped.
            if let Some(offset) = unsafe { damage(mmu::linear(addr)) } {
                self.misuses.fetch_add(1, Ordering::Relaxed);
                crate::mm::misuse(format_args!(
                    "frame {addr}: written at offset {offset:#x} after it was freed"
                ));
            }
        }
    }
}
