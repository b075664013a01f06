//! Calling a function on other CPUs.
//!
//! Each CPU has one request, in which it says what it wants of whom: a function, an argument, and
//! the set of CPUs that have not run it yet. A CPU that is interrupted looks through the requests
//! of all CPUs for its own bit. So a call to one CPU and a call to all cost one request, nothing is
//! allocated, and a caller waits for nobody but those it asked. Rejected: a queue at each receiver,
//! which needs a node for each receiver of a call.
//!
//! No deadlock: a caller that waits serves what others ask of it, interrupts off or on, so two CPUs
//! may call each other.

use crate::arch::MAX_CPUS;
use crate::arch::current::cpu;
use crate::cpus::{AtomicCpuSet, CpuSet};
use crate::sync::context::current;
use crate::sync::percpu::Slot;
use crate::sync::{PerCpu, Pinned, PreemptGuard};
use core::cell::UnsafeCell;

/// # Invariants
/// `work` is written by the request's own CPU while `waiting` is empty, and read by the CPUs in
/// `waiting` only.
struct Request {
    work: UnsafeCell<(fn(usize), usize)>,
    waiting: AtomicCpuSet,
}

// SAFETY: the invariant; the set's changes are ordered with the accesses to `work`.
unsafe impl Sync for Request {}

static REQUESTS: PerCpu<Request> = PerCpu::new(
    [const { Slot::new(Request { work: UnsafeCell::new((|_| (), 0)), waiting: AtomicCpuSet::new() }) };
        MAX_CPUS],
);

/// Runs `work(argument)` on each of the CPUs, on others as an interrupt, and returns when all have
/// run it. The CPUs must be online, or have been.
///
/// Not in an interrupt: this CPU's request may be in use. Not while another CPU may wait for
/// something that this one holds with interrupts off.
pub fn call_on(cpus: CpuSet, work: fn(usize), argument: usize) {
    let pin = PreemptGuard::new();
    debug_assert_eq!(current().irq_depth(), 0, "call_on in an interrupt");
    let this = pin.cpu();
    let others = cpus.without(CpuSet::one(this));
    if !others.is_empty() {
        let request = REQUESTS.this(&pin);
        // SAFETY: the last call has ended, so `waiting` is empty; preemption is off, and interrupts
        // do not call.
        unsafe { *request.work.get() = (work, argument) };
        // SeqCst, as all its accesses: pairs with the load in `serve`, which reads `work` after it.
        request.waiting.set(others);
        others.iter().for_each(cpu::send_ipi);
    }
    if cpus.contains(this) {
        let irqs = crate::sync::IrqGuard::new();
        work(argument);
        drop(irqs);
    }
    // Pairs with the removal in `serve`: what the work did is seen here.
    while !REQUESTS.this(&pin).waiting.get().is_empty() {
        serve(this);
        cpu::relax();
    }
}

/// Runs what other CPUs want of this one. Called by the inter-CPU interrupt.
pub fn serve(this: usize) {
    for request in REQUESTS.iter().filter(|request| request.waiting.get().contains(this)) {
        let irqs = crate::sync::IrqGuard::new();
        // An interrupt may have served it between the look and this guard.
        if request.waiting.get().contains(this) {
            // SAFETY: this CPU is in `waiting`, so the request's CPU does not write.
            let (work, argument) = unsafe { *request.work.get() };
            work(argument);
            request.waiting.remove(this);
        }
        drop(irqs);
    }
}
