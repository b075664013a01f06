//! Changing what a file is: permissions, owner, times, size.

use super::access::{Access, WRITE};
use super::attr::{Kind, Mode, SetAttr, Time};
use super::busy::{Hold, Use};
use super::inode::Inode;
use super::mount::Place;
use crate::error::Errno;
use crate::sync::MaySleep;

/// `chmod`.
pub fn mode(ctx: &mut MaySleep, who: &Access<'_>, place: &Place, mode: Mode) -> Result<(), Errno> {
    place.mount.writable()?;
    if place.inode.kind() == Kind::Link {
        return Err(Errno::EOPNOTSUPP);
    }
    let attr = place.attr(ctx)?;
    if !who.owns(&attr) {
        return Err(Errno::EPERM);
    }
    // A setgid bit is for a group that one is in.
    let mode = if who.is_root() || who.in_group(attr.gid) { mode } else { mode.without(Mode::SETGID) };
    place.inode.set_attr(ctx, &SetAttr { mode: Some(mode), ..SetAttr::default() })
}

/// `chown`. `None` leaves it as it is.
pub fn owner(
    ctx: &mut MaySleep,
    who: &Access<'_>,
    place: &Place,
    uid: Option<u32>,
    gid: Option<u32>,
) -> Result<(), Errno> {
    place.mount.writable()?;
    let attr = place.attr(ctx)?;
    let owns = who.uid == attr.uid;
    let uid_allowed = uid.is_none_or(|uid| owns && uid == attr.uid);
    let gid_allowed = gid.is_none_or(|gid| owns && (gid == attr.gid || who.in_group(gid)));
    if !(who.is_root() || uid_allowed && gid_allowed) {
        return Err(Errno::EPERM);
    }
    // Who gets a program gets no privilege of the former owner's.
    let mut mode = attr.mode;
    if attr.kind != Kind::Directory {
        mode = strip(mode);
    }
    let mode = Some(mode).filter(|&mode| mode != attr.mode);
    place.inode.set_attr(ctx, &SetAttr { mode, uid, gid, ..SetAttr::default() })
}

/// Without the bits that give privileges: setuid, and setgid of what its group may execute.
pub fn strip(mode: Mode) -> Mode {
    let mode = mode.without(Mode::SETUID);
    if mode.has(0o010) { mode.without(Mode::SETGID) } else { mode }
}

/// A time to be set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// The present.
    Now,
    /// It stays.
    Omit,
    /// That.
    At(Time),
}

/// `utimensat`: last read, last changed.
pub fn times(
    ctx: &mut MaySleep,
    who: &Access<'_>,
    place: &Place,
    atime: When,
    mtime: When,
) -> Result<(), Errno> {
    if (atime, mtime) == (When::Omit, When::Omit) {
        return Ok(());
    }
    place.mount.writable()?;
    let attr = place.attr(ctx)?;
    if !who.owns(&attr) {
        // Who may write may say "now".
        if (atime, mtime) != (When::Now, When::Now) {
            return Err(Errno::EPERM);
        }
        who.check(&attr, WRITE)?;
    }
    let now = Time::now();
    let time = |when| match when {
        When::Now => Some(now),
        When::Omit => None,
        When::At(time) => Some(time),
    };
    place.inode.set_attr(ctx, &SetAttr { atime: time(atime), mtime: time(mtime), ..SetAttr::default() })
}

/// `truncate`.
pub fn size(ctx: &mut MaySleep, who: &Access<'_>, place: &Place, size: u64) -> Result<(), Errno> {
    match place.inode.kind() {
        Kind::File => {}
        Kind::Directory => return Err(Errno::EISDIR),
        _ => return Err(Errno::EINVAL),
    }
    place.mount.writable()?;
    who.check(&place.attr(ctx)?, WRITE)?;
    let _writing = Hold::new(&place.inode, Use::Writing)?;
    resize(ctx, who, &*place.inode, size)
}

/// `ftruncate`, and the second half of `truncate`: the permission is checked.
pub fn resize(ctx: &mut MaySleep, who: &Access<'_>, inode: &dyn Inode, size: u64) -> Result<(), Errno> {
    inode.truncate(ctx, size)?;
    written(ctx, who, inode)
}

/// A file was written: a program that others may run with its owner's rights is that no more, unless
/// root wrote it.
pub fn written(ctx: &mut MaySleep, who: &Access<'_>, inode: &dyn Inode) -> Result<(), Errno> {
    if who.is_root() || inode.kind() != Kind::File {
        return Ok(());
    }
    let attr = inode.attr(ctx)?;
    let mode = strip(attr.mode);
    if mode == attr.mode {
        return Ok(());
    }
    inode.set_attr(ctx, &SetAttr { mode: Some(mode), ..SetAttr::default() })
}
