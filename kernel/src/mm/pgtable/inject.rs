//! A reader that is parked on purpose between the entry that he followed and the table that it led to.
//!
//! The window in which a walker can meet a freed table is a few instructions long. A test that hopes for
//! it proves nothing, so this is the one point at which a walk can be held: as if an interrupt, a slow
//! hypervisor or a debugger had hit it just there. One task asks for it (`park`, by its number), and
//! its next walk stops at the first leaf table that it reaches. It spins where it is, in whatever
//! section the scheme has put it, until somebody lets it go, or until the time is up.
//!
//! What happened to the table meanwhile is read off the ring of events ([`trace`](crate::trace)), which is on
//! while this is used: who handed it out, unlinked it, freed it, handed it out again. If it was freed
//! before the reader went on, that reader would have read freed memory. He does not: he says so, and
//! leaves the table alone.

use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::current::{cpu, timer};
use crate::sync::context::{TaskName, current};
use crate::sync::{IrqSpinLock, LockClass, Rank};
use crate::trace::ring::Record;
use crate::trace::{self, Event};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

const CLASS: LockClass = LockClass::new("parked reader", Rank::PARKED_READER);

/// The task whose next walk stops; 0: none.
static WANTED: AtomicU32 = AtomicU32::new(0);
/// At a table that translates this address, or a later one.
static FROM: AtomicU64 = AtomicU64::new(0);
/// For how many nanoseconds at most.
static LIMIT: AtomicU64 = AtomicU64::new(0);
/// The parked one may go on.
static LET_GO: AtomicBool = AtomicBool::new(false);
static LAST: IrqSpinLock<Option<Parked>> = IrqSpinLock::new(&CLASS, None);

/// A reader that was parked.
#[derive(Clone, Copy, Debug)]
pub struct Parked {
    /// The task.
    pub task: u32,
    /// Its name.
    pub name: TaskName,
    /// The CPU on which it was.
    pub cpu: usize,
    /// The table that it was about to read.
    pub table: PhysAddr,
    /// The page-table page that the table lies in.
    pub page: PhysAddr,
    /// When it stopped.
    pub since: u64,
    /// When it went on; `None` as long as it does not.
    pub until: Option<u64>,
}

/// The task's next walk that reaches a leaf table at that address or a later one stops there, for so many
/// nanoseconds at most. Replaces what was asked for before.
pub fn park(task: u32, from: VirtAddr, nanoseconds: u64) {
    let mut last = LAST.lock();
    LET_GO.store(false, Ordering::Relaxed);
    *last = None;
    FROM.store(from.get(), Ordering::Relaxed);
    LIMIT.store(nanoseconds, Ordering::Relaxed);
    WANTED.store(task, Ordering::Relaxed);
}

/// Lets the parked reader go on, and parks no other.
pub fn let_go() {
    WANTED.store(0, Ordering::Relaxed);
    LET_GO.store(true, Ordering::Relaxed);
}

/// The reader that is parked, or was last.
pub fn parked() -> Option<Parked> {
    *LAST.lock()
}

/// A walk is about to read this leaf table, from that address on. True: it was freed meanwhile, and must
/// not be read.
#[inline(always)]
pub(super) fn before_table(at: VirtAddr, table: PhysAddr, page: impl FnOnce() -> PhysAddr) -> bool {
    WANTED.load(Ordering::Relaxed) != 0 && stop(at, table, page)
}

#[cold]
fn stop(at: VirtAddr, table: PhysAddr, page: impl FnOnce() -> PhysAddr) -> bool {
    if at.get() < FROM.load(Ordering::Relaxed) {
        return false;
    }
    let task = current();
    let number = task.id();
    if number == 0 || WANTED.compare_exchange(number, 0, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        return false;
    }
    let since = timer::now();
    let deadline = since.saturating_add(LIMIT.load(Ordering::Relaxed));
    let parked =
        Parked { task: number, name: task.name(), cpu: cpu::id(), table, page: page(), since, until: None };
    *LAST.lock() = Some(parked);
    while !LET_GO.load(Ordering::Relaxed) && timer::now() < deadline {
        cpu::relax();
    }
    let parked = Parked { until: Some(timer::now()), ..parked };
    *LAST.lock() = Some(parked);
    parked.freed().is_some()
}

impl Parked {
    fn is_about(&self, event: &Event) -> bool {
        match *event {
            Event::Alloc(table)
            | Event::Reuse(table)
            | Event::Queue(table)
            | Event::Free(table)
            | Event::Release(table)
            | Event::Link { table, .. }
            | Event::Unlink { table, .. } => table == self.table || table == self.page,
            Event::PageGone(page) | Event::PageNew(page) => page == self.page,
            _ => false,
        }
    }

    /// What the ring still knows of the table, oldest first.
    pub fn history(&self) -> impl Iterator<Item = Record> + '_ {
        trace::events().filter(|record| self.is_about(&record.event))
    }

    /// The event that freed the table while the reader was parked.
    pub fn freed(&self) -> Option<Record> {
        let until = self.until.unwrap_or(u64::MAX);
        self.history().find(|record| {
            (self.since..until).contains(&record.at)
                && matches!(record.event, Event::Free(_) | Event::Release(_) | Event::PageGone(_))
        })
    }

    fn first_after(&self, at: u64, what: impl Fn(&Event) -> bool) -> Option<Record> {
        self.history().find(|record| record.at >= at && what(&record.event))
    }
}

/// The whole story, for people.
impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { task, name, cpu, table, page, .. } = self;
        let name = name.as_str();
        write!(f, "reader: {name}-{task} on CPU {cpu}, about to read table {:#x}", table.get())?;
        writeln!(f, " (page-table page {:#x})", page.get())?;
        match self.until {
            None => writeln!(f, "parked since {}", Seconds(self.since))?,
            Some(until) => {
                let length = Seconds(until - self.since);
                writeln!(f, "parked from {} to {}, {length} s", Seconds(self.since), Seconds(until))?;
            }
        }
        for record in self.history() {
            writeln!(f, "{record}")?;
        }
        if let Some(freed) = self.freed() {
            let who = Who(&freed);
            writeln!(f, "verdict: use after free: {who} freed the table at {} s", Seconds(freed.at))?;
            let again =
                |event: &Event| matches!(event, Event::Alloc(_) | Event::Reuse(_) | Event::PageNew(_));
            return match self.first_after(freed.at, again) {
                Some(again) => {
                    let (who, at) = (Who(&again), Seconds(again.at));
                    writeln!(f, "reused as a page table by {who} at {at} s; the reader was still parked")
                }
                None => writeln!(f, "its memory was anybody's while the reader was still parked"),
            };
        }
        let queued = self.first_after(self.since, |event| matches!(event, Event::Queue(_)));
        let freed = self.first_after(self.since, |event| matches!(event, Event::Free(_)));
        match (queued, freed) {
            (None, _) => writeln!(f, "verdict: safe: the table was not freed"),
            (Some(queued), None) => {
                writeln!(
                    f,
                    "verdict: safe: {} unlinked the table at {} s;",
                    Who(&queued),
                    Seconds(queued.at)
                )?;
                writeln!(f, "it waits for {name}-{task} on CPU {cpu}")
            }
            (Some(queued), Some(freed)) => {
                let waited = Seconds(freed.at.saturating_sub(queued.at));
                writeln!(
                    f,
                    "verdict: safe: {} unlinked the table at {} s;",
                    Who(&queued),
                    Seconds(queued.at)
                )?;
                writeln!(f, "its memory waited {waited} s, for {name}-{task} on CPU {cpu}")
            }
        }
    }
}

struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000_000, self.0 / 1000 % 1_000_000)
    }
}

struct Who<'a>(&'a Record);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{} on CPU {}", self.0.name.as_str(), self.0.task, self.0.cpu)
    }
}
