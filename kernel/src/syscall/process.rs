//! Beginning and ending; who is whose parent; groups and sessions.

use super::{Call, Result, Row, abi};
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::fs::{Access, File, open, walk};
use crate::proc::process::signal::info::{CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED};
use crate::proc::process::wait::{Event, Wait, Waited, Which, wait};
use crate::proc::process::{
    Clone, Ending, Info, Program, Signal, Source, Strings, clone as clone_task, exec, exit_group as end,
    exit_thread, membership,
};
use alloc::sync::Arc;
use linux_raw_sys::general as nr;

fn getpid(call: &mut Call<'_>) -> Result {
    Ok(call.task.process().pid().into())
}

fn gettid(call: &mut Call<'_>) -> Result {
    Ok(call.task.tid().into())
}

fn getppid(call: &mut Call<'_>) -> Result {
    Ok(call.task.process().parent_pid().into())
}

fn fork(call: &mut Call<'_>) -> Result {
    let how = Clone { exit_signal: Signal::SIGCHLD.number(), ..Clone::default() };
    clone_task(call.ctx, call.frame, &how).map(u64::from)
}

fn vfork(call: &mut Call<'_>) -> Result {
    let flags = u64::from(nr::CLONE_VFORK | nr::CLONE_VM);
    let how = Clone { flags, exit_signal: Signal::SIGCHLD.number(), ..Clone::default() };
    clone_task(call.ctx, call.frame, &how).map(u64::from)
}

/// `clone`, whatever the order of its arguments.
pub(super) fn clone_with(
    call: &mut Call<'_>,
    flags: u64,
    stack: u64,
    parent_tid: u64,
    child_tid: u64,
    tls: u64,
) -> Result {
    // An unsigned long of which 32 bits count; the low byte is the signal.
    let exit_signal = (flags & u64::from(nr::CSIGNAL)) as u32;
    let flags = flags & 0xffff_ffff & !u64::from(nr::CSIGNAL);
    let how = Clone { flags, stack, parent_tid, child_tid, tls, exit_signal };
    clone_task(call.ctx, call.frame, &how).map(u64::from)
}

/// `clone3`: its arguments are a structure that may grow. What is not here (pidfd, tids, cgroup) is
/// EINVAL.
fn clone3(call: &mut Call<'_>) -> Result {
    const FIRST_SIZE: u64 = 64;
    const WORDS: usize = 11;
    let [at, size, ..] = call.args;
    if size < FIRST_SIZE || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    if size > 4096 {
        return Err(Errno::E2BIG);
    }
    let mut words = [0_u64; WORDS];
    for (index, offset) in (0..size).step_by(8).enumerate() {
        let word: u64 = call.read(at.checked_add(offset).ok_or(Errno::EFAULT)?)?;
        match words.get_mut(index) {
            Some(known) => *known = word,
            // A field of a later Linux.
            None if word != 0 => return Err(Errno::E2BIG),
            None => {}
        }
    }
    let [flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, tids, tid_count, cgroup] =
        words;
    let unknown = pidfd != 0 || tids != 0 || tid_count != 0 || cgroup != 0;
    if unknown || exit_signal > 64 || (stack == 0) != (stack_size == 0) || flags & u64::from(nr::CSIGNAL) != 0
    {
        return Err(Errno::EINVAL);
    }
    let stack = stack.checked_add(stack_size).ok_or(Errno::EINVAL)?;
    let how = Clone { flags, stack, parent_tid, child_tid, tls, exit_signal: exit_signal as u32 };
    clone_task(call.ctx, call.frame, &how).map(u64::from)
}

fn execve(call: &mut Call<'_>) -> Result {
    let [path, args, env, ..] = call.args;
    let mut buffer = [0; walk::PATH_MAX];
    let len = call.task.mm().read_str(call.ctx, VirtAddr::new(path), &mut buffer)?;
    let path = walk::copy(&buffer[..len])?;
    execute(call, &path, args, env)
}

#[inline(never)]
fn open_program(call: &mut Call<'_>, path: &[u8]) -> core::result::Result<Arc<File>, Errno> {
    let creds = call.task.creds();
    let who = Access { uid: creds.fsuid, gid: creds.fsgid, groups: creds.groups() };
    let fs = call.task.fs();
    let walk = walk::Walk { who, root: fs.root(), start: fs.cwd() };
    let file = open::open_program(call.ctx, &walk, path, walk::Last::Follow)?;
    // By way of `/proc/self/exe`, a file has no name of its own: it is the one that runs already.
    let running = call.task.process().executable();
    let same = running.filter(|running| file.location().is_none() && running.place().is(file.place()));
    Ok(same.unwrap_or(file))
}

#[inline(never)]
fn execute(call: &mut Call<'_>, path: &[u8], args: u64, env: u64) -> Result {
    let mut args = Strings::read(call.ctx, call.task.mm(), args)?;
    let env = Strings::read(call.ctx, call.task.mm(), env)?;
    // Behind the strings, as on Linux: a bad pointer is one, whatever the file is.
    let file = open_program(call, path)?;
    if args.count() == 0 {
        // As Linux since 5.18: a program finds a name.
        args.push(b"")?;
    }
    exec(call.ctx, call.frame, Program { file, path, args, env })?;
    call.keep_frame = true;
    Ok(0)
}

fn exit(call: &mut Call<'_>) -> Result {
    exit_thread(call.ctx, Ending::Exit(call.args[0] as u8))
}

fn exit_group(call: &mut Call<'_>) -> Result {
    end(call.ctx, call.args[0] as u8)
}

/// `struct rusage`: 16 longs after the two times, of which this kernel knows few.
pub(super) fn usage_words(used: &crate::proc::process::Usage) -> [u64; 18] {
    const SECOND: u64 = 1_000_000_000;
    let mut words = [0; 18];
    words[0] = used.user / SECOND;
    words[1] = used.user % SECOND / 1000;
    words[2] = used.system / SECOND;
    words[3] = used.system % SECOND / 1000;
    words[4] = used.most_resident / 1024;
    words[6 + 2] = used.faults;
    words
}

fn wait4(call: &mut Call<'_>) -> Result {
    let [pid, status_at, _, usage_at, ..] = call.args;
    let options = call.uint(2);
    if options & !(nr::WNOHANG | nr::WUNTRACED | nr::WCONTINUED | nr::__WNOTHREAD | nr::__WCLONE | nr::__WALL)
        != 0
    {
        return Err(Errno::EINVAL);
    }
    let which = match pid as i32 {
        -1 => Which::Any,
        0 => Which::Group(call.task.process().group_id()),
        i32::MIN => return Err(Errno::ESRCH),
        group @ ..0 => Which::Group(group.unsigned_abs()),
        pid => Which::Process(pid.unsigned_abs()),
    };
    let what = Wait {
        which,
        ended: true,
        stopped: options & nr::WUNTRACED != 0,
        continued: options & nr::WCONTINUED != 0,
        no_hang: options & nr::WNOHANG != 0,
        keep: false,
        clones: clones(options),
    };
    let Some(child) = wait(call.ctx, &what)? else { return Ok(0) };
    let status: u32 = match child.event {
        Event::Ended(ending) => ending.wait_status(),
        Event::Stopped(signal) => signal << 8 | 0x7f,
        Event::Continued => 0xffff,
    };
    call.write_if(status_at, &status)?;
    call.write_if(usage_at, &usage_words(&child.used))?;
    Ok(child.pid.into())
}

/// `__WALL`, `__WCLONE`: whose exit signal is not SIGCHLD.
fn clones(options: u32) -> Option<bool> {
    if options & nr::__WALL != 0 { None } else { Some(options & nr::__WCLONE != 0) }
}

fn waitid(call: &mut Call<'_>) -> Result {
    let [kind, id, info_at, _, usage_at, _] = call.args;
    let options = call.uint(3);
    let events = nr::WEXITED | nr::WSTOPPED | nr::WCONTINUED;
    let known = events | nr::WNOHANG | nr::WNOWAIT | nr::__WNOTHREAD | nr::__WCLONE | nr::__WALL;
    if options & !known != 0 || options & events == 0 {
        return Err(Errno::EINVAL);
    }
    let id = id as i32;
    let which = match kind as u32 {
        nr::P_ALL => Which::Any,
        nr::P_PID if id > 0 => Which::Process(id.unsigned_abs()),
        nr::P_PGID if id > 0 => Which::Group(id.unsigned_abs()),
        nr::P_PGID if id == 0 => Which::Group(call.task.process().group_id()),
        _ => return Err(Errno::EINVAL),
    };
    let what = Wait {
        which,
        ended: options & nr::WEXITED != 0,
        stopped: options & nr::WSTOPPED != 0,
        continued: options & nr::WCONTINUED != 0,
        no_hang: options & nr::WNOHANG != 0,
        keep: options & nr::WNOWAIT != 0,
        clones: clones(options),
    };
    let child = wait(call.ctx, &what)?;
    let info = child.as_ref().map_or([0; 128], child_info);
    if let Some(child) = &child {
        call.write_if(usage_at, &usage_words(&child.used))?;
    }
    call.write_if(info_at, &info)?;
    Ok(0)
}

fn child_info(child: &Waited) -> [u8; 128] {
    let (code, status) = match child.event {
        Event::Ended(Ending::Exit(status)) => (CLD_EXITED, status.into()),
        Event::Ended(Ending::Signal(signal)) => (CLD_KILLED, signal),
        Event::Stopped(signal) => (CLD_STOPPED, signal),
        Event::Continued => (CLD_CONTINUED, Signal::SIGCONT.number()),
    };
    let source = Source::Child { pid: child.pid, uid: child.uid, status: status as i32, utime: 0, stime: 0 };
    Info { signal: Signal::SIGCHLD, code, source }.to_bytes()
}

fn getpgrp(call: &mut Call<'_>) -> Result {
    Ok(call.task.process().group_id().into())
}

fn getpgid(call: &mut Call<'_>) -> Result {
    Ok(membership::process(&call.task, call.int(0))?.group_id().into())
}

fn getsid(call: &mut Call<'_>) -> Result {
    Ok(membership::process(&call.task, call.int(0))?.session().id().into())
}

fn setpgid(call: &mut Call<'_>) -> Result {
    membership::set_group(&call.task, call.int(0), call.int(1)).map(|()| 0)
}

fn setsid(call: &mut Call<'_>) -> Result {
    membership::new_session(&call.task).map(u64::from)
}

fn set_tid_address(call: &mut Call<'_>) -> Result {
    call.task.set_clear_tid(call.args[0]);
    Ok(call.task.tid().into())
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_getpid, getpid),
    (nr::__NR_gettid, gettid),
    (nr::__NR_getppid, getppid),
    (nr::__NR_fork, fork),
    (nr::__NR_vfork, vfork),
    (nr::__NR_clone, abi::clone),
    (nr::__NR_clone3, clone3),
    (nr::__NR_execve, execve),
    (nr::__NR_exit, exit),
    (nr::__NR_exit_group, exit_group),
    (nr::__NR_wait4, wait4),
    (nr::__NR_waitid, waitid),
    (nr::__NR_getpgrp, getpgrp),
    (nr::__NR_getpgid, getpgid),
    (nr::__NR_getsid, getsid),
    (nr::__NR_setpgid, setpgid),
    (nr::__NR_setsid, setsid),
    (nr::__NR_set_tid_address, set_tid_address),
];
