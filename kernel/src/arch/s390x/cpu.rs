//! This CPU, and signals to others.

use super::{psw, sigp, smp, trap};
use crate::addr::VirtAddr;
use crate::error::Errno;
use core::arch::asm;

pub use super::lowcore::{cpu as id, current_task, set_current_task};

/// Spin-loop hint: DIAGNOSE 0x44, the hypervisor's "time slice end".
#[inline]
pub fn relax() {
    // SAFETY: changes nothing.
    unsafe { asm!("diag %r0, %r0, 0x44", options(nostack)) };
}

/// Whether interrupts are on.
pub fn irqs_enabled() -> bool {
    psw::upper_mask() & ((psw::IO | psw::EXTERNAL) >> 32) as u32 != 0
}

/// Turns interrupts off and says whether they were on.
#[inline]
pub fn irq_save() -> bool {
    psw::irqs_off()
}

/// Turns interrupts on if the argument is true.
///
/// # Safety
/// The argument is what the matching [`irq_save`] gave.
#[inline]
pub unsafe fn irq_restore(on: bool) {
    if on {
        // SAFETY: the caller's promise.
        unsafe { psw::irqs_on() };
    }
}

/// Waits for an interrupt and takes it, by a PSW with the wait bit and interrupts on. The handler
/// returns to the PSW without these three (`trap::leave_wait`): so interrupts are off
/// behind the wait, and one that came before it ends it at once.
pub fn idle() {
    // SAFETY: the kernel's own mask; the caller had interrupts off and expects them now.
    unsafe { psw::continue_with(psw::KERNEL | psw::WAIT | psw::IO | psw::EXTERNAL) };
}

/// Interrupts that CPU. Emergency signal, not external call: a CPU holds one from each sender and
/// refuses none. SIGP orders the stores before it. Nothing happens if the CPU is not up.
pub fn send_ipi(cpu: usize) {
    if let Some(address) = smp::address(cpu) {
        // SAFETY: the CPU is up and takes the interruption.
        unsafe { sigp::signal(address, sigp::Order::EmergencySignal, 0) };
    }
}

/// Interrupts that CPU whatever it does, by a restart, which cannot be masked; it does not go on.
pub fn send_nmi(cpu: usize) -> bool {
    let Some(address) = smp::address(cpu) else { return false };
    trap::expect_restart(cpu);
    // SAFETY: the caller gives the CPU up.
    unsafe { sigp::signal(address, sigp::Order::Restart, 0) == sigp::Outcome::Accepted }
}

/// Starts a stopped CPU on the stack that ends at the address, as the given task.
///
/// # Safety
/// The stack is mapped and nobody else's; the task lives for ever.
pub unsafe fn start(cpu: usize, hardware: u32, stack: VirtAddr, task: *const ()) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe { smp::start(cpu, hardware, stack, task) }
}

/// The registers as they are in the caller, into which this is inlined.
#[inline(always)]
pub fn capture() -> trap::TrapFrame {
    trap::TrapFrame::here()
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    irq_save();
    loop {
        // SAFETY: this CPU has nothing left to do.
        unsafe { sigp::signal(super::control::cpu_address(), sigp::Order::Stop, 0) };
    }
}
