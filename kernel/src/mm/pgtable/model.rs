//! Random operations against a flat model, for every format and layout.
//!
//! The model is a map from page to frame and access. After each operation the walker must show just
//! that; CPUs that have used the addresses before must find just that through their translation
//! buffers; and at the end nothing may be left. Bound: 40 runs of up to 60 operations for each of the
//! nine pairs, over pages that lie on both sides of every border a table can have.

use super::scheme::{self, Scheme};
use super::testing::{Bench, TestMemory, nth, word};
use super::{Layout, PageTable};
use crate::addr::VirtAddr;
use crate::arch::current::space;
use crate::arch::paging::{self, Access, Page, PagingFormat};
use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
use crate::arch::s390x_format::S390Dat;
use crate::error::Errno;
use crate::sync::PreemptGuard;
use core::ops::Range;
use core::sync::atomic::Ordering;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

const ACCESS: [Access; 5] = [Access::NONE, Access::R, Access::RW, Access::RX, Access::RWX];

/// Places are numbers of pages near a border, resolved for the format.
#[derive(Clone, Copy, Debug)]
struct Place {
    border: usize,
    offset: u64,
}

#[derive(Clone, Debug)]
enum Op {
    Map(Place, usize),
    Unmap(Place, u64),
    UnmapFar(Place, Place),
    Protect(Place, u64, usize),
    Move(Place, Place),
    /// A grace period.
    Turn,
}

fn place() -> impl Strategy<Value = Place> {
    (0..8_usize, 0..6_u64).prop_map(|(border, offset)| Place { border, offset })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (place(), 0..ACCESS.len()).prop_map(|(at, access)| Op::Map(at, access)),
        2 => (place(), 1..8_u64).prop_map(|(at, pages)| Op::Unmap(at, pages)),
        1 => (place(), place()).prop_map(|(from, to)| Op::UnmapFar(from, to)),
        2 => (place(), 1..8_u64, 0..ACCESS.len()).prop_map(|(at, n, access)| Op::Protect(at, n, access)),
        2 => (place(), place()).prop_map(|(from, to)| Op::Move(from, to)),
        2 => Just(Op::Turn),
    ]
}

/// The page's number: three below to two above a border. Borders: one and two leaf tables, a group,
/// one entry of each upper level, the end of the space.
fn page<F: PagingFormat>(place: Place) -> u64 {
    let last = paging::last::<F>();
    let leaf = F::LEVELS[last].table_span();
    let group = (1 << F::PAGE_SHIFT) / F::LEVELS[last].bytes() as u64 * leaf;
    let upper = F::LEVELS[0].entry_span();
    let borders = [leaf, 2 * leaf, group, 2 * group, F::LEVELS[last - 1].table_span(), upper, 3 * upper];
    let end = paging::space_bytes::<F>() >> F::PAGE_SHIFT;
    match borders.get(place.border) {
        Some(border) => (border >> F::PAGE_SHIFT) - 3 + place.offset,
        None => end - 6 + place.offset,
    }
}

fn limit<F: PagingFormat>(range: Range<u64>) -> Range<VirtAddr> {
    let end = paging::space_bytes::<F>() >> F::PAGE_SHIFT;
    nth::<F>(range.start)..nth::<F>(range.end.min(end))
}

struct Run<F: PagingFormat> {
    bench: Bench<F>,
    tables: PageTable<F>,
    model: BTreeMap<u64, (Page, u64)>,
    stamp: u64,
}

impl<F: PagingFormat> Run<F> {
    fn step(&mut self, op: Op) {
        match op {
            Op::Map(at, access) => {
                self.stamp += 100;
                let (number, access) = (page::<F>(at), ACCESS[access]);
                let new = self.bench.memory.page::<F>(access, self.stamp);
                let result = self.tables.map(nth::<F>(number), new, &mut self.bench.ctx);
                if self.model.contains_key(&number) {
                    assert_eq!(result, Err(Errno::EEXIST));
                    super::Memory::free_data(self.bench.memory, &[new.addr]);
                } else {
                    assert_eq!(result, Ok(()));
                    self.model.insert(number, (new, self.stamp));
                }
            }
            Op::Unmap(at, pages) => self.unmap(page::<F>(at)..page::<F>(at) + pages),
            Op::UnmapFar(from, to) => {
                let (from, to) = (page::<F>(from), page::<F>(to));
                self.unmap(from.min(to)..from.max(to));
            }
            Op::Protect(at, pages, access) => {
                let range = page::<F>(at)..page::<F>(at) + pages;
                self.tables.protect(limit::<F>(range.clone()), ACCESS[access], &self.bench.ctx);
                self.model.range_mut(range).for_each(|(_, (page, _))| page.access = ACCESS[access]);
            }
            Op::Move(from, to) => {
                let (from, to) = (page::<F>(from), page::<F>(to));
                let result = self.tables.move_page(nth::<F>(from), nth::<F>(to), &mut self.bench.ctx);
                let expected = match (self.model.contains_key(&from), self.model.contains_key(&to)) {
                    (false, _) => Err(Errno::ENOENT),
                    (true, true) => Err(Errno::EEXIST),
                    (true, false) => Ok(()),
                };
                assert_eq!(result, expected);
                if let (Ok(()), Some(moved)) = (result, self.model.remove(&from).filter(|_| result.is_ok())) {
                    self.model.insert(to, moved);
                } else if let Some(kept) = self.lookup_removed(from) {
                    self.model.insert(from, kept);
                }
            }
            Op::Turn => self.bench.memory.turn(),
        }
        self.check();
    }

    /// The tables' own idea of a page, to undo a removal from the model.
    fn lookup_removed(&self, number: u64) -> Option<(Page, u64)> {
        let page = self.tables.lookup(nth::<F>(number), &self.bench.ctx)?;
        Some((page, word(page.addr).load(Ordering::Relaxed)))
    }

    fn unmap(&mut self, range: Range<u64>) {
        self.tables.unmap(limit::<F>(range.clone()), &self.bench.ctx);
        self.model.retain(|number, _| !range.contains(number));
    }

    fn check(&self) {
        let mut found = vec![];
        let all = VirtAddr::new(0)..VirtAddr::new(paging::space_bytes::<F>());
        self.tables.walk(&self.bench.ctx, all, &mut |va: VirtAddr, page: Page| {
            found.push((va.get() >> F::PAGE_SHIFT, page));
        });
        let expected: Vec<_> = self.model.iter().map(|(number, (page, _))| (*number, *page)).collect();
        assert_eq!(found, expected);
        // What CPUs see, first and last 4 KB of each page that was ever touched.
        for cpu in 0..2 {
            self.bench.machine.enter(cpu);
            let pin = PreemptGuard::new();
            // SAFETY: left below; the tables live.
            unsafe { self.tables.activate(&pin) };
            for border in 0..8 {
                for offset in 0..6 {
                    self.check_page(page::<F>(Place { border, offset }));
                }
            }
            PageTable::<F>::deactivate(&pin);
        }
        self.bench.machine.enter(0);
    }

    fn check_page(&self, number: u64) {
        let mapped = self.model.get(&number);
        for part in [0, (1 << (F::PAGE_SHIFT - 12)) - 1] {
            let va = VirtAddr::new(nth::<F>(number).get() + part * 4096);
            let stamp = mapped.filter(|(page, _)| page.access.read).map(|(_, stamp)| stamp + part);
            assert_eq!(space::user_load(va).ok(), stamp, "load at {va}");
            let written = mapped.filter(|(page, _)| page.access.write).map(|(_, stamp)| stamp + part);
            if let Some(same) = written {
                // SAFETY: the same value again.
                assert!(unsafe { space::user_store(va, same) }.is_ok(), "store at {va}");
            } else {
                // SAFETY: it must fault.
                assert!(unsafe { space::user_store(va, 0) }.is_err(), "no fault on a store at {va}");
            }
        }
    }
}

fn model<F: PagingFormat>(layout: Layout, scheme: &'static dyn Scheme) {
    // 40, or more where PROPTEST_CASES asks for more than usual.
    let cases = 40.max(Config::default().cases / 64);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let memory = TestMemory::new(16);
    let result = TestRunner::new(config).run(&proptest::collection::vec(op(), 1..60), |ops| {
        let mut bench = Bench::<F>::on(memory);
        let tables = bench.tables(layout, scheme);
        let mut run = Run { bench, tables, model: BTreeMap::new(), stamp: 0 };
        ops.into_iter().for_each(|op| run.step(op));
        let Run { bench, tables, .. } = run;
        drop(tables);
        bench.nothing_is_left();
        Ok(())
    });
    if let Err(why) = result {
        panic!("{why}");
    }
}

macro_rules! models {
    ($($name:ident: $format:ty, $layout:expr;)*) => {
        $(#[test]
        fn $name() {
            model::<$format>($layout, &scheme::rcu::Rcu);
        })*
    };
}
models! {
    s390x_page: S390Dat, Layout::Page;
    s390x_frag: S390Dat, Layout::Frag;
    s390x_group: S390Dat, Layout::Group;
    ppc64_4k_page: Ppc64Radix4K, Layout::Page;
    ppc64_4k_frag: Ppc64Radix4K, Layout::Frag;
    ppc64_4k_group: Ppc64Radix4K, Layout::Group;
    ppc64_64k_page: Ppc64Radix64K, Layout::Page;
    ppc64_64k_frag: Ppc64Radix64K, Layout::Frag;
    ppc64_64k_group: Ppc64Radix64K, Layout::Group;
}

/// The other schemes are right as well while nobody else walks.
#[test]
fn the_schemes_agree() {
    model::<S390Dat>(Layout::Frag, &scheme::immediate::Immediate);
    model::<Ppc64Radix4K>(Layout::Group, &scheme::ipi::Ipi);
}
