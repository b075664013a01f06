//! Files: what has a name, and what a descriptor stands for.
//!
//! * [`inode`]: [`Inode`], a file, directory, link, device, whatever has a name in some file system.
//! * [`file`](mod@file): [`File`], an open file; [`FileOps`], what reads and writes it.
//! * [`fdtable`]: [`FdTable`], a process' descriptors. [`context`]: [`FsContext`], its root and
//!   working directory.
//! * [`mount`]: which file system stands where; [`walk`]: from a path to an inode.
//! * [`buffer`]: [`Dest`] and [`Source`], where bytes go and come from: a program's memory or a slice.
//! * [`poll`]: waiting for one of several files. [`pipe`]: pipes.
//! * [`tty`]: terminals. [`dev`]: other devices. [`procfs`]: `/proc`.
//! * [`busy`]: a program that runs is not written. [`advisory`]: `flock`, and locks on parts of files.
//! * [`tmpfs`]: files in memory; [`initramfs`]: the archive that fills the first one.
//!
//! There is no cache of names ("dentries"). Every file system here lies in memory: a lookup in one of
//! them *is* the lookup in a hash table that such a cache would be. A directory knows its parent, and
//! the name it has there is found by looking for it, as the first Unix did; it is asked for by
//! `getcwd` and in `/proc` only. The price is that a file does not know its own name: an open file
//! remembers the directory and the name by which it was opened ([`file::Location`]), and if it is not
//! there any more, it is looked for in the directory that it was moved to.
//!
//! The order of the locks is [`locks`]' business.

pub mod access;
pub mod advisory;
pub mod anonymous;
pub mod attr;
pub mod boot;
pub mod buffer;
pub mod busy;
pub mod change;
pub mod context;
pub mod copy;
pub mod dev;
pub mod device;
pub mod fdtable;
pub mod file;
pub mod initramfs;
pub mod inode;
pub mod locks;
pub mod mount;
pub mod names;
pub mod open;
pub mod pipe;
pub mod poll;
pub mod procfs;
pub mod pseudo;
pub mod sysfs;
#[cfg(test)]
mod tests;
pub mod tmpfs;
pub mod tty;
pub mod walk;

pub use access::Access;
pub use attr::{Attr, DevNo, Kind, Mode, SetAttr, Time};
pub use buffer::{Dest, Source, UserMemory};
pub use context::FsContext;
pub use fdtable::FdTable;
pub use file::{File, FileOps, OpenFlags};
pub use inode::{Inode, New, What};
pub use mount::{FileSystem, Mount, Place};
pub use poll::{Events, PollTable};
