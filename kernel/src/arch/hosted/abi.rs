//! What differs between the machines' Linux in how calls are made, beside their numbers.

use crate::arch::abi::CloneOrder;

/// The arguments of `clone`.
pub const CLONE: CloneOrder = CloneOrder { flags: 0, stack: 1, parent_tid: 2, child_tid: 3, tls: 4 };
/// No such call here. `sigreturn`, of handlers that want no `siginfo_t`.
pub const SIGRETURN: u32 = 511;
/// Whether `mmap` takes one pointer to its six arguments.
pub const MMAP_BY_POINTER: bool = false;
/// The machine's name, as `uname` gives it.
pub const MACHINE: &str = "hosted";
