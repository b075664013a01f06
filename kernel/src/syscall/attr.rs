//! Permissions, owners, times.

use super::files::{AT_FDCWD, file, last, resolve, resolve_at, usable, who};
use super::{Call, Result, Row};
use crate::error::Errno;
use crate::fs::Place;
use crate::fs::attr::{Mode, Time};
use crate::fs::change::{self, When};
use crate::fs::walk::Last;
use linux_raw_sys::{general as linux, general as nr};

fn set_mode(call: &mut Call<'_>, place: &Place, mode: u32) -> Result {
    let creds = call.task.creds();
    change::mode(call.ctx, &who(&creds), place, Mode::new(mode))?;
    Ok(0)
}

fn chmod(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    set_mode(call, &place, call.uint(1))
}

fn fchmod(call: &mut Call<'_>) -> Result {
    let place = usable(call, call.int(0))?.place().clone();
    set_mode(call, &place, call.uint(1))
}

fn fchmodat(call: &mut Call<'_>) -> Result {
    let place = resolve(call, call.int(0), call.args[1], Last::Follow)?;
    set_mode(call, &place, call.uint(2))
}

fn fchmodat2(call: &mut Call<'_>) -> Result {
    let flags = call.uint(3);
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve_at(call, call.int(0), call.args[1], flags, last(flags))?;
    set_mode(call, &place, call.uint(2))
}

/// -1 leaves it as it is.
fn set_owner(call: &mut Call<'_>, place: &Place, uid: u32, gid: u32) -> Result {
    let some = |id: u32| Some(id).filter(|&id| id != u32::MAX);
    let creds = call.task.creds();
    change::owner(call.ctx, &who(&creds), place, some(uid), some(gid))?;
    Ok(0)
}

fn chown(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    set_owner(call, &place, call.uint(1), call.uint(2))
}

fn lchown(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Stay)?;
    set_owner(call, &place, call.uint(1), call.uint(2))
}

fn fchown(call: &mut Call<'_>) -> Result {
    let place = usable(call, call.int(0))?.place().clone();
    set_owner(call, &place, call.uint(1), call.uint(2))
}

fn fchownat(call: &mut Call<'_>) -> Result {
    let flags = call.uint(4);
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve_at(call, call.int(0), call.args[1], flags, last(flags))?;
    set_owner(call, &place, call.uint(2), call.uint(3))
}

fn set_times(call: &mut Call<'_>, place: &Place, [atime, mtime]: [When; 2]) -> Result {
    let creds = call.task.creds();
    change::times(call.ctx, &who(&creds), place, atime, mtime)?;
    Ok(0)
}

/// One of the two `timespec` of `utimensat`.
fn when([seconds, nanoseconds]: [i64; 2]) -> core::result::Result<When, Errno> {
    match nanoseconds {
        now if now == i64::from(linux::UTIME_NOW) => Ok(When::Now),
        omit if omit == i64::from(linux::UTIME_OMIT) => Ok(When::Omit),
        0..1_000_000_000 => Ok(When::At(Time { seconds, nanoseconds: nanoseconds as u32 })),
        _ => Err(Errno::EINVAL),
    }
}

fn utimensat(call: &mut Call<'_>) -> Result {
    let (dirfd, path_at, times_at, flags) = (call.int(0), call.args[1], call.args[2], call.uint(3));
    let times = if times_at == 0 {
        [When::Now; 2]
    } else {
        let [a, b, c, d]: [i64; 4] = call.read(times_at)?;
        [when([a, b])?, when([c, d])?]
    };
    if flags & !(linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if times == [When::Omit; 2] {
        return Ok(0);
    }
    // Without a path: the file itself, as `futimens` calls it.
    let place = if path_at == 0 && dirfd != AT_FDCWD {
        if flags != 0 {
            return Err(Errno::EINVAL);
        }
        file(call, dirfd)?.place().clone()
    } else {
        resolve_at(call, dirfd, path_at, flags, last(flags))?
    };
    set_times(call, &place, times)
}

/// Two `timeval`, in microseconds.
fn read_timevals(call: &mut Call<'_>, at: u64) -> core::result::Result<[When; 2], Errno> {
    if at == 0 {
        return Ok([When::Now; 2]);
    }
    let [a, b, c, d]: [i64; 4] = call.read(at)?;
    let time = |seconds, microseconds| match microseconds {
        0..1_000_000 => Ok(When::At(Time { seconds, nanoseconds: microseconds as u32 * 1000 })),
        _ => Err(Errno::EINVAL),
    };
    Ok([time(a, b)?, time(c, d)?])
}

fn futimesat(call: &mut Call<'_>) -> Result {
    let times = read_timevals(call, call.args[2])?;
    let place = resolve(call, call.int(0), call.args[1], Last::Follow)?;
    set_times(call, &place, times)
}

fn utimes(call: &mut Call<'_>) -> Result {
    let times = read_timevals(call, call.args[1])?;
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    set_times(call, &place, times)
}

/// Two `time_t`.
fn utime(call: &mut Call<'_>) -> Result {
    let times = if call.args[1] == 0 {
        [When::Now; 2]
    } else {
        let times: [i64; 2] = call.read(call.args[1])?;
        times.map(|seconds| When::At(Time { seconds, nanoseconds: 0 }))
    };
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    set_times(call, &place, times)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_chmod, chmod),
    (nr::__NR_fchmod, fchmod),
    (nr::__NR_fchmodat, fchmodat),
    (nr::__NR_fchmodat2, fchmodat2),
    (nr::__NR_chown, chown),
    (nr::__NR_lchown, lchown),
    (nr::__NR_fchown, fchown),
    (nr::__NR_fchownat, fchownat),
    (nr::__NR_utimensat, utimensat),
    (nr::__NR_futimesat, futimesat),
    (nr::__NR_utimes, utimes),
    (nr::__NR_utime, utime),
];
