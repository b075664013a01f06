//! What an address space counts: what its mappings weigh, and which pages are in its tables.
//!
//! The numbers are atomics that change by what a change weighs; `audit` compares them with what a walk
//! finds.

use super::ground::{Area, Ground};
use super::{MmStats, VmFlags};
use crate::addr::PhysAddr;
use crate::mm::frame::Kind;
use core::ops::{Add, AddAssign, Sub};
use core::sync::atomic::{AtomicI64, Ordering};

/// What mappings weigh, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Weight {
    pub(super) total: i64,
    pub(super) data: i64,
    pub(super) text: i64,
    pub(super) stack: i64,
    pub(super) locked: i64,
    pub(super) committed: i64,
}

impl Weight {
    /// Of so many bytes mapped like that.
    pub(super) fn of(flags: VmFlags, bytes: u64) -> Self {
        let bytes = bytes as i64;
        let if_so = |so: bool| if so { bytes } else { 0 };
        let stack = flags.has(VmFlags::GROWSDOWN);
        let write = flags.has(VmFlags::WRITE);
        Self {
            total: bytes,
            data: if_so(write && flags.is_private() && !stack),
            text: if_so(flags.has(VmFlags::EXEC) && !write && !stack),
            stack: if_so(stack),
            locked: if_so(flags.has(VmFlags::LOCKED)),
            committed: if_so(flags.has(VmFlags::ACCOUNT)),
        }
    }

    pub(super) fn of_area(area: &Area) -> Self {
        Self::of(area.attrs.flags, area.len())
    }
}

impl Add for Weight {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            data: self.data + other.data,
            text: self.text + other.text,
            stack: self.stack + other.stack,
            locked: self.locked + other.locked,
            committed: self.committed + other.committed,
        }
    }
}
impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl Sub for Weight {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            total: self.total - other.total,
            data: self.data - other.data,
            text: self.text - other.text,
            stack: self.stack - other.stack,
            locked: self.locked - other.locked,
            committed: self.committed - other.committed,
        }
    }
}

/// Pages in the tables, by kind. The page of zeros is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Pages {
    pub(super) anon: i64,
    pub(super) file: i64,
    pub(super) shmem: i64,
}

impl Pages {
    /// One more (1) or one less (-1).
    #[inline]
    pub(super) fn count(&mut self, kind: Kind, by: i64) {
        match kind {
            Kind::User => self.anon += by,
            Kind::File => self.file += by,
            Kind::Shmem => self.shmem += by,
            _ => {}
        }
    }
}

/// One address space's numbers.
#[derive(Default)]
pub(super) struct Counters {
    total: AtomicI64,
    data: AtomicI64,
    text: AtomicI64,
    stack: AtomicI64,
    locked: AtomicI64,
    committed: AtomicI64,
    anon: AtomicI64,
    file: AtomicI64,
    shmem: AtomicI64,
    most_resident: AtomicI64,
    most_total: AtomicI64,
}

fn add(to: &AtomicI64, by: i64) {
    if by != 0 {
        to.fetch_add(by, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn weight(&self) -> Weight {
        let get = |of: &AtomicI64| of.load(Ordering::Relaxed);
        Weight {
            total: get(&self.total),
            data: get(&self.data),
            text: get(&self.text),
            stack: get(&self.stack),
            locked: get(&self.locked),
            committed: get(&self.committed),
        }
    }

    pub(super) fn pages(&self) -> Pages {
        let get = |of: &AtomicI64| of.load(Ordering::Relaxed);
        Pages { anon: get(&self.anon), file: get(&self.file), shmem: get(&self.shmem) }
    }

    /// The set of mappings changed its weight by that.
    pub(super) fn weigh(&self, ground: &Ground, by: Weight) {
        add(&self.total, by.total);
        add(&self.data, by.data);
        add(&self.text, by.text);
        add(&self.stack, by.stack);
        add(&self.locked, by.locked);
        add(&self.committed, by.committed);
        add(&ground.committed, by.committed);
        self.most_total.fetch_max(self.total.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A page came into the tables.
    #[inline]
    pub(super) fn page(&self, kind: Kind) {
        match kind {
            Kind::User => add(&self.anon, 1),
            Kind::File => add(&self.file, 1),
            Kind::Shmem => add(&self.shmem, 1),
            _ => {}
        }
    }

    /// Pages came or went.
    pub(super) fn add_pages(&self, by: Pages) {
        if by.anon + by.file + by.shmem < 0 {
            self.note_most();
        }
        add(&self.anon, by.anon);
        add(&self.file, by.file);
        add(&self.shmem, by.shmem);
    }

    fn note_most(&self) -> i64 {
        let Pages { anon, file, shmem } = self.pages();
        let resident = anon + file + shmem;
        self.most_resident.fetch_max(resident, Ordering::Relaxed).max(resident)
    }

    pub(super) fn stats(&self, page_bytes: u64, table_bytes: usize) -> MmStats {
        let (weight, pages) = (self.weight(), self.pages());
        // A number below 0 was read in the middle of a change.
        let in_pages = |bytes: i64| bytes.max(0) as u64 / page_bytes;
        let number = |pages: i64| pages.max(0) as u64;
        MmStats {
            total: in_pages(weight.total),
            data: in_pages(weight.data),
            text: in_pages(weight.text),
            stack: in_pages(weight.stack),
            locked: in_pages(weight.locked),
            committed: in_pages(weight.committed),
            anon: number(pages.anon),
            file: number(pages.file),
            shmem: number(pages.shmem),
            most_resident: number(self.note_most()),
            most_total: in_pages(self.most_total.load(Ordering::Relaxed)),
            table_bytes: table_bytes as u64,
            page_bytes,
        }
    }
}

/// The kinds of the pages that a walk takes out or puts in.
pub(super) struct Tally<'a> {
    ground: &'a Ground,
    pub(super) pages: Pages,
}

impl<'a> Tally<'a> {
    pub(super) fn new(ground: &'a Ground) -> Self {
        Self { ground, pages: Pages::default() }
    }
    #[inline]
    pub(super) fn count(&mut self, page: PhysAddr, by: i64) {
        self.pages.count(self.ground.kind(page), by);
    }
}
