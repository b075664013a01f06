//! What several suites need.

use crate::addr::Pfn;
use crate::arch::current::cpu;
use crate::mm;
use crate::mm::frame::{Kind, Request};
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

/// All free memory, each frame pointing to the one before. Given back when it is dropped.
pub(super) struct Hoard(Option<Pfn>);

impl Hoard {
    /// Takes every free frame.
    pub(super) fn all() -> Self {
        let mut hoard = Self(None);
        while let Ok(frame) = mm::frames().alloc(Request::of(Kind::Kernel), None) {
            // SAFETY: the frame is ours.
            unsafe { frame.as_ptr().cast::<Option<Pfn>>().write(hoard.0) };
            hoard.0 = Some(frame.into_raw());
        }
        hoard
    }
    /// Gives so many frames back.
    pub(super) fn give_back(&mut self, most: usize) {
        for _ in 0..most {
            let Some(pfn) = self.0 else { return };
            // SAFETY: from `into_raw` above; adopted once.
            let Ok(frame) = (unsafe { mm::frames().adopt(pfn) }) else { return };
            // SAFETY: written above.
            self.0 = unsafe { frame.as_ptr().cast::<Option<Pfn>>().read() };
        }
    }
}

impl Drop for Hoard {
    fn drop(&mut self) {
        self.give_back(usize::MAX);
    }
}
