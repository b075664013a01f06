//! Descriptors: opening, closing, doubling, asking about them.

use super::files::{AT_FDCWD, descriptors, file, path, usable, walk, who};
use super::{Call, Result, Row, lock};
use crate::error::Errno;
use crate::fs::file::{Ioctl, OpenFlags};
use crate::fs::{File, open, pipe};
use crate::mm::space::Mm;
use alloc::sync::Arc;
use linux_raw_sys::{general as linux, general as nr, ioctl};

fn open_at(call: &mut Call<'_>, dirfd: i32, path_at: u64, flags: u32, mode: u32) -> Result {
    let task = call.task;
    let creds = task.creds();
    let path = path(call, path_at)?;
    let walk = walk(call, who(&creds), dirfd, &path)?;
    let fd = task.files().reserve(0, descriptors(call))?;
    let mode = task.fs().mask(mode & 0o7777);
    let file = open::open(call.ctx, &walk, &path, OpenFlags::new(flags), mode)?;
    Ok(fd.install(file, flags & linux::O_CLOEXEC != 0) as u64)
}

fn openat(call: &mut Call<'_>) -> Result {
    open_at(call, call.int(0), call.args[1], call.uint(2), call.uint(3))
}

fn open(call: &mut Call<'_>) -> Result {
    open_at(call, AT_FDCWD, call.args[0], call.uint(1), call.uint(2))
}

fn creat(call: &mut Call<'_>) -> Result {
    open_at(call, AT_FDCWD, call.args[0], linux::O_CREAT | linux::O_WRONLY | linux::O_TRUNC, call.uint(1))
}

fn close(call: &mut Call<'_>) -> Result {
    let closed = call.task.files().close(call.int(0))?;
    drop(closed);
    Ok(0)
}

/// `close_range`: of a table that is no longer shared.
const UNSHARE: u32 = 2;
/// `close_range`: `execve` closes them.
const CLOEXEC: u32 = 4;

fn close_range(call: &mut Call<'_>) -> Result {
    let (first, last, flags) = (call.uint(0), call.uint(1), call.uint(2));
    if flags & !(UNSHARE | CLOEXEC) != 0 || first > last {
        return Err(Errno::EINVAL);
    }
    if flags & UNSHARE != 0 {
        // A table of its own is not made for it: it would have to be shared, which threads alone do.
        return Err(Errno::EINVAL);
    }
    if flags & CLOEXEC != 0 {
        call.task.files().mark_range(first, last);
    } else {
        call.task.files().close_range(first, last);
    }
    Ok(0)
}

fn dup(call: &mut Call<'_>) -> Result {
    let file = file(call, call.int(0))?;
    Ok(call.task.files().install(file, false, descriptors(call))? as u64)
}

/// Makes `new` stand for the file.
fn replace(call: &Call<'_>, file: Arc<File>, new: i32, cloexec: bool) -> Result {
    let closed = call.task.files().replace(new, file, cloexec, descriptors(call))?;
    drop(closed);
    Ok(new as u64)
}

fn dup2(call: &mut Call<'_>) -> Result {
    let (old, new) = (call.int(0), call.int(1));
    let file = file(call, old)?;
    if old == new { Ok(new as u64) } else { replace(call, file, new, false) }
}

fn dup3(call: &mut Call<'_>) -> Result {
    let (old, new, flags) = (call.int(0), call.int(1), call.uint(2));
    if flags & !linux::O_CLOEXEC != 0 || old == new {
        return Err(Errno::EINVAL);
    }
    let file = file(call, old)?;
    replace(call, file, new, flags & linux::O_CLOEXEC != 0)
}

fn make_pipe(call: &mut Call<'_>, at: u64, flags: u32) -> Result {
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK | linux::O_DIRECT) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & linux::O_DIRECT != 0 {
        // Packets: not there.
        return Err(Errno::EINVAL);
    }
    let task = call.task;
    let creds = task.creds();
    let limit = descriptors(call);
    let (reading, writing) = (task.files().reserve(0, limit)?, task.files().reserve(0, limit)?);
    let kept = OpenFlags::new(flags & linux::O_NONBLOCK);
    let (first, second) = pipe::pipe(kept, creds.fsuid, creds.fsgid)?;
    call.write(at, &[reading.fd(), writing.fd()])?;
    let cloexec = flags & linux::O_CLOEXEC != 0;
    reading.install(first, cloexec);
    writing.install(second, cloexec);
    Ok(0)
}

fn pipe(call: &mut Call<'_>) -> Result {
    make_pipe(call, call.args[0], 0)
}

fn pipe2(call: &mut Call<'_>) -> Result {
    make_pipe(call, call.args[0], call.uint(1))
}

fn fcntl(call: &mut Call<'_>) -> Result {
    let (fd, command, argument) = (call.int(0), call.uint(1), call.args[2]);
    let file = file(call, fd)?;
    let files = call.task.files();
    let allowed_of_path =
        [linux::F_DUPFD, linux::F_DUPFD_CLOEXEC, linux::F_GETFD, linux::F_SETFD, linux::F_GETFL];
    if file.flags().is_path() && !allowed_of_path.contains(&command) {
        return Err(Errno::EBADF);
    }
    match command {
        linux::F_DUPFD | linux::F_DUPFD_CLOEXEC => {
            let fd = files.reserve(argument as i32, descriptors(call))?;
            Ok(fd.install(file, command == linux::F_DUPFD_CLOEXEC) as u64)
        }
        linux::F_GETFD => Ok(u64::from(files.cloexec(fd)?)),
        linux::F_SETFD => {
            files.set_cloexec(fd, argument & u64::from(linux::FD_CLOEXEC) != 0)?;
            Ok(0)
        }
        linux::F_GETFL => Ok(file.flags().bits().into()),
        linux::F_SETFL => {
            file.set_flags(OpenFlags::new(argument as u32 & !linux::O_PATH));
            Ok(0)
        }
        command if lock::is_command(command) => lock::fcntl(call, &file, command, argument),
        linux::F_GETPIPE_SZ => Ok(pipe::capacity(&file).ok_or(Errno::EBADF)? as u64),
        linux::F_SETPIPE_SZ => {
            let capacity = pipe::capacity(&file).ok_or(Errno::EBADF)? as u64;
            if argument <= capacity { Ok(capacity) } else { Err(Errno::EPERM) }
        }
        // Nobody is told by signals.
        linux::F_GETOWN => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn ioctl(call: &mut Call<'_>) -> Result {
    let (fd, command, argument) = (call.int(0), call.uint(1), call.args[2]);
    let file = usable(call, fd)?;
    match command {
        ioctl::FIOCLEX | ioctl::FIONCLEX => {
            call.task.files().set_cloexec(fd, command == ioctl::FIOCLEX)?;
            Ok(0)
        }
        ioctl::FIONBIO => {
            let on: i32 = call.read(argument)?;
            let flags = file.flags().bits() & !linux::O_NONBLOCK;
            file.set_flags(OpenFlags::new(flags | if on != 0 { linux::O_NONBLOCK } else { 0 }));
            Ok(0)
        }
        ioctl::FIONREAD if let Some(bytes) = file.ops().readable_bytes(call.ctx, &file) => {
            call.write(argument, &(bytes.min(i32::MAX as u64) as i32))?;
            Ok(0)
        }
        _ => {
            let task = call.task;
            let memory: &Mm = task.mm();
            file.ops().ioctl(call.ctx, &file, &Ioctl { command, argument, memory })
        }
    }
}

fn umask(call: &mut Call<'_>) -> Result {
    Ok(call.task.fs().set_umask(call.uint(0)).into())
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_openat, openat),
    (nr::__NR_open, open),
    (nr::__NR_creat, creat),
    (nr::__NR_close, close),
    (nr::__NR_close_range, close_range),
    (nr::__NR_dup, dup),
    (nr::__NR_dup2, dup2),
    (nr::__NR_dup3, dup3),
    (nr::__NR_pipe, pipe),
    (nr::__NR_pipe2, pipe2),
    (nr::__NR_fcntl, fcntl),
    (nr::__NR_ioctl, ioctl),
    (nr::__NR_umask, umask),
];
