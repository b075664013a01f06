//! Switching between threads of the kernel.

use crate::addr::VirtAddr;

/// Bytes of the frame that `ppc64_switch` pushes: header, r14-r31.
pub const SWITCH_FRAME: usize = 32 + 18 * 8;

/// What is saved of a thread that does not run. All else is on its stack. The layout is known to the
/// assembly.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// Its stack pointer.
    pub(super) sp: u64,
    /// Where its stack ends: what interrupts its program begins there.
    end: u64,
}

unsafe extern "C" {
    fn ppc64_switch(from: *mut Context, to: *const Context);
    fn ppc64_thread_start();
}

impl Context {
    /// A thread that will call `entry(argument)` on the stack that ends at `stack`.
    ///
    /// # Safety
    /// The stack is mapped and nobody else's.
    pub unsafe fn new(stack: VirtAddr, entry: extern "C" fn(usize) -> !, argument: usize) -> Self {
        let top = stack.get() - 64;
        let sp = top - SWITCH_FRAME as u64;
        let store = |address: u64, value: u64| {
            let pointer = core::ptr::with_exposed_provenance_mut::<u64>(address as usize);
            // SAFETY: the caller's stack, within its last 256 bytes.
            unsafe { pointer.write(value) };
        };
        let register = |number: u64| sp + 32 + 8 * (number - 14);
        store(sp, top);
        store(register(30), entry as usize as u64);
        store(register(31), argument as u64);
        // The frame above: the end of the chain, the CR, where `ppc64_switch` returns to.
        store(top, 0);
        store(top + 8, 0);
        store(top + 16, ppc64_thread_start as *const () as usize as u64);
        Self { sp, end: stack.get() }
    }
}

/// Saves this thread in the first and continues the second.
///
/// # Safety
/// Interrupts are off; `to` was saved by this function or made by `new`, and runs nowhere.
pub unsafe fn switch(from: *mut Context, to: *const Context) {
    // SAFETY: the caller's.
    unsafe { ppc64_switch(from, to) };
}
