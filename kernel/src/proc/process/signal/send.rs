//! Sending.

use super::super::state::Process;
use super::super::task::{Task, attention};
use super::super::{limits::Resource, table, tree};
use super::{Change, Ending, Info, SigSet, Signal, Signals};
use crate::error::Errno;

/// Sends a signal to a process: to any of its tasks that does not block it. In any context, also in an
/// interrupt; not under a lock of signals.
///
/// # Errors
/// EAGAIN: its queue is full (real-time signals that are to queue only).
pub fn signal_process(process: &Process, info: Info) -> Result<(), Errno> {
    send(process, &mut process.signals.lock(), None, info)
}

/// Sends it to that task.
///
/// # Errors
/// As `signal_process`.
pub fn signal_task(task: &Task, info: Info) -> Result<(), Errno> {
    let process = task.process();
    send(process, &mut process.signals.lock(), Some(task), info)
}

/// Sends it to each process of the group. In any context. Says whether there is any.
pub fn signal_group(group: u32, info: Info) -> bool {
    let tree = tree::lock();
    let mut any = false;
    table::for_each_in(&tree, |process| {
        if process.group(&tree).id() == group {
            any = true;
            // It is the kernel that sends: nothing queues.
            let _ = signal_process(process, info);
        }
    });
    any
}

/// A signal that the running task cannot put off: an instruction caused it. If it is blocked or ignored,
/// the process ends.
pub fn force(task: &Task, info: Info) {
    let process = task.process();
    let mut signals = process.signals.lock();
    let action = signals.actions.get(info.signal);
    if task.blocked().contains(info.signal) || !action.is_handled() {
        if action.is_handled() || action.handler == super::action::SIG_IGN {
            signals.actions.set(info.signal, super::Action::DEFAULT);
        }
        let mut blocked = task.blocked();
        blocked.remove(info.signal);
        task.set_blocked(&signals, blocked);
    }
    // One that is pending already says the same.
    let _ = task.pending.get_mut(&mut signals).add(info, usize::MAX);
    task.look(&signals);
}

/// Whether a signal sent to the process does nothing now, and will not when it is unblocked.
fn is_lost(process: &Process, signals: &Signals, task: Option<&Task>, signal: Signal) -> bool {
    let action = signals.actions.get(signal);
    // Who blocks it may set a handler before he unblocks it.
    let blocks = |task: &Task| task.blocked().contains(signal);
    let blocked = match task {
        Some(task) => blocks(task),
        None => signals.threads.front().get().is_some_and(blocks),
    };
    // Init has only the signals that it asked for: SIGKILL is none.
    let unkillable = process.pid() == 1 && action.handler == super::action::SIG_DFL;
    (action.ignores(signal) && !blocked) || unkillable && (!blocked || signal.is_absolute())
}

/// Under the process's lock.
pub(in super::super) fn send(
    process: &Process,
    signals: &mut Signals,
    task: Option<&Task>,
    info: Info,
) -> Result<(), Errno> {
    let signal = info.signal;
    if signals.live == 0 || signals.ending.is_some() {
        return Ok(());
    }
    if SigSet::STOPS.contains(signal) {
        signals.discard(SigSet::of(&[Signal::SIGCONT]));
    } else if signal == Signal::SIGCONT {
        go_on(signals);
    }
    if is_lost(process, signals, task, signal) {
        return Ok(());
    }
    if signal == Signal::SIGKILL {
        signals.end(Ending::Signal(signal.number()));
        return Ok(());
    }
    let limit = usize::try_from(process.limits().soft(Resource::Pending)).unwrap_or(usize::MAX);
    match task {
        Some(task) => {
            task.pending.get_mut(signals).add(info, limit)?;
            if task.wanted().contains(signal) {
                task.poke(signals, attention::SIGNAL);
            }
        }
        None => {
            signals.shared.add(info, limit)?;
            // The first that wants it; others learn of it when this one ends or blocks it.
            if let Some(task) = signals.threads.iter().find(|task| task.wanted().contains(signal)) {
                task.poke(signals, attention::SIGNAL);
            }
        }
    }
    Ok(())
}

/// SIGCONT acts when it is sent, whatever the program thinks of it.
fn go_on(signals: &mut Signals) {
    signals.discard(SigSet::STOPS);
    signals.stop_taken = false;
    if signals.stop.is_some() {
        signals.continued = signals.end_stop();
        signals.change = signals.continued.then_some(Change::Continued);
        signals.poke_all(attention::PROCESS);
    }
}
