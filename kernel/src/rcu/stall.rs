//! What is known about a grace period that does not end.

use super::instance::{Environment, Rcu};
use super::list::Lengths;
use super::seq::Seq;

/// A grace period that takes too long. Whoever prints it adds what each CPU's task is called and how
/// deep it is in read sections.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    /// Which grace period.
    pub seq: Seq,
    /// The CPUs that it waits for, a bit each.
    pub cpus: usize,
    /// For how many nanoseconds it has been running.
    pub age: u64,
    /// The callbacks of all CPUs.
    pub callbacks: Lengths,
}

impl Stall {
    pub(super) fn new<E: Environment, const N: usize>(rcu: &Rcu<E, N>, cpus: usize, age: u64) -> Self {
        let mut callbacks = Lengths::default();
        (0..N).for_each(|cpu| callbacks.add(&rcu.lengths(cpu)));
        Self { seq: rcu.current(), cpus, age, callbacks }
    }
    /// The numbers of those CPUs.
    pub fn cpu_numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let cpus = self.cpus;
        (0..usize::BITS as usize).filter(move |cpu| cpus & (1 << cpu) != 0)
    }
}
