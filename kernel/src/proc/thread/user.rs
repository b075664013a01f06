//! The part of a thread that is a program's.
//!
//! The scheduler knows this much of programs and no more: that such a thread has registers which the
//! kernel never uses, an address space, and somebody who may want its attention before it goes on as
//! the program. A kernel thread has none of it.

use crate::arch::current::user::UserState;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU32, Ordering};

/// What a thread has that runs a program. The first field of `proc::process::Task`.
///
/// # Invariants
/// `state` is touched by the thread itself, or, while it does not run, by the CPU that switches from
/// or to it.
#[derive(Debug)]
#[repr(C)]
pub struct User {
    state: UnsafeCell<UserState>,
    attention: AtomicU32,
}

// SAFETY: the invariant; the rest is atomic.
unsafe impl Sync for User {}

impl User {
    /// With these registers.
    pub const fn new(state: UserState) -> Self {
        Self { state: UnsafeCell::new(state), attention: AtomicU32::new(0) }
    }

    /// Why the thread must not go on as its program before somebody has looked; 0: nothing.
    #[inline(always)]
    pub fn attention(&self) -> u32 {
        // Acquire: pairs with the Release in `ask`.
        self.attention.load(Ordering::Acquire)
    }
    /// Adds reasons.
    pub fn ask(&self, reasons: u32) {
        self.attention.fetch_or(reasons, Ordering::Release);
    }
    /// Takes reasons back.
    pub fn answered(&self, reasons: u32) {
        self.attention.fetch_and(!reasons, Ordering::Relaxed);
    }

    /// The registers.
    ///
    /// # Safety
    /// Called by the thread itself, or for one that does not run, and used for no longer than that
    /// holds, by nobody else.
    #[expect(clippy::mut_from_ref, reason = "the caller has the thread to himself")]
    pub unsafe fn state(&self) -> &mut UserState {
        // SAFETY: nobody else touches it (the caller).
        unsafe { &mut *self.state.get() }
    }
}
