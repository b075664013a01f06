//! The tree of files, before the first program.

use fallow::boot::BootInfo;
use fallow::error::Errno;
use fallow::fs::boot;
use fallow::sync::MaySleep;

/// What is mounted at boot, if the kernel has it: directory, kind, options.
const MOUNTS: &[(&str, &str, &str)] =
    &[("dev", "devtmpfs", "mode=755"), ("proc", "proc", ""), ("sys", "sysfs", "")];

/// Makes the root from the initial RAM disk and mounts what belongs to the kernel.
pub fn start(ctx: &mut MaySleep, info: &'static BootInfo) {
    // SAFETY: boot code found it inside the memory and reserved it; nobody writes it.
    let archive = info.initrd.map(|range| unsafe { boot::archive(range) });
    if let Err(error) = boot::make_root(ctx, archive) {
        log::error!(target: "fs", "there is no root: {error:?}");
        return;
    }
    for &(directory, kind, options) in MOUNTS {
        match boot::mount_at(ctx, directory, kind, options) {
            Ok(()) => log::debug!(target: "fs", "{kind} is on /{directory}"),
            Err(Errno::ENODEV) => log::debug!(target: "fs", "there is no {kind}"),
            Err(error) => log::error!(target: "fs", "{kind} cannot be mounted on /{directory}: {error:?}"),
        }
    }
}
