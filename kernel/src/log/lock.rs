//! The console lock.
//!
//! Not one of `sync`'s: those check ranks, count preemption and panic when they are misused, and
//! all of that wants to log. This one turns interrupts off (a handler may log), spins, and can be
//! broken for good: after [`speak`], which a panic calls, nobody waits for it any more, and one CPU
//! alone is heard. Only who was in the middle of a line then may still mix its rest in.
//!
//! A CPU that faults while it holds the lock reaches the panic, hence breaks it; nothing else logs
//! from within the console's driver, so no CPU waits for itself.

use super::ring::Ring;
use crate::arch::current::cpu;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

static LOCKED: AtomicBool = AtomicBool::new(false);
/// The one CPU that is heard, once the lock is broken.
static SPEAKER: AtomicUsize = AtomicUsize::new(EVERYBODY);
const EVERYBODY: usize = usize::MAX;

/// The newest lines.
struct Kept(UnsafeCell<Ring>);

// SAFETY: used by whoever holds the console's lock, and by nobody once it is broken.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(UnsafeCell::new(Ring::new()));

/// The right to write to the console; given back on drop.
pub struct ConsoleGuard {
    held: bool,
    heard: bool,
    irqs: bool,
}

impl ConsoleGuard {
    /// Whether this CPU may write: not while another one panics.
    pub(super) fn is_heard(&self) -> bool {
        self.heard
    }

    /// The newest lines; `None` once the lock is broken, when several might use them.
    pub(super) fn ring(&mut self) -> Option<&mut Ring> {
        // SAFETY: the lock is held, and the guard is borrowed as long as the reference lives.
        self.held.then(|| unsafe { &mut *KEPT.0.get() })
    }
}

/// Waits for the console.
pub(super) fn lock() -> ConsoleGuard {
    let irqs = cpu::irq_save();
    loop {
        let speaker = SPEAKER.load(Ordering::Relaxed);
        if speaker != EVERYBODY {
            return ConsoleGuard { held: false, heard: speaker == cpu::id(), irqs };
        }
        // Acquire: pairs with the Release in `drop`.
        if LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return ConsoleGuard { held: true, heard: true, irqs };
        }
        cpu::relax();
    }
}

impl Drop for ConsoleGuard {
    fn drop(&mut self) {
        if self.held {
            // Release: pairs with the Acquire in `lock`.
            LOCKED.store(false, Ordering::Release);
        }
        // SAFETY: pairs with `irq_save` in `lock`; a guard is not `Send` by use: it lives within
        // one call.
        unsafe { cpu::irq_restore(self.irqs) };
    }
}

/// From now on that CPU alone is heard, and nobody waits for the console: the kernel panics, and who
/// holds the lock may be the one.
pub fn speak(cpu: usize) {
    SPEAKER.store(cpu, Ordering::Relaxed);
}

/// The console, to keep: a panic elsewhere must get through all the same, and a test shows it.
pub fn hold_for_test() -> ConsoleGuard {
    lock()
}
