//! Page tables on the machine: hand-made address spaces, kernel threads, every CPU.

use super::support::spin_until;
use crate::addr::VirtAddr;
use crate::arch::current::{Format, FragFormat, cpu, space, timer};
use crate::arch::paging::{self, Access, Page, PagingFormat};
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Suite, Test, failed};
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::mm::pgtable::scheme::{self, Scheme};
use crate::mm::pgtable::{Layout, PageTable, counters, kernel};
use crate::proc::sched;
use crate::proc::thread::{JoinHandle, Spawn};
use crate::sync::{MaySleep, PreemptGuard};
use crate::{check, check_eq, log, rcu, skip};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "pgtable",
    tests: &[
        Test::new("map_walk_unmap", map_walk_unmap),
        Test::new("access_is_enforced", access_is_enforced),
        Test::new("neighbours_are_reused", neighbours_are_reused),
        Test::new("invalidation_is_seen_elsewhere", invalidation_is_seen_elsewhere).min_cpus(2),
        Test::new("storm", storm),
        Test::new("rcu_waits_for_a_parked_reader", rcu_waits).min_cpus(2),
        Test::new("immediate_frees_under_a_reader", immediate_fails).min_cpus(2),
        Test::new("ipi_frees_under_a_reader_elsewhere", ipi_fails_elsewhere).min_cpus(2),
        Test::new("ipi_waits_for_a_user", ipi_waits_for_a_user).min_cpus(2),
    ],
};

/// A page with its stamp in the first word; what is mapped owns it.
fn page(access: Access, stamp: u64) -> Result<Page, crate::ktest::Stop> {
    let frame = mm::frames()
        .alloc(Request::of(Kind::User), None)
        .map_err(|error| failed(format_args!("no frame: {error:?}")))?;
    // SAFETY: the frame is ours.
    unsafe { frame.as_ptr().cast::<u64>().write(stamp) };
    Ok(Page { addr: mm::shared_frames().share(frame).start(), access, soft: 0 })
}

fn tables<F: PagingFormat>(
    layout: Layout,
    scheme: &'static dyn Scheme,
) -> Result<PageTable<F>, crate::ktest::Stop> {
    PageTable::new(kernel::memory(), layout, scheme, None)
        .map_err(|error| failed(format_args!("no address space: {error:?}")))
}

fn map<F: PagingFormat>(
    tables: &PageTable<F>,
    number: u64,
    access: Access,
    stamp: u64,
    ctx: &mut MaySleep,
) -> Result<(), crate::ktest::Stop> {
    let page = page(access, stamp)?;
    tables.map(nth::<F>(number), page, ctx).map_err(|error| {
        mm::pgtable::Memory::free_data(kernel::memory(), &[page.addr]);
        failed(format_args!("map: {error:?}"))
    })
}

fn nth<F: PagingFormat>(number: u64) -> VirtAddr {
    VirtAddr::new(number << F::PAGE_SHIFT)
}

fn leaf_pages<F: PagingFormat>() -> u64 {
    F::LEVELS[paging::last::<F>()].table_span() >> F::PAGE_SHIFT
}

/// Calls with the address space active on this CPU.
fn inside<F: PagingFormat, R>(tables: &PageTable<F>, work: impl FnOnce() -> R) -> R {
    let pin = PreemptGuard::new();
    // SAFETY: left before the reference ends; preemption is off meanwhile.
    unsafe { tables.activate(&pin) };
    let result = work();
    PageTable::<F>::deactivate(&pin);
    result
}

/// What page tables there are.
#[derive(Clone, Copy)]
struct InUse {
    /// Bytes of the pages that they lie in.
    bytes: usize,
    /// Fragments that are handed out or wait for a grace period.
    fragments: usize,
}

impl InUse {
    fn now() -> Self {
        Self { bytes: kernel::memory().table_bytes(), fragments: counters::in_use() }
    }
}

/// Waits for everything that was deferred (twice: a callback may queue itself once more), and checks that
/// no fragment and no page of tables is left beyond those that there were.
fn nothing_left(before: InUse, ctx: &mut MaySleep) -> Outcome {
    rcu::barrier(ctx);
    rcu::barrier(ctx);
    let left = InUse::now();
    check_eq!(left.fragments, before.fragments, "tables handed out");
    check_eq!(left.bytes, before.bytes, "bytes of page tables");
    Ok(())
}

/// Every layout: pages on both sides of each border are found by the walker and by the hardware, and
/// are gone after unmapping.
fn map_walk_unmap(case: &mut Case<'_>) -> Outcome {
    for layout in Layout::ALL {
        map_walk_unmap_in::<Format>(layout, case.ctx)?;
        map_walk_unmap_in::<FragFormat>(layout, case.ctx)?;
    }
    Ok(())
}

fn map_walk_unmap_in<F: PagingFormat>(layout: Layout, ctx: &mut MaySleep) -> Outcome {
    let before = InUse::now();
    let tables = tables::<F>(layout, &scheme::rcu::Rcu)?;
    let leaf = leaf_pages::<F>();
    // The far end of the address space of programs; ppc64 gives them 2^47 bytes of it.
    let far = (paging::space_bytes::<F>().min(1 << 47) >> F::PAGE_SHIFT) - 1;
    let mut numbers = Vec::from([0, 1, leaf - 1, leaf, 2 * leaf - 1, 16 * leaf + 3, 2048 * leaf, far]);
    numbers.sort_unstable();
    for &number in &numbers {
        map(&tables, number, Access::RW, !number, ctx)?;
    }
    let end = VirtAddr::new(paging::space_bytes::<F>());
    let mut found = Vec::new();
    tables
        .walk(ctx, VirtAddr::new(0)..end, &mut |va: VirtAddr, _: Page| found.push(va.get() >> F::PAGE_SHIFT));
    check_eq!(found, numbers);
    inside(&tables, || {
        for &number in &numbers {
            check_eq!(space::user_load(nth::<F>(number)).ok(), Some(!number), "page {number:#x}");
        }
        Ok(())
    })?;
    tables
        .move_page(nth::<F>(0), nth::<F>(leaf + 1), ctx)
        .map_err(|e| failed(format_args!("move: {e:?}")))?;
    inside(&tables, || {
        check!(space::user_load(nth::<F>(0)).is_err(), "the moved page is still at its old address");
        check_eq!(space::user_load(nth::<F>(leaf + 1)).ok(), Some(!0));
        Ok(())
    })?;
    tables.unmap(VirtAddr::new(0)..end, ctx);
    inside(&tables, || {
        for &number in &numbers {
            check!(space::user_load(nth::<F>(number)).is_err(), "page {number:#x} is still there");
        }
        Ok(())
    })?;
    drop(tables);
    nothing_left(before, ctx)
}

/// Access that was taken away is gone at once, also from the TLB.
fn access_is_enforced(case: &mut Case<'_>) -> Outcome {
    let before = InUse::now();
    let tables = tables::<Format>(Layout::Frag, &scheme::rcu::Rcu)?;
    map(&tables, 5, Access::RW, 77, case.ctx)?;
    let va = nth::<Format>(5);
    let range = va..nth::<Format>(6);
    for round in 0..200 {
        // SAFETY: the page is the test's.
        let store = || unsafe { space::user_store(va, round) };
        inside(&tables, || {
            check!(store().is_ok(), "a writable page refuses a store");
            Ok(())
        })?;
        tables.protect(range.clone(), Access::R, case.ctx);
        inside(&tables, || {
            check!(store().is_err(), "round {round}: a store went to a read-only page");
            check_eq!(space::user_load(va).ok(), Some(round));
            Ok(())
        })?;
        tables.protect(range.clone(), Access::NONE, case.ctx);
        inside(&tables, || {
            check!(space::user_load(va).is_err(), "round {round}: a load went to a page without access");
            Ok(())
        })?;
        tables.protect(range.clone(), Access::RW, case.ctx);
    }
    drop(tables);
    nothing_left(before, case.ctx)
}

/// H8, H9 on the machine: tables come and go beside living neighbours, with real grace periods.
fn neighbours_are_reused(case: &mut Case<'_>) -> Outcome {
    let before = InUse::now();
    let tables = tables::<FragFormat>(Layout::Frag, &scheme::rcu::Rcu)?;
    let leaf = leaf_pages::<FragFormat>();
    for k in 0..8 {
        map(&tables, 2 * k * leaf, Access::R, k, case.ctx)?;
    }
    let living = kernel::memory().table_bytes();
    let mut most = living;
    let (rounds, began) = (500, timer::now());
    for round in 0..rounds {
        let number = (2 * (round % 8) + 1) * leaf;
        map(&tables, number, Access::R, round, case.ctx)?;
        tables.unmap(nth::<FragFormat>(number)..nth::<FragFormat>(number + 1), case.ctx);
        if round % 32 == 0 {
            // Then every callback that was queued has run; a page with tables that were late for it
            // waits for the next.
            rcu::barrier(case.ctx);
        }
        most = most.max(kernel::memory().table_bytes());
    }
    log::raw(format_args!(
        "# neighbours_are_reused: {rounds} tables in {} us, {} KB for the living, {} KB at most\n",
        (timer::now() - began) / 1000,
        living >> 10,
        most >> 10
    ));
    // What two barriers' worth of tables may take, one to a page at worst, and the one in hand.
    check!(
        most - living <= 65 * crate::arch::PAGE_SIZE as usize,
        "{most} bytes beside {living}: memory grows"
    );
    drop(tables);
    nothing_left(before, case.ctx)
}

/// One CPU maps a page, waits until another has read it, and unmaps it: after that the other reads
/// nothing of it any more, though it never stops to read.
fn invalidation_is_seen_elsewhere(case: &mut Case<'_>) -> Outcome {
    const ROUNDS: u64 = 300;
    struct Shared {
        tables: PageTable<Format>,
        /// The last stamp that the reader saw, the last one that was unmapped.
        seen: AtomicU64,
        gone: AtomicU64,
        stale: AtomicU64,
        reads: AtomicU64,
        stop: AtomicBool,
    }
    let before = InUse::now();
    let shared = Arc::new(Shared {
        tables: tables::<Format>(Layout::Group, &scheme::rcu::Rcu)?,
        seen: AtomicU64::new(0),
        gone: AtomicU64::new(0),
        stale: AtomicU64::new(0),
        reads: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    });
    let va = nth::<Format>(9);
    let reader = {
        let shared = shared.clone();
        spawn(1, move |_ctx| {
            while !shared.stop.load(Ordering::Acquire) {
                // In portions: RCU wants to see this CPU now and then.
                inside(&shared.tables, || {
                    for _ in 0..64 {
                        let gone = shared.gone.load(Ordering::SeqCst);
                        if !space::FLUSH_ENDS {
                            // The emulator's CPU may go on in the block it is in; not in the next.
                            cpu::relax();
                        }
                        if let Ok(stamp) = space::user_load(va) {
                            shared.seen.store(stamp, Ordering::SeqCst);
                            shared.stale.fetch_add(u64::from(stamp <= gone), Ordering::Relaxed);
                        }
                        shared.reads.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        })?
    };
    let mut outcome = Ok(());
    for stamp in 1..=ROUNDS {
        outcome = map(&shared.tables, 9, Access::RW, stamp, case.ctx);
        if outcome.is_err() {
            break;
        }
        spin_until(|| shared.seen.load(Ordering::SeqCst) == stamp);
        shared.tables.unmap(va..nth::<Format>(10), case.ctx);
        shared.gone.store(stamp, Ordering::SeqCst);
    }
    shared.stop.store(true, Ordering::Release);
    reader.join(case.ctx);
    outcome?;
    let reads = shared.reads.load(Ordering::Relaxed);
    log::raw(format_args!("# invalidation_is_seen_elsewhere: {ROUNDS} rounds, {reads} reads\n"));
    check_eq!(shared.stale.load(Ordering::Relaxed), 0, "stale reads");
    drop(shared);
    nothing_left(before, case.ctx)
}

fn spawn(
    cpu: usize,
    work: impl FnOnce(&mut MaySleep) + Send + 'static,
) -> Result<JoinHandle, crate::ktest::Stop> {
    Spawn::new("pgtable")
        .on(CpuSet::one(cpu))
        .spawn(move |ctx: &mut MaySleep| work(ctx))
        .map_err(|error| failed(format_args!("no thread: {error:?}")))
}

/// Several address spaces, all CPUs mapping and unmapping in all of them and running most of them, and a
/// walker on each CPU, also those that never ran a space; at the end nothing is left.
fn storm(case: &mut Case<'_>) -> Outcome {
    storm_in::<Format>(Layout::Group, case)?;
    storm_in::<FragFormat>(Layout::Frag, case)
}

fn storm_in<F: PagingFormat>(layout: Layout, case: &mut Case<'_>) -> Outcome {
    const SPACES: usize = 3;
    const STEPS: u64 = 400;
    let before = InUse::now();
    let mut spaces = Vec::new();
    for _ in 0..SPACES {
        spaces.push(tables::<F>(layout, &scheme::rcu::Rcu)?);
    }
    let spaces = Arc::new(spaces);
    // Walks, those of a space that never ran on the walker's CPU, and what was wrong.
    let [walked, strangers, garbage] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let mut threads = Vec::new();
    for cpu in sched::online_cpus().iter() {
        let (spaces, garbage) = (spaces.clone(), garbage.clone());
        let writer = move |ctx: &mut MaySleep| {
            let mut dice = 0x9e37_79b9_7f4a_7c15_u64 ^ cpu as u64;
            for _ in 0..STEPS {
                dice ^= dice << 13;
                dice ^= dice >> 7;
                dice ^= dice << 17;
                let number = (dice >> 32) as usize % SPACES;
                let tables = &spaces[number];
                let at = (dice >> 8) % 6 * leaf_pages::<F>() + (dice >> 16) % 3;
                if dice.is_multiple_of(3) {
                    tables.unmap(nth::<F>(at)..nth::<F>(at + 1 + (dice >> 24) % leaf_pages::<F>()), ctx);
                } else {
                    // Refused where one is mapped: then the page is freed again.
                    let _ = map(tables, at, Access::RW, at, ctx);
                }
                if number != cpu % SPACES {
                    // It may be gone by now; if it is there it is the page that belongs there.
                    let found = inside(tables, || space::user_load(nth::<F>(at)).ok());
                    garbage.fetch_add(u64::from(found.is_some_and(|stamp| stamp != at)), Ordering::Relaxed);
                }
            }
        };
        threads.push(spawn(cpu, writer)?);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let mut walkers = Vec::new();
    for cpu in sched::online_cpus().iter() {
        let (spaces, stop) = (spaces.clone(), stop.clone());
        let (walked, strangers, garbage) = (walked.clone(), strangers.clone(), garbage.clone());
        let walker = move |ctx: &mut MaySleep| {
            loop {
                for tables in spaces.iter() {
                    let end = VirtAddr::new(paging::space_bytes::<F>());
                    let mut last = None;
                    tables.walk(ctx, VirtAddr::new(0)..end, &mut |va: VirtAddr, page: Page| {
                        let fine = last < Some(va) && page.addr.is_aligned(1 << F::PAGE_SHIFT);
                        garbage.fetch_add(u64::from(!fine), Ordering::Relaxed);
                        last = Some(va);
                    });
                    walked.fetch_add(1, Ordering::Relaxed);
                    strangers.fetch_add(u64::from(!tables.users().contains(cpu)), Ordering::Relaxed);
                }
                if stop.load(Ordering::Acquire) {
                    break;
                }
                sched::yield_now(ctx);
            }
        };
        walkers.push(spawn(cpu, walker)?);
    }
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    stop.store(true, Ordering::Release);
    walkers.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(garbage.load(Ordering::Relaxed), 0, "entries or pages that are neither old nor new");
    let (walked, strangers) = (walked.load(Ordering::Relaxed), strangers.load(Ordering::Relaxed));
    check!(strangers > 0, "no walker on a CPU that never ran the space");
    log::raw(format_args!(
        "# storm: {}: {walked} walks, {strangers} on CPUs that never ran the space\n",
        layout.name()
    ));
    drop(spaces);
    nothing_left(before, case.ctx)
}

/// What a reader found who was parked in a leaf table while it was unmapped.
struct Parked {
    /// The entry that it read after the unmapping, as the manual writes it.
    found: u64,
    /// Whether the unmapping was over before the reader went on.
    writer_was_done: bool,
}

/// A reader on CPU 1 goes as far as a leaf table and stops there. Then this CPU unmaps the table's
/// only page, while the twin in the same page lives. Then the reader goes on.
fn park(
    scheme: &'static dyn Scheme,
    reader_runs_it: bool,
    ctx: &mut MaySleep,
) -> Result<Parked, crate::ktest::Stop> {
    struct Shared {
        tables: PageTable<FragFormat>,
        found: AtomicU64,
        parked: AtomicBool,
        writer_done: AtomicBool,
        writer_was_done: AtomicBool,
    }
    let before = InUse::now();
    let shared = Arc::new(Shared {
        tables: tables::<FragFormat>(Layout::Frag, scheme)?,
        found: AtomicU64::new(0),
        parked: AtomicBool::new(false),
        writer_done: AtomicBool::new(false),
        writer_was_done: AtomicBool::new(false),
    });
    let leaf = leaf_pages::<FragFormat>();
    map(&shared.tables, leaf, Access::R, 1, ctx)?;
    map(&shared.tables, 0, Access::R, 2, ctx)?;
    let reader = {
        let shared = shared.clone();
        spawn(1, move |ctx| {
            if reader_runs_it {
                inside(&shared.tables, || ());
            }
            let reader = shared.tables.reader(ctx);
            let Some(table) = shared.tables.leaf(&reader, VirtAddr::new(0)).map(|path| path.end().table)
            else {
                return;
            };
            shared.parked.store(true, Ordering::Release);
            // A writer who waits for the reader waits for good; this is how long he is given to show
            // that he does not.
            let deadline = timer::now() + 100_000_000;
            spin_until(|| shared.writer_done.load(Ordering::Acquire) || timer::now() > deadline);
            shared.writer_was_done.store(shared.writer_done.load(Ordering::Acquire), Ordering::Release);
            shared.found.store(table.raw(0), Ordering::Release);
        })?
    };
    while !shared.parked.load(Ordering::Acquire) && !reader.is_finished() {
        sched::yield_now(ctx);
    }
    let writer = {
        let shared = shared.clone();
        spawn(0, move |ctx| {
            shared.tables.unmap(nth::<FragFormat>(0)..nth::<FragFormat>(1), ctx);
            shared.writer_done.store(true, Ordering::Release);
        })?
    };
    reader.join(ctx);
    writer.join(ctx);
    let writer_was_done = shared.writer_was_done.load(Ordering::Acquire);
    let found = shared.found.load(Ordering::Acquire);
    drop(shared);
    nothing_left(before, ctx)?;
    Ok(Parked { found, writer_was_done })
}

const LEAF: usize = paging::last::<FragFormat>();

fn rcu_waits(case: &mut Case<'_>) -> Outcome {
    let parked = park(&scheme::rcu::Rcu, false, case.ctx)?;
    check!(parked.writer_was_done, "the writer waited for the reader");
    check_eq!(parked.found, FragFormat::empty(LEAF), "the reader's table was not left alone");
    Ok(())
}

/// What is wrong with `immediate`: nobody asks for readers.
fn immediate_fails(case: &mut Case<'_>) -> Outcome {
    if !cfg!(debug_assertions) {
        skip!("free tables are poisoned in debug builds");
    }
    let parked = park(&scheme::immediate::Immediate, false, case.ctx)?;
    check!(parked.writer_was_done);
    check_eq!(parked.found, FragFormat::poison(LEAF), "the table was not freed under the reader");
    Ok(())
}

/// What is wrong with `ipi` (H33): nobody asks the CPU on which the address space never ran.
fn ipi_fails_elsewhere(case: &mut Case<'_>) -> Outcome {
    if !cfg!(debug_assertions) {
        skip!("free tables are poisoned in debug builds");
    }
    let parked = park(&scheme::ipi::Ipi, false, case.ctx)?;
    check!(parked.writer_was_done);
    check_eq!(parked.found, FragFormat::poison(LEAF), "the table was not freed under the reader");
    Ok(())
}

/// And what is right with it: a reader on a CPU that ran the address space is waited for.
fn ipi_waits_for_a_user(case: &mut Case<'_>) -> Outcome {
    let parked = park(&scheme::ipi::Ipi, true, case.ctx)?;
    check!(!parked.writer_was_done, "the writer did not wait");
    check_eq!(parked.found, FragFormat::empty(LEAF), "the reader's table was not left alone");
    Ok(())
}
