//! The rings of the kernel's CPUs.

use super::event::{Event, Group, Groups};
use super::ring::{Record, Ring, Slot};
use super::text::Merge;
use crate::arch::MAX_CPUS;
use crate::arch::current::{cpu, timer};
use crate::sync::context::current;
use core::sync::atomic::{AtomicU32, Ordering};

/// A bit for each group that is on.
static ON: AtomicU32 = AtomicU32::new(0);

static RINGS: [Ring; MAX_CPUS] = [const { Ring::new() }; MAX_CPUS];

/// Notes an event, if its group is on; only then is it made.
#[inline(always)]
pub fn emit(group: Group, event: impl FnOnce() -> Event) {
    // Relaxed: whether one event more or less is noted when tracing is turned on does not matter.
    if ON.load(Ordering::Relaxed) & group.bit() != 0 {
        note(event());
    }
}

#[cold]
fn note(event: Event) {
    // Not pinned: a task that moves between the two lines leaves its event in its former CPU's ring,
    // which bears more than one writer.
    let cpu = cpu::id();
    if let Some(ring) = RINGS.get(cpu) {
        let task = current();
        ring.write(Record { at: timer::now(), cpu: cpu as u8, task: task.id(), name: task.name(), event });
    }
}

/// The groups that are on.
pub fn groups() -> Groups {
    Groups::from_bits(ON.load(Ordering::Relaxed))
}

/// Turns these groups on and all others off.
pub fn set_groups(groups: Groups) {
    ON.store(groups.bits(), Ordering::Relaxed);
}

/// Gives a CPU memory for its events. False if it has some already.
pub fn give_memory(cpu: usize, slots: &'static [Slot]) -> bool {
    RINGS.get(cpu).is_some_and(|ring| ring.give_memory(slots))
}

/// Whether a CPU has memory for events.
pub fn has_memory(cpu: usize) -> bool {
    RINGS.get(cpu).is_some_and(Ring::has_memory)
}

/// Events of all CPUs.
pub type Events = Merge<'static, MAX_CPUS>;

/// All events that there are now, oldest first.
pub fn events() -> Events {
    Merge::new(&RINGS)
}

/// How many were noted since the last `clear`, those included that were overwritten.
pub fn written() -> usize {
    RINGS.iter().map(Ring::written).sum()
}

/// Forgets all events so far.
pub fn clear() {
    RINGS.iter().for_each(Ring::clear);
}
