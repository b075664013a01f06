//! The machine's own random numbers: Deliver A Random Number (Power ISA v3.0B, Book I, "Fixed-Point
//! Arithmetic Instructions").

use core::arch::asm;

/// What the log calls it.
pub const NAME: &str = "DARN";

/// The manual: a value of all ones says that the generator has none; ten attempts suffice.
const ATTEMPTS: usize = 10;

/// Fills with random numbers of the hardware (under QEMU: the host's). False: it has none.
pub fn fill(buffer: &mut [u8]) -> bool {
    for bytes in buffer.chunks_mut(8) {
        let Some(word) = (0..ATTEMPTS).find_map(|_| word()) else { return false };
        bytes.copy_from_slice(&word.to_ne_bytes()[..bytes.len()]);
    }
    true
}

/// A conditioned 64-bit number (L = 1).
fn word() -> Option<u64> {
    let word: u64;
    // SAFETY: it writes that register only. `darn 3, 1`, written out: the assembler is told an older
    // CPU.
    unsafe { asm!(".long 0x7c6105e6", out("r3") word, options(nomem, nostack, preserves_flags)) };
    (word != u64::MAX).then_some(word)
}
