//! Interval timers: `alarm`, `setitimer`.
//!
//! One kernel thread sends the signals of all real-time ones: it sleeps until the first is due. A timer
//! interrupt of its own for each process would be faster to fire and would need a list that interrupts
//! touch; a process has at most one of these, and few have any. The other two count the process's ticks.

use super::limits::Limit;
use super::signal::{Info, Signal, signal_process};
use super::state::Process;
use crate::arch::current::timer;
use crate::error::Errno;
use crate::proc::thread::Spawn;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank, WaitQueue};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(Armed = Arc<Process>: Process { timer_link => LinkedListAtomicLink });

const CLASS: LockClass = LockClass::new("interval timers", Rank::PIDS);
/// The processes whose real-time timer runs.
static ARMED: IrqSpinLock<LinkedList<Armed>> = IrqSpinLock::new(&CLASS, LinkedList::new(Armed::NEW));
static SLEEPS: WaitQueue = WaitQueue::new();
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Which clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// Time: SIGALRM.
    Real,
    /// The program's own: SIGVTALRM.
    Virtual,
    /// That and the kernel's for it: SIGPROF.
    Prof,
}

/// What is left of a timer, and what it begins with again; nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Interval {
    /// 0: it does not run.
    pub left: u64,
    /// 0: it does not begin again.
    pub every: u64,
}

/// A process's timers.
pub struct Timers {
    /// When the real-time one is due, as `timer::now`; 0: it does not run. Changed under `ARMED`.
    due: AtomicU64,
    every: AtomicU64,
    /// The other two: what is left, and what they begin with again.
    counting: [(AtomicU64, AtomicU64); 2],
    /// Nanoseconds that ticks found it running, for its limit.
    ran: AtomicU64,
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// None runs.
    pub const fn new() -> Self {
        Self {
            due: AtomicU64::new(0),
            every: AtomicU64::new(0),
            counting: [const { (AtomicU64::new(0), AtomicU64::new(0)) }; 2],
            ran: AtomicU64::new(0),
        }
    }

    /// Counts for RLIMIT_CPU, in seconds: at the soft limit, and each second behind it, SIGXCPU; at the
    /// hard one SIGKILL.
    pub(super) fn spend(&self, nanoseconds: u64, limit: Limit) -> Option<Signal> {
        const SECOND: u64 = 1_000_000_000;
        let before = self.ran.fetch_add(nanoseconds, Ordering::Relaxed);
        let seconds = (before + nanoseconds) / SECOND;
        if seconds == before / SECOND {
            None
        } else if seconds >= limit.hard {
            Some(Signal::SIGKILL)
        } else {
            (seconds >= limit.soft).then_some(Signal::SIGXCPU)
        }
    }

    /// Counts down; the signals that are due.
    pub(super) fn tick(&self, in_program: bool, nanoseconds: u64) -> impl Iterator<Item = Signal> {
        let signals = [(0, Signal::SIGVTALRM, in_program), (1, Signal::SIGPROF, true)];
        signals
            .into_iter()
            .filter(move |&(index, _, counts)| {
                let (left, every) = &self.counting[index];
                let now = left.load(Ordering::Relaxed);
                if now == 0 || !counts {
                    return false;
                }
                let due = now <= nanoseconds;
                left.store(
                    if due { every.load(Ordering::Relaxed) } else { now - nanoseconds },
                    Ordering::Relaxed,
                );
                due
            })
            .map(|(_, signal, _)| signal)
    }
}

fn interval(process: &Process, clock: Clock) -> Interval {
    let timers = &process.timers;
    match clock {
        Clock::Real => {
            let due = timers.due.load(Ordering::Relaxed);
            // One that is due now has not fired yet: it is not off.
            let left = if due == 0 { 0 } else { due.saturating_sub(timer::now()).max(1) };
            Interval { left, every: timers.every.load(Ordering::Relaxed) }
        }
        Clock::Virtual | Clock::Prof => {
            let (left, every) = &timers.counting[usize::from(clock == Clock::Prof)];
            Interval { left: left.load(Ordering::Relaxed), every: every.load(Ordering::Relaxed) }
        }
    }
}

/// `getitimer`
pub fn get(process: &Process, clock: Clock) -> Interval {
    let _lock = ARMED.lock();
    interval(process, clock)
}

/// `setitimer`: gives what it was.
pub fn set(process: &Arc<Process>, clock: Clock, new: Interval) -> Interval {
    let timers = &process.timers;
    let mut armed = ARMED.lock();
    let old = interval(process, clock);
    if clock != Clock::Real {
        let (left, every) = &timers.counting[usize::from(clock == Clock::Prof)];
        left.store(new.left, Ordering::Relaxed);
        every.store(new.every, Ordering::Relaxed);
        return old;
    }
    let due = if new.left == 0 { 0 } else { timer::now().saturating_add(new.left) };
    timers.due.store(due, Ordering::Relaxed);
    timers.every.store(new.every, Ordering::Relaxed);
    let listed = process.timer_link.is_linked();
    let removed = if due == 0 && listed {
        // SAFETY: linked, and this is the only such list.
        unsafe { armed.cursor_mut_from_ptr(&raw const **process) }.remove()
    } else {
        None
    };
    if due != 0 && !listed {
        armed.push_back(Arc::clone(process));
    }
    drop(armed);
    drop(removed);
    if due != 0 {
        // Release: pairs with the swap in `run`.
        CHANGED.store(true, Ordering::Release);
        SLEEPS.wake_all();
    }
    old
}

/// The process ends.
pub(super) fn cancel(process: &Arc<Process>) {
    if process.timers.due.load(Ordering::Relaxed) != 0 {
        set(process, Clock::Real, Interval::default());
    }
}

/// Starts the thread.
///
/// # Errors
/// ENOMEM.
pub fn start() -> Result<(), Errno> {
    drop(Spawn::new("itimers").high().spawn(run)?);
    Ok(())
}

fn run(ctx: &mut MaySleep) {
    loop {
        let first = fire();
        let changed = || CHANGED.swap(false, Ordering::Acquire);
        match first {
            Some(first) => {
                SLEEPS.wait_deadline(ctx, first, changed);
            }
            None => SLEEPS.wait(ctx, changed),
        }
    }
}

/// Sends what is due; says when the next is.
fn fire() -> Option<u64> {
    loop {
        let now = timer::now();
        let mut armed = ARMED.lock();
        let mut first = None;
        let mut due = None;
        let mut place = armed.front_mut();
        while let Some(process) = place.get() {
            let timers = &process.timers;
            let at = timers.due.load(Ordering::Relaxed);
            if at > now {
                first = Some(first.map_or(at, |first: u64| first.min(at)));
                place.move_next();
                continue;
            }
            let every = timers.every.load(Ordering::Relaxed);
            due = match (now - at).checked_div(every) {
                None => {
                    timers.due.store(0, Ordering::Relaxed);
                    place.remove()
                }
                // On the old beat, but not in the past.
                Some(missed) => {
                    let next = at.saturating_add(every.saturating_mul(missed + 1));
                    timers.due.store(next, Ordering::Relaxed);
                    place.as_cursor().clone_pointer()
                }
            };
            break;
        }
        drop(armed);
        let Some(process) = due else { return first };
        // A standard signal is not refused.
        let _ = signal_process(&process, Info::kernel(Signal::SIGALRM));
    }
}

#[cfg(test)]
mod tests {
    use super::super::limits::INFINITY;
    use super::*;

    #[test]
    fn a_second_at_a_time_is_spent() {
        let timers = Timers::new();
        let limit = Limit { soft: 2, hard: 4 };
        let half = |timers: &Timers, limit| timers.spend(500_000_000, limit);
        let seen: Vec<_> = (0..9).map(|_| half(&timers, limit)).collect();
        let (soft, hard) = (Some(Signal::SIGXCPU), Some(Signal::SIGKILL));
        assert_eq!(seen, [None, None, None, soft, None, soft, None, hard, None]);
        let none = Limit { soft: INFINITY, hard: INFINITY };
        assert!((0..4).all(|_| half(&timers, none).is_none()));
        // Lowered to what is spent long since.
        assert_eq!(half(&timers, Limit { soft: 0, hard: INFINITY }), soft);
    }

    #[test]
    fn counting_timers_count_what_is_theirs() {
        let timers = Timers::new();
        assert_eq!(timers.tick(true, 10).count(), 0);
        timers.counting[0].0.store(15, Ordering::Relaxed);
        timers.counting[1].0.store(25, Ordering::Relaxed);
        timers.counting[1].1.store(20, Ordering::Relaxed);
        let mut seen = vec![];
        for in_program in [true, false, true, true, true] {
            seen.push(timers.tick(in_program, 10).collect::<Vec<_>>());
        }
        assert_eq!(seen[2], [Signal::SIGVTALRM, Signal::SIGPROF]);
        assert_eq!(seen[4], [Signal::SIGPROF]);
        assert!(seen[0].is_empty() && seen[1].is_empty() && seen[3].is_empty());
    }
}
