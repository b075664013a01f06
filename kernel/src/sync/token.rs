//! Contexts as values: a function that takes one can only be called where there is one.
//!
//! They cost nothing and say what a comment would say. They are not a proof alone: a task that holds
//! its [`MaySleep`] may hold a spin lock too, so what sleeps also asks
//! [`assert_may_sleep`](super::context::assert_may_sleep).

use super::context::current;
use super::latency::{self, Off};
use crate::arch::current::cpu;
use core::marker::PhantomData;

/// Evidence that the running context is a task, which may sleep. What sleeps takes `&mut`, what
/// forbids sleeping borrows it: sleeping inside is a borrow error.
///
/// It stays with its task:
/// ```compile_fail,E0277
/// fn needs_send<T: Send>(_: T) {}
/// # // SAFETY: an example that does not compile.
/// needs_send(unsafe { fallow::sync::MaySleep::mint() });
/// ```
/// There is one for each task, and it is not copied:
/// ```compile_fail,E0382
/// fn sleep(_: fallow::sync::MaySleep) {}
/// # // SAFETY: an example that does not compile.
/// let token = unsafe { fallow::sync::MaySleep::mint() };
/// sleep(token);
/// sleep(token);
/// ```
/// An interrupt handler has none:
/// ```compile_fail,E0308
/// fn sleep(_: &mut fallow::sync::MaySleep) {}
/// fallow::sync::token::interrupt(|irq| sleep(irq));
/// ```
#[derive(Debug)]
pub struct MaySleep(PhantomData<*mut ()>);

impl MaySleep {
    /// The token of a task.
    ///
    /// # Safety
    /// Called where a task begins: no other token of this task is alive, and this is not an
    /// interrupt.
    pub const unsafe fn mint() -> Self {
        Self(PhantomData)
    }
}

/// Evidence that the running context is an interrupt handler: interrupts are off, nothing sleeps.
///
/// It cannot be made elsewhere:
/// ```compile_fail,E0423
/// let irq = fallow::sync::InIrq(core::marker::PhantomData);
/// ```
#[derive(Debug)]
pub struct InIrq(PhantomData<*mut ()>);

/// Runs the body of an interrupt handler, counted as such: plain spin locks are refused (H24).
#[inline]
#[track_caller]
pub fn interrupt<R>(body: impl FnOnce(&mut InIrq) -> R) -> R {
    debug_assert!(!cpu::irqs_enabled(), "an interrupt is handled with interrupts on");
    // Not kept over the body: the same task runs before and after it, on the same context.
    current().irq.enter();
    latency::begin(Off::Irqs);
    let result = body(&mut InIrq(PhantomData));
    latency::end(Off::Irqs);
    current().irq.leave();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_nest_and_are_counted() {
        let on = cpu::irq_save();
        assert_eq!(current().irq_depth(), 0);
        interrupt(|_| interrupt(|_| assert_eq!(current().irq_depth(), 2)));
        assert_eq!(current().irq_depth(), 0);
        // SAFETY: pairs with the `irq_save` above.
        unsafe { cpu::irq_restore(on) };
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "interrupts on")]
    fn an_interrupt_has_interrupts_off() {
        interrupt(|_| ());
    }
}
