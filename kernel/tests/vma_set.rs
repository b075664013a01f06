//! The set of mappings against its model, with leaves as large as the kernel's.

use fallow::error::Errno;
use fallow::mm::vma::{Guard, Head, Vma, VmaSet, memory};
use fallow::sync::MaySleep;

#[path = "../src/mm/vma/tests.rs"]
mod tests;
