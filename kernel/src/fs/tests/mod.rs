//! What spans more than one file of this folder.

mod buffers;
mod names;
mod paths;
mod pipes;
mod tables;

use super::access::Access;
use super::attr::Mode;
use super::file::{File, OpenFlags};
use super::inode::{New, What};
use super::mount::Place;
use super::tmpfs::tests::{mounted, token};
use super::tmpfs::{Options, Tmpfs};
use super::walk::{Last, Walk};
use super::{names as name_calls, open};
use crate::error::Errno;
use alloc::sync::Arc;
use linux_raw_sys::general as linux;

/// A tree to walk in, and who walks.
struct World {
    tmpfs: Arc<Tmpfs>,
    walk: Walk<'static>,
}

impl World {
    fn new() -> Self {
        let (tmpfs, root) = mounted(&Options { mode: Some(0o755), ..Options::NONE });
        Self { tmpfs, walk: Walk { who: Access::ROOT, root: root.clone(), start: root } }
    }
    /// The same tree, for somebody else.
    fn by(&self, uid: u32) -> Self {
        let who = Access { uid, gid: uid, groups: &[] };
        Self { tmpfs: self.tmpfs.clone(), walk: Walk { who, ..self.walk.clone() } }
    }
    /// The same tree, from another directory.
    fn inside(&self, path: &str) -> Self {
        Self {
            tmpfs: self.tmpfs.clone(),
            walk: Walk { start: self.find(path).expect("there"), ..self.walk.clone() },
        }
    }
    fn find(&self, path: &str) -> Result<Place, Errno> {
        self.walk.resolve(&mut token(), path.as_bytes(), Last::Follow)
    }
    fn ino(&self, path: &str) -> Result<u64, Errno> {
        self.find(path).map(|place| place.inode.ino())
    }
    fn make(&self, path: &str, what: What<'_>, mode: u32) -> Result<(), Errno> {
        let new = New { what, mode: Mode::new(mode), uid: self.walk.who.uid, gid: self.walk.who.gid };
        name_calls::make(&mut token(), &self.walk, path.as_bytes(), &new)
    }
    fn mkdir(&self, path: &str) -> Result<(), Errno> {
        self.make(path, What::Directory, 0o755)
    }
    fn symlink(&self, text: &str, path: &str) -> Result<(), Errno> {
        self.make(path, What::Link(text.as_bytes()), 0o777)
    }
    fn touch(&self, path: &str) -> Result<(), Errno> {
        self.make(path, What::File, 0o644)
    }
    fn open(&self, path: &str, flags: u32) -> Result<Arc<File>, Errno> {
        open::open(&mut token(), &self.walk, path.as_bytes(), OpenFlags::new(flags), Mode::new(0o644))
    }
}
