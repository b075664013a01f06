//! Frees a table as soon as no CPU translates through it.
//!
//! This is what a kernel does whose page tables are read by the hardware and under locks only: the
//! flush waits for the hardware, the locks keep the software out. xv6 does so, and so did Linux on
//! machines without lock-free walkers.
//!
//! What is wrong with it here: a reader of smaps takes no lock. It loads the entry of a segment or
//! a directory, is delayed, and then reads page-table entries out of a page that may be somebody's
//! data by now. The window is a few instructions, so the test does not hope for it: it parks a
//! reader there and finds poison.

use super::{FlushedTables, Scheme, Section};
use crate::cpus::CpuSet;
use crate::mm::pgtable::Memory;
use crate::sync::MaySleep;
use core::marker::PhantomData;

/// `pgtable.free=immediate`
#[derive(Clone, Copy, Debug)]
pub struct Immediate;

impl Scheme for Immediate {
    fn name(&self) -> &'static str {
        "immediate"
    }
    fn enter<'ctx>(&self, _ctx: &'ctx MaySleep) -> Section<'ctx> {
        Section::Nothing(PhantomData)
    }
    fn dispose(&self, memory: &'static dyn Memory, _users: CpuSet, flushed: FlushedTables<'_>) {
        flushed.free_at_once(memory);
    }
}
