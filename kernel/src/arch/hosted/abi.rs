//! What differs between the machines' Linux in how calls are made, beside their numbers.

use crate::arch::abi::{ABSENT, CloneOrder};

/// The arguments of `clone`.
pub const CLONE: CloneOrder = CloneOrder { flags: 0, stack: 1, parent_tid: 2, child_tid: 3, tls: 4 };
/// No such call here. `sigreturn`, of handlers that want no `siginfo_t`.
pub const SIGRETURN: u32 = 511;
/// Whether `mmap` takes one pointer to its six arguments.
pub const MMAP_BY_POINTER: bool = false;
/// The machine's name, as `uname` gives it.
pub const MACHINE: &str = "hosted";
/// `lseek` with the offset in two halves.
pub const LLSEEK: u32 = ABSENT;
/// `time`: seconds, nothing finer.
pub const TIME: u32 = ABSENT;
/// ppc64's second `getrlimit`, which does not cut limits to 31 bits.
pub const UGETRLIMIT: u32 = ABSENT;
/// `select` with five arguments.
pub const SELECT: u32 = linux_raw_sys::general::__NR_select;
/// `statfs` with the structure's size.
pub const STATFS64: u32 = ABSENT;
/// The same of an open file.
pub const FSTATFS64: u32 = ABSENT;
