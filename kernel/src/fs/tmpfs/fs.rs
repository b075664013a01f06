//! A tmpfs as a whole: its limits and its options.

use super::node::Node;
use super::page::{Memory, PAGE};
use super::usage::Quota;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::attr::{Mode, SetAttr};
use crate::fs::inode::{Inode, New, What};
use crate::fs::mount::{FileSystem, FileSystemType, Usage};
use crate::sync::MaySleep;
use alloc::sync::{Arc, Weak};
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

/// What the nodes of one tmpfs share.
pub(super) struct Shared {
    pub memory: Memory,
    /// Frames.
    pub pages: Quota,
    /// Nodes.
    pub inodes: Quota,
    next_ino: AtomicU64,
}

impl Shared {
    pub(super) fn next_ino(&self) -> u64 {
        self.next_ino.fetch_add(1, Ordering::Relaxed)
    }
}

/// A file system in memory.
pub struct Tmpfs {
    pub(super) shared: Arc<Shared>,
    root: Arc<Node>,
}

/// What `mount -o` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes; half of the memory if it is not said.
    pub size: Option<u64>,
    /// Inodes.
    pub inodes: Option<u64>,
    /// Of the root.
    pub mode: Option<u32>,
    /// Of the root.
    pub uid: Option<u32>,
    /// Of the root.
    pub gid: Option<u32>,
}

impl Options {
    /// None.
    pub const NONE: Self = Self { size: None, inodes: None, mode: None, uid: None, gid: None };

    /// `size=64m,mode=1777`. EINVAL for what is not understood. `total` is what a percentage is of.
    pub fn parse(text: &[u8], total: u64) -> Result<Self, Errno> {
        let text = core::str::from_utf8(text).map_err(|_| Errno::EINVAL)?;
        let mut options = Self::NONE;
        for option in text.split(',').filter(|option| !option.is_empty()) {
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            let number = |radix| u32::from_str_radix(value, radix).map_err(|_| Errno::EINVAL);
            match key {
                "size" => options.size = Some(amount(value, total)?),
                "nr_blocks" => {
                    let bytes = amount(value, 0)?.checked_mul(PAGE as u64);
                    options.size = Some(bytes.ok_or(Errno::EINVAL)?);
                }
                "nr_inodes" => options.inodes = Some(amount(value, 0)?),
                "mode" => options.mode = Some(number(8)?),
                "uid" => options.uid = Some(number(10)?),
                "gid" => options.gid = Some(number(10)?),
                // About swap and about large pages: there are none.
                "huge" | "mpol" | "noswap" | "inode32" | "inode64" => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        Ok(options)
    }
}

/// A number with k, m, g or % behind it; 0 is no limit.
fn amount(text: &str, total: u64) -> Result<u64, Errno> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, unit)) if !unit.is_ascii_digit() => (&text[..at], unit.to_ascii_lowercase()),
        _ => (text, ' '),
    };
    let number: u64 = digits.parse().map_err(|_| Errno::EINVAL)?;
    let amount = match unit {
        ' ' => Some(number),
        'k' => number.checked_mul(1 << 10),
        'm' => number.checked_mul(1 << 20),
        'g' => number.checked_mul(1 << 30),
        '%' => (total / 100).checked_mul(number),
        _ => None,
    };
    match amount.ok_or(Errno::EINVAL)? {
        0 => Ok(u64::MAX),
        amount => Ok(amount),
    }
}

impl Tmpfs {
    /// An empty one.
    pub fn new(memory: Memory, options: &Options) -> Result<Arc<Self>, Errno> {
        let half = (memory.frames.counts().managed / 2) as u64;
        let pages = options.size.map_or(half, |bytes| bytes.div_ceil(PAGE as u64));
        let shared = try_arc(Shared {
            memory,
            pages: Quota::new(pages),
            inodes: Quota::new(options.inodes.unwrap_or(u64::MAX)),
            next_ino: AtomicU64::new(1),
        })?;
        let new = New {
            what: What::Directory,
            mode: Mode::new(options.mode.unwrap_or(0o1777)),
            uid: options.uid.unwrap_or(0),
            gid: options.gid.unwrap_or(0),
        };
        let root = Node::new(&shared, &new, Weak::new(), &[])?;
        root.set_parent(Arc::downgrade(&root));
        try_arc(Self { shared, root })
    }

    /// Its root directory.
    pub fn root_node(&self) -> &Arc<Node> {
        &self.root
    }
    /// Frames that its files take.
    pub fn frames(&self) -> u64 {
        self.shared.pages.used()
    }
    /// Its inodes.
    pub fn inodes(&self) -> u64 {
        self.shared.inodes.used()
    }
}

impl FileSystem for Tmpfs {
    fn name(&self) -> &'static str {
        "tmpfs"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.root.clone()
    }
    fn usage(&self, _ctx: &mut MaySleep) -> Usage {
        let limited = |quota: &Quota| if quota.most() == u64::MAX { 0 } else { quota.most() };
        let free = |quota: &Quota| limited(quota).saturating_sub(quota.used());
        let (pages, inodes) = (&self.shared.pages, &self.shared.inodes);
        Usage {
            magic: linux_raw_sys::general::TMPFS_MAGIC,
            block_size: PAGE as u32,
            blocks: limited(pages),
            free: free(pages),
            files: limited(inodes),
            files_free: free(inodes),
        }
    }
    fn options(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        match self.shared.pages.most() {
            u64::MAX => Ok(()),
            pages => write!(to, ",size={}k", pages.saturating_mul(PAGE as u64 / 1024)),
        }
    }
    fn remount(&self, ctx: &mut MaySleep, options: &[u8]) -> Result<(), Errno> {
        let total = (self.shared.memory.frames.counts().managed * PAGE) as u64;
        let options = Options::parse(options, total)?;
        if let Some(size) = options.size {
            self.shared.pages.set_most(size.div_ceil(PAGE as u64))?;
        }
        if let Some(inodes) = options.inodes {
            self.shared.inodes.set_most(inodes)?;
        }
        if let Some(mode) = options.mode {
            let change = SetAttr { mode: Some(Mode::new(mode)), ..SetAttr::default() };
            self.root.set_attr(ctx, &change)?;
        }
        Ok(())
    }
}

/// `mount -t tmpfs`.
pub struct TmpfsType;

impl FileSystemType for TmpfsType {
    fn name(&self) -> &'static str {
        "tmpfs"
    }
    fn mount(
        &self,
        _ctx: &mut MaySleep,
        _source: &[u8],
        options: &[u8],
    ) -> Result<Arc<dyn FileSystem>, Errno> {
        let memory = Memory::machine();
        let total = (memory.frames.counts().managed * PAGE) as u64;
        Ok(Tmpfs::new(memory, &Options::parse(options, total)?)?)
    }
}
