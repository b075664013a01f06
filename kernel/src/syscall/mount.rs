//! `mount` and `umount2`.

use super::files::{AT_FDCWD, Path, path, resolve};
use super::{Call, Result, Row};
use crate::error::Errno;
use crate::fs::attr::Kind;
use crate::fs::mount::{self, Mount};
use crate::fs::walk::Last;
use linux_raw_sys::{general as linux, general as nr};

/// Flags that stay with the mount.
const KEPT: u32 = linux::MS_RDONLY
    | linux::MS_NOSUID
    | linux::MS_NODEV
    | linux::MS_NOEXEC
    | linux::MS_NOATIME
    | linux::MS_NODIRATIME
    | linux::MS_RELATIME;
/// Ways of mounting that are not there: one tree for all, each file system in one place.
const OTHER_WAYS: u32 = linux::MS_BIND
    | linux::MS_MOVE
    | linux::MS_SHARED
    | linux::MS_PRIVATE
    | linux::MS_SLAVE
    | linux::MS_UNBINDABLE;

/// A string that may be left out.
fn optional(call: &mut Call<'_>, at: u64) -> core::result::Result<Path, Errno> {
    if at == 0 { Ok(Path::Long(alloc::vec::Vec::new())) } else { path(call, at) }
}

fn mount(call: &mut Call<'_>) -> Result {
    let [source_at, target_at, kind_at, _, options_at, _] = call.args;
    let flags = match call.args[3] as u32 {
        // Before Linux 2.4 this said that there are flags at all.
        flags if flags & 0xffff_0000 == linux::MS_MGC_VAL => flags & 0xffff,
        flags => flags,
    };
    call.task.creds().require_root()?;
    let kind = optional(call, kind_at)?;
    let source = optional(call, source_at)?;
    let options = optional(call, options_at)?;
    let place = resolve(call, AT_FDCWD, target_at, Last::Follow)?;
    if flags & OTHER_WAYS != 0 {
        return Err(Errno::EINVAL);
    }
    if flags & linux::MS_REMOUNT != 0 {
        if !place.is_mount_root() {
            return Err(Errno::EINVAL);
        }
        place.mount.filesystem().remount(call.ctx, &options)?;
        place.mount.set_flags(flags & KEPT);
        return Ok(0);
    }
    if kind_at == 0 {
        return Err(Errno::EINVAL);
    }
    let filesystem = mount::filesystem(call.ctx, &kind, &source, &options)?;
    if place.inode.kind() != Kind::Directory {
        return Err(Errno::ENOTDIR);
    }
    let source: &[u8] = if source.is_empty() { b"none" } else { &source };
    Mount::attach(&place, filesystem, source, flags & KEPT)?;
    Ok(0)
}

fn unmount(call: &mut Call<'_>, flags: u32) -> Result {
    const FLAGS: u32 = linux::MNT_FORCE | linux::MNT_DETACH | linux::MNT_EXPIRE | linux::UMOUNT_NOFOLLOW;
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    call.task.creds().require_root()?;
    let last = if flags & linux::UMOUNT_NOFOLLOW != 0 { Last::Stay } else { Last::Follow };
    let place = resolve(call, AT_FDCWD, call.args[0], last)?;
    if !place.is_mount_root() || flags & linux::MNT_EXPIRE != 0 {
        return Err(Errno::EINVAL);
    }
    let mount = place.mount;
    drop(place.inode);
    mount.detach(flags & linux::MNT_DETACH != 0)?;
    Ok(0)
}

fn umount2(call: &mut Call<'_>) -> Result {
    unmount(call, call.uint(1))
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[(nr::__NR_mount, mount), (nr::__NR_umount2, umount2)];
