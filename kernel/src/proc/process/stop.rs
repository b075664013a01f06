//! Stopping and continuing a process.
//!
//! A signal that stops sets [`Signals::stop`](super::signal), and all tasks park before they go on as
//! their program. The last to park tells the parent. SIGCONT and SIGKILL take the stop back when they
//! are sent; the first task that finds so tells the parent.

use super::signal::info::{CLD_CONTINUED, CLD_STOPPED};
use super::signal::{Info, Signal, action, signal_process};
use super::state::{Change, Process};
use super::task::{Task, attention};
use super::{exit, tree};
use crate::sync::{MaySleep, WaitQueue};
use alloc::sync::Arc;

/// Where all that are stopped wait: each is woken by itself.
static PARKED: WaitQueue = WaitQueue::new();

/// The running task took a signal that stops.
pub(super) fn begin(task: &Task, signal: Signal) {
    let process = task.process();
    if signal != Signal::SIGSTOP && process.is_orphaned() {
        return;
    }
    let mut signals = process.signals.lock();
    // A SIGCONT since then takes it back.
    if signals.stop_taken && signals.ending.is_none() && signals.stop.is_none() {
        signals.stop = Some(signal);
        signals.poke_all(attention::PROCESS);
    }
}

/// Waits for the end of the stop.
pub(super) fn park(ctx: &mut MaySleep, task: &Task) {
    let process = task.process();
    let mut signals = process.signals.lock();
    let Some(signal) = signals.stop else { return };
    let turn = signals.stop_turn;
    signals.parked += 1;
    let last = signals.is_last_to_stop();
    drop(signals);
    if last {
        tell(process, Change::Stopped(signal.number()));
    }
    PARKED.wait(ctx, || process.signals.lock().stop_turn != turn);
}

/// The running task's process goes on.
pub(super) fn tell_continued(task: &Task) {
    tell(task.process(), Change::Continued);
}

/// A task less may be the one that the stop waited for.
pub(super) fn task_ended(process: &Arc<Process>) {
    let mut signals = process.signals.lock();
    let Some(signal) = signals.stop else { return };
    if signals.live > 0 && signals.is_last_to_stop() {
        drop(signals);
        tell(process, Change::Stopped(signal.number()));
    }
}

/// The parent may wait for it, and is sent SIGCHLD unless it does not want to know of stops.
fn tell(process: &Process, change: Change) {
    let parent = {
        let mut tree = tree::lock();
        let family = process.family.get_mut(&mut tree);
        family.change = Some(change);
        family.parent.clone()
    };
    let Some(parent) = parent else { return };
    let quiet = {
        let signals = parent.signals.lock();
        let action = signals.actions.get(Signal::SIGCHLD);
        action.flags & action::flags::SA_NOCLDSTOP != 0
    };
    if !quiet {
        let (code, status) = match change {
            Change::Stopped(signal) => (CLD_STOPPED, signal as i32),
            Change::Continued => (CLD_CONTINUED, Signal::SIGCONT.number() as i32),
        };
        let source = exit::child_source(process, status);
        // A standard signal is not refused.
        let _ = signal_process(&parent, Info { signal: Signal::SIGCHLD, code, source });
    }
    parent.child_changed.wake_all();
}
