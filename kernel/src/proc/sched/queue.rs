//! One CPU's run queue: what happens under its lock, and nothing else.

use super::TICK;
use crate::arch::MAX_CPUS;
use crate::arch::current::timer;
use crate::cpus::AtomicCpuSet;
use crate::proc::thread::{Priority, State, Thread, ThreadRef};
use crate::sync::context::TaskName;
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, PerCpu, Rank};
use core::sync::atomic::{AtomicU32, Ordering};
use intrusive_collections::{LinkedList, LinkedListAtomicLink, UnsafeRef, intrusive_adapter};

intrusive_adapter!(pub(super) Ready = UnsafeRef<Thread>: Thread { ready_link => LinkedListAtomicLink });
intrusive_adapter!(pub(super) Sleeping = UnsafeRef<Thread>: Thread { sleep_link => LinkedListAtomicLink });

/// The class of the run queues' locks: a new thread begins as the holder of one.
pub static QUEUE_CLASS: LockClass = LockClass::new("run queue", Rank::RUN_QUEUE);

pub(super) static QUEUES: PerCpu<IrqSpinLock<RunQueue>> =
    PerCpu::new([const { Slot::new(IrqSpinLock::new(&QUEUE_CLASS, RunQueue::new())) }; MAX_CPUS]);

/// CPUs whose idle thread runs: a hint for whom to wake. Read without a lock.
pub(super) static IDLE: AtomicCpuSet = AtomicCpuSet::new();

/// How many threads wait in each CPU's queue: a hint for whom to take from. Read without a lock.
pub(super) static WAITING: PerCpu<AtomicU32> =
    PerCpu::new([const { Slot::new(AtomicU32::new(0)) }; MAX_CPUS]);

/// # Invariants
/// * `current` runs on this CPU; `idle` is its idle thread and never in `ready`.
/// * `sleepers` is sorted by `wake_at`.
/// * `armed` is when this CPU's timer will interrupt, or later than that.
pub(super) struct RunQueue {
    pub(super) cpu: usize,
    current: Option<ThreadRef>,
    idle: Option<ThreadRef>,
    high: LinkedList<Ready>,
    normal: LinkedList<Ready>,
    waiting: u32,
    /// The running thread has used its slice up.
    slice_over: bool,
    /// The first of `normal` was preempted within its slice, which goes on.
    interrupted: bool,
    sleepers: LinkedList<Sleeping>,
    /// When the running thread has used its slice up.
    pub(super) next_tick: u64,
    armed: u64,
    /// Threads may be put in.
    pub(super) online: bool,
    /// The CPU is going offline: only the idle thread runs.
    pub(super) leaving: bool,
    /// The thread that the switch under way leaves for good.
    pub(super) dead: Option<ThreadRef>,
    /// The thread that it leaves and that may not run here any more: it goes elsewhere once it is off
    /// its stack.
    pub(super) misplaced: Option<ThreadRef>,
}

impl RunQueue {
    pub(super) const fn new() -> Self {
        Self {
            cpu: 0,
            current: None,
            idle: None,
            high: LinkedList::new(Ready::NEW),
            normal: LinkedList::new(Ready::NEW),
            waiting: 0,
            slice_over: false,
            interrupted: false,
            sleepers: LinkedList::new(Sleeping::NEW),
            next_tick: u64::MAX,
            armed: u64::MAX,
            online: false,
            leaving: false,
            dead: None,
            misplaced: None,
        }
    }

    /// The CPU's first thread is its idle thread.
    pub(super) fn begin(&mut self, idle: ThreadRef) {
        self.cpu = idle.cpu();
        self.current = Some(idle.clone());
        self.idle = Some(idle);
        self.online = true;
    }

    pub(super) fn current_name(&self) -> Option<TaskName> {
        self.current.as_ref().map(|thread| thread.name())
    }

    /// The running thread has nothing to do, or will leave as soon as it may.
    fn is_idle(&self) -> bool {
        self.current.as_ref().is_none_or(|thread| thread.priority() == Priority::Idle)
    }

    fn set_waiting(&mut self, waiting: u32) {
        self.waiting = waiting;
        WAITING.of(self.cpu).store(waiting, Ordering::Relaxed);
    }

    /// Puts a thread in. Says whether it should run before the one that runs now, which was asked to
    /// go then; on another CPU it must be told by an interrupt.
    pub(super) fn put(&mut self, thread: ThreadRef) -> bool {
        thread.set_state(State::Ready);
        let priority = thread.priority();
        match priority {
            Priority::High => self.high.push_back(thread),
            _ => self.normal.push_back(thread),
        }
        self.set_waiting(self.waiting + 1);
        let Some(current) = &self.current else { return false };
        let preempts = priority > current.priority();
        if preempts {
            current.context().set_need_resched();
        }
        preempts
    }

    /// The running thread goes to the end of its line. The idle thread waits in none.
    pub(super) fn put_back(&mut self, thread: &ThreadRef) {
        if thread.priority() == Priority::Idle {
            thread.set_state(State::Ready);
            return;
        }
        self.put(thread.clone());
        // It cannot preempt itself.
        thread.context().clear_need_resched();
    }

    /// The running thread was asked to go. If its slice is not over it stays the first of its line.
    pub(super) fn put_back_preempted(&mut self, thread: &ThreadRef) {
        if self.slice_over || thread.priority() == Priority::Idle {
            return self.put_back(thread);
        }
        thread.set_state(State::Ready);
        if thread.priority() == Priority::High {
            self.high.push_front(thread.clone());
        } else {
            self.normal.push_front(thread.clone());
            self.interrupted = true;
        }
        self.set_waiting(self.waiting + 1);
        thread.context().clear_need_resched();
    }

    /// The running thread waits.
    pub(super) fn block(&mut self, thread: &ThreadRef, deadline: Option<u64>) {
        thread.set_state(State::Blocked);
        let Some(deadline) = deadline else { return };
        // Relaxed here and below: under the queue's lock.
        thread.wake_at.store(deadline, Ordering::Relaxed);
        let mut place = self.sleepers.back_mut();
        // From the back: most deadlines are later than those that wait already.
        while place.get().is_some_and(|other| other.wake_at.load(Ordering::Relaxed) > deadline) {
            place.move_prev();
        }
        // Behind the last that is not later; behind nobody is the front.
        place.insert_after(thread.clone());
        self.arm();
    }

    /// Takes a thread out of the sleepers, if it is among them.
    pub(super) fn stop_timer(&mut self, thread: &ThreadRef) {
        if thread.sleep_link.is_linked() {
            // SAFETY: linked, and this is its run queue: it is in this list.
            unsafe { self.sleepers.cursor_mut_from_ptr(&raw const **thread) }.remove();
        }
    }

    /// The first sleeper whose time has come, taken out.
    pub(super) fn take_due(&mut self, now: u64) -> Option<ThreadRef> {
        let first = self.sleepers.front().get()?;
        if first.wake_at.load(Ordering::Relaxed) > now { None } else { self.sleepers.pop_front() }
    }

    /// Takes the next thread to run and makes it the current one.
    pub(super) fn take_next(&mut self) -> ThreadRef {
        let next = if self.leaving { None } else { self.take_ready() };
        let idle = next.is_none();
        let Some(next) = next.or_else(|| self.idle.clone()) else {
            unreachable!("a CPU without an idle thread runs");
        };
        next.set_state(State::Running);
        self.slice_over = false;
        self.current = Some(next.clone());
        self.run_tick(idle);
        next
    }

    /// Takes a thread out if it waits here. Says whether it did.
    pub(super) fn take_out(&mut self, thread: &ThreadRef) -> bool {
        if !thread.ready_link.is_linked() {
            return false;
        }
        let list = if thread.priority() == Priority::High { &mut self.high } else { &mut self.normal };
        // SAFETY: linked, and this is its run queue: it is in the list of its priority.
        unsafe { list.cursor_mut_from_ptr(&raw const **thread) }.remove();
        self.interrupted = false;
        self.set_waiting(self.waiting - 1);
        true
    }

    /// The first that waits, taken out.
    pub(super) fn take_ready(&mut self) -> Option<ThreadRef> {
        let thread = self.high.pop_front().or_else(|| {
            self.interrupted = false;
            self.normal.pop_front()
        })?;
        self.set_waiting(self.waiting - 1);
        Some(thread)
    }

    /// The first that waits and may run on that CPU, taken out.
    pub(super) fn take_for(&mut self, cpu: usize) -> Option<ThreadRef> {
        let thread = first_for(&mut self.high, cpu).or_else(|| first_for(&mut self.normal, cpu))?;
        self.interrupted = false;
        self.set_waiting(self.waiting - 1);
        Some(thread)
    }

    /// Any sleeper, taken out.
    pub(super) fn take_sleeper(&mut self) -> Option<ThreadRef> {
        self.sleepers.pop_front()
    }

    /// A running thread has a slice; an idle CPU needs no tick (RCU interrupts it if it must).
    fn run_tick(&mut self, idle: bool) {
        if idle {
            self.next_tick = u64::MAX;
        } else if self.next_tick == u64::MAX {
            self.next_tick = timer::now() + TICK;
            self.arm();
        }
    }

    /// The timer interrupted.
    pub(super) fn timer_fired(&mut self) {
        self.armed = u64::MAX;
    }

    /// Whether the slice is over; begins the next one.
    pub(super) fn tick(&mut self, now: u64) -> bool {
        if now < self.next_tick {
            return false;
        }
        self.next_tick = u64::MAX;
        self.run_tick(self.is_idle());
        self.slice_over = true;
        if core::mem::take(&mut self.interrupted)
            && let Some(thread) = self.normal.pop_front()
        {
            // The slice was that one's, whoever runs now.
            self.normal.push_back(thread);
        }
        if self.waiting > 0
            && let Some(current) = &self.current
        {
            current.context().set_need_resched();
        }
        true
    }

    /// Lets the timer interrupt at the next tick or sleeper's time. One that comes too early finds
    /// nothing to do; that is cheaper than setting the timer at each switch.
    pub(super) fn arm(&mut self) {
        let sleeper = self.sleepers.front().get().map_or(u64::MAX, |t| t.wake_at.load(Ordering::Relaxed));
        let deadline = sleeper.min(self.next_tick);
        if deadline < self.armed {
            self.armed = deadline;
            timer::arm(deadline);
        }
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u32 {
        self.waiting
    }

    /// How many sleep until a time at the latest.
    pub(super) fn sleeping(&self) -> usize {
        self.sleepers.iter().count()
    }

    /// Asks the running thread to leave.
    pub(super) fn preempt_current(&self) {
        if let Some(current) = &self.current {
            current.context().set_need_resched();
        }
    }
}

/// The first that may run on that CPU, taken out.
fn first_for(list: &mut LinkedList<Ready>, cpu: usize) -> Option<ThreadRef> {
    let mut place = list.front_mut();
    while !place.get()?.allowed().contains(cpu) {
        place.move_next();
    }
    place.remove()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
