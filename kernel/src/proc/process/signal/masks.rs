//! What a program says about its signals: actions, masks, and waiting for one.

use super::super::Current;
use super::super::state::Process;
use super::super::task::{Task, attention};
use super::{Action, Info, SigSet, Signal};
use crate::arch::current::timer;
use crate::error::Errno;
use crate::sync::{MaySleep, WaitQueue};
use core::sync::atomic::Ordering;

/// Nobody is in it for long, and nobody is woken through it: what ends these waits is a signal.
static WAITS: WaitQueue = WaitQueue::new();

/// What the process does about the signal; changes it. A signal that is ignored from now on is dropped
/// if it is pending.
pub fn set_action(process: &Process, signal: Signal, new: Option<Action>) -> Action {
    let mut signals = process.signals.lock();
    let Some(new) = new else { return signals.actions.get(signal) };
    let old = signals.actions.set(signal, new);
    if new.ignores(signal) {
        signals.discard(SigSet::of(&[signal]));
    }
    old
}

/// Changes the running task's mask.
pub fn set_blocked(task: &Current, blocked: SigSet) {
    let signals = task.process().signals.lock();
    let newly = blocked.without(task.blocked());
    task.set_blocked(&signals, blocked);
    // What this one does not take any more is for others.
    let shared = signals.shared.set() & newly;
    if !shared.is_empty() && signals.live > 1 {
        for other in signals.threads.iter().filter(|other| !(shared & other.wanted()).is_empty()) {
            other.poke(&signals, attention::SIGNAL);
        }
    }
}

/// Pending for the task or its process.
pub fn pending(task: &Task) -> SigSet {
    let signals = task.process().signals.lock();
    task.pending.get(&signals).set() | signals.shared.set()
}

/// Changes the mask for one wait: the old one is put back when the call's end has been attended to.
pub fn mask_for_wait(task: &Current, mask: SigSet) {
    let signals = task.process().signals.lock();
    task.saved_mask.store(task.blocked().bits(), Ordering::Relaxed);
    task.set_blocked(&signals, mask);
    drop(signals);
    task.user().ask(attention::RESTORE_MASK);
}

/// `sigsuspend`, and `pause`: waits for a signal. Never returns a value.
///
/// # Errors
/// ERESTARTNOHAND.
pub fn suspend(ctx: &mut MaySleep, task: &Current, mask: Option<SigSet>) -> Result<u64, Errno> {
    if let Some(mask) = mask {
        mask_for_wait(task, mask);
    }
    match super::super::wait_interruptible(ctx, &WAITS, || false) {
        Ok(()) => Ok(0),
        Err(_) => Err(Errno::ERESTARTNOHAND),
    }
}

/// `sigtimedwait`: takes one of the set, waiting for at most that many nanoseconds.
///
/// # Errors
/// EAGAIN: none came. EINTR: another did.
pub fn await_signal(
    ctx: &mut MaySleep,
    task: &Current,
    set: SigSet,
    timeout: Option<u64>,
) -> Result<Info, Errno> {
    if let Some(info) = take(task, set, SigSet::NONE) {
        return Ok(info);
    }
    if timeout == Some(0) {
        return Err(Errno::EAGAIN);
    }
    let deadline = timeout.map(|timeout| timer::now().saturating_add(timeout));
    task.set_awaited(&task.process().signals.lock(), set);
    let waited = super::super::wait_interruptible_until(ctx, &WAITS, deadline, || false);
    match take(task, set, SigSet::NONE) {
        Some(info) => Ok(info),
        None if waited.is_err() => Err(Errno::EINTR),
        None => Err(Errno::EAGAIN),
    }
}

/// Takes one of the set, and waits for these from now on.
fn take(task: &Current, set: SigSet, awaited: SigSet) -> Option<Info> {
    let mut signals = task.process().signals.lock();
    let info = match task.pending.get(&signals).next(set) {
        Some(signal) => Some(task.pending.get_mut(&mut signals).take(signal)),
        None => signals.shared.next(set).map(|signal| signals.shared.take(signal)),
    };
    task.set_awaited(&signals, awaited);
    info
}
