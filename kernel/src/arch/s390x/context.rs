//! Threads in the kernel: switching stacks.
//!
//! The callee's registers are saved in the ABI's register save area of `switch`'s caller
//! (boot/s390x/switch.S); the floating-point, vector and access registers are no business of a
//! soft-float kernel and will be switched with the programs that use them.

use super::trap::ABI_AREA;
use crate::addr::VirtAddr;

/// What is saved of a thread that does not run.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// Its stack pointer.
    pub(super) sp: u64,
    /// The end of its stack, where interruptions of its program begin.
    pub(super) stack_end: u64,
}

unsafe extern "C" {
    fn switch_stack(save: *mut Context, load: *const Context);
    fn thread_start();
}

impl Context {
    /// A thread that will call `entry(argument)` on the stack that ends at the address.
    ///
    /// # Safety
    /// The stack is mapped, nobody else's, and aligned to 8 bytes.
    pub unsafe fn new(stack: VirtAddr, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        // Two areas: of `thread_start` (back chain 0), and one that `switch_stack` loads from.
        let base = stack.get() as usize - ABI_AREA;
        let sp = base - ABI_AREA;
        let save: *mut u64 = core::ptr::with_exposed_provenance_mut(sp);
        // SAFETY: both areas lie in the stack. Registers r6 on are saved from byte 48 on.
        unsafe {
            save.write_bytes(0, 2 * ABI_AREA / 8);
            save.write(base as u64);
            save.add(48 / 8).write(entry as usize as u64); // r6
            save.add(48 / 8 + 1).write(argument as u64); // r7
            save.add(48 / 8 + 8).write(thread_start as *const () as u64); // r14
            save.add(48 / 8 + 9).write(base as u64); // r15
        }
        Self { sp: sp as u64, stack_end: stack.get() }
    }
}

/// Saves this thread in the first and continues the second.
///
/// # Safety
/// Interrupts are off. `to` is a thread that does not run; `from` is this thread's.
pub unsafe fn switch(from: *mut Context, to: *const Context) {
    // SAFETY: the caller's promise.
    unsafe { switch_stack(from, to) }
}
