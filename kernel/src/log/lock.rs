//! The console lock.
//!
//! Not one of `sync`'s: those check ranks, count preemption and panic when they are misused, and
//! all of that wants to log. This one turns interrupts off (a handler may log), spins, and can be
//! broken for good: after [`break_lock`], which a panic calls, nobody waits for it any more. Lines
//! of several CPUs may then mix; the panic keeps the others quiet by its own means.
//!
//! A CPU that faults while it holds the lock reaches the panic, hence breaks it; nothing else logs
//! from within the console's driver, so no CPU waits for itself.

use crate::arch::current::cpu;
use core::sync::atomic::{AtomicBool, Ordering};

static LOCKED: AtomicBool = AtomicBool::new(false);
static BROKEN: AtomicBool = AtomicBool::new(false);

/// The right to write to the console; given back on drop.
pub struct ConsoleGuard {
    held: bool,
    irqs: bool,
}

/// Waits for the console.
pub(super) fn lock() -> ConsoleGuard {
    let irqs = cpu::irq_save();
    loop {
        if BROKEN.load(Ordering::Relaxed) {
            return ConsoleGuard { held: false, irqs };
        }
        // Acquire: pairs with the Release in `drop`.
        if LOCKED.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            return ConsoleGuard { held: true, irqs };
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

/// From now on nobody waits for the console: the kernel panics, and who holds it may be the one.
pub fn break_lock() {
    BROKEN.store(true, Ordering::Relaxed);
}

/// The console, to keep: a panic elsewhere must get through all the same, and a test shows it.
pub fn hold_for_test() -> ConsoleGuard {
    lock()
}
