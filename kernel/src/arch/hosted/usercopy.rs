//! Copies through the simulated translation of this thread's CPU.

use super::mmu::linear;
use super::space::translate;
use crate::addr::VirtAddr;
use crate::arch::handlers::Fault;

/// No page of any format is smaller.
const PIECE: u64 = 4096;

fn by_pieces(
    at: VirtAddr,
    length: usize,
    write: bool,
    mut copy: impl FnMut(*mut u8, usize, usize),
) -> Result<(), Fault> {
    let mut done = 0;
    while done < length {
        let va = VirtAddr::new(at.get() + done as u64);
        let piece = ((PIECE - va.get() % PIECE) as usize).min(length - done);
        copy(linear(translate(va, write)?), done, piece);
        done += piece;
    }
    Ok(())
}

/// Copies from the active space.
///
/// # Safety
/// `to` is valid for `length` bytes of stores.
pub unsafe fn from_user(to: *mut u8, from: VirtAddr, length: usize) -> Result<(), Fault> {
    by_pieces(from, length, false, |page, done, piece| {
        // SAFETY: a piece of simulated RAM, and of the caller's buffer.
        unsafe { to.add(done).copy_from_nonoverlapping(page, piece) }
    })
}

/// Copies to the active space.
///
/// # Safety
/// `from` is valid for `length` bytes of loads.
pub unsafe fn to_user(to: VirtAddr, from: *const u8, length: usize) -> Result<(), Fault> {
    by_pieces(to, length, true, |page, done, piece| {
        // SAFETY: a piece of simulated RAM, and of the caller's buffer.
        unsafe { page.copy_from_nonoverlapping(from.add(done), piece) }
    })
}
