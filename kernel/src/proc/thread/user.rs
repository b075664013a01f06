//! The part of a thread that is a program's.
//!
//! The scheduler knows this much of programs and no more: that such a thread has registers which the
//! kernel never uses, an address space, and somebody who may want its attention before it goes on as
//! the program. A kernel thread has none of it.
//!
//! The registers of the program that leaves a CPU are saved at once, those of the one that comes are
//! put in place at once. Doing it later, when a program is about to run, saves the work where only
//! kernel threads run in between, and needs a CPU to know whose registers it holds; on one that is
//! shared by two programs it saves nothing. The address space is switched lazily: a kernel thread
//! leaves the last program's in place, and its end makes all CPUs leave it first (H32, `mm::space`).

use super::Thread;
use crate::arch::current::timer;
use crate::arch::current::user::UserState;
use crate::mm::space::MmRef;
use crate::sync::{IrqGuard, PreemptGuard};
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// What a thread has that runs a program. The first field of `proc::process::Task`.
///
/// # Invariants
/// `state` and `space` are touched by the thread itself with interrupts off, or, while it does not run,
/// by the CPU that switches from or to it.
#[repr(C)]
pub struct User {
    state: UnsafeCell<UserState>,
    space: UnsafeCell<Option<MmRef>>,
    attention: AtomicU32,
    ran: Ran,
}

/// How long a thread has run, in nanoseconds. Others read it at any time.
///
/// One word, since two are not read at one moment: a thread that left its CPU in between would have its
/// last turn counted twice, and its clock would go back after that. While it runs the word is the time at
/// which it would have begun, had it run without a break; else, how long it ran.
struct Ran(AtomicU64);

impl Ran {
    const RUNS: u64 = 1 << 63;

    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
    fn at(&self, now: u64) -> u64 {
        match self.0.load(Ordering::Relaxed) {
            word if word & Self::RUNS == 0 => word,
            word => now.saturating_sub(word & !Self::RUNS),
        }
    }
    /// It begins to run. Called by the CPU that switches to it.
    fn begin(&self, now: u64) {
        self.0.store(now.saturating_sub(self.at(now)) | Self::RUNS, Ordering::Relaxed);
    }
    /// It leaves its CPU, which says so.
    fn end(&self, now: u64) {
        self.0.store(self.at(now), Ordering::Relaxed);
    }
}

// SAFETY: the invariant; the rest is atomic.
unsafe impl Sync for User {}
// SAFETY: registers and a reference belong to no CPU.
unsafe impl Send for User {}

impl User {
    /// With these registers, and no address space yet.
    pub const fn new(state: UserState) -> Self {
        Self {
            state: UnsafeCell::new(state),
            space: UnsafeCell::new(None),
            attention: AtomicU32::new(0),
            ran: Ran::new(),
        }
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

    /// Nanoseconds that it has run.
    pub fn ran(&self) -> u64 {
        self.ran.at(timer::now())
    }

    /// A copy of the registers as they are now.
    ///
    /// # Safety
    /// Called by the thread itself.
    pub unsafe fn registers(&self) -> UserState {
        let _irqs = IrqGuard::new();
        // SAFETY: the thread itself, interrupts off; the CPU holds what is its program's.
        unsafe {
            (*self.state.get()).save();
            (*self.state.get()).clone()
        }
    }

    /// Replaces the registers.
    ///
    /// # Safety
    /// Called by the thread itself.
    pub unsafe fn set_registers(&self, state: &UserState) {
        let _irqs = IrqGuard::new();
        // SAFETY: the thread itself, interrupts off; what the CPU holds is not wanted any more.
        unsafe {
            (*self.state.get()).clone_from(state);
            (*self.state.get()).restore();
        }
    }

    /// The address space.
    ///
    /// # Safety
    /// Called by the thread itself; the reference is not used after `set_space`.
    #[inline(always)]
    pub unsafe fn space(&self) -> Option<&MmRef> {
        // SAFETY: the thread itself only reads it now.
        unsafe { (*self.space.get()).as_ref() }
    }

    /// Replaces the address space of a thread that has not begun.
    ///
    /// # Safety
    /// It has not, and nobody else does this.
    pub unsafe fn give_space(&self, space: Option<MmRef>) -> Option<MmRef> {
        // SAFETY: nobody else touches it (the caller).
        unsafe { core::mem::replace(&mut *self.space.get(), space) }
    }

    /// Replaces the address space, and runs in the new one. Gives the old one, in which it does not run
    /// any more.
    ///
    /// # Safety
    /// Called by the thread itself, which keeps no reference from `space`.
    pub unsafe fn set_space(&self, space: Option<MmRef>) -> Option<MmRef> {
        let pin = PreemptGuard::new();
        // SAFETY: the thread itself, which is not switched from meanwhile.
        let old = unsafe { core::mem::replace(&mut *self.space.get(), space) };
        // SAFETY: as above.
        match (unsafe { &*self.space.get() }, &old) {
            (Some(space), _) => space.activate(&pin),
            (None, Some(old)) => old.leave(&pin),
            (None, None) => {}
        }
        old
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "User(attention {:#x})", self.attention())
    }
}

/// The part of a switch that concerns programs.
///
/// # Safety
/// Interrupts are off, `prev` runs and leaves this CPU, `next` comes; neither is touched by anybody else.
pub(in crate::proc) unsafe fn switch(prev: &Thread, next: &Thread, irqs: &IrqGuard) {
    // SAFETY: what stands there lives.
    let (from, to) = unsafe { (prev.user().as_ref(), next.user().as_ref()) };
    if from.is_none() && to.is_none() {
        return;
    }
    let now = timer::now();
    if let Some(from) = from {
        from.ran.end(now);
        // SAFETY: the CPU holds the registers of the program that leaves.
        unsafe { (*from.state.get()).save() };
    }
    if let Some(to) = to {
        to.ran.begin(now);
        // SAFETY: what the CPU held is saved. The space is changed by the thread itself only, which does
        // not run yet.
        unsafe {
            (*to.state.get()).restore();
            if let Some(space) = &*to.space.get() {
                space.activate(irqs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_runs_while_its_thread_does() {
        let ran = Ran::new();
        assert_eq!(ran.at(1000), 0);
        ran.begin(1000);
        assert_eq!((ran.at(1000), ran.at(1007)), (0, 7));
        ran.end(1010);
        assert_eq!(ran.at(5000), 10);
        ran.begin(6000);
        assert_eq!(ran.at(6005), 15);
        ran.end(6006);
        assert_eq!(ran.at(9000), 16);
    }
}
