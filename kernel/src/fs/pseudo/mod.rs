//! What `/proc` and `/sys` have in common: files whose text is made when it is read, in directories
//! that the kernel's source lists.
//!
//! * [`text`]: a buffer of text. [`sequence`]: reading it in pieces of any size.
//! * [`node`]: tables of directories, files and links.

pub mod node;
pub mod sequence;
pub mod text;

pub use node::{Entry, Node, StaticInode, Up};
pub use sequence::{OpenSequence, Sequence, Whole};
pub use text::Text;
