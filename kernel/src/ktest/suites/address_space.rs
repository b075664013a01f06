//! Address spaces on the machine: real tables, real faults, every CPU.

use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::{cpu, space, timer};
use crate::arch::paging::Access;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::ktest::{Case, Outcome, Stop, Suite, Test, failed};
use crate::mm::space::{AccessKind, Advice, MapFlags, MapRequest, Mm, MmFault, MmRef, RemapRequest};
use crate::proc::thread::Spawn;
use crate::sync::{MaySleep, PreemptGuard};
use crate::{check, check_eq, log, rcu};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "address_space",
    tests: &[
        Test::new("demand", |case| bound(case, demand)),
        Test::new("access", |case| bound(case, access)),
        Test::new("fork", |case| bound(case, fork)),
        Test::new("remap", |case| bound(case, remap)),
        Test::new("no_memory", |case| bound(case, no_memory)),
        Test::new("lazy_elsewhere", lazy_elsewhere).min_cpus(2),
        Test::new("storm", storm).min_cpus(2),
        Test::new("costs", |case| bound(case, costs)),
    ],
};

/// Where the tests map: below a border of a leaf table and of a group.
const A: u64 = (32 << 20) - 2 * PAGE_SIZE;

fn va(addr: u64) -> VirtAddr {
    VirtAddr::new(addr)
}

fn good<T>(result: Result<T, Errno>) -> Result<T, Stop> {
    result.map_err(|errno| failed(format_args!("{errno:?}")))
}

/// Runs the test on a thread that stays on CPU 0: nobody else's address space is active there.
fn bound(case: &mut Case<'_>, test: fn(&mut MaySleep) -> Outcome) -> Outcome {
    let result = Arc::new(crate::sync::SpinLock::new(&RESULT, None));
    let theirs = result.clone();
    let thread = Spawn::new("mm test").on(CpuSet::one(0)).spawn_waiting(case.ctx, move |ctx| {
        let outcome = test(ctx);
        *theirs.lock() = Some(outcome);
    });
    good(thread)?.join(case.ctx);
    let outcome = result.lock().take();
    outcome.unwrap_or_else(|| Err(failed(format_args!("the thread did not end"))))
}
const RESULT: crate::sync::LockClass = crate::sync::LockClass::new("result", crate::sync::Rank::new(29));

/// An address space that is active here, with eight pages at `A`.
fn begin(ctx: &mut MaySleep) -> Result<MmRef, Stop> {
    let mm = good(Mm::new(ctx))?;
    mm.activate(&PreemptGuard::new());
    good(mm.map(ctx, MapRequest::anonymous(8 * PAGE_SIZE, Access::RW).at(va(A))))?;
    Ok(mm)
}

fn end(mm: MmRef, ctx: &mut MaySleep) -> Outcome {
    check_eq!(mm.audit(ctx), Ok(()));
    mm.leave(&PreemptGuard::new());
    mm.end_use(ctx);
    let stats = mm.stats();
    check_eq!((stats.total, stats.resident(), stats.committed), (0, 0, 0));
    Ok(())
}

/// As a program would: faults are paged in.
fn load(mm: &Mm, ctx: &mut MaySleep, at: u64) -> Result<u64, MmFault> {
    loop {
        match space::user_load(va(at)) {
            Ok(value) => return Ok(value),
            Err(_) => mm.fault(ctx, va(at), AccessKind::Read)?,
        }
    }
}

fn store(mm: &Mm, ctx: &mut MaySleep, at: u64, value: u64) -> Result<(), MmFault> {
    loop {
        // SAFETY: the tests' address spaces map nothing but their own.
        match unsafe { space::user_store(va(at), value) } {
            Ok(()) => return Ok(()),
            Err(_) => mm.fault(ctx, va(at), AccessKind::Write)?,
        }
    }
}

fn demand(ctx: &mut MaySleep) -> Outcome {
    let mm = begin(ctx)?;
    for n in 0..8 {
        check_eq!(load(&mm, ctx, A + n * PAGE_SIZE), Ok(0));
    }
    check_eq!(mm.stats().resident(), 0);
    for n in 0..8 {
        check_eq!(store(&mm, ctx, A + n * PAGE_SIZE, n + 1), Ok(()));
    }
    for n in 0..8 {
        check_eq!(load(&mm, ctx, A + n * PAGE_SIZE), Ok(n + 1));
    }
    check_eq!(mm.stats().anon, 8);
    check_eq!(load(&mm, ctx, A + 8 * PAGE_SIZE), Err(MmFault::MapErr));
    // The kernel's own copies, over borders.
    let mut bytes = [0; 24];
    check_eq!(mm.write_user(ctx, va(A + PAGE_SIZE - 7), b"over the border of a page"), Ok(()));
    check_eq!(mm.read_user(ctx, va(A + PAGE_SIZE - 7), &mut bytes), Ok(()));
    check_eq!(&bytes, b"over the border of a pag");
    check_eq!(mm.read_user(ctx, va(A + 8 * PAGE_SIZE - 4), &mut bytes), Err(Errno::EFAULT));
    check_eq!(mm.write_user(ctx, va(u64::MAX - 3), &bytes), Err(Errno::EFAULT));
    check_eq!(mm.unmap(ctx, va(A), 4 * PAGE_SIZE), Ok(()));
    check_eq!(load(&mm, ctx, A), Err(MmFault::MapErr));
    check_eq!(load(&mm, ctx, A + 4 * PAGE_SIZE), Ok(5));
    check_eq!(mm.advise(ctx, va(A + 4 * PAGE_SIZE), PAGE_SIZE, Advice::DontNeed), Ok(()));
    check_eq!(load(&mm, ctx, A + 4 * PAGE_SIZE), Ok(0));
    end(mm, ctx)
}

fn access(ctx: &mut MaySleep) -> Outcome {
    let mm = begin(ctx)?;
    check_eq!(store(&mm, ctx, A, 7), Ok(()));
    for (access, reads, writes) in [
        (Access::R, true, false),
        (Access::NONE, false, false),
        (Access::RX, true, false),
        (Access::RW, true, true),
    ] {
        check_eq!(mm.protect(ctx, va(A), PAGE_SIZE, access), Ok(()));
        check_eq!(load(&mm, ctx, A).is_ok(), reads);
        check_eq!(store(&mm, ctx, A, 7).is_ok(), writes);
        check_eq!(mm.audit(ctx), Ok(()));
    }
    check_eq!(mm.cmpxchg_u32(ctx, va(A + 8), 0, 9), Ok(0));
    check_eq!(mm.load_u32(ctx, va(A + 8)), Ok(9));
    end(mm, ctx)
}

fn fork(ctx: &mut MaySleep) -> Outcome {
    let mm = begin(ctx)?;
    let shared = MapRequest::anonymous(PAGE_SIZE, Access::RW).with(MapFlags::SHARED);
    let s = good(mm.map(ctx, shared))?.get();
    check_eq!(store(&mm, ctx, A, 1), Ok(()));
    check_eq!(store(&mm, ctx, s, 5), Ok(()));
    let child = good(mm.fork(ctx))?;
    check_eq!(store(&mm, ctx, A, 2), Ok(()));
    child.activate(&PreemptGuard::new());
    check_eq!(load(&child, ctx, A), Ok(1));
    check_eq!(store(&child, ctx, A, 3), Ok(()));
    check_eq!(store(&child, ctx, s, 6), Ok(()));
    mm.activate(&PreemptGuard::new());
    check_eq!((load(&mm, ctx, A), load(&mm, ctx, s)), (Ok(2), Ok(6)));
    end(child, ctx)?;
    end(mm, ctx)
}

fn remap(ctx: &mut MaySleep) -> Outcome {
    let mm = begin(ctx)?;
    for n in 0..8 {
        check_eq!(store(&mm, ctx, A + n * PAGE_SIZE, n), Ok(()));
    }
    // To the other table of the same page, and back (H23); and far away.
    let mut at = A;
    for to in [A + (1 << 20), A, A + (2 << 20), A + (7 << 30), A] {
        let request = RemapRequest {
            addr: va(at),
            old_len: 8 * PAGE_SIZE,
            new_len: 8 * PAGE_SIZE,
            may_move: true,
            to: Some(va(to)),
            keep_old: false,
        };
        check_eq!(mm.remap(ctx, request), Ok(va(to)));
        for n in 0..8 {
            check_eq!(load(&mm, ctx, to + n * PAGE_SIZE), Ok(n));
        }
        check_eq!(load(&mm, ctx, at), Err(MmFault::MapErr));
        at = to;
    }
    end(mm, ctx)
}

/// Without a frame a fault says so, and goes on when there is one.
fn no_memory(ctx: &mut MaySleep) -> Outcome {
    let mm = begin(ctx)?;
    check_eq!(store(&mm, ctx, A, 1), Ok(()));
    {
        let mut hoard = super::support::Hoard::all();
        check_eq!(store(&mm, ctx, A + PAGE_SIZE, 1), Err(MmFault::NoMemory));
        check_eq!(mm.fork(ctx).err(), Some(Errno::ENOMEM));
        check_eq!(load(&mm, ctx, A), Ok(1));
        check_eq!(mm.audit(ctx), Ok(()));
        hoard.give_back(64);
        check_eq!(store(&mm, ctx, A + PAGE_SIZE, 1), Ok(()));
    }
    end(mm, ctx)
}

/// H32: a CPU that has the address space, and on which nobody runs in it, leaves it before it ends.
fn lazy_elsewhere(case: &mut Case<'_>) -> Outcome {
    let mm = good(Mm::new(case.ctx))?;
    let theirs = mm.clone();
    let has_it = Arc::new(AtomicBool::new(false));
    let may_look = Arc::new(AtomicBool::new(false));
    let (has, look) = (has_it.clone(), may_look.clone());
    let stale = Arc::new(AtomicUsize::new(0));
    let seen = stale.clone();
    let other = Spawn::new("lazy").on(CpuSet::one(case.cpus - 1)).spawn_waiting(case.ctx, move |_| {
        theirs.activate(&PreemptGuard::new());
        has.store(true, Ordering::Release);
        while !look.load(Ordering::Acquire) {
            cpu::relax();
        }
        if theirs.is_active(&PreemptGuard::new()) || space::user_load(va(A)).is_ok() {
            seen.fetch_add(1, Ordering::Relaxed);
        }
    });
    let other = good(other)?;
    while !has_it.load(Ordering::Acquire) {
        cpu::relax();
    }
    mm.end_use(case.ctx);
    may_look.store(true, Ordering::Release);
    other.join(case.ctx);
    check_eq!(stale.load(Ordering::Relaxed), 0);
    Ok(())
}

/// What the threads of a storm share.
struct Storm {
    mm: MmRef,
    stop: AtomicBool,
    wrong: AtomicUsize,
}

/// Pages of the storm's window.
const WINDOW: u64 = 32;

impl Storm {
    /// Maps, unmaps, protects, forks: in the window's upper half. The lower half keeps what is stored.
    fn change(&self, ctx: &mut MaySleep, seed: u64) {
        let mut random = seed;
        while !self.stop.load(Ordering::Relaxed) {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let at = A + (WINDOW / 2 + (random >> 33) % (WINDOW / 2 - 4)) * PAGE_SIZE;
            let len = (1 + (random >> 45) % 4) * PAGE_SIZE;
            let result = match (random >> 50) % 8 {
                0..=2 => self.mm.map(ctx, MapRequest::anonymous(len, Access::RW).at(va(at))).map(|_| ()),
                3 | 4 => self.mm.unmap(ctx, va(at), len),
                5 => match self.mm.protect(ctx, va(at), len, Access::R) {
                    Err(Errno::ENOMEM) => Ok(()),
                    other => other,
                },
                6 => self.mm.fork(ctx).map(|child| {
                    if child.audit(ctx).is_err() {
                        self.wrong.fetch_add(1, Ordering::Relaxed);
                    }
                    child.end_use(ctx);
                }),
                _ => {
                    let to = A + 4 * WINDOW * PAGE_SIZE;
                    let request = RemapRequest {
                        addr: va(at),
                        old_len: PAGE_SIZE,
                        new_len: PAGE_SIZE,
                        may_move: true,
                        to: Some(va(to)),
                        keep_old: false,
                    };
                    match self.mm.remap(ctx, request) {
                        Err(Errno::EFAULT) => Ok(()),
                        other => other.map(|_| ()),
                    }
                }
            };
            if !matches!(result, Ok(()) | Err(Errno::ENOMEM)) {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Stores and loads what nobody else stores, by way of the tables, and touches what may be gone.
    fn touch(&self, ctx: &mut MaySleep, number: u64) {
        let mut round = 0_u64;
        while !self.stop.load(Ordering::Relaxed) {
            round += 1;
            let own = A + (round % (WINDOW / 2)) * PAGE_SIZE + 8 * number;
            let _ = self.mm.write_remote(ctx, va(own), &round.to_ne_bytes());
            let mut bytes = [0; 8];
            if self.mm.read_remote(ctx, va(own), &mut bytes) == Ok(()) && u64::from_ne_bytes(bytes) != round {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
            let wild = A + (WINDOW / 2 + round % (WINDOW / 2)) * PAGE_SIZE;
            let kind = if round & 1 == 0 { AccessKind::Read } else { AccessKind::Write };
            let _ = self.mm.fault(ctx, va(wild), kind);
        }
    }

    /// Reads set and tables without a lock, as `/proc` does.
    fn look(&self, ctx: &mut MaySleep) {
        while !self.stop.load(Ordering::Relaxed) {
            let mut at = 0;
            let mut lower = 0;
            loop {
                let area = {
                    let section = rcu::read_lock(ctx);
                    self.mm.vmas(&section, va(at)).next().map(|area| area.range)
                };
                let Some(range) = area else { break };
                let mut next = Some(va(range.start.max(at)));
                while let Some(from) = next {
                    next = self.mm.walk(ctx, from..va(range.end), &mut |_, _| ());
                }
                // What is not changed is always found.
                let kept = A..A + WINDOW / 2 * PAGE_SIZE;
                let (start, end) = (range.start.max(at).max(kept.start), range.end.min(kept.end));
                lower += end.saturating_sub(start);
                at = range.end;
            }
            if lower != WINDOW / 2 * PAGE_SIZE {
                self.wrong.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn storm(case: &mut Case<'_>) -> Outcome {
    let mm = good(Mm::new(case.ctx))?;
    let all = MapRequest::anonymous(WINDOW * PAGE_SIZE, Access::RW).at(va(A));
    good(mm.map(case.ctx, all))?;
    let storm = Arc::new(Storm { mm: mm.clone(), stop: AtomicBool::new(false), wrong: AtomicUsize::new(0) });
    let mut threads = Vec::new();
    for number in 0..2 * case.cpus as u64 {
        let storm = storm.clone();
        let thread = Spawn::new("storm").spawn_waiting(case.ctx, move |ctx| match number % 4 {
            0 => storm.change(ctx, number + 1),
            3 => storm.look(ctx),
            _ => storm.touch(ctx, number),
        });
        threads.extend(thread.ok());
    }
    let until = timer::now() + 1_000_000_000;
    while timer::now() < until {
        crate::proc::sched::yield_now(case.ctx);
    }
    storm.stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join(case.ctx));
    check_eq!(storm.wrong.load(Ordering::Relaxed), 0);
    drop(storm);
    end(mm, case.ctx)
}

/// Nanoseconds, which are instructions under icount (four to one on pseries).
fn costs(ctx: &mut MaySleep) -> Outcome {
    /// Times of each, of which the least counts.
    const ROUNDS: usize = 12;
    fn least(mut of: impl FnMut() -> Result<u64, Stop>) -> Result<u64, Stop> {
        let mut least = u64::MAX;
        for _ in 0..ROUNDS {
            least = least.min(of()?);
        }
        Ok(least)
    }
    let mm = begin(ctx)?;
    check_eq!(store(&mm, ctx, A, 1), Ok(()));
    let free = A + (1 << 30);
    let pair = least(|| {
        let start = timer::now();
        let at = good(mm.map(ctx, MapRequest::anonymous(PAGE_SIZE, Access::RW)))?;
        good(mm.unmap(ctx, at, PAGE_SIZE))?;
        Ok(timer::now() - start)
    })?;
    let fresh = least(|| {
        let start = timer::now();
        let request = MapRequest::anonymous(PAGE_SIZE, Access::RW).at(va(free));
        let at = good(mm.map(ctx, request))?;
        check_eq!(mm.fault(ctx, at, AccessKind::Write), Ok(()));
        good(mm.unmap(ctx, at, PAGE_SIZE))?;
        Ok(timer::now() - start)
    })?;
    let fault = least(|| {
        good(mm.advise(ctx, va(A + PAGE_SIZE), PAGE_SIZE, Advice::DontNeed))?;
        let start = timer::now();
        check_eq!(mm.fault(ctx, va(A + PAGE_SIZE), AccessKind::Write), Ok(()));
        Ok(timer::now() - start)
    })?;
    // So many tables with one page each.
    const TABLES: u64 = 64;
    let span = 2 << 20;
    let (mut forked, mut unmapped) = (u64::MAX, u64::MAX);
    let empty = least(|| {
        let start = timer::now();
        let child = good(mm.fork(ctx))?;
        let time = timer::now() - start;
        child.end_use(ctx);
        Ok(time)
    })?;
    for _ in 0..4 {
        // More than the least memory there may be, of which a page for each table is touched.
        let request = MapRequest::anonymous(TABLES * span, Access::RW).at(va(free));
        good(mm.map(ctx, request.with(MapFlags::NORESERVE)))?;
        for n in 0..TABLES {
            check_eq!(mm.fault(ctx, va(free + n * span), AccessKind::Write), Ok(()));
        }
        let start = timer::now();
        let child = good(mm.fork(ctx))?;
        forked = forked.min(timer::now() - start);
        child.end_use(ctx);
        drop(child);
        let start = timer::now();
        good(mm.unmap(ctx, va(free), TABLES * span))?;
        unmapped = unmapped.min(timer::now() - start);
    }
    log::line(format_args!(
        "# mmap+munmap {pair} ns, with a touch and a new table {fresh}, fault {fault}, fork {empty}, \
         and for each of {TABLES} tables with a page: fork {}, munmap {}",
        forked.saturating_sub(empty) / TABLES,
        unmapped / TABLES
    ));
    check!(pair > 0);
    end(mm, ctx)
}
