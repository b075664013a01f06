//! A file system in memory.
//!
//! * [`fs`](mod@fs): limits and options. [`node`]: an inode. [`directory`]: names. [`rename`]: moving
//!   them.
//! * [`contents`]: a file's bytes; [`page`]: its frames; [`file`](mod@file): reading, writing, mapping.
//!
//! A file lives as long as it has a name, is open, or is mapped: that is what the counts of `Arc` are,
//! and nothing else keeps it. Its end gives its frames back to whom they are counted for; one that is
//! mapped still goes with its last mapping. What is cut off a file goes out of all mappings, too.

pub mod contents;
pub mod directory;
pub mod file;
pub mod fs;
pub mod node;
pub mod page;
pub mod rename;
#[cfg(test)]
pub(in crate::fs) mod tests;
pub mod usage;

pub use fs::{Options, Tmpfs, TmpfsType};
pub use node::Node;
pub use page::Memory;
