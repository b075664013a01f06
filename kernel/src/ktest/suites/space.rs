//! Address spaces of programs on the machine: what the hardware reads of hand-made tables, and that
//! nobody, on any CPU, reads through what was taken away.

use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::space::{self, Space};
use crate::arch::current::{Format, cpu};
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::paging::{Access, Page, PagingFormat, from_memory, last, to_memory};
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Stop, Suite, Test, failed};
use crate::mm::frame::{Frame, Kind, Request};
use crate::mm::frames;
use crate::proc::smp;
use crate::proc::thread::Spawn;
use crate::sync::PreemptGuard;
use crate::{check, check_eq};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "space",
    tests: &[
        Test::new("none", none),
        Test::new("levels", levels),
        Test::new("access", access),
        Test::new("replace_page", replace_page),
        Test::new("replace_table", replace_table),
        Test::new("two_spaces", two_spaces),
        Test::new("pages_elsewhere", |case| elsewhere(case, Way::Page)).min_cpus(2),
        Test::new("tables_elsewhere", |case| elsewhere(case, Way::Table)).min_cpus(2),
        Test::new("flush_all_elsewhere", |case| elsewhere(case, Way::All)).min_cpus(2),
    ],
};

/// Where the tests map a page: no index is 0 or the last.
const VA: VirtAddr = VirtAddr::new(0x1_2345_6000);
const LAST: usize = last::<Format>();

fn memory(bytes: u64) -> Result<Frame, Stop> {
    let order = bytes.div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros() as u8;
    let frame = frames().alloc(Request::of(Kind::Kernel).order(order).zeroed(), None);
    frame.map_err(|error| failed(format_args!("no memory: {error:?}")))
}

/// A word of a frame.
fn word(frame: &Frame, index: usize) -> &AtomicU64 {
    assert!(8 * (index + 1) <= frame.size());
    // SAFETY: inside the frame, aligned, and accessed only so. The frame outlives the reference.
    unsafe { AtomicU64::from_ptr(frame.as_ptr().as_ptr().cast::<u64>().add(index)) }
}

/// A space with one page, and its tables, root first.
struct One {
    space: Space,
    tables: Vec<Frame>,
    page: Frame,
}

impl One {
    /// Tables that lead nowhere yet; the page holds `value`.
    fn new(value: u64) -> Result<Self, Stop> {
        let mut tables = Vec::new();
        for (number, level) in Format::LEVELS.iter().enumerate() {
            let table = memory(level.bytes() as u64)?;
            for index in 0..level.entries {
                word(&table, index).store(to_memory(Format::empty(number)), Ordering::Relaxed);
            }
            tables.push(table);
        }
        let page = memory(PAGE_SIZE)?;
        word(&page, 0).store(value, Ordering::Relaxed);
        // SAFETY: the root is a table, and lives until `drop`.
        let space = unsafe { space::create(tables[0].addr()) };
        let space = space.map_err(|error| failed(format_args!("no space: {error:?}")))?;
        Ok(Self { space, tables, page })
    }

    /// With everything linked.
    fn linked(value: u64, access: Access) -> Result<Self, Stop> {
        let one = Self::new(value)?;
        for level in 0..Format::LEVELS.len() {
            one.link(level, access);
        }
        Ok(one)
    }

    fn slot(&self, level: usize) -> &AtomicU64 {
        word(&self.tables[level], Format::LEVELS[level].index(VA))
    }

    /// What stands in the slot of that level when all is linked.
    fn entry(&self, level: usize, access: Access) -> u64 {
        match self.tables.get(level + 1) {
            Some(child) => Format::table(level, child.addr()),
            None => leaf(&self.page, access),
        }
    }

    fn link(&self, level: usize, access: Access) {
        // Release: the machine walks to what was written before.
        self.slot(level).store(to_memory(self.entry(level, access)), Ordering::Release);
    }
}

impl Drop for One {
    fn drop(&mut self) {
        // SAFETY: each test deactivates its spaces on each CPU.
        unsafe { space::destroy(self.space) };
    }
}

/// An entry for the page's first leaf.
fn leaf(page: &Frame, access: Access) -> u64 {
    Format::page(Page { addr: page.addr(), access, soft: 0 })
}

/// Runs it with the space active on this CPU.
fn within<T>(space: Space, body: impl FnOnce() -> T) -> T {
    let _here = PreemptGuard::new();
    // SAFETY: preemption is off; the caller's space lives.
    unsafe { space::activate(space) };
    let result = body();
    space::deactivate();
    result
}

fn load() -> Result<u64, Fault> {
    space::user_load(VA)
}

fn store(value: u64) -> Result<(), Fault> {
    // SAFETY: the tests' spaces map nothing but the tests' pages.
    unsafe { space::user_store(VA, value) }
}

/// The access faulted, so, at the address.
#[track_caller]
fn faulted<T>(result: Result<T, Fault>, kind: FaultKind) -> Outcome {
    let found = result.err().map(|fault| (fault.kind, fault.address));
    check_eq!(found, Some((kind, Some(VA))));
    Ok(())
}

fn none(_case: &mut Case<'_>) -> Outcome {
    let _here = PreemptGuard::new();
    space::deactivate();
    faulted(load(), FaultKind::Read)?;
    faulted(store(1), FaultKind::Write)
}

/// Each level's entry is needed; entries that were empty need no flush.
fn levels(_case: &mut Case<'_>) -> Outcome {
    let one = One::new(41)?;
    within(one.space, || {
        for level in 0..Format::LEVELS.len() {
            faulted(load(), FaultKind::Read)?;
            faulted(store(1), FaultKind::Write)?;
            one.link(level, Access::RW);
        }
        check_eq!(load().ok(), Some(41));
        check!(store(42).is_ok());
        check_eq!(load().ok(), Some(42));
        check_eq!(word(&one.page, 0).load(Ordering::Relaxed), 42);
        Ok(())
    })
}

fn access(_case: &mut Case<'_>) -> Outcome {
    for access in [Access::R, Access::RX] {
        let one = One::linked(7, access)?;
        within(one.space, || {
            check_eq!(load().ok(), Some(7));
            faulted(store(8), FaultKind::Write)?;
            check_eq!(load().ok(), Some(7));
            Ok(())
        })?;
    }
    let one = One::linked(7, Access::NONE)?;
    within(one.space, || {
        faulted(load(), FaultKind::Read)?;
        faulted(store(8), FaultKind::Write)
    })
}

/// Less access, another page, no page: at once.
fn replace_page(_case: &mut Case<'_>) -> Outcome {
    let one = One::linked(7, Access::RW)?;
    let other = memory(PAGE_SIZE)?;
    word(&other, 0).store(9, Ordering::Relaxed);
    let replace = |new: u64| {
        // SAFETY: the slot translates the address, and nobody else writes it.
        unsafe { space::replace_page(one.space, one.slot(LAST), VA, to_memory(new)) };
        space::flush_pages(one.space, &[VA], Format::LEVELS[LAST].shift);
    };
    within(one.space, || {
        for _ in 0..50 {
            check!(store(7).is_ok());
            replace(leaf(&one.page, Access::R));
            check_eq!(load().ok(), Some(7));
            faulted(store(8), FaultKind::Write)?;
            replace(leaf(&other, Access::RW));
            check_eq!(load().ok(), Some(9));
            replace(Format::empty(LAST));
            faulted(load(), FaultKind::Read)?;
            one.link(LAST, Access::RW);
            check_eq!(load().ok(), Some(7));
        }
        Ok(())
    })
}

/// A table that is unlinked, at any level, is not walked any more.
fn replace_table(_case: &mut Case<'_>) -> Outcome {
    let one = One::linked(7, Access::RW)?;
    within(one.space, || {
        for _ in 0..20 {
            for level in 0..LAST {
                check_eq!(load().ok(), Some(7));
                // SAFETY: the slot is of that level and translates the address.
                unsafe {
                    space::replace_table(one.space, level, one.slot(level), VA, Format::empty(level));
                }
                space::flush_all(one.space);
                check_eq!(from_memory(one.slot(level).load(Ordering::Relaxed)), Format::empty(level));
                faulted(load(), FaultKind::Read)?;
                one.link(level, Access::RW);
            }
        }
        Ok(())
    })
}

/// The same address in two spaces.
fn two_spaces(_case: &mut Case<'_>) -> Outcome {
    let (a, b) = (One::linked(1, Access::RW)?, One::linked(2, Access::RW)?);
    for _ in 0..20 {
        check_eq!(within(a.space, load).ok(), Some(1));
        check_eq!(within(b.space, load).ok(), Some(2));
    }
    faulted(load(), FaultKind::Read)
}

/// How a page is exchanged for another.
#[derive(Clone, Copy)]
enum Way {
    /// Its entry is replaced.
    Page,
    /// The entry is stored, then the upper entry replaced by itself.
    Table,
    /// The entry is stored, then the whole space flushed.
    All,
}

/// What one CPU does to a space and another sees of it.
struct Exchange {
    one: One,
    other: Frame,
    reader: CpuSet,
    /// The last value that the reader saw.
    seen: AtomicU64,
    /// How often it saw a page that had been taken away.
    stale: AtomicUsize,
    stop: AtomicBool,
}

/// Stands in a page that was taken away.
const TAKEN: u64 = 1 << 63;
const ROUNDS: u64 = 300;

impl Exchange {
    /// Reads all the time. Bounded turns, so that the CPU is not lost to others.
    fn read(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            within(self.one.space, || {
                for _ in 0..500 {
                    match load() {
                        Ok(value) if value & TAKEN != 0 => drop(self.stale.fetch_add(1, Ordering::Relaxed)),
                        // Release: pairs with the Acquire in `write`, which goes on.
                        Ok(value) => self.seen.store(value, Ordering::Release),
                        // Between IPTE and the store of the new entry.
                        Err(_) => {}
                    }
                }
            });
        }
    }

    /// Exchanges the pages, each time when the reader has read the one that is to go.
    fn write(&self, way: Way) {
        let Exchange { one, other, .. } = self;
        let (mut old, mut new) = (&one.page, other);
        for round in 1..=ROUNDS {
            while self.seen.load(Ordering::Acquire) != round - 1 {
                cpu::relax();
            }
            word(new, 0).store(round, Ordering::Relaxed);
            let entry = leaf(new, Access::RW);
            if !matches!(way, Way::Page) {
                one.slot(LAST).store(to_memory(entry), Ordering::Release);
            }
            // SAFETY: the slots translate the address, and nobody else writes them.
            unsafe {
                match way {
                    Way::Page => space::replace_page(one.space, one.slot(LAST), VA, to_memory(entry)),
                    Way::Table => {
                        let level = LAST - 1;
                        let same = one.entry(level, Access::RW);
                        space::replace_table(one.space, level, one.slot(level), VA, same);
                    }
                    Way::All => {}
                }
            }
            match way {
                Way::Page => space::flush_pages(one.space, &[VA], Format::LEVELS[LAST].shift),
                Way::Table | Way::All => space::flush_all(one.space),
            }
            if !space::FLUSH_ENDS {
                smp::call_on(self.reader, |_| {}, 0);
            }
            word(old, 0).store(TAKEN | round, Ordering::Relaxed);
            (old, new) = (new, old);
        }
        while self.seen.load(Ordering::Acquire) != ROUNDS {
            cpu::relax();
        }
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Another CPU reads through the entry while this one exchanges pages and spoils what it took away.
fn elsewhere(case: &mut Case<'_>, way: Way) -> Outcome {
    let exchange = Arc::new(Exchange {
        one: One::linked(0, Access::RW)?,
        other: memory(PAGE_SIZE)?,
        reader: CpuSet::one(case.cpus - 1),
        seen: AtomicU64::new(u64::MAX),
        stale: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let (reads, writes) = (Arc::clone(&exchange), Arc::clone(&exchange));
    let reader = Spawn::new("reader").on(exchange.reader).spawn(move |_| reads.read());
    let Ok(reader) = reader else { crate::skip!("no memory for a stack") };
    let writer = Spawn::new("writer").on(CpuSet::one(0)).spawn(move |_| writes.write(way));
    let written = writer.is_ok();
    match writer {
        Ok(writer) => writer.join(case.ctx),
        Err(_) => exchange.stop.store(true, Ordering::Relaxed),
    }
    reader.join(case.ctx);
    check!(written, "no memory for a stack");
    check_eq!(exchange.stale.load(Ordering::Relaxed), 0);
    Ok(())
}
