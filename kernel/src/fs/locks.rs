//! The order of the locks of files.
//!
//! ```text
//! 11  position          an open file's position: held over a read or write at it
//! 12  text              the text of a file of /proc or /sys: held while it is made and read
//! 13  renaming          one for all file systems: who moves a directory, or two names at once
//! 14  directory         the names in one directory; 15 and 16: a second and a third one's
//! 17  contents          one file's bytes: held over a read or write, also while it touches a
//!                       program's memory
//! 18  pipe              likewise
//! 20  Rank::MM          a program's memory may have to be paged in below any of those
//! 26  pages             which frames hold a file's bytes: taken for a page fault
//! 34  spin locks        attributes, descriptor tables, roots, mounts: never held over anything
//! ```
//!
//! The second and third directory lock: with the lock of renaming held, directories are locked in the
//! order ancestor first; without it a directory and then one of its children (`rmdir`).

use crate::sync::{LockClass, Rank};

/// An open file's position.
pub const POSITION: LockClass = LockClass::new("file position", Rank::new(11));
/// A made text.
pub const TEXT: LockClass = LockClass::new("text of a file", Rank::new(12));
/// Moving directories.
pub const RENAMING: LockClass = LockClass::new("renaming", Rank::new(13));
/// A directory's names.
pub const DIRECTORY: LockClass = LockClass::new("directory", Rank::new(14));
/// A second directory's names.
pub const DIRECTORY_SECOND: LockClass = LockClass::new("second directory", Rank::new(15));
/// A third directory's names.
pub const DIRECTORY_THIRD: LockClass = LockClass::new("third directory", Rank::new(16));
/// A file's bytes.
pub const CONTENTS: LockClass = LockClass::new("file contents", Rank::new(17));
/// A pipe's bytes.
pub const PIPE: LockClass = LockClass::new("pipe", Rank::new(18));
/// A file's frames.
pub const PAGES: LockClass = LockClass::new("file pages", Rank::new(26));
/// An inode's attributes.
pub const ATTRIBUTES: LockClass = LockClass::new("inode attributes", Rank::new(34));
/// A table of descriptors.
pub const DESCRIPTORS: LockClass = LockClass::new("descriptors", Rank::new(35));
/// A process' root and working directory.
pub const CONTEXT: LockClass = LockClass::new("working directory", Rank::new(36));
/// Who has locked what (`flock`, `fcntl`).
pub const ADVISORY: LockClass = LockClass::new("file locks", Rank::new(37));
/// What is mounted.
pub const MOUNTS: LockClass = LockClass::new("mounts", Rank::new(37));
/// Which drivers there are.
pub const DRIVERS: LockClass = LockClass::new("drivers", Rank::new(37));
