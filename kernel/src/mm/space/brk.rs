//! `brk`: the mapping behind a program's data that grows and shrinks.

use super::count::Weight;
use super::ground::Attrs;
use super::info::Mark;
use super::{Mm, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::paging::Access;
use crate::sync::MaySleep;

impl Mm {
    /// `brk`: moves the end of the heap if it can, and gives where it is now.
    pub fn set_brk(&self, ctx: &mut MaySleep, addr: VirtAddr) -> VirtAddr {
        let _lock = self.lock_areas(ctx);
        let (start, now) = (self.mark(Mark::BrkStart), self.mark(Mark::Brk));
        let wanted = addr.get();
        let moved = start != 0 && wanted >= start && wanted <= SPACE_END.get();
        if moved && self.move_brk(ctx, now, wanted) {
            self.set_mark(Mark::Brk, wanted);
            return addr;
        }
        VirtAddr::new(now)
    }

    fn move_brk(&self, ctx: &mut MaySleep, now: u64, wanted: u64) -> bool {
        let (Some(old), Some(new)) = (self.page_up(now), self.page_up(wanted)) else { return false };
        if new <= old {
            return new == old || self.unmap_locked(ctx, new..old).is_ok();
        }
        let (start, data) = (self.mark(Mark::BrkStart), self.marks().data);
        let limit = self.limits().data;
        if wanted - start + data.1.saturating_sub(data.0) > limit {
            return false;
        }
        // SAFETY: the lock is held, and the view is not used after the publication.
        let view = unsafe { self.areas.view() };
        if new > SPACE_END.get() || view.within(old..new).next().is_some() {
            return false;
        }
        let flags = VmFlags::ACCOUNT.with_access(Access::RW).with_most(Access::RWX);
        let weight = Weight::of(flags, new - old);
        if self.within_limits(weight).is_err() {
            return false;
        }
        let mut draft = self.areas.draft();
        let attrs = Attrs { flags, object: None, offset: 0 };
        if draft.put(old..new, Some(attrs), Some(ctx)).is_err() {
            return false;
        }
        self.publish(draft, old..new, weight, ctx);
        true
    }
}
