//! No frames: the host's own debugger shows them.

use super::TrapFrame;
use super::context::Context;

/// Visits nothing.
pub fn here(_visit: &mut dyn FnMut(usize) -> bool) {}
/// Visits nothing.
pub fn of_frame(_frame: &TrapFrame, _visit: &mut dyn FnMut(usize) -> bool) {}
/// Visits nothing.
pub fn of_context(_context: &Context, _visit: &mut dyn FnMut(usize) -> bool) {}
