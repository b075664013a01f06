//! An open file.
//!
//! [`File`] is what descriptors share: flags, a position, and the [`FileOps`] that an inode gave for
//! this opening. The position is a mutex: two threads that read through one descriptor get different
//! bytes, as Linux promises. What has no positions (a pipe, a terminal) does not take it: who sleeps
//! in such a read must not keep others from writing.

use super::access::{READ, WRITE};
use super::attr::Kind;
use super::buffer::{Dest, Source, UserMemory};
use super::busy::{Hold, Use};
use super::inode::{Entry, FIRST_ENTRY};
use super::locks;
use super::mount::Place;
use super::poll::{Events, PollTable};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::mm::object::PageObject;
use crate::sync::{MaySleep, Mutex};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use linux_raw_sys::general as linux;

/// The flags of `open`, as the machine's Linux numbers them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenFlags(u32);

impl OpenFlags {
    /// To read only, and nothing else said.
    pub const READ: Self = Self(linux::O_RDONLY);
    /// To write only.
    pub const WRITE: Self = Self(linux::O_WRONLY);
    /// Both.
    pub const READ_WRITE: Self = Self(linux::O_RDWR);

    /// What `F_SETFL` may change.
    const CHANGEABLE: u32 = linux::O_APPEND | linux::O_NONBLOCK | linux::O_DIRECT | linux::O_NOATIME;
    /// What `F_GETFL` tells.
    const TOLD: u32 = linux::O_ACCMODE
        | Self::CHANGEABLE
        | linux::O_LARGEFILE
        | linux::O_SYNC
        | linux::O_DSYNC
        | linux::O_PATH
        | linux::O_DIRECTORY
        | linux::O_NOFOLLOW
        | linux::O_TMPFILE;

    /// The flags with these bits. With O_PATH, of the others only O_DIRECTORY, O_NOFOLLOW and
    /// O_CLOEXEC count.
    pub const fn new(bits: u32) -> Self {
        if bits & linux::O_PATH == 0 {
            return Self(bits);
        }
        Self(bits & (linux::O_PATH | linux::O_DIRECTORY | linux::O_NOFOLLOW | linux::O_CLOEXEC))
    }
    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
    /// Whether all these bits are set.
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
    /// With these bits as well.
    pub const fn with(self, bits: u32) -> Self {
        Self(self.0 | bits)
    }
    /// Whether it is a place only, neither to read nor to write.
    pub const fn is_path(self) -> bool {
        self.has(linux::O_PATH)
    }
    /// Whether it may be read.
    pub const fn readable(self) -> bool {
        !self.is_path() && matches!(self.0 & linux::O_ACCMODE, linux::O_RDONLY | linux::O_RDWR)
    }
    /// Whether it may be written.
    pub const fn writable(self) -> bool {
        !self.is_path() && matches!(self.0 & linux::O_ACCMODE, linux::O_WRONLY | linux::O_RDWR)
    }
    /// Whether writes go to the end.
    pub const fn append(self) -> bool {
        self.has(linux::O_APPEND)
    }
    /// Whether what would wait says EAGAIN.
    pub const fn nonblocking(self) -> bool {
        self.has(linux::O_NONBLOCK)
    }
    /// The permissions that opening asks for.
    pub const fn wants(self) -> u32 {
        if self.is_path() {
            return 0;
        }
        // Access mode 3 is Linux' own: to be checked for both, and good for ioctl only.
        match self.0 & linux::O_ACCMODE {
            linux::O_RDONLY if self.has(linux::O_TRUNC) => READ | WRITE,
            linux::O_RDONLY => READ,
            linux::O_WRONLY => WRITE,
            _ => READ | WRITE,
        }
    }
}

/// From where a position is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seek {
    /// From the beginning.
    Set(i64),
    /// From the position.
    Current(i64),
    /// From the end.
    End(i64),
    /// To the next byte that is there, at or behind this.
    Data(i64),
    /// To the next hole, at or behind this.
    Hole(i64),
}

/// A request to a device: `ioctl`.
pub struct Ioctl<'a> {
    /// Which.
    pub command: u32,
    /// A number, or an address in `memory`.
    pub argument: u64,
    /// The program's memory.
    pub memory: &'a dyn UserMemory,
}

/// What reads and writes an open file. One for each opening, or one for all: as it likes.
///
/// The permission is checked: a file that is not open for reading is not read. What a file cannot do
/// answers the error that Linux gives. Dropping it is closing it: that may happen in any context in
/// which spin locks may be taken, without a token.
pub trait FileOps: Send + Sync + Any {
    /// Itself, to be asked for its type.
    fn as_any(&self) -> &dyn Any;

    /// Reads from position `at` on and moves it on. 0 is the end.
    fn read(
        &self,
        _ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        _into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    /// Writes from position `at` on (or at the end, if the file is open so) and moves it on.
    fn write(
        &self,
        _ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        _from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        Err(Errno::EINVAL)
    }
    /// Whether there are positions: if not, `lseek` and `pread` are ESPIPE, and `at` is 0 always.
    fn has_positions(&self) -> bool {
        true
    }
    /// The new position, from the present one. Called only if there are positions. A negative one is
    /// EINVAL.
    fn seek(&self, ctx: &mut MaySleep, file: &File, now: u64, to: Seek) -> Result<u64, Errno> {
        let size = match to {
            Seek::Set(_) | Seek::Current(_) => 0,
            _ => file.inode().attr(ctx)?.size,
        };
        seek_by_size(now, size, to)
    }
    /// What is the case with it. Adds the queues to the table first, then looks.
    fn poll(&self, _ctx: &mut MaySleep, _file: &File, _table: &mut PollTable) -> Events {
        Events::READABLE | Events::WRITABLE
    }
    /// A device's own requests.
    fn ioctl(&self, _ctx: &mut MaySleep, _file: &File, _request: &Ioctl<'_>) -> Result<u64, Errno> {
        Err(Errno::ENOTTY)
    }
    /// Bytes that a read would get at once: FIONREAD. `None`: the file does not know.
    fn readable_bytes(&self, _ctx: &mut MaySleep, _file: &File) -> Option<u64> {
        None
    }
    /// What a mapping of it shows. Called once for each `mmap`. The permission is checked.
    fn page_object(&self, _ctx: &mut MaySleep, _file: &File) -> Result<Arc<dyn PageObject>, Errno> {
        Err(Errno::ENODEV)
    }
    /// Whether a mapping of it shows what an anonymous one does: `/dev/zero`.
    fn maps_zeros(&self) -> bool {
        false
    }
    /// `fsync`. What lives in memory is written already.
    fn sync(&self, _ctx: &mut MaySleep, _file: &File) -> Result<(), Errno> {
        Ok(())
    }
}

/// `lseek` for what has a size and no holes.
pub fn seek_by_size(now: u64, size: u64, to: Seek) -> Result<u64, Errno> {
    let signed = |value: u64| i64::try_from(value).map_err(|_| Errno::EOVERFLOW);
    let target = match to {
        Seek::Set(by) => Some(by),
        Seek::Current(by) => signed(now)?.checked_add(by),
        Seek::End(by) => signed(size)?.checked_add(by),
        Seek::Data(at) | Seek::Hole(at) => {
            if at < 0 || at as u64 >= size {
                return Err(Errno::ENXIO);
            }
            Some(if matches!(to, Seek::Data(_)) { at } else { signed(size)? })
        }
    };
    u64::try_from(target.ok_or(Errno::EOVERFLOW)?).map_err(|_| Errno::EINVAL)
}

/// The name by which a file was opened. It does not follow when the file is renamed, but when a
/// directory above it is. ([`walk::path_of_file`](super::walk::path_of_file) finds the file's new name.)
#[derive(Debug)]
pub struct Location {
    /// In which directory.
    pub directory: Place,
    /// By which name.
    pub name: Box<[u8]>,
}

/// An open file: what `open` makes, and descriptors share.
pub struct File {
    place: Place,
    location: Option<Location>,
    flags: AtomicU32,
    position: Mutex<u64>,
    ops: Arc<dyn FileOps>,
    /// It keeps others from executing or from writing the file.
    _hold: Option<Hold>,
}

impl File {
    /// An open file of the inode in that place. ETXTBSY: it is to be written, and is executed. EMFILE
    /// never; ENOMEM if there is no memory.
    pub fn new(
        place: Place,
        location: Option<Location>,
        flags: OpenFlags,
        ops: Arc<dyn FileOps>,
    ) -> Result<Arc<Self>, Errno> {
        let hold = flags.writable().then(|| Hold::new(&place.inode, Use::Writing)).transpose()?;
        Self::with(place, location, flags, ops, hold)
    }
    /// A program's file, open to be executed. ETXTBSY: it is open for writing.
    pub fn program(
        place: Place,
        location: Option<Location>,
        ops: Arc<dyn FileOps>,
    ) -> Result<Arc<Self>, Errno> {
        let hold = Hold::new(&place.inode, Use::Executing)?;
        Self::with(place, location, OpenFlags::READ, ops, Some(hold))
    }
    fn with(
        place: Place,
        location: Option<Location>,
        flags: OpenFlags,
        ops: Arc<dyn FileOps>,
        hold: Option<Hold>,
    ) -> Result<Arc<Self>, Errno> {
        let flags = AtomicU32::new(flags.bits() & OpenFlags::TOLD);
        let position = Mutex::new(&locks::POSITION, 0);
        try_arc(Self { place, location, flags, position, ops, _hold: hold })
    }

    /// The inode, and on which mount.
    pub fn place(&self) -> &Place {
        &self.place
    }
    /// The inode.
    pub fn inode(&self) -> &Arc<dyn super::Inode> {
        &self.place.inode
    }
    /// The name by which it was opened; none for what has no name.
    pub fn location(&self) -> Option<&Location> {
        self.location.as_ref()
    }
    /// What reads and writes it.
    pub fn ops(&self) -> &Arc<dyn FileOps> {
        &self.ops
    }
    /// Its flags, as `F_GETFL` tells them.
    pub fn flags(&self) -> OpenFlags {
        OpenFlags(self.flags.load(Ordering::Relaxed))
    }
    /// `F_SETFL`: of these flags, those that can be changed.
    pub fn set_flags(&self, flags: OpenFlags) {
        let change = |old: u32| Some(old & !OpenFlags::CHANGEABLE | flags.0 & OpenFlags::CHANGEABLE);
        // Never refused.
        let _ = self.flags.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }
    /// Whether what would wait says EAGAIN.
    pub fn nonblocking(&self) -> bool {
        self.flags().nonblocking()
    }

    /// EBADF unless it may be read.
    fn readable(&self) -> Result<(), Errno> {
        if self.flags().readable() { Ok(()) } else { Err(Errno::EBADF) }
    }
    /// EBADF unless it may be written.
    fn writable(&self) -> Result<(), Errno> {
        if self.flags().writable() { Ok(()) } else { Err(Errno::EBADF) }
    }

    /// Reads at the position.
    pub fn read(&self, ctx: &mut MaySleep, into: &mut Dest<'_>) -> Result<usize, Errno> {
        self.readable()?;
        self.with_position(ctx, |ctx, at| self.ops.read(ctx, self, at, into))
    }
    /// Writes at the position.
    pub fn write(&self, ctx: &mut MaySleep, from: &mut Source<'_>) -> Result<usize, Errno> {
        self.writable()?;
        self.with_position(ctx, |ctx, at| self.ops.write(ctx, self, at, from))
    }
    /// Reads at `at`; the position stays.
    pub fn read_at(&self, ctx: &mut MaySleep, mut at: u64, into: &mut Dest<'_>) -> Result<usize, Errno> {
        self.positioned()?;
        self.readable()?;
        self.ops.read(ctx, self, &mut at, into)
    }
    /// Writes at `at`; the position stays.
    pub fn write_at(&self, ctx: &mut MaySleep, mut at: u64, from: &mut Source<'_>) -> Result<usize, Errno> {
        self.positioned()?;
        self.writable()?;
        self.ops.write(ctx, self, &mut at, from)
    }
    /// Fills the slice from `at` on, for the kernel itself: says how many bytes there were.
    pub fn read_exact_at(&self, ctx: &mut MaySleep, at: u64, into: &mut [u8]) -> Result<usize, Errno> {
        let mut done = 0;
        while done < into.len() {
            let mut position = at.checked_add(done as u64).ok_or(Errno::EOVERFLOW)?;
            match self.ops.read(ctx, self, &mut position, &mut Dest::slice(&mut into[done..]))? {
                0 => break,
                step => done += step,
            }
        }
        Ok(done)
    }

    /// ESPIPE if it has no positions.
    pub fn positioned(&self) -> Result<(), Errno> {
        if self.flags().is_path() {
            return Err(Errno::EBADF);
        }
        if self.ops.has_positions() { Ok(()) } else { Err(Errno::ESPIPE) }
    }

    /// Does something that moves the position.
    pub fn with_position<R>(&self, ctx: &mut MaySleep, work: impl FnOnce(&mut MaySleep, &mut u64) -> R) -> R {
        if self.ops.has_positions() {
            let mut position = self.position.lock(ctx);
            work(ctx, &mut position)
        } else {
            work(ctx, &mut 0)
        }
    }

    /// `lseek`.
    pub fn seek(&self, ctx: &mut MaySleep, to: Seek) -> Result<u64, Errno> {
        self.positioned()?;
        self.with_position(ctx, |ctx, at| {
            *at = self.ops.seek(ctx, self, *at, to)?;
            Ok(*at)
        })
    }

    /// The position, for `/proc/PID/fdinfo`.
    pub fn position(&self, ctx: &mut MaySleep) -> u64 {
        self.with_position(ctx, |_, at| *at)
    }

    /// What is the case with it.
    pub fn poll(&self, ctx: &mut MaySleep, table: &mut PollTable) -> Events {
        self.ops.poll(ctx, self, table)
    }

    /// Calls `visit` for each name from the position on, `.` and `..` first, until it says false: the
    /// position stays before that name.
    pub fn readdir(
        &self,
        ctx: &mut MaySleep,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        if self.inode().kind() != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.readable()?;
        self.with_position(ctx, |ctx, at| {
            let inode = self.inode();
            let dots: [&[u8]; FIRST_ENTRY as usize] = [b".", b".."];
            while let Some(name) = usize::try_from(*at).ok().and_then(|at| dots.get(at)) {
                let ino = if *at == 0 { inode.ino() } else { self.place.parent(ctx)?.inode.ino() };
                let next = *at + 1;
                if !visit(ctx, &Entry { name, ino, kind: Kind::Directory, next }) {
                    return Ok(());
                }
                *at = next;
            }
            let from = *at;
            inode.readdir(ctx, from, &mut |ctx, entry| {
                let goes_on = visit(ctx, entry);
                if goes_on {
                    *at = entry.next;
                }
                goes_on
            })
        })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        super::advisory::file_ends(self);
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "File({:?}, {:#o})", self.place, self.flags().bits())
    }
}

/// An open directory: it is neither read nor written.
struct OpenDirectory;

impl FileOps for OpenDirectory {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn read(
        &self,
        _ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        _into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        Err(Errno::EISDIR)
    }
}

/// What an open directory is, in every file system.
pub fn directory() -> Result<Arc<dyn FileOps>, Errno> {
    Ok(try_arc(OpenDirectory)?)
}

/// A place only: O_PATH.
struct OpenPath;

impl FileOps for OpenPath {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn poll(&self, _ctx: &mut MaySleep, _file: &File, _table: &mut PollTable) -> Events {
        Events::NVAL
    }
}

/// What is opened with O_PATH.
pub fn path_only() -> Result<Arc<dyn FileOps>, Errno> {
    Ok(try_arc(OpenPath)?)
}
