//! `devtmpfs`: a file system in memory with the kernel's devices in it.

use super::populate;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::inode::Inode;
use crate::fs::mount::{FileSystem, FileSystemType, Usage};
use crate::fs::tmpfs::{Memory, Options, Tmpfs};
use crate::sync::{MaySleep, Once};
use alloc::sync::Arc;
use core::fmt;

/// The one there is, however often it is mounted.
static THE_ONE: Once<Arc<Tmpfs>> = Once::new();

/// Makes it known to `mount`.
pub struct DevType;

/// A tmpfs by another name.
struct DevFs(Arc<Tmpfs>);

impl FileSystemType for DevType {
    fn name(&self) -> &'static str {
        "devtmpfs"
    }
    fn mount(
        &self,
        ctx: &mut MaySleep,
        _source: &[u8],
        _options: &[u8],
    ) -> Result<Arc<dyn FileSystem>, Errno> {
        if THE_ONE.get().is_none() {
            let tmpfs = Tmpfs::new(Memory::machine(), &Options { mode: Some(0o755), ..Options::NONE })?;
            populate(ctx, &tmpfs.root())?;
            THE_ONE.call_once(|| tmpfs);
        }
        let tmpfs = THE_ONE.get().ok_or(Errno::ENOMEM)?;
        Ok(try_arc(DevFs(tmpfs.clone()))?)
    }
}

impl FileSystem for DevFs {
    fn name(&self) -> &'static str {
        "devtmpfs"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.0.root()
    }
    fn usage(&self, ctx: &mut MaySleep) -> Usage {
        self.0.usage(ctx)
    }
    fn options(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str(",mode=755")
    }
}
