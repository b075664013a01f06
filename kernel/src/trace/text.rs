//! The rings as text, in the form of Linux' ftrace.

use super::ring::{Record, Ring};
use core::fmt::{self, Write};

/// The lines before the events.
pub fn header(out: &mut impl Write, there: usize, written: usize, cpus: usize) -> fmt::Result {
    writeln!(out, "# tracer: nop\n#")?;
    writeln!(out, "# entries-in-buffer/entries-written: {there}/{written}   #P:{cpus}\n#")?;
    writeln!(out, "#           TASK-PID     CPU#     TIMESTAMP  FUNCTION")?;
    writeln!(out, "#              | |         |         |         |")
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, microseconds) = (self.at / 1_000_000_000, self.at / 1_000 % 1_000_000);
        write!(
            f,
            "{:>16}-{:<7} [{:03}] {seconds:>5}.{microseconds:06}: {}",
            self.name.as_str(),
            self.task,
            self.cpu,
            self.event
        )
    }
}

/// All events of some rings, in the order of their times: those that there were when it was made.
#[derive(Debug)]
pub struct Merge<'a, const N: usize> {
    rings: &'a [Ring; N],
    next: [usize; N],
    end: [usize; N],
}

impl<'a, const N: usize> Merge<'a, N> {
    pub(super) fn new(rings: &'a [Ring; N]) -> Self {
        let numbers = rings.each_ref().map(Ring::numbers);
        Self { rings, next: numbers.each_ref().map(|n| n.start), end: numbers.each_ref().map(|n| n.end) }
    }

    /// How many are left, those included that will have been overwritten.
    pub fn left(&self) -> usize {
        self.end.iter().zip(&self.next).map(|(end, next)| end - next).sum()
    }
}

impl<const N: usize> Iterator for Merge<'_, N> {
    type Item = Record;

    /// The oldest that is left of all CPUs.
    fn next(&mut self) -> Option<Record> {
        let mut oldest: Option<(usize, Record)> = None;
        for (n, ring) in self.rings.iter().enumerate() {
            // One that was overwritten meanwhile is passed over.
            while self.next[n] < self.end[n] {
                let Some(record) = ring.read(self.next[n]) else {
                    self.next[n] += 1;
                    continue;
                };
                if oldest.is_none_or(|(_, other)| record.at < other.at) {
                    oldest = Some((n, record));
                }
                break;
            }
        }
        let (n, record) = oldest?;
        self.next[n] += 1;
        Some(record)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::super::event::Event;
    use super::super::ring::Slot;
    use super::*;
    use crate::sync::context::TaskName;

    #[test]
    fn events_of_all_cpus_come_in_order_of_time() {
        let rings = [Ring::new(), Ring::new()];
        for ring in &rings {
            ring.give_memory((0..4).map(|_| Slot::new()).collect::<Vec<_>>().leak());
        }
        let note = |cpu: u8, at: u64| {
            let event = Event::GraceEnd { seq: at };
            rings[usize::from(cpu)].write(Record { at, cpu, task: 7, name: TaskName::new("demo"), event });
        };
        [(0, 1), (0, 5), (1, 2), (1, 4), (0, 6)].into_iter().for_each(|(cpu, at)| note(cpu, at));
        let times: Vec<u64> = Merge::new(&rings).map(|record| record.at).collect();
        assert_eq!(times, [1, 2, 4, 5, 6]);
        (7..12).for_each(|at| note(1, at));
        assert_eq!(Merge::new(&rings).count(), 3 + 4);
    }

    #[test]
    fn a_line() {
        let event = Event::Quiescent { cpus: 2, left: 1 };
        let name = TaskName::new("demo");
        let record = Record { at: 1_002_003_004, cpu: 1, task: 42, name, event };
        let line = std::format!("{record}");
        assert_eq!(line, "            demo-42      [001]     1.002003: rcu_quiescent: cpus=0x2 left=0x1");
        let mut text = String::new();
        header(&mut text, 1, 2, 4).expect("a string takes all");
        assert!(text.contains("# entries-in-buffer/entries-written: 1/2   #P:4\n"));
    }
}
