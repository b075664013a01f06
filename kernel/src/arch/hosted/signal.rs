//! No signal is delivered on the host.

use super::TrapFrame;
use super::user::UserState;
use crate::addr::VirtAddr;
use crate::arch::signals::{Delivery, Placed, Restored};
use crate::error::Errno;

/// The most bytes of a signal frame.
pub const FRAME_MAX: usize = 16;
/// What delivering a signal takes of a stack.
pub const STACK_MIN: usize = FRAME_MAX;
/// Code that ends a handler.
pub const TRAMPOLINE: &[u8] = &[];
/// There is none.
pub const TRAMPOLINE_IS_ELF: bool = false;

/// Makes the frame of a signal, and `frame` continue in its handler.
pub fn deliver(
    _frame: &mut TrapFrame,
    _state: &mut UserState,
    delivery: &Delivery,
    _buffer: &mut [u8; FRAME_MAX],
) -> Placed {
    Placed { at: delivery.stack, length: 0 }
}

/// Where the frame lies that `sigreturn` (or `rt_sigreturn`) ends, and its length.
pub fn frame_address(_frame: &TrapFrame, _rt: bool) -> (VirtAddr, usize) {
    (VirtAddr::new(0), 0)
}

/// Takes the program's state back from a signal frame.
pub fn restore(
    _frame: &mut TrapFrame,
    _state: &mut UserState,
    _bytes: &[u8],
    _rt: bool,
) -> Result<Restored, Errno> {
    Err(Errno::EFAULT)
}
