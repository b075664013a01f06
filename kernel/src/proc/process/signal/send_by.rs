//! Sending on behalf of a program, which may not send everything to everybody.

use super::super::state::Process;
use super::super::task::Task;
use super::super::{find, find_task, for_each};
use super::{Info, Signal, signal_process, signal_task};
use crate::error::Errno;

/// EPERM unless the sender may. Without a signal it only asks.
fn send(sender: &Task, process: &Process, info: Option<Info>) -> Result<(), Errno> {
    may(sender, process, info)?;
    info.map_or(Ok(()), |info| signal_process(process, info))
}

fn may(sender: &Task, process: &Process, info: Option<Info>) -> Result<(), Errno> {
    let creds = sender.creds();
    // Its first task may have ended; then anybody's.
    let target = process.leader().map(|leader| leader.creds());
    let allowed = target.is_none_or(|target| creds.may_signal(&target));
    let continues = info.is_some_and(|info| info.signal == Signal::SIGCONT);
    // A session's own may continue each other.
    let allowed = allowed || continues && process.session().id() == sender.process().session().id();
    if allowed { Ok(()) } else { Err(Errno::EPERM) }
}

/// `kill`: to a process, a group (negative, 0: the sender's own), or all but init and the sender (-1).
///
/// # Errors
/// ESRCH: there is none. EPERM: none of them may be sent that. EAGAIN: its queue is full.
pub fn kill(sender: &Task, pid: i32, info: Option<Info>) -> Result<(), Errno> {
    let own = sender.process();
    match pid {
        1.. => {
            let process = match find(pid.unsigned_abs()) {
                Some(process) => process,
                // The number of a thread stands for its process.
                None => find_task(pid.unsigned_abs()).ok_or(Errno::ESRCH)?.process().clone(),
            };
            send(sender, &process, info)
        }
        -1 => to_all(|process| process.pid() != 1 && process.pid() != own.pid(), sender, info),
        i32::MIN => Err(Errno::ESRCH),
        _ => {
            let group = if pid == 0 { own.group_id() } else { pid.unsigned_abs() };
            to_all(|process| process.group_id() == group, sender, info)
        }
    }
}

/// Success if one of them could be sent it.
fn to_all(which: impl Fn(&Process) -> bool, sender: &Task, info: Option<Info>) -> Result<(), Errno> {
    let mut result = Err(Errno::ESRCH);
    for_each(|process| {
        if which(process) {
            let sent = send(sender, process, info);
            if result.is_err() {
                result = sent;
            }
        }
    });
    result
}

/// `tkill`, `tgkill`: to that task, of that process.
///
/// # Errors
/// EINVAL: no such number can be. ESRCH, EPERM, EAGAIN.
pub fn to_thread(sender: &Task, pid: Option<i32>, tid: i32, info: Option<Info>) -> Result<(), Errno> {
    if tid <= 0 || pid.is_some_and(|pid| pid <= 0) {
        return Err(Errno::EINVAL);
    }
    let task = find_task(tid.unsigned_abs()).ok_or(Errno::ESRCH)?;
    if pid.is_some_and(|pid| task.process().pid() != pid.unsigned_abs()) {
        return Err(Errno::ESRCH);
    }
    may(sender, task.process(), info)?;
    info.map_or(Ok(()), |info| signal_task(&task, info))
}
