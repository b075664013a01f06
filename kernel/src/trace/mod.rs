//! What happened to page tables and when: a ring of events for each CPU.
//!
//! A page table's life crosses CPUs: it is linked on one, read on a second, unlinked on a third, and
//! freed by a callback on a fourth. Counters say how often; only the order of events says why a
//! table waited so long, or who still read it. `trace_event=` on the command line, or
//! `/sys/kernel/tracing/set_event`, turns groups of events on; `/sys/kernel/tracing/trace` shows them in
//! the form of Linux' ftrace.
//!
//! An event that is off costs a load and a branch. One that is on takes no lock and turns nothing off:
//! see [`ring`]. The rings' memory comes from whoever turns tracing on: this module lies below the
//! frame allocator, so that the allocator's neighbours can use it.

pub mod event;
pub mod ring;
#[cfg(not(loom))]
mod rings;
#[cfg(not(loom))]
pub mod text;

pub use event::{Event, Group, Groups};
#[cfg(not(loom))]
pub use rings::*;

/// The model checker's runs note nothing.
#[cfg(loom)]
pub fn emit(_group: Group, _event: impl FnOnce() -> Event) {}
