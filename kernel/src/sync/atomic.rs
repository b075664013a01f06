//! Core's atomics; in a build for loom, loom's, so that the model checker sees every access.
//!
//! Loom's cannot be made in a `const`: a module that uses them keeps its state in a type that tests
//! create, and its global instance under `cfg(not(loom))`. What only one CPU ever reads (the counts
//! in a task's context) uses core's directly: there is nothing to interleave.

#[cfg(not(loom))]
pub use core::sync::atomic::*;

#[cfg(loom)]
pub use core::sync::atomic::compiler_fence;
#[cfg(loom)]
pub use loom::sync::atomic::*;

/// Waits a moment in a loop that polls; under loom, lets another thread run.
pub fn spin_hint() {
    #[cfg(not(loom))]
    crate::arch::current::cpu::relax();
    #[cfg(loom)]
    loom::thread::yield_now();
}
