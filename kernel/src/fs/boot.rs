//! What stands in the tree of files when the first program begins.

use super::Kind;
use super::attr::Mode;
use super::initramfs;
use super::inode::{New, What};
use super::mount::{self, Mount, Place};
use super::tmpfs::{Memory, Options, Tmpfs, TmpfsType};
use crate::addr::PhysRange;
use crate::arch::current::mmu;
use crate::error::Errno;
use crate::sync::MaySleep;

/// Makes the root, unpacks the archive into it, and makes that the root of all.
///
/// What is wrong with the archive is logged; there is a root then all the same. ENOMEM: there is none.
pub fn make_root(ctx: &mut MaySleep, archive: Option<&'static [u8]>) -> Result<(), Errno> {
    mount::register(&TmpfsType)?;
    let options = Options { mode: Some(0o755), ..Options::NONE };
    let tmpfs = Tmpfs::new(Memory::machine(), &options)?;
    match archive {
        None => log::warn!(target: "initramfs", "there is none: the root is empty"),
        Some(archive) => {
            let (unpacked, result) = initramfs::unpack(ctx, archive, &tmpfs);
            log::info!(
                target: "initramfs",
                "{} entries, {} KB of files, left in place",
                unpacked.entries,
                unpacked.bytes >> 10
            );
            if unpacked.skipped > 0 {
                log::warn!(target: "initramfs", "{} entries have no directory to be in", unpacked.skipped);
            }
            if let Err(problem) = result {
                log::error!(target: "initramfs", "{problem}: what comes after is missing");
            }
        }
    }
    let root = Mount::detached(tmpfs)?.root();
    mount::set_root(root);
    Ok(())
}

/// The boot loader's archive, as bytes that stay.
///
/// # Safety
/// The range is memory that holds the archive, is reserved for it, and is never written.
pub unsafe fn archive(range: PhysRange) -> &'static [u8] {
    let len = usize::try_from(range.size()).unwrap_or(0);
    // SAFETY: mapped in the linear map as all memory; the rest is the caller's promise.
    unsafe { core::slice::from_raw_parts(mmu::linear(range.start()), len) }
}

/// Mounts a file system of that kind on a directory of the root, which is made if it is missing.
pub fn mount_at(ctx: &mut MaySleep, name: &str, kind: &str, options: &str) -> Result<(), Errno> {
    let root = mount::root().ok_or(Errno::ENOENT)?;
    let place = match root.inode.lookup(ctx, name.as_bytes()) {
        Ok(inode) => Place { mount: root.mount, inode },
        Err(Errno::ENOENT) => {
            let new = New { what: What::Directory, mode: Mode::new(0o755), uid: 0, gid: 0 };
            let inode = root.inode.make(ctx, name.as_bytes(), &new)?;
            Place { mount: root.mount, inode }
        }
        Err(error) => return Err(error),
    };
    if place.inode.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let filesystem = mount::filesystem(ctx, kind.as_bytes(), kind.as_bytes(), options.as_bytes())?;
    Mount::attach(&place.uncovered(), filesystem, kind.as_bytes(), 0).map(drop)
}
