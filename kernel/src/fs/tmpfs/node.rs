//! An inode of a tmpfs.
//!
//! Lock order: see [`super::super::locks`]. The attributes' lock is a spin lock and innermost. A node
//! may end in an RCU callback, when the last mapping of an unlinked file is gone: ending takes no lock.

use super::contents::Contents;
use super::directory::Directory;
use super::fs::Shared;
use super::page::PAGE;
use super::rename;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::access::Access;
use crate::fs::attr::{Attr, DevNo, Kind, Mode, SetAttr, Time};
use crate::fs::busy::Users;
use crate::fs::file::{self, FileOps, OpenFlags};
use crate::fs::inode::{Entry, Inode, Moving, New, What};
use crate::fs::pipe::Fifo;
use crate::fs::walk::copy;
use crate::fs::{device, locks};
use crate::sync::{MaySleep, Mutex, Once, SpinLock};
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, Ordering};

/// What changes and is no content.
#[derive(Clone, Debug)]
pub(super) struct Meta {
    mode: Mode,
    uid: u32,
    gid: u32,
    atime: Time,
    mtime: Time,
    ctime: Time,
    /// Of a directory: the one that it lies in. Else one in which it was made, or to which it was moved.
    parent: Weak<Node>,
}

pub(super) enum Body {
    Directory(Mutex<Directory>),
    File {
        /// Held over a whole read, write or cut.
        whole: Mutex<()>,
        contents: Mutex<Contents>,
    },
    Link(Box<[u8]>),
    Fifo(Fifo),
    Socket,
    Device(Kind, DevNo),
}

/// An inode of a tmpfs.
pub struct Node {
    pub(super) fs: Arc<Shared>,
    ino: u64,
    btime: Time,
    /// Names, and for a directory also `.` and the `..` of those in it.
    nlink: AtomicU32,
    meta: SpinLock<Meta>,
    pub(super) body: Body,
    me: Once<Weak<Node>>,
    users: Users,
}

/// Directories count for that many bytes a name, and two names when they are empty, as Linux' do.
const BYTES_OF_A_NAME: u64 = 20;

impl Node {
    /// A node without a name.
    pub(super) fn new(
        fs: &Arc<Shared>,
        new: &New<'_>,
        parent: Weak<Node>,
        archived: &'static [u8],
    ) -> Result<Arc<Self>, Errno> {
        fs.inodes.take(1)?;
        let made = Self::build(fs, new, parent, archived);
        if made.is_err() {
            fs.inodes.give(1);
        }
        made
    }

    fn build(
        fs: &Arc<Shared>,
        new: &New<'_>,
        parent: Weak<Node>,
        archived: &'static [u8],
    ) -> Result<Arc<Self>, Errno> {
        let body = match new.what {
            What::Directory => Body::Directory(Mutex::new(&locks::DIRECTORY, Directory::new())),
            What::File => Body::File {
                whole: Mutex::new(&locks::CONTENTS, ()),
                contents: Mutex::new(&locks::PAGES, Contents::of_archive(archived)),
            },
            What::Link(text) => Body::Link(copy(text)?.into_boxed_slice()),
            What::Fifo => Body::Fifo(Fifo::new()?),
            What::Socket => Body::Socket,
            What::Char(number) => Body::Device(Kind::Char, number),
            What::Block(number) => Body::Device(Kind::Block, number),
        };
        let now = Time::now();
        let (mode, uid, gid) = (new.mode, new.uid, new.gid);
        let nlink = if matches!(new.what, What::Directory) { 2 } else { 1 };
        let node = try_arc(Self {
            fs: fs.clone(),
            ino: fs.next_ino(),
            btime: now,
            nlink: AtomicU32::new(nlink),
            meta: SpinLock::new(
                &locks::ATTRIBUTES,
                Meta { mode, uid, gid, atime: now, mtime: now, ctime: now, parent },
            ),
            body,
            me: Once::new(),
            users: Users::new(),
        })?;
        node.me.call_once(|| Arc::downgrade(&node));
        Ok(node)
    }

    pub(super) fn me(&self) -> Weak<Node> {
        self.me.get().cloned().unwrap_or_default()
    }
    fn parent_node(&self) -> Option<Arc<Node>> {
        let parent = self.meta.lock().parent.clone();
        parent.upgrade()
    }
    pub(super) fn set_parent(&self, parent: Weak<Node>) {
        let old = core::mem::replace(&mut self.meta.lock().parent, parent);
        drop(old);
    }

    /// Names that it has.
    pub(super) fn nlink(&self) -> u32 {
        self.nlink.load(Ordering::Relaxed)
    }
    pub(super) fn add_link(&self) {
        self.nlink.fetch_add(1, Ordering::Relaxed);
    }
    pub(super) fn drop_links(&self, count: u32) {
        self.nlink.fetch_sub(count, Ordering::Relaxed);
    }

    /// Its contents were changed.
    pub(super) fn touch(&self) {
        let now = Time::now();
        let mut meta = self.meta.lock();
        (meta.mtime, meta.ctime) = (now, now);
    }
    /// Its attributes were changed.
    pub(super) fn touch_attributes(&self) {
        let now = Time::now();
        self.meta.lock().ctime = now;
    }
    /// It was read: noted if it was not since it was changed, or for a day ("relatime").
    pub(super) fn accessed(&self) {
        const DAY: i64 = 24 * 3600;
        let now = Time::now();
        let mut meta = self.meta.lock();
        if meta.atime <= meta.mtime || meta.atime <= meta.ctime || now.seconds - meta.atime.seconds >= DAY {
            meta.atime = now;
        }
    }

    /// All but size and blocks.
    pub(super) fn attr_but_size(&self) -> Attr {
        let meta = self.meta.lock();
        Attr {
            ino: self.ino,
            kind: self.kind(),
            mode: meta.mode,
            nlink: self.nlink(),
            uid: meta.uid,
            gid: meta.gid,
            rdev: if let Body::Device(_, number) = self.body { number } else { DevNo::default() },
            size: 0,
            blocks: 0,
            block_size: PAGE as u32,
            atime: meta.atime,
            mtime: meta.mtime,
            ctime: meta.ctime,
            btime: self.btime,
        }
    }

    pub(super) fn directory(&self) -> Result<&Mutex<Directory>, Errno> {
        if let Body::Directory(directory) = &self.body { Ok(directory) } else { Err(Errno::ENOTDIR) }
    }

    /// For new inodes of the directory: a setgid directory gives its group, and directories its bit.
    fn inherit<'a>(&self, new: &New<'a>) -> New<'a> {
        let meta = self.meta.lock();
        let mut new = *new;
        if meta.mode.has(Mode::SETGID) {
            new.gid = meta.gid;
            if matches!(new.what, What::Directory) {
                new.mode = Mode::new(new.mode.bits() | Mode::SETGID);
            }
        }
        new
    }

    /// Makes something here; `archived` is what a file begins with.
    pub(in crate::fs) fn make_node(
        &self,
        ctx: &mut MaySleep,
        name: &[u8],
        new: &New<'_>,
        archived: &'static [u8],
    ) -> Result<Arc<Node>, Errno> {
        let mut names = self.directory()?.lock(ctx);
        if names.gone {
            return Err(Errno::ENOENT);
        }
        if names.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        let name = names.prepare(name)?;
        let node = Self::new(&self.fs, &self.inherit(new), self.me(), archived)?;
        names.insert(name, node.clone());
        if matches!(new.what, What::Directory) {
            self.add_link();
        }
        self.touch();
        Ok(node)
    }

    /// The node behind an inode of this file system.
    fn own<'a>(&self, inode: &'a Arc<dyn Inode>) -> Result<&'a Node, Errno> {
        let node = inode.as_any().downcast_ref::<Node>().ok_or(Errno::EXDEV)?;
        if Arc::ptr_eq(&node.fs, &self.fs) { Ok(node) } else { Err(Errno::EXDEV) }
    }

    /// Whether it lies in `other`, at whatever depth, or is it. The lock of renaming is held: no
    /// directory moves.
    pub(super) fn is_below(&self, other: &Node) -> bool {
        let mut here = self.me().upgrade();
        while let Some(node) = here {
            if node.ino == other.ino {
                return true;
            }
            here = node.parent_node().filter(|parent| parent.ino != node.ino);
        }
        false
    }

    /// The victim loses a name, for good if it is a directory.
    pub(super) fn lose_name(&self) {
        let count = if self.kind() == Kind::Directory { self.nlink() } else { 1 };
        self.drop_links(count);
        self.touch_attributes();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Body::File { contents, .. } = &mut self.body {
            contents.get_mut().release(&self.fs.pages);
        }
        self.fs.inodes.give(1);
    }
}

impl Inode for Node {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.ino
    }
    fn kind(&self) -> Kind {
        match self.body {
            Body::Directory(_) => Kind::Directory,
            Body::File { .. } => Kind::File,
            Body::Link(_) => Kind::Link,
            Body::Fifo(_) => Kind::Fifo,
            Body::Socket => Kind::Socket,
            Body::Device(kind, _) => kind,
        }
    }

    fn attr(&self, ctx: &mut MaySleep) -> Result<Attr, Errno> {
        let (size, blocks) = match &self.body {
            Body::Directory(names) => ((names.lock(ctx).len() as u64 + 2) * BYTES_OF_A_NAME, 0),
            Body::File { contents, .. } => {
                let contents = contents.lock(ctx);
                (contents.size(), (contents.frames() * PAGE / 512) as u64)
            }
            Body::Link(text) => (text.len() as u64, 0),
            _ => (0, 0),
        };
        Ok(Attr { size, blocks, ..self.attr_but_size() })
    }

    fn set_attr(&self, _ctx: &mut MaySleep, change: &SetAttr) -> Result<(), Errno> {
        let now = Time::now();
        let mut meta = self.meta.lock();
        meta.mode = change.mode.unwrap_or(meta.mode);
        meta.uid = change.uid.unwrap_or(meta.uid);
        meta.gid = change.gid.unwrap_or(meta.gid);
        meta.atime = change.atime.unwrap_or(meta.atime);
        meta.mtime = change.mtime.unwrap_or(meta.mtime);
        meta.ctime = now;
        Ok(())
    }

    fn truncate(&self, ctx: &mut MaySleep, size: u64) -> Result<(), Errno> {
        self.resize(ctx, size)
    }
    fn allocate(&self, ctx: &mut MaySleep, mode: u32, at: u64, len: u64) -> Result<(), Errno> {
        self.reserve(ctx, mode, at, len)
    }

    fn lookup(&self, ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let names = self.directory()?.lock(ctx);
        let node: Arc<Node> = names.get(name).ok_or(Errno::ENOENT)?.clone();
        Ok(node)
    }

    fn users(&self) -> Option<&Users> {
        matches!(self.body, Body::File { .. }).then_some(&self.users)
    }

    fn found_in(&self) -> Option<Arc<dyn Inode>> {
        self.parent_node().map(|node| node as Arc<dyn Inode>)
    }

    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        self.directory()?;
        Ok(self.parent_node().ok_or(Errno::ENOENT)?)
    }

    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let names = self.directory()?.lock(ctx);
        for entry in names.from(from) {
            let (ino, kind) = (entry.node.ino, entry.node.kind());
            let next = entry.position + 1;
            if !visit(ctx, &Entry { name: &entry.name, ino, kind, next }) {
                break;
            }
        }
        drop(names);
        self.accessed();
        Ok(())
    }

    fn make(&self, ctx: &mut MaySleep, name: &[u8], new: &New<'_>) -> Result<Arc<dyn Inode>, Errno> {
        Ok(self.make_node(ctx, name, new, &[])?)
    }

    fn link(&self, ctx: &mut MaySleep, name: &[u8], inode: &Arc<dyn Inode>) -> Result<(), Errno> {
        let node = self.own(inode)?.me().upgrade().ok_or(Errno::ENOENT)?;
        let mut names = self.directory()?.lock(ctx);
        if names.gone {
            return Err(Errno::ENOENT);
        }
        if names.get(name).is_some() {
            return Err(Errno::EEXIST);
        }
        if node.kind() == Kind::Directory {
            return Err(Errno::EPERM);
        }
        let name = names.prepare(name)?;
        // What lost its last name gets no new one: somebody may be emptying it.
        let more = |count: u32| (count > 0).then(|| count + 1);
        node.nlink.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Errno::ENOENT)?;
        node.touch_attributes();
        names.insert(name, node);
        self.touch();
        Ok(())
    }

    fn unlink(&self, ctx: &mut MaySleep, name: &[u8], who: &Access<'_>) -> Result<(), Errno> {
        let mut names = self.directory()?.lock(ctx);
        let victim = names.get(name).ok_or(Errno::ENOENT)?;
        who.check_sticky(&self.attr_but_size(), &victim.attr_but_size())?;
        if victim.kind() == Kind::Directory {
            return Err(Errno::EISDIR);
        }
        let victim = names.remove(name);
        self.touch();
        // The victim may end here, after the lock.
        drop(names);
        if let Some(victim) = victim {
            victim.lose_name();
        }
        Ok(())
    }

    fn rmdir(&self, ctx: &mut MaySleep, name: &[u8], who: &Access<'_>) -> Result<(), Errno> {
        let mut names = self.directory()?.lock(ctx);
        let victim = names.get(name).ok_or(Errno::ENOENT)?.clone();
        who.check_sticky(&self.attr_but_size(), &victim.attr_but_size())?;
        let mut inner = victim.directory()?.lock_as(ctx, &locks::DIRECTORY_SECOND);
        if !inner.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        inner.gone = true;
        drop(inner);
        names.remove(name);
        self.drop_links(1);
        self.touch();
        victim.lose_name();
        Ok(())
    }

    fn rename(
        &self,
        ctx: &mut MaySleep,
        from: &[u8],
        into: &Arc<dyn Inode>,
        to: &[u8],
        how: Moving,
        who: &Access<'_>,
    ) -> Result<(), Errno> {
        rename::rename(ctx, (self, from), (self.own(into)?, to), how, who)
    }

    fn readlink(&self, _ctx: &mut MaySleep) -> Result<Vec<u8>, Errno> {
        match &self.body {
            Body::Link(text) => {
                self.accessed();
                copy(text)
            }
            _ => Err(Errno::EINVAL),
        }
    }

    fn open(self: Arc<Self>, ctx: &mut MaySleep, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        match &self.body {
            Body::File { .. } => Ok(self),
            Body::Directory(_) => file::directory(),
            Body::Fifo(fifo) => fifo.open(ctx, flags),
            Body::Device(kind, number) => device::open(ctx, *kind, *number, flags),
            Body::Socket => Err(Errno::ENXIO),
            Body::Link(_) => Err(Errno::ELOOP),
        }
    }
}
