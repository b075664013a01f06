//! Staying on this CPU: preemption off, or interrupts off.

use super::context::current;
use super::hooks;
use super::latency::{self, Off};
use crate::arch::current::cpu;
use core::marker::PhantomData;

/// A value that lives only while the running code cannot leave its CPU.
///
/// # Safety
/// Implementors guarantee that, from their creation to their end, and are not `Send`.
pub unsafe trait Pinned {
    /// This CPU's number.
    #[inline(always)]
    fn cpu(&self) -> usize {
        cpu::id()
    }
}

/// Preemption is off on this CPU while it lives. Guards nest; the end of the outermost gives the CPU
/// up if that was asked for meanwhile.
///
/// It stays on its CPU:
/// ```compile_fail,E0277
/// fn needs_send<T: Send>(_: T) {}
/// needs_send(fallow::sync::PreemptGuard::new());
/// ```
#[derive(Debug)]
#[must_use = "preemption is on again when the guard is dropped"]
pub struct PreemptGuard(PhantomData<*mut ()>);

// SAFETY: the scheduler does not take the CPU from a task whose preemption depth is not 0.
unsafe impl Pinned for PreemptGuard {}

impl PreemptGuard {
    /// Turns preemption off.
    #[inline(always)]
    #[track_caller]
    pub fn new() -> Self {
        if current().preempt.enter() == 1 {
            latency::begin(Off::Preempt);
        }
        Self(PhantomData)
    }
}

impl Default for PreemptGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PreemptGuard {
    #[inline(always)]
    fn drop(&mut self) {
        let task = current();
        if task.preempt.get() == 1 {
            latency::end(Off::Preempt);
        }
        let left = task.preempt.leave();
        debug_assert!(left.is_some(), "preemption enabled that was not disabled");
        if task.need_resched() {
            preempt_if_possible();
        }
    }
}

/// Interrupts are off on this CPU while it lives, and with them preemption. They come back as they
/// were, so guards nest, but must end in the reverse order of their creation.
#[derive(Debug)]
#[must_use = "interrupts are as before again when the guard is dropped"]
pub struct IrqGuard {
    were_on: bool,
    _not_send: PhantomData<*mut ()>,
}

// SAFETY: without interrupts nothing takes the CPU from the running code.
unsafe impl Pinned for IrqGuard {}

impl IrqGuard {
    /// Turns interrupts off.
    #[inline(always)]
    #[track_caller]
    pub fn new() -> Self {
        let were_on = cpu::irq_save();
        if were_on {
            latency::begin(Off::Irqs);
        }
        Self { were_on, _not_send: PhantomData }
    }
}

impl Default for IrqGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for IrqGuard {
    #[inline(always)]
    fn drop(&mut self) {
        if self.were_on {
            latency::end(Off::Irqs);
        }
        // SAFETY: what `irq_save` gave.
        unsafe { cpu::irq_restore(self.were_on) };
        // A wake-up under this guard may have asked for the CPU.
        if self.were_on && current().need_resched() {
            preempt_if_possible();
        }
    }
}

/// Gives the CPU up if that was asked for and the context allows it. What ends a section that
/// forbids preemption calls it (the end of the outermost RCU read section, too).
#[cold]
pub fn preempt_if_possible() {
    // An interrupt just here may do the same first; then the wish is gone, or is a new one.
    let task = current();
    if task.need_resched() && task.preemptible() && cpu::irqs_enabled() {
        hooks::preempt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guards_nest() {
        let outer = PreemptGuard::new();
        let inner = PreemptGuard::new();
        assert_eq!(current().preempt_depth(), 2);
        drop(outer);
        assert!(!current().preemptible());
        drop(inner);
        assert!(current().preemptible());
    }

    #[test]
    fn interrupts_come_back_as_they_were() {
        assert!(cpu::irqs_enabled());
        let outer = IrqGuard::new();
        let inner = IrqGuard::new();
        drop(inner);
        assert!(!cpu::irqs_enabled());
        drop(outer);
        assert!(cpu::irqs_enabled());
    }
}
