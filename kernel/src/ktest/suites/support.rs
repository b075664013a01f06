//! What several suites need.

use crate::arch::current::cpu;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Polls without letting go of the CPU.
pub(super) fn spin_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        cpu::relax();
    }
}

/// Counts arrivals down to none.
pub(super) struct Countdown(AtomicUsize);

impl Countdown {
    pub(super) fn new(count: usize) -> Self {
        Self(AtomicUsize::new(count))
    }
    /// One has arrived.
    pub(super) fn arrive(&self) {
        // AcqRel: what each did before it arrived is seen by who finds it over.
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
    /// All have.
    pub(super) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }
}
