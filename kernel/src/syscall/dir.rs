//! Directories and names.

use super::files::{AT_FDCWD, Path, file, path, put, resolve, resolve_at, usable, walk, who, write_bytes};
use super::{Call, Result, Row};
use crate::error::Errno;
use crate::fs::attr::{DevNo, Kind};
use crate::fs::inode::{Moving, New, What};
use crate::fs::walk::{Last, check_search, path_of_directory};
use crate::fs::{Place, names};
use alloc::vec::Vec;
use linux_raw_sys::{general as linux, general as nr};

/// Makes something by that name, with permissions that the umask is to be applied to.
fn make(call: &mut Call<'_>, dirfd: i32, path: &Path, what: What<'_>, mode: u32) -> Result {
    let creds = call.task.creds();
    let mode = call.task.fs().mask(mode);
    let new = New { what, mode, uid: creds.fsuid, gid: creds.fsgid };
    let walk = walk(call, who(&creds), dirfd, path)?;
    names::make(call.ctx, &walk, path, &new)?;
    Ok(0)
}

fn mkdir_at(call: &mut Call<'_>, dirfd: i32, path_at: u64, mode: u32) -> Result {
    let path = path(call, path_at)?;
    make(call, dirfd, &path, What::Directory, mode & 0o1777)
}

fn mkdir(call: &mut Call<'_>) -> Result {
    mkdir_at(call, AT_FDCWD, call.args[0], call.uint(1))
}

fn mkdirat(call: &mut Call<'_>) -> Result {
    mkdir_at(call, call.int(0), call.args[1], call.uint(2))
}

fn mknod_at(call: &mut Call<'_>, dirfd: i32, path_at: u64, mode: u32, device: u64) -> Result {
    let device = DevNo::decode(device as u32);
    let what = match Kind::of_mode(mode) {
        Some(Kind::File) => What::File,
        None if mode & linux::S_IFMT == 0 => What::File,
        Some(Kind::Fifo) => What::Fifo,
        Some(Kind::Socket) => What::Socket,
        Some(Kind::Char) => What::Char(device),
        Some(Kind::Block) => What::Block(device),
        Some(Kind::Directory) => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    };
    let path = path(call, path_at)?;
    make(call, dirfd, &path, what, mode & 0o7777)
}

fn mknod(call: &mut Call<'_>) -> Result {
    mknod_at(call, AT_FDCWD, call.args[0], call.uint(1), call.args[2])
}

fn mknodat(call: &mut Call<'_>) -> Result {
    mknod_at(call, call.int(0), call.args[1], call.uint(2), call.args[3])
}

fn symlink_at(call: &mut Call<'_>, text_at: u64, dirfd: i32, path_at: u64) -> Result {
    let text = path(call, text_at)?;
    if text.is_empty() {
        return Err(Errno::ENOENT);
    }
    let path = path(call, path_at)?;
    // A link's permissions mean nothing; they are all there whatever the umask.
    let creds = call.task.creds();
    let mode = crate::fs::Mode::new(0o777);
    let new = New { what: What::Link(&text), mode, uid: creds.fsuid, gid: creds.fsgid };
    let walk = walk(call, who(&creds), dirfd, &path)?;
    names::make(call.ctx, &walk, &path, &new)?;
    Ok(0)
}

fn symlink(call: &mut Call<'_>) -> Result {
    symlink_at(call, call.args[0], AT_FDCWD, call.args[1])
}

fn symlinkat(call: &mut Call<'_>) -> Result {
    symlink_at(call, call.args[0], call.int(1), call.args[2])
}

fn link_at(call: &mut Call<'_>, old: Place, dirfd: i32, path_at: u64) -> Result {
    let path = path(call, path_at)?;
    let creds = call.task.creds();
    let walk = walk(call, who(&creds), dirfd, &path)?;
    names::link(call.ctx, &old, &walk, &path)?;
    Ok(0)
}

fn link(call: &mut Call<'_>) -> Result {
    let old = resolve(call, AT_FDCWD, call.args[0], Last::Stay)?;
    link_at(call, old, AT_FDCWD, call.args[1])
}

fn linkat(call: &mut Call<'_>) -> Result {
    let flags = call.uint(4);
    if flags & !(linux::AT_SYMLINK_FOLLOW | linux::AT_EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & linux::AT_EMPTY_PATH != 0 && !call.task.creds().is_root() {
        return Err(Errno::ENOENT);
    }
    let last = if flags & linux::AT_SYMLINK_FOLLOW != 0 { Last::Follow } else { Last::Stay };
    let old = resolve_at(call, call.int(0), call.args[1], flags, last)?;
    link_at(call, old, call.int(2), call.args[3])
}

fn unlink_at(call: &mut Call<'_>, dirfd: i32, path_at: u64, directory: bool) -> Result {
    let path = path(call, path_at)?;
    let creds = call.task.creds();
    let walk = walk(call, who(&creds), dirfd, &path)?;
    if directory {
        names::rmdir(call.ctx, &walk, &path)?
    } else {
        names::unlink(call.ctx, &walk, &path)?
    }
    Ok(0)
}

fn unlink(call: &mut Call<'_>) -> Result {
    unlink_at(call, AT_FDCWD, call.args[0], false)
}

fn rmdir(call: &mut Call<'_>) -> Result {
    unlink_at(call, AT_FDCWD, call.args[0], true)
}

fn unlinkat(call: &mut Call<'_>) -> Result {
    let flags = call.uint(2);
    if flags & !linux::AT_REMOVEDIR != 0 {
        return Err(Errno::EINVAL);
    }
    unlink_at(call, call.int(0), call.args[1], flags != 0)
}

fn rename_at(
    call: &mut Call<'_>,
    (old_dir, old_at): (i32, u64),
    (new_dir, new_at): (i32, u64),
    flags: u32,
) -> Result {
    let how = match flags {
        0 => Moving::Replace,
        linux::RENAME_NOREPLACE => Moving::NoReplace,
        linux::RENAME_EXCHANGE => Moving::Exchange,
        // Whiteouts are for file systems that lie over others.
        _ => return Err(Errno::EINVAL),
    };
    let (old, new) = (path(call, old_at)?, path(call, new_at)?);
    let creds = call.task.creds();
    let old_walk = walk(call, who(&creds), old_dir, &old)?;
    let new_walk = walk(call, who(&creds), new_dir, &new)?;
    names::rename(call.ctx, (&old_walk, &old), (&new_walk, &new), how)?;
    Ok(0)
}

fn rename(call: &mut Call<'_>) -> Result {
    rename_at(call, (AT_FDCWD, call.args[0]), (AT_FDCWD, call.args[1]), 0)
}

fn renameat(call: &mut Call<'_>) -> Result {
    rename_at(call, (call.int(0), call.args[1]), (call.int(2), call.args[3]), 0)
}

fn renameat2(call: &mut Call<'_>) -> Result {
    rename_at(call, (call.int(0), call.args[1]), (call.int(2), call.args[3]), call.uint(4))
}

/// Copies a link's text, cut to the room, without a NUL.
fn read_link(call: &mut Call<'_>, place: &Place, to: u64, room: i32) -> Result {
    let room = usize::try_from(room).ok().filter(|&room| room > 0).ok_or(Errno::EINVAL)?;
    let text = place.inode.readlink(call.ctx)?;
    let text = &text[..text.len().min(room)];
    write_bytes(call, to, text)?;
    Ok(text.len() as u64)
}

fn readlink(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Stay)?;
    read_link(call, &place, call.args[1], call.int(2))
}

fn readlinkat(call: &mut Call<'_>) -> Result {
    let place = resolve_at(call, call.int(0), call.args[1], linux::AT_EMPTY_PATH, Last::Stay)?;
    if place.inode.kind() != Kind::Link && path(call, call.args[1])?.is_empty() {
        return Err(Errno::ENOENT);
    }
    read_link(call, &place, call.args[2], call.int(3))
}

fn getcwd(call: &mut Call<'_>) -> Result {
    let fs = call.task.fs();
    let (cwd, root) = (fs.cwd(), fs.root());
    let mut path = path_of_directory(call.ctx, &cwd, &root)?;
    path.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
    path.push(0);
    if path.len() as u64 > call.args[1] {
        return Err(Errno::ERANGE);
    }
    write_bytes(call, call.args[0], &path)?;
    Ok(path.len() as u64)
}

/// A directory that he may search.
fn enterable(call: &mut Call<'_>, place: &Place) -> core::result::Result<(), Errno> {
    let creds = call.task.creds();
    check_search(call.ctx, place, &who(&creds))
}

fn chdir(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    enterable(call, &place)?;
    call.task.fs().set_cwd(place);
    Ok(0)
}

fn fchdir(call: &mut Call<'_>) -> Result {
    let place = file(call, call.int(0))?.place().clone();
    enterable(call, &place)?;
    call.task.fs().set_cwd(place);
    Ok(0)
}

fn chroot(call: &mut Call<'_>) -> Result {
    let place = resolve(call, AT_FDCWD, call.args[0], Last::Follow)?;
    enterable(call, &place)?;
    call.task.creds().require_root()?;
    call.task.fs().set_root(place);
    Ok(0)
}

/// How an entry is laid out: number, next position, length, (type,) name, NUL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `struct linux_dirent`: the type is the last byte.
    Old,
    /// `struct linux_dirent64`: the type comes before the name.
    New,
}

/// Names are collected here before they are copied to the program.
const CHUNK: usize = 4096;

fn read_names(call: &mut Call<'_>, layout: Layout) -> Result {
    let file = usable(call, call.int(0))?;
    let room = call.uint(2) as usize;
    let mut bytes: Vec<u8> = Vec::new();
    bytes.try_reserve_exact(CHUNK.min(room)).map_err(|_| Errno::ENOMEM)?;
    let capacity = CHUNK.min(room);
    let mut too_small = false;
    file.readdir(call.ctx, &mut |_, entry| {
        let name_at = if layout == Layout::New { 19 } else { 18 };
        let extra = if layout == Layout::New { 1 } else { 2 };
        let len = (name_at + entry.name.len() + extra).next_multiple_of(8);
        let begin = bytes.len();
        if begin + len > capacity {
            too_small = begin == 0;
            return false;
        }
        bytes.resize(begin + len, 0);
        let record = &mut bytes[begin..];
        put(record, 0, 8, entry.ino);
        put(record, 8, 8, entry.next);
        put(record, 16, 2, len as u64);
        let kind_at = if layout == Layout::New { 18 } else { len - 1 };
        record[kind_at] = entry.kind.dirent();
        record[name_at..name_at + entry.name.len()].copy_from_slice(entry.name);
        true
    })?;
    if too_small {
        return Err(Errno::EINVAL);
    }
    write_bytes(call, call.args[1], &bytes)?;
    Ok(bytes.len() as u64)
}

fn getdents64(call: &mut Call<'_>) -> Result {
    read_names(call, Layout::New)
}

fn getdents(call: &mut Call<'_>) -> Result {
    read_names(call, Layout::Old)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_mkdir, mkdir),
    (nr::__NR_mkdirat, mkdirat),
    (nr::__NR_mknod, mknod),
    (nr::__NR_mknodat, mknodat),
    (nr::__NR_symlink, symlink),
    (nr::__NR_symlinkat, symlinkat),
    (nr::__NR_link, link),
    (nr::__NR_linkat, linkat),
    (nr::__NR_unlink, unlink),
    (nr::__NR_unlinkat, unlinkat),
    (nr::__NR_rmdir, rmdir),
    (nr::__NR_rename, rename),
    (nr::__NR_renameat, renameat),
    (nr::__NR_renameat2, renameat2),
    (nr::__NR_readlink, readlink),
    (nr::__NR_readlinkat, readlinkat),
    (nr::__NR_getcwd, getcwd),
    (nr::__NR_chdir, chdir),
    (nr::__NR_fchdir, fchdir),
    (nr::__NR_chroot, chroot),
    (nr::__NR_getdents64, getdents64),
    (nr::__NR_getdents, getdents),
];
