//! What the CPUs did, for `/proc`: how long they were idle, how their ticks fell, what interrupted them.
//!
//! Each number is its CPU's own, changed there with interrupts off, and read by others as it happens to
//! be.

use crate::arch::MAX_CPUS;
use crate::arch::current::{cpu, timer};
use core::sync::atomic::{AtomicU64, Ordering};

/// Kinds of interrupts: short name and long.
pub const INTERRUPTS: [(&str, &str); 3] =
    [("LOC", "Local timer interrupts"), ("IPI", "Interrupts from other CPUs"), ("CON", "Console input")];

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Interrupt {
    /// The clock.
    Timer = 0,
    /// Another CPU.
    Ipi = 1,
    /// The console.
    Console = 2,
}

struct Usage {
    idle: AtomicU64,
    /// Ticks in the kernel and in programs.
    ticks: [AtomicU64; 2],
    switches: AtomicU64,
    interrupts: [AtomicU64; INTERRUPTS.len()],
}

static USAGE: [Usage; MAX_CPUS] = [const {
    Usage {
        idle: AtomicU64::new(0),
        ticks: [const { AtomicU64::new(0) }; 2],
        switches: AtomicU64::new(0),
        interrupts: [const { AtomicU64::new(0) }; INTERRUPTS.len()],
    }
}; MAX_CPUS];

/// Adds to a number of this CPU: nobody else changes it, and interrupts are off.
fn add(number: &AtomicU64, more: u64) {
    number.store(number.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
}

/// This CPU was idle for so many nanoseconds.
pub(super) fn note_idle(nanoseconds: u64) {
    add(&USAGE[cpu::id()].idle, nanoseconds);
}

/// This CPU goes on with another thread.
pub(super) fn note_switch() {
    add(&USAGE[cpu::id()].switches, 1);
}

/// This CPU was interrupted. Interrupts are off.
pub fn note_interrupt(kind: Interrupt) {
    add(&USAGE[cpu::id()].interrupts[kind as usize], 1);
}

/// The end of a slice found this CPU in a program, or in the kernel. Interrupts are off.
pub fn note_tick(in_program: bool) {
    add(&USAGE[cpu::id()].ticks[usize::from(in_program)], 1);
}

/// Nanoseconds that the CPU was idle.
pub fn idle(cpu: usize) -> u64 {
    USAGE[cpu].idle.load(Ordering::Relaxed)
}

/// How many CPUs were busy, on the average since boot (for want of shorter averages), in units of
/// `2^-shift`.
pub fn load(shift: u32) -> u64 {
    let up = timer::now().max(1);
    let busy: u64 = super::online_cpus().iter().map(|cpu| up.saturating_sub(idle(cpu))).sum();
    ((u128::from(busy) << shift) / u128::from(up)) as u64
}

/// Its ticks: in programs, in the kernel.
pub fn ticks(cpu: usize) -> (u64, u64) {
    let [kernel, program] = &USAGE[cpu].ticks;
    (program.load(Ordering::Relaxed), kernel.load(Ordering::Relaxed))
}

/// Interrupts of that kind on that CPU.
pub fn interrupts(cpu: usize, kind: usize) -> u64 {
    USAGE[cpu].interrupts[kind].load(Ordering::Relaxed)
}

/// Switches from one thread to another, on all CPUs.
pub fn switches() -> u64 {
    USAGE.iter().map(|usage| usage.switches.load(Ordering::Relaxed)).sum()
}
