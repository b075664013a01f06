//! The ring of a CPU: it takes no lock and turns nothing off.
//!
//! A writer takes the next number by one atomic addition; the number names its slot. So an interrupt
//! on top of a writer, or a task that was moved to another CPU at the wrong moment, just takes the
//! number behind. The slot's stamp says whether its words are whole: 0 while they are written, the
//! number plus one when they are. A reader looks at the stamp before and after, as with a sequence
//! lock; it never makes a writer wait. An old event is overwritten; a slow writer that is a whole
//! ring behind is overtaken, and its slot is garbage to nobody, for its stamp does not fit.

use super::event::Event;
#[cfg(not(loom))]
use crate::sync::atomic::{AtomicPtr, AtomicUsize};
use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::context::TaskName;

/// An event, when and where it happened.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// Nanoseconds since boot.
    pub at: u64,
    /// The CPU.
    pub cpu: u8,
    /// The task's number; 0 for the kernel's own.
    pub task: u32,
    /// Its name.
    pub name: TaskName,
    /// What happened.
    pub event: Event,
}

const WORDS: usize = 6;

/// Room for one event, 56 bytes.
///
/// # Invariants
/// If `stamp` is `n + 1`, the words are those of event `n`, unless a writer has come since.
#[derive(Debug)]
pub struct Slot {
    stamp: AtomicU64,
    words: [AtomicU64; WORDS],
}

impl Slot {
    /// Empty.
    pub fn new() -> Self {
        Self { stamp: AtomicU64::new(0), words: core::array::from_fn(|_| AtomicU64::new(0)) }
    }

    fn write(&self, number: u64, words: [u64; WORDS]) {
        self.stamp.store(0, Ordering::Relaxed);
        // Pairs with the fence in `read`: who sees one of the words below sees the 0, or a later stamp.
        fence(Ordering::Release);
        for (to, word) in self.words.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `read`: who sees the stamp sees the words.
        self.stamp.store(number + 1, Ordering::Release);
    }

    fn read(&self, number: u64) -> Option<[u64; WORDS]> {
        if self.stamp.load(Ordering::Acquire) != number + 1 {
            return None;
        }
        let words = core::array::from_fn(|n| self.words[n].load(Ordering::Relaxed));
        // Pairs with the fence in `write`.
        fence(Ordering::Acquire);
        (self.stamp.load(Ordering::Relaxed) == number + 1).then_some(words)
    }
}

impl Default for Slot {
    fn default() -> Self {
        Self::new()
    }
}

/// The events of one CPU.
///
/// # Invariants
/// `slots` is null, or points to `length` slots that live for ever; it changes once. `length` is a power
/// of two, and written before.
#[cfg(not(loom))]
#[derive(Debug)]
pub struct Ring {
    slots: AtomicPtr<Slot>,
    length: AtomicUsize,
    /// The number of the next event.
    next: AtomicUsize,
    /// The oldest that counts.
    first: AtomicUsize,
}

#[cfg(not(loom))]
impl Ring {
    pub(super) const fn new() -> Self {
        Self {
            slots: AtomicPtr::new(core::ptr::null_mut()),
            length: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            first: AtomicUsize::new(0),
        }
    }

    /// Gives it memory; what is beyond a power of two is not used. False if it has some.
    pub(super) fn give_memory(&self, slots: &'static [Slot]) -> bool {
        if slots.is_empty() || self.length.load(Ordering::Relaxed) != 0 {
            return false;
        }
        self.length.store(1 << slots.len().ilog2(), Ordering::Relaxed);
        // Release: pairs with the Acquire in `memory`: the length was written, and the slots.
        self.slots.store(slots.as_ptr().cast_mut(), Ordering::Release);
        true
    }

    pub(super) fn has_memory(&self) -> bool {
        !self.memory().is_empty()
    }

    fn memory(&self) -> &'static [Slot] {
        let slots = self.slots.load(Ordering::Acquire);
        if slots.is_null() {
            return &[];
        }
        // SAFETY: the invariant.
        unsafe { core::slice::from_raw_parts(slots, self.length.load(Ordering::Relaxed)) }
    }

    pub(super) fn write(&self, record: Record) {
        let memory = self.memory();
        if memory.is_empty() {
            return;
        }
        // Relaxed: the number is the writer's own; the slot's stamp orders the rest.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (kind, a, b) = record.event.to_words();
        let who = u64::from(kind) << 40 | u64::from(record.cpu) << 32 | u64::from(record.task);
        let [first, second] = record.name.to_words();
        memory[number % memory.len()].write(number as u64, [record.at, who, a, b, first, second]);
    }

    /// The numbers of the events that may still be there, oldest first.
    pub fn numbers(&self) -> core::ops::Range<usize> {
        let next = self.next.load(Ordering::Acquire);
        let oldest = next.saturating_sub(self.memory().len());
        oldest.max(self.first.load(Ordering::Relaxed)).min(next)..next
    }

    /// How many were noted since the last `clear`.
    pub fn written(&self) -> usize {
        self.next.load(Ordering::Relaxed) - self.first.load(Ordering::Relaxed)
    }

    /// The event of that number, if it is there (it may have been overwritten, or not be whole yet).
    pub fn read(&self, number: usize) -> Option<Record> {
        let memory = self.memory();
        let slot = memory.get(number % memory.len().max(1))?;
        let [at, who, a, b, first, second] = slot.read(number as u64)?;
        let event = Event::from_words(((who >> 40) as u8, a, b))?;
        Some(Record {
            at,
            cpu: (who >> 32) as u8,
            task: who as u32,
            name: TaskName::from_words([first, second]),
            event,
        })
    }

    /// Forgets the events so far.
    pub(super) fn clear(&self) {
        self.first.store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::addr::PhysAddr;

    fn ring(slots: usize) -> Ring {
        let ring = Ring::new();
        let memory: Vec<Slot> = (0..slots).map(|_| Slot::new()).collect();
        assert!(ring.give_memory(memory.leak()));
        ring
    }

    fn record(n: u64) -> Record {
        let event = Event::Queue(PhysAddr::new(n));
        Record { at: n, cpu: 3, task: 42, name: TaskName::new("a name"), event }
    }

    #[test]
    fn what_was_written_is_read_and_the_oldest_go_first() {
        let ring = ring(10);
        assert!(!ring.give_memory(&[]));
        (0..13).for_each(|n| ring.write(record(n)));
        assert_eq!(ring.numbers(), 5..13, "8 of 10 slots are used");
        for n in ring.numbers() {
            let found = ring.read(n).expect("whole");
            assert_eq!((found.at, found.cpu, found.task), (n as u64, 3, 42));
            assert_eq!((found.name.as_str(), found.event), ("a name", Event::Queue(PhysAddr::new(n as u64))));
        }
        assert!(ring.read(4).is_none(), "overwritten");
        assert!(ring.read(13).is_none(), "not written yet");
        ring.clear();
        assert_eq!((ring.numbers(), ring.written()), (13..13, 0));
    }

    #[test]
    fn without_memory_nothing_is_kept() {
        let ring = Ring::new();
        ring.write(record(1));
        assert!(ring.numbers().is_empty() && ring.read(0).is_none());
    }

    #[test]
    fn a_reader_beside_writers_sees_whole_events_only() {
        let ring = ring(8);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let ring = &ring;
                scope.spawn(move || (0..20_000).for_each(|n| ring.write(record(2 * n + writer))));
            }
            let mut seen = 0;
            while seen < 1000 && ring.written() < 40_000 {
                for n in ring.numbers() {
                    if let Some(found) = ring.read(n) {
                        assert_eq!(found.event, Event::Queue(PhysAddr::new(found.at)));
                        seen += 1;
                    }
                }
            }
        });
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    /// A slot is written twice while it is read: what is read is one of the two, whole.
    #[test]
    fn a_slot_is_read_whole_or_not_at_all() {
        loom::model(|| {
            let slot = Arc::new(Slot::new());
            slot.write(0, [1; WORDS]);
            let writer = {
                let slot = slot.clone();
                thread::spawn(move || slot.write(8, [2; WORDS]))
            };
            for (number, value) in [(0, 1), (8, 2)] {
                if let Some(words) = slot.read(number) {
                    assert_eq!(words, [value; WORDS]);
                }
            }
            writer.join().expect("no panic");
            assert_eq!(slot.read(8), Some([2; WORDS]));
        });
    }
}
