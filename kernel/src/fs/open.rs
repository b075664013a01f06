//! `open`.

use super::access::{Access, EXECUTE, READ, WRITE};
use super::attr::{Kind, Mode};
use super::busy::{Hold, Use};
use super::file::{self, File, OpenFlags};
use super::inode::{New, What};
use super::mount::Place;
use super::walk::{Dots, Found, Last, Walk};
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

/// What `O_TMPFILE` has beside `O_DIRECTORY`.
const TMPFILE: u32 = linux::O_TMPFILE & !linux::O_DIRECTORY;

/// Opens, or makes and opens, what the path leads to. `mode` is for a file that is made; the umask is
/// applied already.
pub fn open(
    ctx: &mut MaySleep,
    walk: &Walk<'_>,
    path: &[u8],
    flags: OpenFlags,
    mode: Mode,
) -> Result<Arc<File>, Errno> {
    let creates = flags.has(linux::O_CREAT);
    if flags.has(TMPFILE) {
        // Without a name from the beginning: not there, as in file systems of Linux without it.
        return Err(if flags.writable() { Errno::EOPNOTSUPP } else { Errno::EINVAL });
    }
    let follow = !(flags.has(linux::O_NOFOLLOW) || creates && flags.has(linux::O_EXCL));
    let last = if follow { Last::Follow } else { Last::Stay };
    loop {
        let found = walk.find(ctx, path, if creates && !follow { Last::Name } else { last })?;
        let location = found.location()?;
        match &found.place {
            Some(place) => {
                if creates {
                    check_existing(&found, place, flags)?;
                }
                let place = place.clone();
                return open_place(ctx, &walk.who, place, location, flags);
            }
            None if !creates => return Err(Errno::ENOENT),
            None => match create(ctx, walk, &found, mode) {
                // Somebody else made it since.
                Err(Errno::EEXIST) if !flags.has(linux::O_EXCL) => continue,
                Err(error) => return Err(error),
                Ok(place) => {
                    let ops = place.inode.clone().open(ctx, flags)?;
                    return File::new(place, location, flags, ops);
                }
            },
        }
    }
}

/// O_CREAT, and it exists.
fn check_existing(found: &Found<'_>, place: &Place, flags: OpenFlags) -> Result<(), Errno> {
    let jumped = found.dots == Some(Dots::Root) && !found.slash;
    if flags.has(linux::O_EXCL) {
        return Err(Errno::EEXIST);
    }
    if found.slash && !jumped || place.inode.kind() == Kind::Directory {
        return Err(Errno::EISDIR);
    }
    Ok(())
}

fn create(ctx: &mut MaySleep, walk: &Walk<'_>, found: &Found<'_>, mode: Mode) -> Result<Place, Errno> {
    let name = found.name().ok_or(Errno::EISDIR)?;
    if found.slash {
        return Err(Errno::EISDIR);
    }
    let directory = &found.directory;
    directory.mount.writable()?;
    walk.who.check(&directory.attr(ctx)?, WRITE | EXECUTE)?;
    let new = New { what: What::File, mode, uid: walk.who.uid, gid: walk.who.gid };
    let inode = directory.inode.make(ctx, name, &new)?;
    Ok(Place { mount: directory.mount.clone(), inode })
}

/// Opens what is there.
pub fn open_place(
    ctx: &mut MaySleep,
    who: &Access<'_>,
    place: Place,
    location: Option<super::file::Location>,
    flags: OpenFlags,
) -> Result<Arc<File>, Errno> {
    let kind = place.inode.kind();
    if flags.has(linux::O_DIRECTORY) && kind != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    if flags.is_path() {
        return File::new(place, location, flags, file::path_only()?);
    }
    let wants = flags.wants();
    match kind {
        Kind::Link => return Err(Errno::ELOOP),
        Kind::Directory if wants & WRITE != 0 => return Err(Errno::EISDIR),
        Kind::Socket => return Err(Errno::ENXIO),
        _ => {}
    }
    let attr = place.attr(ctx)?;
    if wants & WRITE != 0 && matches!(kind, Kind::File | Kind::Directory) {
        place.mount.writable()?;
    }
    who.check(&attr, wants)?;
    if flags.has(linux::O_NOATIME) && !who.owns(&attr) {
        return Err(Errno::EPERM);
    }
    let ops = place.inode.clone().open(ctx, flags)?;
    let inode = Arc::clone(&place.inode);
    let file = File::new(place, location, flags, ops)?;
    if flags.has(linux::O_TRUNC) && kind == Kind::File {
        let _writing = Hold::new(&inode, Use::Writing)?;
        inode.truncate(ctx, 0)?;
    }
    Ok(file)
}

/// Opens a program: a regular file that he may execute. EACCES if it is none; ETXTBSY if somebody may
/// write it.
pub fn open_program(
    ctx: &mut MaySleep,
    walk: &Walk<'_>,
    path: &[u8],
    last: Last,
) -> Result<Arc<File>, Errno> {
    let found = walk.find(ctx, path, last)?;
    let place = found.place.clone().ok_or(Errno::ENOENT)?;
    let location = found.location()?;
    match place.inode.kind() {
        Kind::File => {}
        Kind::Link => return Err(Errno::ELOOP),
        _ => return Err(Errno::EACCES),
    }
    if place.mount.flags() & linux::MS_NOEXEC != 0 {
        return Err(Errno::EACCES);
    }
    let attr = place.attr(ctx)?;
    walk.who.check(&attr, EXECUTE)?;
    // The kernel reads it, whether or not the program's user may.
    let ops = place.inode.clone().open(ctx, OpenFlags::READ)?;
    File::program(place, location, ops)
}

/// Whether who may execute it may also read it: if not, a process of it is not to be looked into.
pub fn may_read(ctx: &mut MaySleep, who: &Access<'_>, file: &File) -> Result<bool, Errno> {
    Ok(who.check(&file.place().attr(ctx)?, READ).is_ok())
}
