//! What is there, and whether one may.

use super::files::{AT_FDCWD, file, last, resolve, resolve_at, structure, usable, walk, who, write_bytes};
use super::{Call, Result, Row};
use crate::arch::current::abi;
use crate::error::Errno;
use crate::fs::attr::{DevNo, Time};
use crate::fs::mount::Mount;
use crate::fs::walk::Last;
use crate::fs::{Access, Place, access};
use alloc::sync::Arc;
use linux_raw_sys::{general as linux, general as nr};

/// Writes `struct stat`, the machine's own.
fn write_stat(call: &mut Call<'_>, place: &Place, to: u64) -> Result {
    let attr = place.attr(call.ctx)?;
    let bytes = structure!(linux::stat {
        st_dev: place.mount.device().encode(),
        st_ino: attr.ino,
        st_mode: attr.mode.bits() | attr.kind.bits(),
        st_nlink: attr.nlink,
        st_uid: attr.uid,
        st_gid: attr.gid,
        st_rdev: attr.rdev.encode(),
        st_size: attr.size,
        st_blksize: attr.block_size,
        st_blocks: attr.blocks,
        st_atime: attr.atime.seconds,
        st_atime_nsec: attr.atime.nanoseconds,
        st_mtime: attr.mtime.seconds,
        st_mtime_nsec: attr.mtime.nanoseconds,
        st_ctime: attr.ctime.seconds,
        st_ctime_nsec: attr.ctime.nanoseconds,
    });
    write_bytes(call, to, &bytes)?;
    Ok(0)
}

fn newfstatat(call: &mut Call<'_>) -> Result {
    const FLAGS: u32 = linux::AT_SYMLINK_NOFOLLOW | linux::AT_NO_AUTOMOUNT | linux::AT_EMPTY_PATH;
    let flags = call.uint(3);
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve_at(call, call.int(0), call.args[1], flags, last(flags))?;
    write_stat(call, &place, call.args[2])
}

fn stat(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    write_stat(call, &place, call.args[1])
}

fn lstat(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Stay)?;
    write_stat(call, &place, call.args[1])
}

fn fstat(call: &mut Call<'_>) -> Result {
    let place = file(call, call.int(0))?.place().clone();
    write_stat(call, &place, call.args[1])
}

/// `struct statx_timestamp`
fn timestamp(bytes: &mut [u8], offset: usize, time: Time) {
    if let Some(field) = bytes.get_mut(offset..offset + 12) {
        field[..8].copy_from_slice(&time.seconds.to_ne_bytes());
        field[8..].copy_from_slice(&time.nanoseconds.to_ne_bytes());
    }
}

fn statx(call: &mut Call<'_>) -> Result {
    use core::mem::offset_of;
    const FLAGS: u32 = linux::AT_SYMLINK_NOFOLLOW
        | linux::AT_NO_AUTOMOUNT
        | linux::AT_EMPTY_PATH
        | linux::AT_STATX_FORCE_SYNC
        | linux::AT_STATX_DONT_SYNC;
    let (flags, mask) = (call.uint(2), call.uint(3));
    let sync = linux::AT_STATX_FORCE_SYNC | linux::AT_STATX_DONT_SYNC;
    if flags & !FLAGS != 0 || flags & sync == sync || mask & linux::STATX__RESERVED != 0 {
        return Err(Errno::EINVAL);
    }
    let place = resolve_at(call, call.int(0), call.args[1], flags, last(flags))?;
    let attr = place.attr(call.ctx)?;
    let device = place.mount.device();
    let mut bytes = structure!(linux::statx {
        stx_mask: linux::STATX_BASIC_STATS | linux::STATX_BTIME | linux::STATX_MNT_ID,
        stx_blksize: attr.block_size,
        stx_nlink: attr.nlink,
        stx_uid: attr.uid,
        stx_gid: attr.gid,
        stx_mode: attr.mode.bits() | attr.kind.bits(),
        stx_ino: attr.ino,
        stx_size: attr.size,
        stx_blocks: attr.blocks,
        stx_attributes_mask: linux::STATX_ATTR_MOUNT_ROOT,
        stx_attributes: if place.is_mount_root() { linux::STATX_ATTR_MOUNT_ROOT } else { 0 },
        stx_rdev_major: attr.rdev.major,
        stx_rdev_minor: attr.rdev.minor,
        stx_dev_major: device.major,
        stx_dev_minor: device.minor,
        stx_mnt_id: place.mount.id(),
    });
    timestamp(&mut bytes, offset_of!(linux::statx, stx_atime), attr.atime);
    timestamp(&mut bytes, offset_of!(linux::statx, stx_btime), attr.btime);
    timestamp(&mut bytes, offset_of!(linux::statx, stx_ctime), attr.ctime);
    timestamp(&mut bytes, offset_of!(linux::statx, stx_mtime), attr.mtime);
    write_bytes(call, call.args[4], &bytes)?;
    Ok(0)
}

/// `access`: by the real user and group, unless the flags say AT_EACCESS.
fn may(call: &mut Call<'_>, dirfd: i32, path_at: u64, want: u32, flags: u32) -> Result {
    const FLAGS: u32 = linux::AT_EACCESS | linux::AT_SYMLINK_NOFOLLOW | linux::AT_EMPTY_PATH;
    if want & !7 != 0 || flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let creds = call.task.creds();
    let who = if flags & linux::AT_EACCESS != 0 {
        who(&creds)
    } else {
        Access { uid: creds.uid, gid: creds.gid, groups: creds.groups() }
    };
    let path = super::files::path(call, path_at)?;
    let place = if path.is_empty() && flags & linux::AT_EMPTY_PATH != 0 {
        resolve_at(call, dirfd, path_at, flags, last(flags))?
    } else {
        walk(call, who, dirfd, &path)?.resolve(call.ctx, &path, last(flags))?
    };
    let attr = place.attr(call.ctx)?;
    if want & access::WRITE != 0 && matches!(attr.kind, crate::fs::Kind::File | crate::fs::Kind::Directory) {
        place.mount.writable()?;
    }
    who.check(&attr, want)?;
    Ok(0)
}

fn access(call: &mut Call<'_>) -> Result {
    may(call, AT_FDCWD, call.args[0], call.uint(1), 0)
}

fn faccessat(call: &mut Call<'_>) -> Result {
    may(call, call.int(0), call.args[1], call.uint(2), 0)
}

fn faccessat2(call: &mut Call<'_>) -> Result {
    may(call, call.int(0), call.args[1], call.uint(2), call.uint(3))
}

/// The bytes of `struct statfs` and of `struct statfs64`: the same on both machines.
fn write_statfs(call: &mut Call<'_>, mount: &Arc<Mount>, to: u64) -> Result {
    let usage = mount.filesystem().usage(call.ctx);
    let DevNo { major, minor } = mount.device();
    let mut bytes = structure!(linux::statfs {
        f_type: usage.magic,
        f_bsize: usage.block_size,
        f_blocks: usage.blocks,
        f_bfree: usage.free,
        f_bavail: usage.free,
        f_files: usage.files,
        f_ffree: usage.files_free,
        f_namelen: crate::fs::inode::NAME_MAX,
        f_frsize: usage.block_size,
        // ST_VALID: the flags are those of the mount.
        f_flags: 0x20 | mount.flags() & 0xf,
    });
    let id = core::mem::offset_of!(linux::statfs, f_fsid);
    bytes[id..id + 4].copy_from_slice(&minor.to_ne_bytes());
    bytes[id + 4..id + 8].copy_from_slice(&major.to_ne_bytes());
    write_bytes(call, to, &bytes)?;
    Ok(0)
}

fn statfs(call: &mut Call<'_>) -> Result {
    let mount = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?.mount;
    write_statfs(call, &mount, call.args[1])
}

fn fstatfs(call: &mut Call<'_>) -> Result {
    let mount = file(call, call.int(0))?.place().mount.clone();
    write_statfs(call, &mount, call.args[1])
}

const _: () = assert!(size_of::<linux::statfs>() == size_of::<linux::statfs64>(), "one layout for both");

/// With the structure's size, which has to be right.
fn sized(call: &Call<'_>) -> core::result::Result<(), Errno> {
    if call.args[1] == size_of::<linux::statfs64>() as u64 { Ok(()) } else { Err(Errno::EINVAL) }
}

fn statfs64(call: &mut Call<'_>) -> Result {
    sized(call)?;
    let mount = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?.mount;
    write_statfs(call, &mount, call.args[2])
}

fn fstatfs64(call: &mut Call<'_>) -> Result {
    sized(call)?;
    let mount = usable(call, call.int(0))?.place().mount.clone();
    write_statfs(call, &mount, call.args[2])
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_newfstatat, newfstatat),
    (nr::__NR_stat, stat),
    (nr::__NR_lstat, lstat),
    (nr::__NR_fstat, fstat),
    (nr::__NR_statx, statx),
    (nr::__NR_access, access),
    (nr::__NR_faccessat, faccessat),
    (nr::__NR_faccessat2, faccessat2),
    (nr::__NR_statfs, statfs),
    (nr::__NR_fstatfs, fstatfs),
    (abi::STATFS64, statfs64),
    (abi::FSTATFS64, fstatfs64),
];
