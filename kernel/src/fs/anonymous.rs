//! Inodes without a name: pipes.
//!
//! `fstat` works on them as on all, so they have a file system; it is mounted nowhere.

use super::attr::{Attr, Kind, SetAttr};
use super::file::{FileOps, OpenFlags};
use super::inode::Inode;
use super::locks;
use super::mount::{FileSystem, Mount, Usage};
use super::pipe::Fifo;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::sync::{MaySleep, Once, SpinLock};
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

/// `PIPEFS_MAGIC`
const MAGIC: u32 = linux_raw_sys::general::PIPEFS_MAGIC;

struct Anonymous {
    root: Arc<Nothing>,
}

/// The root that every file system has.
struct Nothing;

impl Inode for Nothing {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        1
    }
    fn kind(&self) -> Kind {
        Kind::Directory
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        Ok(Attr::plain(1, Kind::Directory, 0o555))
    }
}

impl FileSystem for Anonymous {
    fn name(&self) -> &'static str {
        "pipefs"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
    fn usage(&self, _ctx: &mut MaySleep) -> Usage {
        Usage { magic: MAGIC, block_size: crate::arch::PAGE_SIZE as u32, ..Usage::default() }
    }
}

/// Where they are. ENOMEM if there is no memory the first time.
pub fn mount() -> Result<Arc<Mount>, Errno> {
    static MOUNT: Once<Arc<Mount>> = Once::new();
    if let Some(mount) = MOUNT.get() {
        return Ok(mount.clone());
    }
    // Two who come first at the same time make two, of which one is kept.
    let mount = Mount::detached(try_arc(Anonymous { root: try_arc(Nothing)? })?)?;
    Ok(MOUNT.call_once(|| mount).clone())
}

/// A number for an inode without a name.
pub fn next_ino() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(2);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A pipe's inode.
pub struct PipeInode {
    pub(super) fifo: Fifo,
    attr: SpinLock<Attr>,
}

impl PipeInode {
    /// A pipe of that owner.
    pub(super) fn new(fifo: Fifo, uid: u32, gid: u32) -> Result<Arc<Self>, Errno> {
        let attr = Attr { uid, gid, ..Attr::plain(next_ino(), Kind::Fifo, 0o600) };
        try_arc(Self { fifo, attr: SpinLock::new(&locks::ATTRIBUTES, attr) })
    }
}

impl Inode for PipeInode {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.attr.lock().ino
    }
    fn kind(&self) -> Kind {
        Kind::Fifo
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        Ok(Attr { block_size: 4096, ..*self.attr.lock() })
    }
    fn set_attr(&self, _ctx: &mut MaySleep, change: &SetAttr) -> Result<(), Errno> {
        let mut attr = self.attr.lock();
        attr.mode = change.mode.unwrap_or(attr.mode);
        attr.uid = change.uid.unwrap_or(attr.uid);
        attr.gid = change.gid.unwrap_or(attr.gid);
        Ok(())
    }
    /// By way of `/proc/PID/fd`.
    fn open(self: Arc<Self>, ctx: &mut MaySleep, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        self.fifo.open(ctx, flags)
    }
}
