//! One value for each CPU, each in cache lines of its own.
//!
//! The values are shared, not borrowed exclusively: other CPUs may look (statistics, draining a
//! cache), and an interrupt may come in between. So `T` is atomics, or stands behind a lock that its
//! own CPU finds free almost always. The rejected alternative, `&mut` with interrupts off, saves one
//! atomic instruction and costs every look from outside an interrupt to another CPU.

use super::preempt::Pinned;
use crate::arch::MAX_CPUS;
use core::ops::Deref;

/// One CPU's value, alone in its cache lines (256 bytes on s390x, 128 on ppc64).
#[derive(Debug, Default)]
#[repr(align(256))]
pub struct Slot<T>(T);

impl<T> Slot<T> {
    /// A slot with this value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Slot<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// One `T` for each CPU.
#[derive(Debug)]
pub struct PerCpu<T>([Slot<T>; MAX_CPUS]);

impl<T> PerCpu<T> {
    /// From one slot for each CPU: `PerCpu::new([const { Slot::new(..) }; MAX_CPUS])`.
    pub const fn new(slots: [Slot<T>; MAX_CPUS]) -> Self {
        Self(slots)
    }
    /// From a function of the CPU's number.
    pub fn from_fn(mut value: impl FnMut(usize) -> T) -> Self {
        Self(core::array::from_fn(|cpu| Slot::new(value(cpu))))
    }
    /// This CPU's value. Without the guard the caller might be on another CPU when he uses it.
    ///
    /// ```compile_fail,E0597
    /// use fallow::sync::{PerCpu, PreemptGuard};
    /// let values = PerCpu::from_fn(|cpu| cpu);
    /// let mine = { let guard = PreemptGuard::new(); values.this(&guard) };
    /// println!("{mine}");
    /// ```
    #[inline(always)]
    pub fn this<'a>(&'a self, pin: &'a impl Pinned) -> &'a T {
        &self.0[pin.cpu()]
    }
    /// That CPU's value.
    pub fn of(&self, cpu: usize) -> &T {
        &self.0[cpu]
    }
    /// All values, by CPU number.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|slot| &slot.0)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::arch::current::cpu;
    use crate::sync::{IrqGuard, PreemptGuard};

    #[test]
    fn each_cpu_finds_its_own() {
        let values = PerCpu::from_fn(|cpu| cpu * 10);
        cpu::become_cpu(3);
        assert_eq!(*values.this(&PreemptGuard::new()), 30);
        cpu::become_cpu(5);
        assert_eq!(*values.this(&IrqGuard::new()), 50);
        assert_eq!(values.iter().count(), MAX_CPUS);
        assert_eq!(core::mem::align_of_val(values.of(1)), core::mem::align_of::<usize>());
        assert!(core::ptr::from_ref(values.of(1)).addr() - core::ptr::from_ref(values.of(0)).addr() >= 256);
    }
}
