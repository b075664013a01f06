//! Memory for the rings of [`trace`](crate::trace): given to a CPU's ring when tracing is first turned
//! on, and never taken back, since a writer may be anywhere.

use super::frame::{Kind, Request};
use super::frames;
use crate::arch::PAGE_SIZE;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::sync::MaySleep;
use crate::trace::ring::Slot;
use crate::trace::{self, Groups};

/// Bytes of a ring: over a thousand events.
const BYTES: u64 = 64 << 10;

/// Gives those of the CPUs memory for events that have none. ENOMEM: one did not get it.
pub fn give_memory(cpus: CpuSet, ctx: &mut MaySleep) -> Result<(), Errno> {
    for cpu in cpus.iter().filter(|&cpu| !trace::has_memory(cpu)) {
        let order = (BYTES / PAGE_SIZE).max(1).trailing_zeros() as u8;
        let frame = frames().alloc(Request::of(Kind::Kernel).order(order), Some(ctx))?;
        let length = frame.size() / size_of::<Slot>();
        let first = frame.as_ptr().cast::<Slot>();
        for n in 0..length {
            // SAFETY: within the frame, which is ours, and aligned for a slot.
            unsafe { first.add(n).write(Slot::new()) };
        }
        // SAFETY: written just now, and never freed once it is given away.
        let slots = unsafe { core::slice::from_raw_parts(first.as_ptr(), length) };
        if trace::give_memory(cpu, slots) {
            let _ = frame.into_raw();
        }
    }
    Ok(())
}

/// Turns those groups of events on, and all others off; the CPUs get memory for them. ENOMEM: one did
/// not, and nothing was turned on.
pub fn turn_on(groups: Groups, cpus: CpuSet, ctx: &mut MaySleep) -> Result<(), Errno> {
    if groups != Groups::NONE {
        give_memory(cpus, ctx)?;
    }
    trace::set_groups(groups);
    Ok(())
}
