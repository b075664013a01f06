//! Kernel threads do not exist on the host.

use crate::addr::VirtAddr;

/// Nothing to save.
#[derive(Debug)]
pub struct Context(());

impl Context {
    /// A context that cannot be switched to.
    ///
    /// # Safety
    /// None.
    pub unsafe fn new(_stack: VirtAddr, _entry: extern "C" fn(usize) -> !, _argument: usize) -> Self {
        Self(())
    }
}
/// Not here.
///
/// # Safety
/// None: it panics.
pub unsafe fn switch(_from: *mut Context, _to: *const Context) {
    panic!("the host does not switch kernel threads");
}
