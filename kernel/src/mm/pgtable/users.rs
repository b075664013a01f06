//! Interrupting the CPUs on which an address space ever ran.
//!
//! The set only grows: a CPU that left the address space may hold its translations still (H32). Both
//! machines flush by broadcast, so nothing but the `ipi` scheme asks for it, and that is the point:
//! protection of walkers must not depend on such a set (H33).

use crate::arch::{MAX_CPUS, current::cpu};
use crate::cpus::CpuSet;
use crate::sync::{IrqGuard, Pinned, PreemptGuard};
use core::sync::atomic::{AtomicU64, Ordering};

/// The number of the last request to answer.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// The number of the last request that each CPU has answered.
static ANSWERED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// Interrupts those CPUs and returns when each has taken an interrupt since, and so was outside of
/// any section with interrupts off. It polls: those who wait for each other answer while they wait,
/// for they are not in a section themselves.
pub(super) fn interrupt(cpus: CpuSet) {
    let pin = PreemptGuard::new();
    let cpus = cpus.without(CpuSet::one(pin.cpu()));
    // SeqCst: what was unlinked comes before it; pairs with the load in `answer`: the walks that its CPU
    // begins later do not find it.
    let request = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    super::counters::INTERRUPTS.add(cpus.len());
    cpus.iter().for_each(cpu::send_ipi);
    // Acquire: pairs with the Release in `answer`: that CPU's walks so far are over.
    while cpus.iter().any(|cpu| ANSWERED[cpu].load(Ordering::Acquire) < request) {
        answer();
        cpu::relax();
    }
}

/// This CPU is in no section with interrupts off, and has no dead address space active. Called by the
/// handler of interrupts from other CPUs.
pub fn answer() {
    let guard = IrqGuard::new();
    // SeqCst: pairs with the count in `interrupt`.
    let request = ASKED.load(Ordering::SeqCst);
    // What was asked for may be that this CPU leaves a dead address space.
    crate::mm::space::leave_dying();
    // Release: pairs with the Acquire in `interrupt`.
    ANSWERED[guard.cpu() % MAX_CPUS].fetch_max(request, Ordering::Release);
}
