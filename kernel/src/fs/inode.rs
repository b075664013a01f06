//! What has a name.

use super::access::Access;
use super::attr::{Attr, DevNo, Kind, Mode, SetAttr};
use super::busy::Users;
use super::device;
use super::file::{self, File, FileOps, OpenFlags};
use super::mount::Place;
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// The most bytes of one name.
pub const NAME_MAX: usize = 255;

/// What is to be made.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// An empty file.
    File,
    /// An empty directory.
    Directory,
    /// A symbolic link with that text.
    Link(&'a [u8]),
    /// A pipe with a name.
    Fifo,
    /// A socket's name.
    Socket,
    /// A character device.
    Char(DevNo),
    /// A block device.
    Block(DevNo),
}

impl What<'_> {
    /// What kind it will be.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::File => Kind::File,
            Self::Directory => Kind::Directory,
            Self::Link(_) => Kind::Link,
            Self::Fifo => Kind::Fifo,
            Self::Socket => Kind::Socket,
            Self::Char(_) => Kind::Char,
            Self::Block(_) => Kind::Block,
        }
    }
}

/// A new inode, and whose it will be. (A directory with the setgid bit gives its group instead.)
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// What.
    pub what: What<'a>,
    /// Permissions; the umask is applied already.
    pub mode: Mode,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// How a name is moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Moving {
    /// What had the new name loses it.
    #[default]
    Replace,
    /// EEXIST if something has the new name.
    NoReplace,
    /// Both change names.
    Exchange,
}

/// One name of a directory.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// Its inode's number.
    pub ino: u64,
    /// What it is.
    pub kind: Kind,
    /// Where reading goes on after it; more than where it was found.
    pub next: u64,
}

/// The first position of a directory that is the file system's own: 0 and 1 are `.` and `..`.
pub const FIRST_ENTRY: u64 = 2;

/// Where a symbolic link leads.
#[derive(Debug)]
pub enum Target {
    /// On along this path, from the directory of the link.
    Path(Vec<u8>),
    /// There, whatever its name is now: `/proc/PID/fd/N` and `/proc/PID/exe`.
    Place(Place),
    /// Where that open file is; it keeps the name by which it was opened.
    Open(Arc<File>),
}

/// A file, a directory, a link, a device: whatever has a name in a file system.
///
/// What a kind of inode does not have answers the error that Linux gives. Names are checked by the
/// caller: not empty, without `/` and NUL, at most [`NAME_MAX`] bytes, neither `.` nor `..`. So are
/// the permissions on the directory; the sticky bit of a directory is the file system's to check
/// ([`Access::check_sticky`]), since it must see the victim and take its name away under one lock.
pub trait Inode: Send + Sync + Any {
    /// Itself, to be asked for its type.
    fn as_any(&self) -> &dyn Any;
    /// Its number: one inode has one number in its file system, and another inode another.
    fn ino(&self) -> u64;
    /// What it is; it never changes.
    fn kind(&self) -> Kind;
    /// What `stat` tells.
    fn attr(&self, ctx: &mut MaySleep) -> Result<Attr, Errno>;

    /// Changes attributes. The permission is checked.
    fn set_attr(&self, _ctx: &mut MaySleep, _change: &SetAttr) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
    /// Cuts or extends a file; setuid and setgid bits are the caller's business.
    fn truncate(&self, _ctx: &mut MaySleep, _size: u64) -> Result<(), Errno> {
        Err(if matches!(self.kind(), Kind::Directory) { Errno::EISDIR } else { Errno::EINVAL })
    }
    /// `fallocate`.
    fn allocate(&self, _ctx: &mut MaySleep, _mode: u32, _at: u64, _len: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Directory: what has that name. ENOENT if nothing has.
    fn lookup(&self, _ctx: &mut MaySleep, _name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOTDIR)
    }
    /// Who writes and who executes it, where that excludes each other.
    fn users(&self) -> Option<&Users> {
        None
    }

    /// Anything but a directory: the one in which it had a name when it was last made or moved, if the
    /// file system knows.
    fn found_in(&self) -> Option<Arc<dyn Inode>> {
        None
    }

    /// Directory: the one it lies in; the root of a file system gives itself.
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        Err(Errno::ENOTDIR)
    }
    /// Directory: calls `visit` for each name from position `from` (at least [`FIRST_ENTRY`]) on, but
    /// `.` and `..`, until it says false. A position keeps its meaning while names come and go.
    fn readdir(
        &self,
        _ctx: &mut MaySleep,
        _from: u64,
        _visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        Err(Errno::ENOTDIR)
    }
    /// Directory: makes something. EEXIST if the name is taken.
    fn make(&self, _ctx: &mut MaySleep, _name: &[u8], new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Err(if matches!(new.what, What::File) { Errno::EACCES } else { Errno::EPERM })
    }
    /// Directory: a further name for an inode of this file system that is no directory.
    fn link(&self, _ctx: &mut MaySleep, _name: &[u8], _inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
    /// Directory: takes away the name of what is no directory (EISDIR).
    fn unlink(&self, _ctx: &mut MaySleep, _name: &[u8], _who: &Access<'_>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
    /// Directory: takes away the name of an empty directory.
    fn rmdir(&self, _ctx: &mut MaySleep, _name: &[u8], _who: &Access<'_>) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }
    /// Directory: gives what has the name `from` here the name `to` in the directory `into`, of the
    /// same file system.
    fn rename(
        &self,
        _ctx: &mut MaySleep,
        _from: &[u8],
        _into: &Arc<dyn Inode>,
        _to: &[u8],
        _how: Moving,
        _who: &Access<'_>,
    ) -> Result<(), Errno> {
        Err(Errno::EPERM)
    }

    /// Link: its text.
    fn readlink(&self, _ctx: &mut MaySleep) -> Result<Vec<u8>, Errno> {
        Err(Errno::EINVAL)
    }
    /// Link: where it leads.
    fn follow(&self, ctx: &mut MaySleep, _who: &Access<'_>) -> Result<Target, Errno> {
        self.readlink(ctx).map(Target::Path)
    }

    /// What reads and writes it, for one opening. The permission is checked, and truncation (O_TRUNC)
    /// comes after it. May sleep: a named pipe waits for its other end.
    fn open(self: Arc<Self>, ctx: &mut MaySleep, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        match self.kind() {
            Kind::Directory => file::directory(),
            Kind::Char | Kind::Block => {
                let device = self.attr(ctx)?.rdev;
                device::open(ctx, self.kind(), device, flags)
            }
            _ => Err(Errno::ENXIO),
        }
    }
}

impl core::fmt::Debug for dyn Inode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} {}", self.kind(), self.ino())
    }
}
