//! Making, moving and taking away names.
//!
//! What all file systems have in common: permissions on the directory, names that are none, mounts in
//! the way. The order of the checks is that of Linux, since programs see which error comes first.

use super::access::{EXECUTE, WRITE};
use super::attr::Kind;
use super::inode::{Moving, New, What};
use super::mount::Place;
use super::walk::{Dots, Found, Last, Walk};
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;

/// A name may be made or taken away here: EROFS, EACCES.
fn check_directory(ctx: &mut MaySleep, walk: &Walk<'_>, directory: &Place) -> Result<(), Errno> {
    directory.mount.writable()?;
    walk.who.check(&directory.attr(ctx)?, WRITE | EXECUTE)
}

/// `mkdir`, `mknod`, `symlink`.
pub fn make(ctx: &mut MaySleep, walk: &Walk<'_>, path: &[u8], new: &New<'_>) -> Result<(), Errno> {
    let found = walk.find(ctx, path, Last::Name)?;
    let Some(name) = found.name() else { return Err(Errno::EEXIST) };
    if found.place.is_some() {
        return Err(Errno::EEXIST);
    }
    if found.slash && !matches!(new.what, What::Directory) {
        return Err(Errno::ENOENT);
    }
    check_directory(ctx, walk, &found.directory)?;
    if matches!(new.what, What::Char(_) | What::Block(_)) && !walk.who.is_root() {
        return Err(Errno::EPERM);
    }
    found.directory.inode.make(ctx, name, new).map(drop)
}

/// `link`. `old` is what the old path led to.
pub fn link(ctx: &mut MaySleep, old: &Place, walk: &Walk<'_>, path: &[u8]) -> Result<(), Errno> {
    let found = walk.find(ctx, path, Last::Name)?;
    let Some(name) = found.name() else { return Err(Errno::EEXIST) };
    if found.place.is_some() {
        return Err(Errno::EEXIST);
    }
    if found.slash {
        return Err(Errno::ENOENT);
    }
    if !Arc::ptr_eq(&old.mount, &found.directory.mount) {
        return Err(Errno::EXDEV);
    }
    check_directory(ctx, walk, &found.directory)?;
    if old.inode.kind() == Kind::Directory {
        return Err(Errno::EPERM);
    }
    found.directory.inode.link(ctx, name, &old.inode)
}

/// What is to lose its name, and the name.
fn victim<'f>(found: &'f Found<'_>) -> Result<(&'f Place, &'f [u8]), Errno> {
    let place = found.place.as_ref().ok_or(Errno::ENOENT)?;
    Ok((place, found.name().ok_or(Errno::ENOENT)?))
}

/// EBUSY for what something is mounted on.
fn not_mounted(found: &Found<'_>) -> Result<(), Errno> {
    let crosses = |place: &Place| !Arc::ptr_eq(&place.mount, &found.directory.mount);
    if found.place.as_ref().is_some_and(crosses) { Err(Errno::EBUSY) } else { Ok(()) }
}

/// `unlink`.
pub fn unlink(ctx: &mut MaySleep, walk: &Walk<'_>, path: &[u8]) -> Result<(), Errno> {
    let found = walk.find(ctx, path, Last::Name)?;
    if found.dots.is_some() {
        return Err(Errno::EISDIR);
    }
    let (place, name) = victim(&found)?;
    if found.slash {
        return Err(if place.inode.kind() == Kind::Directory { Errno::EISDIR } else { Errno::ENOTDIR });
    }
    check_directory(ctx, walk, &found.directory)?;
    if place.inode.kind() != Kind::Directory {
        not_mounted(&found)?;
    }
    found.directory.inode.unlink(ctx, name, &walk.who)
}

/// `rmdir`.
pub fn rmdir(ctx: &mut MaySleep, walk: &Walk<'_>, path: &[u8]) -> Result<(), Errno> {
    let found = walk.find(ctx, path, Last::Name)?;
    match found.dots {
        Some(Dots::One) => return Err(Errno::EINVAL),
        Some(Dots::Two) => return Err(Errno::ENOTEMPTY),
        Some(Dots::Root) => return Err(Errno::EBUSY),
        None => {}
    }
    let (place, name) = victim(&found)?;
    check_directory(ctx, walk, &found.directory)?;
    if place.inode.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    not_mounted(&found)?;
    found.directory.inode.rmdir(ctx, name, &walk.who)
}

/// `rename`. The two walks begin where the two paths do.
pub fn rename(
    ctx: &mut MaySleep,
    (old_walk, old_path): (&Walk<'_>, &[u8]),
    (new_walk, new_path): (&Walk<'_>, &[u8]),
    how: Moving,
) -> Result<(), Errno> {
    let old = old_walk.find(ctx, old_path, Last::Name)?;
    let new = new_walk.find(ctx, new_path, Last::Name)?;
    if !Arc::ptr_eq(&old.directory.mount, &new.directory.mount) {
        return Err(Errno::EXDEV);
    }
    let Some(old_name) = old.name() else { return Err(Errno::EBUSY) };
    let Some(new_name) = new.name() else {
        return Err(if how == Moving::NoReplace { Errno::EEXIST } else { Errno::EBUSY });
    };
    old.directory.mount.writable()?;
    let source = old.place.as_ref().ok_or(Errno::ENOENT)?;
    match (how, &new.place) {
        (Moving::NoReplace, Some(_)) => return Err(Errno::EEXIST),
        (Moving::Exchange, None) => return Err(Errno::ENOENT),
        _ => {}
    }
    if source.inode.kind() != Kind::Directory && (old.slash || how != Moving::Exchange && new.slash) {
        return Err(Errno::ENOTDIR);
    }
    check_directory(ctx, old_walk, &old.directory)?;
    check_directory(ctx, new_walk, &new.directory)?;
    not_mounted(&old)?;
    not_mounted(&new)?;
    old.directory.inode.rename(ctx, old_name, &new.directory.inode, new_name, how, &old_walk.who)
}
