//! Interrupts the CPUs that ever ran the address space, waits until they have answered, frees.
//!
//! This is the way of Linux' fast GUP where the flush of the TLBs goes out by interrupt (x86 without
//! `MMU_GATHER_RCU_TABLE_FREE`): a reader turns interrupts off, walks, and turns them on, so the
//! flush is answered only when the walk is over. No grace period, no list, no memory that waits.
//!
//! What is wrong with it here: the interrupt goes to the CPUs on which the *address space* ran, for
//! it is a TLB flush. A reader of another process' smaps is on a CPU that need not be one of them:
//! nobody interrupts it, and the table is freed under it (H33). And on both machines the hardware
//! broadcasts TLB flushes by itself (IPTE and IDTE; `tlbie`): there is no interrupt to ride on, it
//! has to be sent for this alone.

use super::{FlushedTables, Scheme, Section};
use crate::cpus::CpuSet;
use crate::mm::pgtable::Memory;
use crate::sync::{IrqGuard, MaySleep};
use core::sync::atomic::{Ordering, fence};

/// `pgtable.free=ipi`
#[derive(Clone, Copy, Debug)]
pub struct Ipi;

impl Scheme for Ipi {
    fn name(&self) -> &'static str {
        "ipi"
    }
    fn enter<'ctx>(&self, _ctx: &'ctx MaySleep) -> Section<'ctx> {
        let irqs_off = IrqGuard::new();
        // This CPU's place among the users (`PageTable::activate`) comes before it, the walk after it.
        // Pairs with the flush, which stands between the unlinking and the look at the users and orders
        // them (IPTE and IDTE serialize, `tlbie` stands between `ptesync`s): either the writer sees us
        // there, or we do not see what he has unlinked.
        fence(Ordering::SeqCst);
        Section::Irqs(irqs_off)
    }
    fn dispose(&self, memory: &'static dyn Memory, users: CpuSet, flushed: FlushedTables<'_>) {
        if !flushed.tables.is_empty() {
            memory.interrupt(users);
        }
        flushed.free_at_once(memory);
    }
}
