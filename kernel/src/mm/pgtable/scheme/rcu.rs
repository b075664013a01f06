//! Frees tables one grace period after they were flushed.
//!
//! The reader's side costs two counts in his own task's memory, the writer's side a link in the
//! page's descriptor. Nobody waits: not the writer, who goes on; not the CPU, which is not
//! interrupted; only the memory. How many of a page's tables wait does not matter, one callback
//! serves them all (see [`frag`](crate::mm::pgtable::frag)).
//!
//! Linux came to it in steps: first where no interrupt carries the flush (sparc, powerpc, s390),
//! later for all users of `MMU_GATHER_RCU_TABLE_FREE`. What it costs: memory waits for a grace
//! period (H38), so the frame allocator asks RCU to hurry before it gives up.

use super::{FlushedTables, Scheme, Section};
use crate::cpus::CpuSet;
use crate::mm::pgtable::Memory;
use crate::sync::MaySleep;

/// `pgtable.free=rcu`
#[derive(Clone, Copy, Debug)]
pub struct Rcu;

impl Scheme for Rcu {
    fn name(&self) -> &'static str {
        "rcu"
    }
    fn enter<'ctx>(&self, ctx: &'ctx MaySleep) -> Section<'ctx> {
        Section::Rcu(crate::rcu::read_lock(ctx))
    }
    fn dispose(&self, memory: &'static dyn Memory, _users: CpuSet, flushed: FlushedTables<'_>) {
        flushed.free_after_grace_period(memory);
    }
}
