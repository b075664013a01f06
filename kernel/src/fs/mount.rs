//! Which file system stands where.
//!
//! One tree for all processes: there are no namespaces. A [`Mount`] is a file system with the place
//! that it covers; a [`Place`] is an inode seen through a mount, all that a path leads to. The lists of
//! what is mounted on a mount are short, and a walk looks at one only where there is one.

use super::attr::Attr;
use super::inode::Inode;
use super::locks;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::sync::{MaySleep, Once, SpinLock};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::any::Any;
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// What `statfs` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// The magic number of this kind of file system.
    pub magic: u32,
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks.
    pub blocks: u64,
    /// Free ones.
    pub free: u64,
    /// Inodes; 0 if there is no limit.
    pub files: u64,
    /// Free ones.
    pub files_free: u64,
}

/// A file system.
pub trait FileSystem: Send + Sync + Any {
    /// Its kind, as `/proc/mounts` and `mount -t` call it.
    fn name(&self) -> &'static str;
    /// Its root directory.
    fn root(&self) -> Arc<dyn Inode>;
    /// How full it is.
    fn usage(&self, ctx: &mut MaySleep) -> Usage;
    /// Its options as `/proc/mounts` shows them, a comma before each: `,size=1024k`.
    fn options(&self, _to: &mut dyn fmt::Write) -> fmt::Result {
        Ok(())
    }
    /// Takes new options: `mount -o remount`.
    fn remount(&self, _ctx: &mut MaySleep, _options: &[u8]) -> Result<(), Errno> {
        Ok(())
    }
}

/// Makes file systems of one kind.
pub trait FileSystemType: Sync {
    /// As `mount -t` calls it.
    fn name(&self) -> &'static str;
    /// One that is to be mounted: a new one, or the one there is.
    fn mount(&self, ctx: &mut MaySleep, source: &[u8], options: &[u8]) -> Result<Arc<dyn FileSystem>, Errno>;
}

/// A file system in its place.
pub struct Mount {
    /// Its number: `mnt_id` of `/proc/PID/mountinfo`.
    id: u64,
    filesystem: Arc<dyn FileSystem>,
    root: Arc<dyn Inode>,
    /// What it covers: none for the root of all, and for what has no place.
    covers: Option<Place>,
    /// The device as `mount` named it.
    source: Box<[u8]>,
    /// `MS_RDONLY` and its like.
    flags: AtomicU32,
    /// What is mounted on it: the number of the inode that is covered, and by what.
    children: SpinLock<Vec<(u64, Arc<Mount>)>>,
    /// The length of that list, to be looked at without the lock.
    child_count: AtomicUsize,
}

/// An inode, seen through a mount.
#[derive(Clone)]
pub struct Place {
    /// Which mount.
    pub mount: Arc<Mount>,
    /// Which inode.
    pub inode: Arc<dyn Inode>,
}

impl Mount {
    /// A mount that covers nothing yet or never.
    fn new(
        filesystem: Arc<dyn FileSystem>,
        covers: Option<Place>,
        source: &[u8],
        flags: u32,
    ) -> Result<Arc<Self>, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut name = Vec::new();
        name.try_reserve_exact(source.len()).map_err(|_| Errno::ENOMEM)?;
        name.extend_from_slice(source);
        try_arc(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            root: filesystem.root(),
            filesystem,
            covers,
            source: name.into_boxed_slice(),
            flags: AtomicU32::new(flags),
            children: SpinLock::new(&locks::MOUNTS, Vec::new()),
            child_count: AtomicUsize::new(0),
        })
    }

    /// A file system that stands nowhere: the root of all before it is made that, and file systems of
    /// what has no name.
    pub fn detached(filesystem: Arc<dyn FileSystem>) -> Result<Arc<Self>, Errno> {
        let source = filesystem.name();
        Self::new(filesystem, None, source.as_bytes(), 0)
    }

    /// Its number.
    pub fn id(&self) -> u64 {
        self.id
    }
    /// The device number that `stat` tells of its inodes.
    pub fn device(&self) -> super::DevNo {
        super::DevNo::new(0, self.id as u32)
    }
    /// The file system.
    pub fn filesystem(&self) -> &Arc<dyn FileSystem> {
        &self.filesystem
    }
    /// The place that it covers.
    pub fn covers(&self) -> Option<&Place> {
        self.covers.as_ref()
    }
    /// What was said to be mounted.
    pub fn source(&self) -> &[u8] {
        &self.source
    }
    /// `MS_RDONLY` and its like.
    pub fn flags(&self) -> u32 {
        self.flags.load(Ordering::Relaxed)
    }
    /// Its root.
    pub fn root(self: &Arc<Self>) -> Place {
        Place { mount: self.clone(), inode: self.root.clone() }
    }
    /// EROFS if it is not to be written.
    pub fn writable(&self) -> Result<(), Errno> {
        if self.flags() & linux_raw_sys::general::MS_RDONLY != 0 { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// What is mounted on its inode of that number.
    fn child(&self, ino: u64) -> Option<Arc<Mount>> {
        if self.child_count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let children = self.children.lock();
        children.iter().rev().find(|child| child.0 == ino).map(|child| child.1.clone())
    }

    /// Mounts a file system on the place; on what is mounted there, if something is.
    pub fn attach(
        place: &Place,
        filesystem: Arc<dyn FileSystem>,
        source: &[u8],
        flags: u32,
    ) -> Result<Arc<Self>, Errno> {
        let mount = Self::new(filesystem, Some(place.clone()), source, flags)?;
        let covered = &place.mount;
        let mut children = covered.children.lock();
        children.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        children.push((place.inode.ino(), mount.clone()));
        covered.child_count.store(children.len(), Ordering::Relaxed);
        drop(children);
        Ok(mount)
    }

    /// Takes it away. EINVAL if it stands nowhere; EBUSY if something is mounted on it, or, unless
    /// `lazy`, if a file is open there or a process stands there.
    pub fn detach(self: &Arc<Self>, lazy: bool) -> Result<(), Errno> {
        let place = self.covers.as_ref().ok_or(Errno::EINVAL)?;
        let mut children = place.mount.children.lock();
        let is_self = |child: &(u64, Arc<Self>)| Arc::ptr_eq(&child.1, self);
        let at = children.iter().position(is_self).ok_or(Errno::EINVAL)?;
        // The list's own, and the caller's.
        let in_use = Arc::strong_count(self) > 2 || self.child_count.load(Ordering::Relaxed) > 0;
        if in_use && !lazy {
            return Err(Errno::EBUSY);
        }
        let gone = children.remove(at);
        place.mount.child_count.store(children.len(), Ordering::Relaxed);
        drop(children);
        drop(gone);
        Ok(())
    }

    /// Changes the flags.
    pub fn set_flags(&self, flags: u32) {
        self.flags.store(flags, Ordering::Relaxed);
    }

    /// The next mount below this one, in some order: for `/proc/mounts`. Begins with the root of all,
    /// each before those that are mounted on it.
    pub fn visit(self: &Arc<Self>, visit: &mut dyn FnMut(&Arc<Self>)) {
        visit(self);
        let mut index = 0;
        loop {
            let child = self.children.lock().get(index).map(|child| child.1.clone());
            let Some(child) = child else { return };
            child.visit(visit);
            index += 1;
        }
    }
}

/// More kinds than there are.
const KINDS: usize = 8;

static KINDS_KNOWN: SpinLock<ArrayVec<&'static dyn FileSystemType, KINDS>> =
    SpinLock::new(&locks::DRIVERS, ArrayVec::new_const());

/// Makes a kind of file system known to `mount`.
pub fn register(kind: &'static dyn FileSystemType) -> Result<(), Errno> {
    let mut kinds = KINDS_KNOWN.lock();
    if kinds.iter().any(|known| known.name() == kind.name()) {
        return Err(Errno::EBUSY);
    }
    kinds.try_push(kind).map_err(|_| Errno::ENOMEM)
}

/// Calls `visit` with the name of each kind: for `/proc/filesystems`.
pub fn for_each_kind(mut visit: impl FnMut(&'static str)) {
    let kinds = KINDS_KNOWN.lock().clone();
    kinds.iter().for_each(|kind| visit(kind.name()));
}

/// A file system of that kind, to be mounted. ENODEV if the kind is not known.
pub fn filesystem(
    ctx: &mut MaySleep,
    kind: &[u8],
    source: &[u8],
    options: &[u8],
) -> Result<Arc<dyn FileSystem>, Errno> {
    let known = KINDS_KNOWN.lock().iter().find(|known| known.name().as_bytes() == kind).copied();
    known.ok_or(Errno::ENODEV)?.mount(ctx, source, options)
}

static ROOT: Once<Place> = Once::new();

/// Makes the place the root of all; the first one stays.
pub fn set_root(place: Place) {
    ROOT.call_once(|| place);
}

/// The root of all, once there is one.
pub fn root() -> Option<Place> {
    ROOT.get().cloned()
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.filesystem.name(), self.id)
    }
}

impl Place {
    /// Whether both are the same.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.mount, &other.mount) && self.inode.ino() == other.inode.ino()
    }
    /// What is seen here: the root of what is mounted on top, or the place itself.
    pub fn uncovered(mut self) -> Self {
        while let Some(mount) = self.mount.child(self.inode.ino()) {
            self = mount.root();
        }
        self
    }
    /// Whether it is its mount's root.
    pub fn is_mount_root(&self) -> bool {
        self.inode.ino() == self.mount.root.ino()
    }
    /// The directory that it lies in, across mounts; the root of all lies in itself.
    pub fn parent(&self, ctx: &mut MaySleep) -> Result<Self, Errno> {
        let mut place = self.clone();
        while place.is_mount_root() {
            match place.mount.covers.clone() {
                Some(covered) => place = covered,
                None => return Ok(place),
            }
        }
        let inode = place.inode.parent(ctx)?;
        Ok(Self { mount: place.mount, inode }.uncovered())
    }
    /// What `stat` tells.
    pub fn attr(&self, ctx: &mut MaySleep) -> Result<Attr, Errno> {
        self.inode.attr(ctx)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?}", self.inode, self.mount)
    }
}
