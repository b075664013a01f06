//! Advisory locks of files: `flock`, and the commands of `fcntl` for ranges.

use super::files::{structure, usable, write_bytes};
use super::{Call, Result, Row};
use crate::error::Errno;
use crate::fs::advisory::{self, Hold, Lock, Owner, Place, Range};
use crate::fs::{Attr, File};
use alloc::sync::Arc;
use linux_raw_sys::{general as linux, general as nr};

/// Whether [`fcntl`] is for it.
pub(super) fn is_command(command: u32) -> bool {
    use linux::{F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_SETLK, F_SETLKW};
    [F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW].contains(&command)
}

/// What a program asks for: `struct flock`.
struct Wish {
    kind: u32,
    range: Range,
    pid: i32,
}

/// Reads it. EINVAL and EOVERFLOW for what no range of bytes is.
fn wish(call: &mut Call<'_>, file: &File, at: u64) -> core::result::Result<Wish, Errno> {
    let [head, start, len, pid]: [i64; 4] = call.read(at)?;
    let [a, b, c, d, ..] = head.to_ne_bytes();
    let [p, q, r, s, ..] = pid.to_ne_bytes();
    let whence = u32::from(u16::from_ne_bytes([c, d]));
    let base = match whence {
        linux::SEEK_SET => 0,
        linux::SEEK_CUR => file.position(call.ctx),
        linux::SEEK_END => {
            let Attr { size, .. } = file.inode().attr(call.ctx)?;
            size
        }
        _ => return Err(Errno::EINVAL),
    };
    let base = i64::try_from(base).map_err(|_| Errno::EOVERFLOW)?;
    let start = base.checked_add(start).ok_or(Errno::EOVERFLOW)?;
    // A negative length counts the bytes in front of the start; none at all means up to the end.
    let (first, last) = match len {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(len - 1).ok_or(Errno::EOVERFLOW)?),
        _ => (start.checked_add(len).ok_or(Errno::EINVAL)?, start.wrapping_sub(1)),
    };
    let byte = |at: i64| u64::try_from(at).map_err(|_| Errno::EINVAL);
    Ok(Wish {
        kind: u32::from(u16::from_ne_bytes([a, b])),
        range: Range { first: byte(first)?, last: byte(last)? },
        pid: i32::from_ne_bytes([p, q, r, s]),
    })
}

/// How a lock is wanted; `None`: it is to be given back.
fn hold(kind: u32) -> core::result::Result<Option<Hold>, Errno> {
    match kind {
        linux::F_RDLCK => Ok(Some(Hold::Shared)),
        linux::F_WRLCK => Ok(Some(Hold::Exclusive)),
        linux::F_UNLCK => Ok(None),
        _ => Err(Errno::EINVAL),
    }
}

/// `fcntl` with one of these commands.
pub(super) fn fcntl(call: &mut Call<'_>, file: &Arc<File>, command: u32, at: u64) -> Result {
    let wish = wish(call, file, at)?;
    let hold = hold(wish.kind)?;
    let is_of_file = matches!(command, linux::F_OFD_GETLK | linux::F_OFD_SETLK | linux::F_OFD_SETLKW);
    if is_of_file && wish.pid != 0 {
        return Err(Errno::EINVAL);
    }
    let place = Place { inode: advisory::inode_of(file), whole: false };
    let owner =
        if is_of_file { advisory::owner_file(file) } else { advisory::owner_descriptors(call.task.files()) };
    let lock = |hold| Lock { place, owner, hold, range: wish.range, pid: call.task.process().pid() };
    match (command, hold) {
        (linux::F_GETLK | linux::F_OFD_GETLK, None) => Err(Errno::EINVAL),
        (linux::F_GETLK | linux::F_OFD_GETLK, Some(hold)) => {
            let found = advisory::conflict(&lock(hold));
            tell(call, at, found)
        }
        (_, None) => {
            advisory::unlock(place, owner, wish.range)?;
            Ok(0)
        }
        (_, Some(hold)) => {
            let flags = file.flags();
            if !(if hold == Hold::Shared { flags.readable() } else { flags.writable() }) {
                return Err(Errno::EBADF);
            }
            let wait = matches!(command, linux::F_SETLKW | linux::F_OFD_SETLKW);
            let lock = lock(hold);
            advisory::lock(call.ctx, lock, wait)?;
            // Another thread may have closed the descriptor meanwhile, and its locks with it.
            let still = call.task.files().get(call.int(0));
            if !still.is_ok_and(|still| Arc::ptr_eq(&still, file)) {
                advisory::unlock(place, owner, wish.range)?;
                return Err(Errno::EBADF);
            }
            Ok(0)
        }
    }
}

/// The answer of F_GETLK: who is in the way, or that nobody is.
fn tell(call: &mut Call<'_>, at: u64, found: Option<Lock>) -> Result {
    let Some(found) = found else {
        call.write(at, &(linux::F_UNLCK as i16))?;
        return Ok(0);
    };
    let Range { first, last } = found.range;
    let bytes = structure!(linux::flock {
        l_type: if found.hold == Hold::Shared { linux::F_RDLCK } else { linux::F_WRLCK },
        l_whence: linux::SEEK_SET,
        l_start: first,
        l_len: if last == Range::END { 0 } else { last - first + 1 },
        // An open file is no process.
        l_pid: if matches!(found.owner, Owner::OpenFile(_)) { -1 } else { i64::from(found.pid) },
    });
    write_bytes(call, at, &bytes)?;
    Ok(0)
}

fn flock(call: &mut Call<'_>) -> Result {
    let file = usable(call, call.int(0))?;
    let operation = call.uint(1);
    let (place, owner) =
        (Place { inode: advisory::inode_of(&file), whole: true }, advisory::owner_file(&file));
    let hold = match operation & !linux::LOCK_NB {
        linux::LOCK_UN => {
            advisory::unlock(place, owner, Range::ALL)?;
            return Ok(0);
        }
        linux::LOCK_SH => Hold::Shared,
        linux::LOCK_EX => Hold::Exclusive,
        _ => return Err(Errno::EINVAL),
    };
    let pid = call.task.process().pid();
    let lock = Lock { place, owner, hold, range: Range::ALL, pid };
    advisory::lock(call.ctx, lock, operation & linux::LOCK_NB == 0)?;
    Ok(0)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[(nr::__NR_flock, flock)];
