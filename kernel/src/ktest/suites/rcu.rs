//! RCU on real CPUs: who is waited for and who is not, callbacks, CPUs that come and go.

use super::support::{Hoard, spin_until};
use crate::addr::Pfn;
use crate::arch::current::timer;
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Suite, Test, torture};
use crate::mm;
use crate::mm::frame::{Frame, Kind, Request};
use crate::proc::thread::{JoinHandle, Spawn};
use crate::proc::{sched, smp};
use crate::rcu::{self, Deferred, HasRcuHead, RcuHead, global};
use crate::sync::context::current;
use crate::sync::{IrqGuard, MaySleep, Pinned, PreemptGuard, token};
use crate::{check, check_eq, log};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "rcu",
    tests: &[
        Test::new("latency", latency),
        Test::new("callbacks_of_every_kind_of_context", contexts),
        Test::new("deferred_again", deferred_again),
        Test::new("barrier_counts", barrier_counts),
        Test::new("flood", flood),
        Test::new("shortage", shortage),
        Test::new("waiters_share", waiters_share).min_cpus(2),
        Test::new("sections_in_interrupts", sections_in_interrupts),
        Test::new("a_busy_cpu_reports", a_busy_cpu_reports).min_cpus(2),
        Test::new("a_parked_reader_alone_is_waited_for", parked_reader).min_cpus(2),
        Test::new("offline_and_online", offline_and_online).min_cpus(2),
        Test::new("stall_is_named", stall_is_named).min_cpus(2),
        Test::new("torture", short_torture),
    ],
};

/// An object that counts its callbacks, in a counter of somebody else.
struct Counted {
    head: RcuHead,
    calls: Arc<AtomicUsize>,
    again: AtomicUsize,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Counted {
    const HEAD: usize = core::mem::offset_of!(Counted, head);
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.calls.fetch_add(1, Ordering::Release);
    }
}

impl Counted {
    fn defer(calls: &Arc<AtomicUsize>) {
        let calls = Arc::clone(calls);
        rcu::call_drop(Box::new(Self { head: RcuHead::new(), calls, again: AtomicUsize::new(0) }));
    }
}

impl Deferred for Counted {
    fn grace_over(&'static self) {
        self.calls.fetch_add(1, Ordering::Release);
        if self.again.load(Ordering::Relaxed) > 0 {
            self.again.fetch_sub(1, Ordering::Relaxed);
            rcu::call(self);
        }
    }
}

/// A thread bound to a CPU; the test is skipped if there is no memory for its stack.
fn on(
    cpu: usize,
    body: impl FnOnce(&mut MaySleep) + Send + 'static,
) -> Result<JoinHandle, crate::ktest::Stop> {
    let thread = Spawn::new("rcu test").on(CpuSet::one(cpu)).spawn(body);
    thread.map_err(|_| crate::ktest::Stop::Skipped("no memory for a stack"))
}

fn last_cpu() -> usize {
    sched::online_cpus().iter().last().unwrap_or(0)
}

/// Grace periods end with all CPUs idle but this one, and how long they take; idle CPUs are not
/// watched (H36).
fn latency(case: &mut Case<'_>) -> Outcome {
    const ROUNDS: usize = 20;
    let normal = times(case.ctx, ROUNDS, rcu::synchronize);
    let expedited = times(case.ctx, ROUNDS, rcu::synchronize_expedited);
    log::raw(format_args!("    # all others idle: grace period {normal}, expedited {expedited}\n"));
    // Sooner or later all others have nothing to do, and none of them is watched then.
    let watched = || sched::online_cpus().iter().filter(|&cpu| global::RCU.is_watched(cpu)).count();
    let deadline = timer::now() + 5_000_000_000;
    let mut left = watched();
    while left > 1 && timer::now() < deadline {
        sched::yield_now(case.ctx);
        left = watched();
    }
    check!(left <= 1, "{left} of {} CPUs are watched, all but one idle", case.cpus);
    Ok(())
}

/// Microseconds.
struct Times {
    median: u64,
    longest: u64,
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} us (longest {})", self.median, self.longest)
    }
}

/// How long that kind of waiting takes, the median of so many.
fn times(ctx: &mut MaySleep, count: usize, wait: fn(&mut MaySleep)) -> Times {
    let mut all = Vec::new();
    for _ in 0..count {
        let began = timer::now();
        wait(ctx);
        all.push((timer::now() - began) / 1_000);
    }
    all.sort_unstable();
    Times { median: all[count / 2], longest: all[count - 1] }
}

/// From a thread, with preemption off, with interrupts off, in an interrupt, in a section: the
/// callback runs later, once.
fn contexts(case: &mut Case<'_>) -> Outcome {
    let calls = Arc::new(AtomicUsize::new(0));
    Counted::defer(&calls);
    {
        let _pin = PreemptGuard::new();
        Counted::defer(&calls);
    }
    {
        // Those before the section may run while it is open; those in it may not.
        let inside = Arc::new(AtomicUsize::new(0));
        let section = rcu::read_lock(case.ctx);
        Counted::defer(&inside);
        let irqs_off = IrqGuard::new();
        Counted::defer(&inside);
        token::interrupt(|_| Counted::defer(&inside));
        drop(irqs_off);
        let early = inside.load(Ordering::Acquire);
        drop(section);
        rcu::barrier(case.ctx);
        check_eq!(early, 0, "callbacks invoked while we read");
        check_eq!(inside.load(Ordering::Acquire), 3);
    }
    check_eq!(calls.load(Ordering::Acquire), 2);
    Ok(())
}

/// A callback defers its own object (H39): each barrier covers one more.
fn deferred_again(case: &mut Case<'_>) -> Outcome {
    let calls = Arc::new(AtomicUsize::new(0));
    let object = Box::into_raw(Box::new(Counted {
        head: RcuHead::new(),
        calls: Arc::clone(&calls),
        again: AtomicUsize::new(2),
    }));
    // SAFETY: it is freed below, after its last callback.
    rcu::call(unsafe { &*object });
    (0..3).for_each(|_| rcu::barrier(case.ctx));
    let called = calls.load(Ordering::Acquire);
    // SAFETY: three barriers cover the three callbacks; nothing refers to it any more.
    drop(unsafe { Box::from_raw(object) });
    check_eq!(called, 3);
    Ok(())
}

/// Callbacks on every CPU, and one barrier (H40); and a barrier with nothing to wait for.
fn barrier_counts(case: &mut Case<'_>) -> Outcome {
    const EACH: usize = 100;
    let calls = Arc::new(AtomicUsize::new(0));
    for round in 1..=5 {
        let mut threads = Vec::new();
        for cpu in sched::online_cpus().iter() {
            let calls = Arc::clone(&calls);
            threads.push(on(cpu, move |_| (0..EACH).for_each(|_| Counted::defer(&calls)))?);
        }
        let all = round * EACH * threads.len();
        threads.into_iter().for_each(|thread| thread.join(case.ctx));
        rcu::barrier(case.ctx);
        check_eq!(calls.load(Ordering::Acquire), all, "round {round}");
    }
    rcu::barrier(case.ctx);
    check_eq!(rcu::totals().queued(), 0);
    check!(!rcu::reclaim(case.ctx), "nothing is queued: nothing to reclaim");
    Ok(())
}

/// More callbacks than a batch takes, queued faster than they are invoked (H38).
fn flood(case: &mut Case<'_>) -> Outcome {
    const MANY: usize = 4 * rcu::instance::FLOOD;
    let calls = Arc::new(AtomicUsize::new(0));
    let began = timer::now();
    {
        let _section = rcu::read_lock(case.ctx);
        (0..MANY).for_each(|_| Counted::defer(&calls));
    }
    // With one CPU all may be over at the end of the section.
    let over = calls.load(Ordering::Acquire) == MANY;
    check!(rcu::reclaim(case.ctx) || over, "something was queued");
    let milliseconds = (timer::now() - began) / 1_000_000;
    check_eq!(calls.load(Ordering::Acquire), MANY);
    let most = rcu::totals().most;
    log::raw(format_args!("    # {MANY} callbacks in {milliseconds} ms; longest queue since boot {most}\n"));
    check!(most >= MANY);
    Ok(())
}

/// What stands in a frame that waits for a grace period.
struct Waiting {
    head: RcuHead,
    frame: Pfn,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Waiting {
    const HEAD: usize = core::mem::offset_of!(Waiting, head);
}

/// The frame is free after a grace period.
fn free_later(frame: Frame) {
    /// # Safety
    /// The head stands in a frame that nobody else has.
    unsafe fn free(head: NonNull<RcuHead>) -> bool {
        // SAFETY: `free_later` wrote it there.
        let frame = unsafe { head.byte_sub(Waiting::HEAD).cast::<Waiting>().as_ref() }.frame;
        // SAFETY: from `into_raw`, and nobody has adopted it.
        drop(unsafe { mm::frames().adopt(frame) });
        false
    }
    let place = frame.as_ptr().cast::<Waiting>();
    let frame = frame.into_raw();
    // SAFETY: the frame is ours until `free`.
    unsafe { place.write(Waiting { head: RcuHead::new(), frame }) };
    let pin = IrqGuard::new();
    // SAFETY: this CPU, with interrupts off; the frame stays until `free`.
    unsafe { global::RCU.call_raw(pin.cpu(), place.byte_add(Waiting::HEAD).cast(), free) };
}

/// With almost no memory, all of it waiting for grace periods: who may sleep gets a frame, since the
/// allocator waits for one (H38); who may not is told that there is none.
fn shortage(case: &mut Case<'_>) -> Outcome {
    const LEFT: usize = 32;
    const ROUNDS: usize = 40 * LEFT;
    let one = Request::of(Kind::Kernel);
    let mut hoard = Hoard::all();
    hoard.give_back(LEFT);
    let before = rcu::grace_periods();
    let mut refused = 0;
    {
        let _section = rcu::read_lock(case.ctx);
        for _ in 0..8 * LEFT {
            match mm::frames().alloc(one, None) {
                Ok(frame) => free_later(frame),
                Err(_) => refused += 1,
            }
        }
    }
    let mut given = 0;
    for _ in 0..ROUNDS {
        if let Ok(frame) = mm::frames().alloc(one, Some(case.ctx)) {
            free_later(frame);
            given += 1;
        }
    }
    let held = rcu::grace_periods() - before;
    rcu::barrier(case.ctx);
    drop(hoard);
    log::raw(format_args!("    # {given} of {ROUNDS} frames out of {LEFT}, {held} grace periods\n"));
    check!(refused >= LEFT, "{refused} refused while a reader held up {LEFT} frames");
    check_eq!(given, ROUNDS);
    Ok(())
}

/// All who ask on any CPU while a grace period runs are given the same one, the next.
fn waiters_share(case: &mut Case<'_>) -> Outcome {
    let parked = Parked::on(case.ctx, last_cpu())?;
    let first = rcu::start_poll();
    while global::waited_for() == 0 {
        sched::sleep(case.ctx, 1_000_000);
    }
    let cookie = rcu::start_poll();
    let others = Arc::new(AtomicUsize::new(0));
    for cpu in sched::online_cpus().iter().filter(|&cpu| cpu != last_cpu()) {
        let others = Arc::clone(&others);
        on(cpu, move |_| {
            others.fetch_add(usize::from(rcu::start_poll() != cookie), Ordering::Relaxed);
        })?
        .join(case.ctx);
    }
    parked.release(case.ctx);
    rcu::cond_synchronize(case.ctx, cookie);
    check!(first != cookie && rcu::poll(first), "the running one counts for who asked before it began");
    check_eq!(others.load(Ordering::Relaxed), 0, "cookies for another grace period");
    Ok(())
}

/// Handlers read on all CPUs, idle ones too, while grace periods come and go.
fn sections_in_interrupts(case: &mut Case<'_>) -> Outcome {
    static READ: AtomicUsize = AtomicUsize::new(0);
    fn read(_: usize) {
        token::interrupt(|irq| {
            let _outer = rcu::read_lock(irq);
            let _inner = rcu::read_lock(irq);
            READ.fetch_add(1, Ordering::Relaxed);
        });
    }
    READ.store(0, Ordering::Relaxed);
    for _ in 0..50 {
        smp::call_on(sched::online_cpus(), read, 0);
        rcu::synchronize_expedited(case.ctx);
    }
    check_eq!(READ.load(Ordering::Relaxed), 50 * case.cpus);
    Ok(())
}

/// A CPU that never switches and is in no section, as one looping in user mode (H36).
fn a_busy_cpu_reports(case: &mut Case<'_>) -> Outcome {
    let stop = Arc::new(AtomicBool::new(false));
    let (seen, begun) = (Arc::clone(&stop), Arc::new(AtomicBool::new(false)));
    let running = Arc::clone(&begun);
    let busy = on(last_cpu(), move |_| {
        let _pin = PreemptGuard::new();
        running.store(true, Ordering::Release);
        spin_until(|| seen.load(Ordering::Relaxed));
    })?;
    while !begun.load(Ordering::Acquire) {
        sched::yield_now(case.ctx);
    }
    let (normal, expedited) =
        (times(case.ctx, 10, rcu::synchronize), times(case.ctx, 10, rcu::synchronize_expedited));
    stop.store(true, Ordering::Relaxed);
    busy.join(case.ctx);
    log::raw(format_args!("    # beside a busy CPU: grace period {normal}, expedited {expedited}\n"));
    Ok(())
}

/// A reader in a section on a CPU, until it is released.
struct Parked {
    release: Arc<AtomicBool>,
    thread: JoinHandle,
}

impl Parked {
    fn on(ctx: &mut MaySleep, cpu: usize) -> Result<Self, crate::ktest::Stop> {
        let (release, reading) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (seen, begun) = (Arc::clone(&release), Arc::clone(&reading));
        let thread = on(cpu, move |ctx| {
            let _outer = rcu::read_lock(ctx);
            let _inner = rcu::read_lock(ctx);
            begun.store(true, Ordering::Release);
            spin_until(|| seen.load(Ordering::Acquire));
        })?;
        while !reading.load(Ordering::Acquire) {
            sched::sleep(ctx, 1_000_000);
        }
        Ok(Self { release, thread })
    }
    fn release(self, ctx: &mut MaySleep) {
        self.release.store(true, Ordering::Release);
        self.thread.join(ctx);
    }
}

/// The grace period waits for the CPU with the reader, and in the end for no other; nothing that was
/// queued meanwhile is invoked; then it ends.
fn parked_reader(case: &mut Case<'_>) -> Outcome {
    let cpu = last_cpu();
    let parked = Parked::on(case.ctx, cpu)?;
    let calls = Arc::new(AtomicUsize::new(0));
    Counted::defer(&calls);
    let cookie = rcu::start_poll();
    let mut alone = 0;
    let mut over = false;
    for _ in 0..200 {
        sched::sleep(case.ctx, 1_000_000);
        over |= rcu::poll(cookie);
        alone = if global::waited_for() == 1 << cpu { alone + 1 } else { 0 };
        if alone >= 20 {
            break;
        }
    }
    let early = calls.load(Ordering::Acquire);
    parked.release(case.ctx);
    rcu::cond_synchronize(case.ctx, cookie);
    rcu::barrier(case.ctx);
    check!(!over, "the grace period ended under a reader");
    check_eq!(early, 0, "callbacks invoked under a reader");
    check!(alone >= 20, "waits for CPUs {:#x}, wanted {:#x}", global::waited_for(), 1 << cpu);
    check_eq!(calls.load(Ordering::Acquire), 1);
    Ok(())
}

/// A CPU goes offline with callbacks on its list, and comes back (H37). With a third CPU a reader is
/// parked there, so that none of them can be invoked before they move.
fn offline_and_online(case: &mut Case<'_>) -> Outcome {
    const EACH: usize = 50;
    let cpu = last_cpu();
    let calls = Arc::new(AtomicUsize::new(0));
    let mut moved = 0;
    for round in 1..=10 {
        let parked = if case.cpus > 2 { Some(Parked::on(case.ctx, 1)?) } else { None };
        let theirs = Arc::clone(&calls);
        on(cpu, move |_| (0..EACH).for_each(|_| Counted::defer(&theirs)))?.join(case.ctx);
        let queued = global::RCU.lengths(cpu).queued();
        moved += queued;
        let gone = sched::offline(case.ctx, cpu);
        // It gives them away as the last thing it does, perhaps only now.
        let deadline = timer::now() + 5_000_000_000;
        while global::RCU.lengths(cpu).queued() > 0 && timer::now() < deadline {
            sched::yield_now(case.ctx);
        }
        let left = global::RCU.lengths(cpu).queued();
        let early = calls.load(Ordering::Acquire) - (round - 1) * EACH;
        let was_parked = parked.is_some();
        if let Some(parked) = parked {
            parked.release(case.ctx);
        }
        rcu::synchronize(case.ctx);
        rcu::barrier(case.ctx);
        let called = calls.load(Ordering::Acquire);
        let back = sched::online(case.ctx, cpu);
        check!(gone.is_ok() && back.is_ok(), "round {round}: offline {gone:?}, online {back:?}");
        check_eq!(left, 0, "round {round}: callbacks left on the offline CPU");
        check_eq!(called, round * EACH, "round {round}");
        if was_parked {
            check!(queued >= EACH, "round {round}: {queued} queued under a reader");
            check_eq!(early, 0, "round {round}: callbacks invoked under a reader");
        }
        rcu::synchronize_expedited(case.ctx);
    }
    log::raw(format_args!("    # {moved} of {} callbacks were still queued when the CPU left\n", 10 * EACH));
    Ok(())
}

/// A reader that stays too long is reported: its CPU, its task, its depth.
fn stall_is_named(case: &mut Case<'_>) -> Outcome {
    let cpu = last_cpu();
    let before = rcu::kernel::stalls();
    rcu::kernel::set_stall_timeout(100_000_000);
    let parked = Parked::on(case.ctx, cpu)?;
    let cookie = rcu::start_poll();
    let deadline = timer::now() + 20_000_000_000;
    while rcu::kernel::stalls() == before && timer::now() < deadline {
        sched::sleep(case.ctx, 10_000_000);
    }
    // The CPU's own words come in an interrupt.
    let mut task = None;
    while task.is_none() && timer::now() < deadline {
        sched::sleep(case.ctx, 10_000_000);
        task = rcu::kernel::stalled_task();
    }
    let cpus = rcu::kernel::stalled_cpus();
    parked.release(case.ctx);
    rcu::cond_synchronize(case.ctx, cookie);
    rcu::kernel::reset_stall_timeout();
    check!(rcu::kernel::stalls() > before, "no stall was reported");
    check_eq!(cpus, 1 << cpu);
    let Some((name, depth)) = task else {
        check!(false, "CPU {cpu} did not say what it is doing");
        return Ok(());
    };
    check_eq!(name.as_str(), "rcu test");
    check_eq!(depth, 2);
    check_eq!(current().rcu.get(), 0);
    Ok(())
}

/// `torture=SECONDS`, or two.
fn short_torture(case: &mut Case<'_>) -> Outcome {
    let seconds = crate::cmdline::get().number("torture").unwrap_or(2);
    torture::run(case.ctx, seconds)
}
