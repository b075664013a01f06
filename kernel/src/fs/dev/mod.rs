//! Devices that are no hardware: `/dev/null` and its relatives, and the list of what stands in `/dev`.
//!
//! [`register`] makes the drivers known; [`populate`] makes the nodes in a directory, once it is there.

mod devtmpfs;
mod kmsg;
mod memory;
pub mod random;

use super::attr::{DevNo, Kind, Mode};
use super::inode::{Inode, New, What};
use super::tty::console::{self, TerminalDriver};
use super::{device, mount};
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;

/// Linux' "memory devices".
const MEMORY: u32 = 1;

/// What stands in `/dev`: name, device, permissions.
const NODES: [(&str, DevNo, u32); 8] = [
    ("null", DevNo::new(MEMORY, memory::NULL), 0o666),
    ("zero", DevNo::new(MEMORY, memory::ZERO), 0o666),
    ("full", DevNo::new(MEMORY, memory::FULL), 0o666),
    ("random", DevNo::new(MEMORY, memory::RANDOM), 0o666),
    ("urandom", DevNo::new(MEMORY, memory::URANDOM), 0o666),
    ("kmsg", DevNo::new(MEMORY, memory::KMSG), 0o644),
    ("tty", DevNo::new(console::MAJOR, console::TTY), 0o666),
    ("console", DevNo::new(console::MAJOR, console::CONSOLE), 0o600),
];

/// Links in `/dev`.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Makes the drivers known. Once, at boot.
pub fn register() -> Result<(), Errno> {
    device::register(Kind::Char, MEMORY, &memory::MemoryDriver)?;
    device::register(Kind::Char, console::MAJOR, &TerminalDriver)?;
    mount::register(&devtmpfs::DevType)
}

/// Makes the nodes, the links, and the directory `shm` in that directory: the root of a devtmpfs. What
/// is there already stays.
pub fn populate(ctx: &mut MaySleep, directory: &Arc<dyn Inode>) -> Result<(), Errno> {
    let mut make = |name: &str, what: What<'_>, mode: u32| {
        let new = New { what, mode: Mode::new(mode), uid: 0, gid: 0 };
        match directory.make(ctx, name.as_bytes(), &new) {
            Ok(_) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(error),
        }
    };
    for (name, device, mode) in NODES {
        make(name, What::Char(device), mode)?;
    }
    for (name, target) in LINKS {
        make(name, What::Link(target.as_bytes()), 0o777)?;
    }
    make("shm", What::Directory, 0o1777)
}
