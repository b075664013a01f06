//! A stack that grows: a mapping that begins above the address that was touched, and may grow down to it.

use super::count::Weight;
use super::{Mm, MmFault, VmFlags};
use crate::sync::MaySleep;

/// What a stack keeps away from the mapping below it.
const GAP: u64 = 1 << 20;

impl Mm {
    /// Lets the mapping above `at`, a page, grow down to it.
    pub(super) fn grow_down(&self, ctx: &mut MaySleep, at: u64) -> Result<(), MmFault> {
        let _lock = self.lock_areas(ctx);
        // SAFETY: the lock is held, and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        let area = view.find(at).ok_or(MmFault::MapErr)?;
        if area.start <= at {
            // Somebody was faster.
            return Ok(());
        }
        let limits = self.limits();
        if !area.attrs.flags.has(VmFlags::GROWSDOWN) || area.end - at > limits.stack || at < super::LOWEST {
            return Err(MmFault::MapErr);
        }
        // A neighbour that nobody may touch is a guard of the program's own.
        let too_near = view.before(area.start).is_some_and(|below| {
            let guard = below.attrs.flags.access() == crate::arch::paging::Access::NONE;
            below.end > at || !guard && below.end + GAP > at
        });
        let range = at..area.start;
        let weight = Weight::of(area.attrs.flags, area.start - at);
        if too_near || self.within_limits(weight).is_err() {
            return Err(MmFault::MapErr);
        }
        let attrs = area.attrs;
        let mut draft = self.areas.draft();
        draft.put(range.clone(), Some(attrs), Some(ctx)).map_err(|_| MmFault::NoMemory)?;
        self.publish(draft, range, weight, ctx);
        Ok(())
    }
}
