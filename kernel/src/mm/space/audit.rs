//! Whether the numbers are true: what the counters say against what a walk finds.

use super::count::{Pages, Tally, Weight};
use super::tables::on;
use super::{Mm, VmFlags};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::paging::Page;
use crate::sync::MaySleep;

/// What an audit found wrong, in words; nothing if all is right.
pub type Audit = Result<(), &'static str>;

impl Mm {
    /// Compares counters, set and tables. Exact while nobody uses the address space.
    pub fn audit(&self, ctx: &mut MaySleep) -> Audit {
        let _lock = self.lock_areas(ctx);
        // SAFETY: the lock is held, and nothing is published while the view is used.
        let view = unsafe { self.areas.view() };
        let weight = view.iter_from(0).fold(Weight::default(), |sum, area| sum + Weight::of_area(area));
        if weight != self.counters.weight() {
            return Err("the mappings weigh something else than was counted");
        }
        let mut tally = Tally::new(self.ground);
        let mut wrong = None;
        let mut page = |va: VirtAddr, page: Page| {
            tally.count(page.addr, 1);
            let Some(area) = view.at(va.get()) else {
                wrong = Some("a page is in the tables where nothing is mapped");
                return;
            };
            let allowed = area.attrs.flags.access().normal();
            let has = page.access;
            if has.read && !allowed.read || has.write && !allowed.write || has.execute && !allowed.execute {
                wrong = Some("a page has a right that its mapping does not have");
            }
            if has.write && page.soft & super::SOFT_DIRTY == 0 {
                wrong = Some("a page may be stored to and is not dirty");
            }
            let private = area.attrs.flags.is_private();
            if has.write && private && self.ground.references(page.addr) != 1 {
                wrong = Some("a private page may be stored to and is shared");
            }
            if area.attrs.object.is_none() && area.attrs.flags.has(VmFlags::SHARED) {
                wrong = Some("a shared mapping has no object");
            }
        };
        let mut next = Some(VirtAddr::new(0));
        while let Some(at) = next {
            next = on!(self.tables, tables => {
                let reader = tables.reader(ctx);
                tables.walk_some(&reader, at..SPACE_END, 1024, &mut page)
            });
        }
        let Pages { anon, file, shmem } = tally.pages;
        if self.counters.pages() != (Pages { anon, file, shmem }) {
            return Err("the tables have other pages than were counted");
        }
        wrong.map_or(Ok(()), Err)
    }
}
