//! How long each CPU was kept from what it should have done: the longest stretches with interrupts
//! off, with preemption off, and in a read section, and where each began.
//!
//! A reader of page tables that turns interrupts off (`pgtable.free=ipi`) makes the first of them as
//! long as his walk; one in a read section does not. Counting is off until asked for
//! (`/sys/kernel/debug/latency`, or `latency` on the command line): then a guard costs two looks at the
//! clock, otherwise a load and a branch.
//!
//! A stretch belongs to the CPU on which it ends, which is the one on which it began: nobody leaves
//! his CPU within one. A context switch, which begins with interrupts off on one task and ends on
//! another, is one stretch.

use crate::arch::MAX_CPUS;
use crate::arch::current::{cpu, timer};
use core::panic::Location;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

/// What was off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Off {
    /// Interrupts.
    Irqs,
    /// Preemption, by a guard or a spin lock.
    Preempt,
    /// Preemption, by a read section.
    Section,
}

impl Off {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Irqs, Self::Preempt, Self::Section];

    /// A word for reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Irqs => "irqs_off",
            Self::Preempt => "preempt_off",
            Self::Section => "rcu_section",
        }
    }
}

/// The stretches of one kind on one CPU.
///
/// # Invariants
/// Written by that CPU only, so a load and a store do for each word. Who reads them from elsewhere may
/// see a time and the place of another.
struct Stretch {
    /// When the one that runs began; 0 if none is counted.
    since: AtomicU64,
    began_at: AtomicPtr<Location<'static>>,
    longest: AtomicU64,
    longest_at: AtomicPtr<Location<'static>>,
}

impl Stretch {
    const fn new() -> Self {
        Self {
            since: AtomicU64::new(0),
            began_at: AtomicPtr::new(core::ptr::null_mut()),
            longest: AtomicU64::new(0),
            longest_at: AtomicPtr::new(core::ptr::null_mut()),
        }
    }
}

static ON: AtomicBool = AtomicBool::new(false);
static CPUS: [[Stretch; 3]; MAX_CPUS] = [const { [const { Stretch::new() }; 3] }; MAX_CPUS];

/// The caller has just turned it off.
#[inline(always)]
#[track_caller]
pub(crate) fn begin(off: Off) {
    if ON.load(Ordering::Relaxed) {
        begin_counted(off, Location::caller());
    }
}

/// The caller is about to turn it on again.
#[inline(always)]
pub(crate) fn end(off: Off) {
    if ON.load(Ordering::Relaxed) {
        end_counted(off);
    }
}

fn this(off: Off) -> &'static Stretch {
    &CPUS[cpu::id() % MAX_CPUS][off as usize]
}

#[cold]
fn begin_counted(off: Off, place: &'static Location<'static>) {
    let stretch = this(off);
    stretch.began_at.store(core::ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
    stretch.since.store(timer::now().max(1), Ordering::Relaxed);
}

#[cold]
fn end_counted(off: Off) {
    let stretch = this(off);
    let since = stretch.since.swap(0, Ordering::Relaxed);
    if since == 0 {
        return;
    }
    let length = timer::now().saturating_sub(since);
    if length > stretch.longest.load(Ordering::Relaxed) {
        stretch.longest.store(length, Ordering::Relaxed);
        stretch.longest_at.store(stretch.began_at.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Counts from now on, from nothing; or stops to.
pub fn count(on: bool) {
    if on {
        reset();
    }
    ON.store(on, Ordering::Relaxed);
}

/// Whether it counts.
pub fn counts() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Forgets what was longest.
pub fn reset() {
    for stretch in CPUS.iter().flatten() {
        stretch.longest.store(0, Ordering::Relaxed);
        stretch.longest_at.store(core::ptr::null_mut(), Ordering::Relaxed);
    }
}

/// The longest stretch of the kind on that CPU, in nanoseconds, and where it began.
pub fn longest(cpu: usize, off: Off) -> Option<(u64, &'static Location<'static>)> {
    let stretch = &CPUS.get(cpu)?[off as usize];
    let place = stretch.longest_at.load(Ordering::Relaxed);
    // SAFETY: null or a `&'static Location`.
    Some((stretch.longest.load(Ordering::Relaxed), unsafe { place.as_ref() }?))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{IrqGuard, PreemptGuard};

    #[test]
    fn the_longest_stretch_names_its_place() {
        count(true);
        let cpu = cpu::id();
        let wait = || {
            let start = timer::now();
            while timer::now() < start + 20_000_000 {}
        };
        let line = line!() + 1;
        let irqs = IrqGuard::new();
        let inner = IrqGuard::new();
        wait();
        drop(inner);
        drop(irqs);
        let outer = PreemptGuard::new();
        wait();
        drop(outer);
        count(false);
        let (length, place) = longest(cpu, Off::Irqs).expect("counted");
        assert!(length >= 20_000_000 && place.file().ends_with("latency.rs"), "{length} {place}");
        assert_eq!(place.line(), line);
        let (length, _) = longest(cpu, Off::Preempt).expect("counted");
        assert!(length >= 20_000_000);
        reset();
        assert_eq!(longest(cpu, Off::Irqs), None);
    }
}
