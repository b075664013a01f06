//! The machine's own random numbers: PERFORM RANDOM NUMBER OPERATION, function TRNG (POP, "PRNO";
//! Message-Security-Assist Extension 7).

use super::control;
use core::arch::asm;

/// What the log calls it.
pub const NAME: &str = "PRNO-TRNG";

/// Facility bit of PRNO (Message-Security-Assist Extension 5).
const FACILITY: usize = 57;
const QUERY: u64 = 0;
const TRNG: u64 = 114;

/// Fills with random numbers of the hardware (under QEMU: the host's). False: it has none.
pub fn fill(buffer: &mut [u8]) -> bool {
    if !control::has_facility(FACILITY) || !has_trng() {
        return false;
    }
    // SAFETY: function TRNG stores "raw" numbers at r2 and "conditioned" ones at r4, as many bytes as
    // r3 and r5 say: none, and the buffer's length. Condition code 3: done in part, go on.
    unsafe {
        asm!("2: .insn rre, 0xb93c0000, 2, 4", "brc 1, 2b",
             in("r0") TRNG,
             inout("r2") 0_usize => _, inout("r3") 0_usize => _,
             inout("r4") buffer.as_mut_ptr() => _, inout("r5") buffer.len() => _,
             options(nostack));
    }
    true
}

/// Asks the query function for the bit.
fn has_trng() -> bool {
    let mut functions = [0_u64; 2];
    // SAFETY: function 0 stores 16 bytes at r1; the operands are not looked at.
    unsafe {
        asm!(".insn rre, 0xb93c0000, 2, 4",
             in("r0") QUERY, in("r1") functions.as_mut_ptr(),
             in("r2") 0_usize, in("r3") 0_usize, in("r4") 0_usize, in("r5") 0_usize,
             options(nostack));
    }
    let (word, bit) = (TRNG as usize / 64, TRNG % 64);
    functions[word] >> (63 - bit) & 1 == 1
}
