//! The initial file system: an archive that the boot loader brings, unpacked into the root.
//!
//! As in Linux, later entries win over earlier ones, directories that are missing are not made up, and
//! what is wrong with the archive is told and ends the unpacking: what came before it stays.
//!
//! The bytes of files stay where they are, in the archive: see [`super::tmpfs::contents`]. So the
//! archive's memory is never given back, and unpacking costs some hundred bytes a file.

pub mod cpio;
#[cfg(test)]
mod tests;

use super::access::Access;
use super::attr::{DevNo, Kind, Mode, SetAttr, Time};
use super::inode::{Inode, New, What};
use super::tmpfs::{Node, Tmpfs};
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use cpio::{Archive, Entry};

/// Why an archive was not unpacked, or not to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Problem {
    /// It is no archive, or is cut off.
    Archive(cpio::Error),
    /// It cannot be unpacked: an entry (they are counted from 1) that cannot be made.
    Entry(usize, Errno),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive(error) => error.fmt(f),
            Self::Entry(number, error) => write!(f, "entry {number} cannot be made: {error:?}"),
        }
    }
}

/// What was unpacked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unpacked {
    /// Entries.
    pub entries: usize,
    /// Bytes of files.
    pub bytes: usize,
    /// Entries that were left out: their directory is not there, or is none.
    pub skipped: usize,
}

/// Files with several names, whose other names may come.
type Links = Vec<(u32, (u32, u32), Arc<Node>)>;

/// Unpacks into the root of an empty file system.
pub fn unpack(ctx: &mut MaySleep, archive: &'static [u8], into: &Tmpfs) -> (Unpacked, Result<(), Problem>) {
    let mut unpacked = Unpacked::default();
    let mut links = Links::new();
    for entry in Archive::new(archive) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return (unpacked, Err(Problem::Archive(error))),
        };
        unpacked.entries += 1;
        match unpack_entry(ctx, &entry, into.root_node(), &mut links) {
            Ok(()) => unpacked.bytes += if is_file(&entry) { entry.data.len() } else { 0 },
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EINVAL | Errno::ENAMETOOLONG) => {
                unpacked.skipped += 1
            }
            Err(error) => return (unpacked, Err(Problem::Entry(unpacked.entries, error))),
        }
    }
    (unpacked, Ok(()))
}

fn is_file(entry: &Entry<'_>) -> bool {
    Kind::of_mode(entry.mode) == Some(Kind::File)
}

/// A path's names, without empty ones and `.`. EINVAL for one with `..`: it would lead out of sight.
fn names(path: &[u8]) -> Result<Vec<&[u8]>, Errno> {
    let mut names = Vec::new();
    for name in path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if name == b".." {
            return Err(Errno::EINVAL);
        }
        if name.len() > super::inode::NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        names.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        names.push(name);
    }
    Ok(names)
}

fn unpack_entry(
    ctx: &mut MaySleep,
    entry: &Entry<'static>,
    root: &Arc<Node>,
    links: &mut Links,
) -> Result<(), Errno> {
    let names = names(entry.name)?;
    let Some((name, directories)) = names.split_last() else {
        // `.`: the root's own attributes.
        return set_attr(ctx, &**root, entry);
    };
    let mut directory: Arc<dyn Inode> = root.clone();
    for name in directories {
        directory = directory.lookup(ctx, name)?;
    }
    let directory = directory.as_any().downcast_ref::<Node>().ok_or(Errno::ENOTDIR)?;
    let rdevice = DevNo::new(entry.rdevice.0, entry.rdevice.1);
    let what = match Kind::of_mode(entry.mode).ok_or(Errno::EINVAL)? {
        Kind::File => What::File,
        Kind::Directory => What::Directory,
        Kind::Link => What::Link(entry.data),
        Kind::Fifo => What::Fifo,
        Kind::Socket => What::Socket,
        Kind::Char => What::Char(rdevice),
        Kind::Block => What::Block(rdevice),
        Kind::Other => return Err(Errno::EINVAL),
    };
    if let Ok(old) = directory.lookup(ctx, name) {
        if old.kind() == Kind::Directory && what.kind() == Kind::Directory {
            return set_attr(ctx, &*old, entry);
        }
        match old.kind() {
            Kind::Directory => directory.rmdir(ctx, name, &Access::ROOT)?,
            _ => directory.unlink(ctx, name, &Access::ROOT)?,
        }
    }
    let key = (entry.ino, entry.device);
    let several = entry.nlink > 1 && what.kind() != Kind::Directory;
    let first = links.iter().find(|link| several && (link.0, link.1) == key).map(|link| link.2.clone());
    if let Some(node) = first {
        let inode: Arc<dyn Inode> = node.clone();
        directory.link(ctx, name, &inode)?;
        // The bytes may come with any of the names.
        if !entry.data.is_empty() && is_file(entry) {
            node.set_archived(ctx, entry.data)?;
        }
        return Ok(());
    }
    let new = New { what, mode: Mode::new(entry.mode), uid: entry.uid, gid: entry.gid };
    let node = directory.make_node(ctx, name, &new, if is_file(entry) { entry.data } else { &[] })?;
    set_attr(ctx, &*node, entry)?;
    if several {
        links.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        links.push((entry.ino, entry.device, node));
    }
    Ok(())
}

fn set_attr(ctx: &mut MaySleep, inode: &dyn Inode, entry: &Entry<'_>) -> Result<(), Errno> {
    let time = Time { seconds: i64::from(entry.mtime), nanoseconds: 0 };
    inode.set_attr(
        ctx,
        &SetAttr {
            mode: Some(Mode::new(entry.mode)),
            uid: Some(entry.uid),
            gid: Some(entry.gid),
            atime: Some(time),
            mtime: Some(time),
        },
    )
}
