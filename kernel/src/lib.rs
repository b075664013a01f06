//! Fallow: a teaching kernel about the life of a page table.
//!
//! The crate's modules form layers; a module uses those below it, never one above.
//!
//! ```text
//! main, ktest                    composition
//! syscall                        the table, one file a topic
//! fs, proc::process              files and processes
//! proc                           threads and run queues
//! mm                             frames, heap, page tables
//! rcu                            frees whatever carries an RcuHead; knows no table
//! trace                          a ring of events for each CPU
//! sync                           locks, per-CPU data, contexts
//! arch::current                  the machine; traps call up through one table of handlers
//! arch::format  addr  error      pure, compiled on every host
//! ```
#![cfg_attr(target_os = "none", no_std, feature(allocator_api))]

extern crate alloc;

pub mod addr;
pub mod arch;
pub mod boot;
pub mod cmdline;
#[cfg(not(loom))]
pub mod console;
pub mod cpus;
pub mod error;
pub mod exit;
#[cfg(not(loom))]
pub mod fs;
#[cfg(not(loom))]
pub mod ktest;
pub mod log;
pub mod mm;
#[cfg(not(loom))]
pub mod panic;
#[cfg(not(loom))]
pub mod proc;
pub mod rcu;
pub mod symbols;
pub mod sync;
#[cfg(not(loom))]
pub mod syscall;
pub mod trace;
