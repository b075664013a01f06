//! What is asked about an address space: marks, limits, numbers, mappings; `mincore` and `msync`.

use super::tables::on;
use super::{Limits, Marks, Mm, MmStats, VmFlags, VmaInfo};
use crate::addr::VirtAddr;
use crate::arch::paging::{self, Page, PagingFormat};
use crate::error::Errno;
use crate::mm::frame::Kind;
use crate::mm::pgtable::PageTable;
use crate::mm::pgtable::dump::{Place, TableInfo};
use crate::mm::pgtable::walk::STEPS;
use crate::rcu::{self, RcuReadGuard};
use crate::sync::MaySleep;
use core::ops::Range;
use core::sync::atomic::Ordering;

/// Numbers that [`Marks`] is made of.
pub(super) const MARKS: usize = 11;

/// One of them, by its place.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    BrkStart = 4,
    Brk = 5,
}

impl Mm {
    pub(super) fn mark(&self, which: Mark) -> u64 {
        self.marks[which as usize].load(Ordering::Relaxed)
    }

    pub(super) fn set_mark(&self, which: Mark, value: u64) {
        self.marks[which as usize].store(value, Ordering::Relaxed);
    }

    /// What stands where. Read without a lock: the numbers may be of two moments.
    pub fn marks(&self) -> Marks {
        let get = |index: usize| self.marks[index].load(Ordering::Relaxed);
        let pair = |index| (get(index), get(index + 1));
        Marks { code: pair(0), data: pair(2), brk: pair(4), args: pair(6), env: pair(8), stack: get(10) }
    }

    /// Says what stands where: `exec` does, once.
    pub fn set_marks(&self, marks: Marks) {
        let Marks { code, data, brk, args, env, stack } = marks;
        let all = [code.0, code.1, data.0, data.1, brk.0, brk.1, args.0, args.1, env.0, env.1, stack];
        for (mark, value) in self.marks.iter().zip(all) {
            mark.store(value, Ordering::Relaxed);
        }
    }

    /// What the process may have.
    pub fn limits(&self) -> Limits {
        let [address_space, data, stack, locked] =
            [0, 1, 2, 3].map(|index: usize| self.limits[index].load(Ordering::Relaxed));
        Limits { address_space, data, stack, locked }
    }

    /// What the process may have, from now on.
    pub fn set_limits(&self, limits: Limits) {
        let all = [limits.address_space, limits.data, limits.stack, limits.locked];
        for (limit, value) in self.limits.iter().zip(all) {
            limit.store(value, Ordering::Relaxed);
        }
    }

    /// Numbers of pages and bytes.
    pub fn stats(&self) -> MmStats {
        let table_bytes = on!(self.tables, tables => tables.table_bytes());
        self.counters.stats(self.page_bytes(), table_bytes)
    }

    /// Bytes that one entry of the tables maps: `MMUPageSize`. A page may take several entries.
    pub fn entry_bytes(&self) -> u64 {
        const fn of<F: PagingFormat>(_: &PageTable<F>) -> u64 {
            1 << F::LEVELS[paging::last::<F>()].shift
        }
        on!(self.tables, tables => of(tables))
    }

    /// The mappings from the one that contains the address or is the next after it, in one version of
    /// the set; takes no lock. Go on in another section at the end of the last one seen.
    pub fn vmas<'g>(
        &self,
        guard: &'g RcuReadGuard<'_>,
        from: VirtAddr,
    ) -> impl Iterator<Item = VmaInfo<'g>> + use<'g> {
        self.areas.read(guard).iter_from(from.get()).map(move |area| VmaInfo {
            range: area.start..area.end,
            flags: area.attrs.flags,
            object: area.attrs.object.map(|object| {
                // SAFETY: found in a version that was loaded under this guard.
                let mapped = unsafe { object.get(guard) };
                (mapped.object(), area.attrs.offset.wrapping_add(area.start))
            }),
        })
    }

    /// Shows the visitor the pages of the range that are in the tables, as many as one read section
    /// allows; takes no lock. Gives the address at which to go on; `None` when the range is done. A page
    /// is a value: what it was at some moment of the call. Its frame is not looked into (H28); the
    /// frame's descriptor is true as long as `guard` lives.
    pub fn walk(
        &self,
        ctx: &MaySleep,
        range: Range<VirtAddr>,
        visitor: &mut impl FnMut(VirtAddr, Page),
    ) -> Option<VirtAddr> {
        on!(self.tables, tables => {
            let reader = tables.reader(ctx);
            tables.walk_some(&reader, range, STEPS, visitor)
        })
    }

    /// The format of the tables, their layout, and the way in which they are freed.
    pub fn tables_kind(&self) -> (&'static str, &'static str, &'static str) {
        const fn of<F: PagingFormat>(_: &PageTable<F>) -> &'static str {
            F::NAME
        }
        on!(self.tables, tables => (of(tables), tables.layout().name(), tables.scheme()))
    }

    /// Shows the visitor the tables from that place on, as many as one read section allows; takes no
    /// lock. Gives the place at which to go on; `None` after the last. False from the visitor: enough.
    pub fn tables_from(
        &self,
        ctx: &MaySleep,
        from: Place,
        visitor: &mut dyn FnMut(TableInfo) -> bool,
    ) -> Option<Place> {
        on!(self.tables, tables => {
            let reader = tables.reader(ctx);
            tables.tables_some(&reader, from, STEPS, visitor)
        })
    }

    /// What a page that [`walk`](Self::walk) shows counts as, and how many references there are to its
    /// frame. Called in the same read section (the section may enclose the walk). `None`: the page of
    /// zeros, which counts for nobody.
    #[inline(always)]
    pub fn page_use(&self, page: &Page) -> Option<(Kind, u32)> {
        (!self.ground.is_zero(page.addr)).then(|| self.ground.kind_and_references(page.addr))
    }

    /// How many entries of all address spaces have a page, of what [`page_use`](Self::page_use) says.
    pub fn mappers(kind: Kind, references: u32) -> u32 {
        // A file keeps one reference of its own to each of its pages.
        let own = u32::from(kind != Kind::User);
        references.saturating_sub(own).max(1)
    }

    /// `mincore`: says of each page, in order, whether it is in memory. ENOMEM: some of the range is not
    /// mapped; nothing was said then.
    pub fn mincore(
        &self,
        ctx: &mut MaySleep,
        addr: VirtAddr,
        len: u64,
        page: &mut dyn FnMut(bool),
    ) -> Result<(), Errno> {
        let range = self.range(addr, len)?;
        let bytes = self.page_bytes();
        self.each_within(ctx, range.clone(), |_| Ok(()))?;
        self.each_within(ctx, range, |area| {
            for at in (area.start..area.end).step_by(bytes as usize) {
                let in_table = on!(self.tables, tables => tables.lookup(VirtAddr::new(at), ctx).is_some());
                page(in_table || self.object_has(ctx, at));
            }
            Ok(())
        })
    }

    /// Whether the object that is mapped there has the page.
    fn object_has(&self, ctx: &MaySleep, at: u64) -> bool {
        let section = rcu::read_lock(ctx);
        let area = self.vmas(&section, VirtAddr::new(at)).next().filter(|area| area.range.start <= at);
        area.is_some_and(|area| {
            let index = |offset: u64| (offset + (at - area.range.start)) / self.page_bytes();
            area.object.is_some_and(|(object, offset)| object.is_present(index(offset)))
        })
    }

    /// `msync`: what was written to shared files is written back. ENOMEM: some of the range is not
    /// mapped; the rest was synchronised.
    pub fn sync(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64) -> Result<(), Errno> {
        let range = self.range(addr, len)?;
        let mut at = range.start;
        let mut result = Ok(());
        while at < range.end {
            let found = self.find_kept(ctx, at);
            let Some((area, kept)) = found.filter(|(area, _)| area.start < range.end) else {
                return Err(Errno::ENOMEM);
            };
            if area.start > at {
                result = Err(Errno::ENOMEM);
            }
            let (start, end) = (area.start.max(at), area.end.min(range.end));
            if let Some(kept) = kept.filter(|_| area.attrs.flags.has(VmFlags::SHARED)) {
                let first = self.pages(area.attrs.offset.wrapping_add(start));
                kept.object().sync(ctx, first, self.pages(end - start))?;
            }
            at = end;
        }
        result
    }
}
