//! `UnsafeCell` with the interface of loom's, which checks that accesses do not race.
//!
//! The pointer lives in a closure, so that loom knows when the access begins and ends. Outside loom
//! it is core's cell and costs nothing.

#[cfg(loom)]
pub use loom::cell::UnsafeCell;

/// Interior mutability; see the module.
#[cfg(not(loom))]
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    /// A cell with this value.
    pub const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }
    /// Calls with a pointer to read through.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    /// Calls with a pointer to read and write through.
    #[inline(always)]
    pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
    /// The value.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
