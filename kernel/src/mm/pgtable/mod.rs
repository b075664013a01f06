//! Page tables.
//!
//! The subject of this kernel: who may still read a table after it was unlinked, and when its
//! memory may be used again.

pub mod audit;
pub mod frag;
pub mod memory;
