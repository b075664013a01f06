//! Stopping and continuing a process.
//!
//! A signal that stops sets [`Signals::stop`](super::signal), and all tasks park before they go on as
//! their program. The last to park tells the parent. SIGCONT and SIGKILL take the stop back when they
//! are sent; the first task that finds so tells the parent.
//!
//! Telling is two things: what `wait` finds, and SIGCHLD. What it finds is set together with the state
//! that it tells of, by whoever brings that about ([`Change`](super::signal::Change)). Set later, by who
//! tells, it may be old: another thread's SIGCONT comes between a stop and its report.

use super::signal::info::{CLD_CONTINUED, CLD_STOPPED};
use super::signal::{Change, Info, Signal, Signals, action, signal_process};
use super::state::Process;
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
    let mut turn = None;
    note(process, |signals| {
        if signals.stop.is_some() {
            turn = Some(signals.stop_turn);
            signals.parked += 1;
            *task.parked_in.get_mut(signals) = turn;
        }
    });
    if turn.is_some() {
        PARKED.wait(ctx, || Some(process.signals.lock().stop_turn) != turn);
    }
}

/// The running task's process goes on.
pub(super) fn tell_continued(task: &Task) {
    let process = task.process();
    let parent = tell(&tree::lock(), process, Change::Continued);
    wake(parent);
}

/// A task less may be the one that the stop waited for.
pub(super) fn task_ended(process: &Process) {
    if process.signals.lock().stop.is_some() {
        note(process, |_| {});
    }
}

/// A task parked or ended: if the process has stopped by that, the parent learns of it. Who waits does
/// not see the stop before its signal is there: he needs the tree.
fn note(process: &Process, what: impl FnOnce(&mut Signals)) {
    let tree = tree::lock();
    let mut signals = process.signals.lock();
    what(&mut signals);
    let change = if signals.note_stopped() { signals.change } else { None };
    drop(signals);
    let parent = change.and_then(|change| tell(&tree, process, change));
    drop(tree);
    wake(parent);
}

/// The parent looks at its children again.
fn wake(parent: Option<Arc<Process>>) {
    if let Some(parent) = parent {
        parent.child_changed.wake_all();
    }
}

/// The parent is sent SIGCHLD, unless it does not want to know of stops; it is to be woken.
fn tell(tree: &tree::Tree, process: &Process, change: Change) -> Option<Arc<Process>> {
    let parent = Arc::clone(process.parent(tree)?);
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
        let source = exit::child_source(tree, process, status);
        // A standard signal is not refused.
        let _ = signal_process(&parent, Info { signal: Signal::SIGCHLD, code, source });
    }
    Some(parent)
}
