//! What differs between the machines' Linux in how calls are made, beside their numbers.

use crate::arch::abi::CloneOrder;
use linux_raw_sys::general as linux;

/// The arguments of `clone`.
pub const CLONE: CloneOrder = CloneOrder { flags: 0, stack: 1, parent_tid: 2, tls: 3, child_tid: 4 };
/// `sigreturn`, of handlers that want no `siginfo_t`.
pub const SIGRETURN: u32 = linux::__NR_sigreturn;
/// Whether `mmap` takes one pointer to its six arguments.
pub const MMAP_BY_POINTER: bool = false;
/// The machine's name, as `uname` gives it.
pub const MACHINE: &str = "ppc64le";
/// `lseek` with the offset in two halves.
pub const LLSEEK: u32 = linux::__NR__llseek;
/// `time`: seconds, nothing finer.
pub const TIME: u32 = linux::__NR_time;
/// ppc64's second `getrlimit`, which does not cut limits to 31 bits.
pub const UGETRLIMIT: u32 = linux::__NR_ugetrlimit;
/// `select` with five arguments.
pub const SELECT: u32 = linux::__NR__newselect;
/// `statfs` with the structure's size.
pub const STATFS64: u32 = linux::__NR_statfs64;
/// The same of an open file.
pub const FSTATFS64: u32 = linux::__NR_fstatfs64;
