//! Sending.

use super::super::state::Process;
use super::super::task::Task;
use super::Info;
use crate::error::Errno;

/// Sends a signal to a process: to any of its tasks that does not block it. In any context, also in an
/// interrupt; not under a lock of signals.
///
/// # Errors
/// EAGAIN: its queue is full (real-time signals that are to queue only).
pub fn signal_process(process: &Process, info: Info) -> Result<(), Errno> {
    let _ = (process, info);
    todo!()
}

/// Sends it to that task.
///
/// # Errors
/// As `signal_process`.
pub fn signal_task(task: &Task, info: Info) -> Result<(), Errno> {
    let _ = (task, info);
    todo!()
}

/// Sends it to each process of the group. In any context. Says whether there is any.
pub fn signal_group(group: u32, info: Info) -> bool {
    let _ = (group, info);
    todo!()
}
