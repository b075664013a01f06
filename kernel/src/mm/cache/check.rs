//! Debug builds: an object is freed once, and not written after that.
//!
//! A free object carries a mark that depends on its address, and is filled with a pattern. A second
//! free finds the mark; an allocation finds it gone, or the pattern damaged, if somebody wrote.

use super::slab::{FreeObject, SMALLEST};
use core::ptr::NonNull;

/// Whether this build checks.
pub(super) const ON: bool = cfg!(debug_assertions);

const FILL: u8 = 0x6b;

fn mark(object: NonNull<u8>) -> u64 {
    0xfa11_0fee_d00d_f4ee ^ object.as_ptr().addr() as u64
}

/// Whether the object is marked free.
///
/// # Safety
/// It is an object of a slab.
pub(super) unsafe fn is_marked(object: NonNull<u8>) -> bool {
    // SAFETY: large and aligned enough; volatile, as its owner may believe it is still his.
    unsafe { (&raw const (*object.cast::<FreeObject>().as_ptr()).mark).read_volatile() == mark(object) }
}

/// Marks and fills an object that has been freed.
///
/// # Safety
/// It is an object of `size` bytes that nobody uses.
pub(super) unsafe fn set(object: NonNull<u8>, size: usize) {
    // SAFETY: the object is the caller's; the mark lies within its first `SMALLEST` bytes.
    unsafe {
        object.as_ptr().add(SMALLEST).write_bytes(FILL, size - SMALLEST);
        (&raw mut (*object.cast::<FreeObject>().as_ptr()).mark).write(mark(object));
    }
}

/// Takes the mark off an object that is handed out. Gives the offset of the first byte that was
/// written while it was free.
///
/// # Safety
/// As for `set`.
pub(super) unsafe fn clear(object: NonNull<u8>, size: usize) -> Option<usize> {
    // SAFETY: the object is the caller's.
    let marked = unsafe { is_marked(object) };
    // SAFETY: as above.
    unsafe { (&raw mut (*object.cast::<FreeObject>().as_ptr()).mark).write(0) };
    if !marked {
        return Some(SMALLEST - size_of::<u64>());
    }
    // SAFETY: as above; volatile: that the bytes are as `set` left them is what is in doubt.
    (SMALLEST..size).find(|&at| unsafe { object.as_ptr().add(at).read_volatile() } != FILL)
}
