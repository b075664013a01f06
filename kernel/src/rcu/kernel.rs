//! The kernel around RCU: its threads, and what the scheduler and the interrupt handlers call.
//!
//! Grace periods are driven by one thread, `rcu_gp`; callbacks are invoked by one thread for each
//! CPU, `rcuc/N`. The alternative, to invoke them when an interrupt returns, needs no threads, but
//! runs them on top of whatever was interrupted: every lock that a callback takes would have to be
//! taken with interrupts off by everybody for that reason alone (H24), and a flood of callbacks would
//! keep interrupts off. Threads are scheduled.

use super::drive::{Clockwork, Pace};
use super::global::RCU;
use super::instance::Environment;
use super::section::assert_outside;
use super::stall::Stall;
use crate::arch::current::{cpu, timer};
use crate::arch::{RCU_CPUS, rcu_cpu};
use crate::sync::context::{TaskName, current};
use crate::sync::wait::WaitQueue;
use crate::sync::{IrqGuard, IrqSpinLock, LockClass, MaySleep, PreemptGuard, Rank, hooks};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Callbacks are in no hurry: a grace period that nobody waits for begins so long after the first
/// of them, in nanoseconds, and is for all that were queued meanwhile. Without it, on a CPU that frees one
/// table after another, each would have its own grace period and its own two switches to `rcu_gp`.
const GATHER: u64 = 1_000_000;

const ANSWER: LockClass = LockClass::new("rcu_stall", Rank::RCU_LIST);

/// The threads of RCU, and those who wait for it.
///
/// Its numbers are for reports and tests, so they are accessed relaxed; what a stuck CPU answered is under
/// a lock.
pub struct Kernel {
    /// Where `rcu_gp` sleeps.
    driver: WaitQueue,
    /// Where each `rcuc/N` sleeps.
    invokers: [WaitQueue; RCU_CPUS],
    /// Where others wait for grace periods and barriers.
    waiters: WaitQueue,
    /// Nanoseconds until a grace period is called stuck.
    stall_timeout: AtomicU64,
    /// CPUs that are to say what they are doing.
    asked: AtomicUsize,
    /// Grace periods that were reported as stuck.
    stalls: AtomicUsize,
    /// The CPUs of the last report, and what the last of them to answer said.
    stalled: AtomicUsize,
    answer: IrqSpinLock<Option<(TaskName, u32)>>,
}

impl Kernel {
    pub(super) const fn new() -> Self {
        Self {
            driver: WaitQueue::new(),
            invokers: [const { WaitQueue::new() }; RCU_CPUS],
            waiters: WaitQueue::new(),
            stall_timeout: AtomicU64::new(Pace::KERNEL.stall),
            asked: AtomicUsize::new(0),
            stalls: AtomicUsize::new(0),
            stalled: AtomicUsize::new(0),
            answer: IrqSpinLock::new(&ANSWER, None),
        }
    }

    /// Sleeps until the condition is true; it is looked at again after each grace period and barrier.
    #[track_caller]
    pub(super) fn wait(&self, ctx: &mut MaySleep, done: impl FnMut() -> bool) {
        self.waiters.wait(ctx, done);
    }
}

impl Environment for Kernel {
    fn wake_driver(&self) {
        self.driver.wake_one();
    }
    fn wake_invoker(&self, cpu: usize) {
        self.invokers[cpu].wake_one();
    }
    fn wake_waiters(&self) {
        self.waiters.wake_all();
    }
    fn interrupt(&self, cpu: usize) {
        let _irqs_off = IrqGuard::new();
        if rcu_cpu() == cpu {
            // The driver's own CPU: it drives, so it does not read.
            RCU.quiescent(cpu);
        } else {
            cpu::send_ipi(cpu);
        }
    }
    /// A build with debug checks stops; another one says it and goes on, with one object leaked.
    fn misuse(&self, what: &'static str) {
        if cfg!(debug_assertions) {
            panic!("RCU misused: {what}");
        }
        log::error!(target: "rcu", "misused: {what}");
    }
}

/// The clock and the bed of `rcu_gp`.
struct DriverThread<'a>(&'a mut MaySleep);

impl Clockwork for DriverThread<'_> {
    fn now(&self) -> u64 {
        timer::now()
    }
    fn sleep(&mut self, until: u64, woken: &dyn Fn() -> bool) {
        RCU.env().driver.wait_deadline(self.0, until, woken);
    }
    fn stalled(&mut self, stall: &Stall) {
        let kernel = RCU.env();
        kernel.stalls.fetch_add(1, Ordering::Relaxed);
        kernel.stalled.store(stall.cpus, Ordering::Relaxed);
        *kernel.answer.lock() = None;
        let all = &stall.callbacks;
        log::error!(
            target: "rcu",
            "stall: grace period {:#x} has waited {} ms; callbacks: {} done, {} waiting, {} next",
            stall.seq.raw(), stall.age / 1_000_000, all.done, all.wait, all.next
        );
        // Each says for itself what it does: its task may end while we would look at it.
        kernel.asked.fetch_or(stall.cpus, Ordering::Relaxed);
        for number in stall.cpu_numbers() {
            let mine = RCU.lengths(number);
            log::error!(
                target: "rcu",
                "stall: CPU {number} has not reported; its callbacks: {} done, {} waiting, {} next",
                mine.done, mine.wait, mine.next
            );
            cpu::send_ipi(number);
        }
    }
}

/// Sets the time after which a grace period is called stuck, in nanoseconds.
pub fn set_stall_timeout(nanoseconds: u64) {
    RCU.env().stall_timeout.store(nanoseconds, Ordering::Relaxed);
}

/// Sets it back to [`Pace::KERNEL`]'s.
pub fn reset_stall_timeout() {
    set_stall_timeout(Pace::KERNEL.stall);
}

/// The CPUs that the last report was about, a bit each.
pub fn stalled_cpus() -> usize {
    RCU.env().stalled.load(Ordering::Relaxed)
}

/// What the last of them to answer said: its task, and how deep in sections that was.
pub fn stalled_task() -> Option<(TaskName, u32)> {
    *RCU.env().answer.lock()
}

/// How often a grace period was reported as stuck.
pub fn stalls() -> usize {
    RCU.env().stalls.load(Ordering::Relaxed)
}

/// The body of `rcu_gp`. It is called once; a second call returns.
pub fn driver_main(ctx: &mut MaySleep) {
    let Some(mut driver) = RCU.driver() else { return };
    let kernel = RCU.env();
    loop {
        kernel.driver.wait(ctx, || RCU.is_wanted());
        let in_haste = || RCU.is_waited_for() || RCU.is_hurried();
        kernel.driver.wait_deadline(ctx, timer::now() + GATHER, in_haste);
        let pace = Pace { stall: kernel.stall_timeout.load(Ordering::Relaxed), ..Pace::KERNEL };
        driver.hold(&pace, &mut DriverThread(ctx));
    }
}

/// The body of `rcuc/N`. It is called once for each CPU.
pub fn invoker_main(ctx: &mut MaySleep, cpu: usize) {
    loop {
        RCU.env().invokers[cpu].wait(ctx, || RCU.has_ready(cpu));
        for _ in 0..RCU.batch(cpu) {
            let _pin = PreemptGuard::new();
            if !RCU.invoke_one(cpu) {
                break;
            }
        }
        // A full batch leaves some: others first.
        hooks::yield_now(ctx);
    }
}

/// Drives grace periods and invokes all CPUs' callbacks in one thread, for tests on the host. It
/// returns at once if there is a driver.
pub fn hosted_main(ctx: &mut MaySleep) {
    let Some(mut driver) = RCU.driver() else { return };
    loop {
        if RCU.is_wanted() {
            driver.hold(&Pace { look: 0, ..Pace::KERNEL }, &mut DriverThread(ctx));
        } else {
            RCU.env().driver.wait_deadline(ctx, timer::now() + 100_000, || RCU.is_wanted());
        }
        for cpu in 0..RCU_CPUS {
            while RCU.invoke_one(cpu) {}
        }
    }
}

/// The scheduler is about to give this CPU to another task. Interrupts are off. A task that gives it
/// up inside a read section is a bug of its own: panics, naming it.
#[inline]
#[track_caller]
pub fn note_context_switch() {
    assert_outside("schedule");
    RCU.quiescent(rcu_cpu());
}

/// This CPU has nothing to do until the next interrupt. Interrupts are off.
#[track_caller]
pub fn idle_enter() {
    assert_outside("idle");
    RCU.unwatch(rcu_cpu());
}

/// It has something to do again. Interrupts are off.
pub fn idle_exit() {
    RCU.watch(rcu_cpu());
}

/// While it lives, an idle CPU may read: an interrupt is being handled.
#[must_use = "the CPU is unwatched again when the guard is dropped"]
pub struct IrqWatch {
    was_idle: bool,
}

/// An interrupt begins. Interrupts are off.
#[inline]
pub fn irq_enter() -> IrqWatch {
    IrqWatch { was_idle: RCU.watch(rcu_cpu()) }
}

impl Drop for IrqWatch {
    #[inline]
    fn drop(&mut self) {
        if self.was_idle {
            RCU.unwatch(rcu_cpu());
        }
    }
}

/// This CPU handles an interrupt: its tick, or one that `interrupt` asked for. If it came outside
/// all read sections, that is a quiescent state.
#[inline]
pub fn interrupted() {
    let cpu = rcu_cpu();
    let depth = current().rcu.get();
    if depth == 0 {
        RCU.quiescent(cpu);
    }
    if RCU.env().asked.load(Ordering::Relaxed) & (1 << cpu) != 0 {
        answer(cpu, depth);
    }
}

/// This CPU says what it is doing: a grace period is stuck, and waits for it.
#[cold]
fn answer(cpu: usize, depth: u32) {
    let (kernel, task) = (RCU.env(), current());
    kernel.asked.fetch_and(!(1 << cpu), Ordering::Relaxed);
    *kernel.answer.lock() = Some((task.name(), depth));
    log::error!(
        target: "rcu",
        "stall: CPU {cpu} runs task {}, {depth} read sections deep, preemption {} deep",
        task.name(), task.preempt_depth()
    );
}

/// This CPU begins to take part: the first thing that it does, or does again after it was offline.
/// Interrupts are off.
pub fn cpu_online() {
    RCU.watch(rcu_cpu());
}

/// This CPU takes part no more; its callbacks move to `heir`, which is online. The last thing that it
/// does, with interrupts off.
#[track_caller]
pub fn cpu_offline(heir: usize) {
    assert_outside("going offline");
    RCU.go_offline(rcu_cpu(), heir);
}
