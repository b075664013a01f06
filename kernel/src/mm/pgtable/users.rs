//! On which CPUs an address space ever ran.
//!
//! The set only grows: a CPU that left the address space may hold its translations still (H32). Both
//! machines flush by broadcast, so nothing but the `ipi` scheme looks at it, and that is the point:
//! protection of walkers must not depend on such a set (H33).

use crate::arch::MAX_CPUS;
use crate::sync::atomic::{AtomicU32, Ordering};

/// A set of CPUs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CpuSet(u32);

const _: () = assert!(MAX_CPUS <= 32);

impl CpuSet {
    /// No CPU.
    pub const EMPTY: Self = Self(0);

    /// Whether that CPU is in it.
    pub const fn contains(self, cpu: usize) -> bool {
        cpu < MAX_CPUS && self.0 & 1 << cpu != 0
    }
    /// Without that CPU.
    pub const fn without(self, cpu: usize) -> Self {
        Self(if cpu < MAX_CPUS { self.0 & !(1 << cpu) } else { self.0 })
    }
    /// The set as bits, CPU 0 the lowest.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// The CPUs on which an address space ran.
#[derive(Debug)]
pub struct Users(AtomicU32);

impl Users {
    /// None yet.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }
    /// This CPU is about to run it.
    pub fn add(&self, cpu: usize) {
        // SeqCst: before the CPU's first walk, in the one order that `get` reads from.
        self.0.fetch_or(1 << (cpu % MAX_CPUS), Ordering::SeqCst);
    }
    /// All that ran it so far.
    pub fn get(&self) -> CpuSet {
        // SeqCst: after the writer's stores that unlinked a table; pairs with `add`.
        CpuSet(self.0.load(Ordering::SeqCst))
    }
}

impl Default for Users {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of the last request to answer.
#[cfg(not(loom))]
static ASKED: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
/// The number of the last request that each CPU has answered.
#[cfg(not(loom))]
static ANSWERED: [core::sync::atomic::AtomicU64; MAX_CPUS] =
    [const { core::sync::atomic::AtomicU64::new(0) }; MAX_CPUS];

/// Interrupts those CPUs and returns when each has taken an interrupt since, and so was outside of
/// any section with interrupts off. It polls: those who wait for each other answer while they wait,
/// for they are not in a section themselves.
#[cfg(not(loom))]
pub(super) fn interrupt(cpus: CpuSet) {
    let pin = crate::sync::PreemptGuard::new();
    let cpus = cpus.without(crate::sync::Pinned::cpu(&pin));
    // SeqCst: after what was unlinked; pairs with the load in `answer`.
    let request = ASKED.fetch_add(1, Ordering::SeqCst) + 1;
    let asked = || (0..MAX_CPUS).filter(|&cpu| cpus.contains(cpu));
    asked().for_each(crate::arch::current::cpu::send_ipi);
    // Acquire: pairs with the Release in `answer`: that CPU's walks so far are over.
    while asked().any(|cpu| ANSWERED[cpu].load(Ordering::Acquire) < request) {
        answer();
        crate::arch::current::cpu::relax();
    }
}

/// This CPU is in no section with interrupts off. Called by the handler of interrupts from other
/// CPUs.
#[cfg(not(loom))]
pub fn answer() {
    let guard = crate::sync::IrqGuard::new();
    let request = ASKED.load(Ordering::SeqCst);
    // Release: pairs with the Acquire in `interrupt`.
    ANSWERED[crate::sync::Pinned::cpu(&guard) % MAX_CPUS].fetch_max(request, Ordering::Release);
}
