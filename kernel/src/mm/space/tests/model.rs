//! Random operations against a flat model of pages, for every format and layout: two processes at most,
//! with private and shared memory, private and shared files, failing allocations and all.
//!
//! After each operation the audit must find nothing; after each load or store the value must be the
//! model's; at the end each page of each process is looked at, and then nothing may be left. Bound: 12 runs
//! of up to 60 operations for each of the nine ways.

use super::super::*;
use super::{Bench, TestFile, WAYS, va};
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::mm::pgtable::Layout;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Pages of each of the two windows.
const PAGES: u64 = 24;
const FILE_PAGES: u64 = 10;

#[derive(Clone, Debug)]
enum Op {
    Map {
        at: u64,
        len: u64,
        access: usize,
        what: usize,
        offset: u64,
    },
    Unmap {
        at: u64,
        len: u64,
    },
    Protect {
        at: u64,
        len: u64,
        access: usize,
    },
    Move {
        at: u64,
        len: u64,
        to: u64,
        new_len: u64,
    },
    Drop {
        at: u64,
        len: u64,
    },
    Load {
        at: u64,
    },
    Store {
        at: u64,
        value: u64,
    },
    Fork,
    /// The other process ends, or takes over.
    End,
    Switch,
    /// The next operation finds that the nth allocation fails.
    Fail {
        nth: u32,
    },
}

const ACCESS: [Access; 5] = [Access::NONE, Access::R, Access::RW, Access::RX, Access::RWX];

fn op() -> impl Strategy<Value = Op> {
    let at = 0..2 * PAGES;
    let len = prop_oneof![4 => 1..4_u64, 1 => 1..20_u64];
    prop_oneof![
        6 => (at.clone(), len.clone(), 0..5_usize, 0..4_usize, 0..6_u64)
            .prop_map(|(at, len, access, what, offset)| Op::Map { at, len, access, what, offset }),
        3 => (at.clone(), len.clone()).prop_map(|(at, len)| Op::Unmap { at, len }),
        3 => (at.clone(), len.clone(), 0..5_usize)
            .prop_map(|(at, len, access)| Op::Protect { at, len, access }),
        3 => (at.clone(), len.clone(), at.clone(), len.clone())
            .prop_map(|(at, len, to, new_len)| Op::Move { at, len, to, new_len }),
        1 => (at.clone(), len.clone()).prop_map(|(at, len)| Op::Drop { at, len }),
        8 => at.clone().prop_map(|at| Op::Load { at }),
        12 => (at, 1..1_000_000_u64).prop_map(|(at, value)| Op::Store { at, value }),
        3 => Just(Op::Fork),
        1 => Just(Op::End),
        2 => Just(Op::Switch),
        2 => (1..8_u32).prop_map(|nth| Op::Fail { nth }),
    ]
}

/// What is behind a page of shared memory: the words of its pages.
type Store = Rc<RefCell<BTreeMap<u64, u64>>>;

#[derive(Clone)]
enum Backing {
    Private(u64),
    /// The file's page, until it is written.
    PrivateFile(u64, Option<u64>),
    /// Shared memory or a file: the object's page, and how many it has.
    Shared(Store, u64, u64),
}

#[derive(Clone)]
struct Page {
    access: Access,
    backing: Backing,
}

type Flat = BTreeMap<u64, Page>;

struct Process {
    mm: MmRef,
    flat: Flat,
}

struct World {
    bench: Bench,
    file: Arc<TestFile>,
    words: Store,
    processes: Vec<Process>,
    fail: bool,
}

impl World {
    fn new(mut bench: Bench) -> Self {
        let file = TestFile::new(&mut bench, FILE_PAGES, 500);
        let words = Rc::new(RefCell::new((0..FILE_PAGES).map(|n| (n, 500 + n)).collect()));
        let mm = bench.mm();
        bench.activate(&mm);
        Self { bench, file, words, processes: vec![Process { mm, flat: Flat::new() }], fail: false }
    }

    /// Two windows: one over the border of a leaf table and of a group (32 MB), one over a border of a
    /// table above.
    fn addr(&self, at: u64) -> u64 {
        let page = self.bench.page();
        let (border, at) = if at < PAGES { (32 << 20, at) } else { (4 << 30, at - PAGES) };
        border - PAGES / 2 * page + at * page
    }

    /// The range, within one window.
    fn clip(at: u64, len: u64) -> (u64, u64) {
        let end = if at < PAGES { PAGES } else { 2 * PAGES };
        (at, len.min(end - at))
    }

    fn whole(&self, at: u64, len: u64) -> bool {
        (at..at + len).all(|n| self.processes[0].flat.contains_key(&n))
    }

    /// What the model says; `None`: the access is refused.
    fn word(&self, at: u64) -> Option<u64> {
        let page = self.processes[0].flat.get(&at)?;
        if !page.access.normal().read {
            return None;
        }
        match &page.backing {
            Backing::Private(value) => Some(*value),
            Backing::PrivateFile(_, Some(value)) => Some(*value),
            Backing::PrivateFile(index, None) => self.words.borrow().get(index).copied(),
            Backing::Shared(words, index, pages) => {
                (index < pages).then(|| words.borrow().get(index).copied().unwrap_or(0))
            }
        }
    }

    fn set_word(&mut self, at: u64, value: u64) -> bool {
        let Some(page) = self.processes[0].flat.get_mut(&at) else { return false };
        if !page.access.write {
            return false;
        }
        match &mut page.backing {
            Backing::Private(old) => *old = value,
            Backing::PrivateFile(index, old) => {
                if *index >= FILE_PAGES && old.is_none() {
                    return false;
                }
                *old = Some(value);
            }
            Backing::Shared(words, index, pages) => {
                if index >= pages {
                    return false;
                }
                words.borrow_mut().insert(*index, value);
            }
        }
        true
    }

    fn step(&mut self, op: &Op) {
        let page = self.bench.page();
        let mm = self.processes[0].mm.clone();
        let addr = |world: &Self, at| va(world.addr(at));
        match *op {
            Op::Fail { nth } => {
                crate::mm::cache::for_each(|cache| {
                    if core::ptr::eq(cache.frames(), self.bench.frames) {
                        cache.shrink();
                    }
                });
                self.bench.frames.inject_failure(nth);
                self.fail = true;
                return;
            }
            Op::Map { at, len, access, what, offset } => {
                let (at, len) = Self::clip(at, len);
                let request = MapRequest::anonymous(len * page, ACCESS[access]).at(addr(self, at));
                let request = match what {
                    0 => request,
                    1 => request.with(MapFlags::SHARED),
                    2 => request.of(self.file.clone(), offset * page),
                    _ => request.with(MapFlags::SHARED).of(self.file.clone(), offset * page),
                };
                if self.is_ok(|ctx| mm.map(ctx, request)).is_some() {
                    let store: Store = Rc::default();
                    for n in 0..len {
                        let backing = match what {
                            0 => Backing::Private(0),
                            1 => Backing::Shared(store.clone(), n, len),
                            2 => Backing::PrivateFile(offset + n, None),
                            _ => Backing::Shared(self.words.clone(), offset + n, FILE_PAGES),
                        };
                        self.processes[0].flat.insert(at + n, Page { access: ACCESS[access], backing });
                    }
                }
            }
            Op::Unmap { at, len } => {
                let (at, len) = Self::clip(at, len);
                let start = addr(self, at);
                if self.is_ok(|ctx| mm.unmap(ctx, start, len * page)).is_some() {
                    self.processes[0].flat.retain(|n, _| !(at..at + len).contains(n));
                }
            }
            Op::Protect { at, len, access } => {
                let (at, len) = Self::clip(at, len);
                let start = addr(self, at);
                if !self.whole(at, len) {
                    let result = mm.protect(&mut self.bench.ctx, start, len * page, ACCESS[access]);
                    assert_eq!(result, Err(Errno::ENOMEM));
                } else if self.is_ok(|ctx| mm.protect(ctx, start, len * page, ACCESS[access])).is_some() {
                    for (_, page) in self.processes[0].flat.range_mut(at..at + len) {
                        page.access = ACCESS[access];
                    }
                }
            }
            Op::Move { at, len, to, new_len } => self.remap(&mm, at, len, to, new_len),
            Op::Drop { at, len } => {
                let (at, len) = Self::clip(at, len);
                let start = addr(self, at);
                let expected = if self.whole(at, len) { Ok(()) } else { Err(Errno::ENOMEM) };
                assert_eq!(mm.advise(&mut self.bench.ctx, start, len * page, Advice::DontNeed), expected);
                for (_, page) in self.processes[0].flat.range_mut(at..at + len) {
                    match &mut page.backing {
                        Backing::Private(value) => *value = 0,
                        Backing::PrivateFile(_, value) => *value = None,
                        Backing::Shared(..) => {}
                    }
                }
            }
            Op::Load { at } => {
                let place = addr(self, at);
                let found = mm.read_value::<u64>(&mut self.bench.ctx, place);
                assert!(found.ok() == self.word(at) || self.fail && found.is_err(), "load of page {at}");
            }
            Op::Store { at, value } => {
                let place = addr(self, at);
                let result = mm.write_value(&mut self.bench.ctx, place, &value);
                if result.is_ok() || !self.fail {
                    assert_eq!(self.set_word(at, value), result.is_ok(), "store to page {at}");
                }
            }
            Op::Fork => {
                if self.processes.len() == 1
                    && let Some(child) = self.is_ok(|ctx| mm.fork(ctx))
                {
                    let flat = self.processes[0].flat.clone();
                    self.processes.push(Process { mm: child, flat });
                }
            }
            Op::End => {
                if self.processes.len() == 2 {
                    let gone = self.processes.remove(1);
                    gone.mm.end_use(&mut self.bench.ctx);
                }
            }
            Op::Switch => {
                self.processes.rotate_left(1);
                self.bench.activate(&self.processes[0].mm);
            }
        }
        self.bench.frames.inject_failure(0);
        self.fail = false;
        for process in &self.processes {
            assert_eq!(process.mm.audit(&mut self.bench.ctx), Ok(()));
        }
    }

    /// Ok, or an allocation failed as it was to.
    fn is_ok<T>(&mut self, operation: impl FnOnce(&mut MaySleep) -> Result<T, Errno>) -> Option<T> {
        let fail = self.fail;
        match operation(&mut self.bench.ctx) {
            Ok(value) => Some(value),
            Err(errno) => {
                assert!(fail && errno == Errno::ENOMEM, "{errno:?}");
                None
            }
        }
    }

    fn remap(&mut self, mm: &MmRef, at: u64, len: u64, to: u64, new_len: u64) {
        let ((at, len), (to, new_len)) = (Self::clip(at, len), Self::clip(to, new_len));
        let page = self.bench.page();
        let request = RemapRequest {
            addr: va(self.addr(at)),
            old_len: len * page,
            new_len: new_len * page,
            may_move: true,
            to: Some(va(self.addr(to))),
            keep_old: false,
        };
        let overlap = at < to + new_len && to < at + len;
        // Within one mapping: what the set says is one.
        let one = {
            let section = rcu_section(&self.bench.ctx);
            let start = self.addr(at);
            let area = mm.vmas(&section, va(start)).next();
            area.is_some_and(|area| area.range.start <= start && start + len * page <= area.range.end)
        };
        if overlap || !one {
            let result = mm.remap(&mut self.bench.ctx, request);
            assert_eq!(result, Err(if overlap { Errno::EINVAL } else { Errno::EFAULT }));
            return;
        }
        if self.is_ok(|ctx| mm.remap(ctx, request)).is_none() {
            return;
        }
        let flat = &mut self.processes[0].flat;
        let moved: Vec<Page> = (at..at + len).map(|n| flat[&n].clone()).collect();
        flat.retain(|n, _| !(at..at + len).contains(n) && !(to..to + new_len).contains(n));
        for n in 0..new_len {
            let page = match moved.get(n as usize) {
                Some(page) => page.clone(),
                None => {
                    let backing = match &moved[0].backing {
                        Backing::Private(_) => Backing::Private(0),
                        Backing::PrivateFile(first, _) => Backing::PrivateFile(first + n, None),
                        Backing::Shared(words, first, pages) => {
                            Backing::Shared(words.clone(), first + n, *pages)
                        }
                    };
                    Page { access: moved[0].access, backing }
                }
            };
            flat.insert(to + n, page);
        }
    }

    fn end(mut self) -> Bench {
        self.bench.frames.inject_failure(0);
        for number in 0..self.processes.len() {
            self.processes.rotate_left(number);
            self.bench.activate(&self.processes[0].mm);
            let mm = self.processes[0].mm.clone();
            for at in 0..2 * PAGES {
                let place = va(self.addr(at));
                let found = mm.read_value::<u64>(&mut self.bench.ctx, place);
                assert_eq!(found.ok(), self.word(at), "page {at} at the end");
                let mut bytes = [0; 8];
                let remote = mm.read_remote(&mut self.bench.ctx, place, &mut bytes);
                assert_eq!(remote.ok().map(|()| u64::from_ne_bytes(bytes)), self.word(at));
            }
            assert_eq!(mm.audit(&mut self.bench.ctx), Ok(()));
        }
        for process in self.processes.drain(..) {
            process.mm.end_use(&mut self.bench.ctx);
            let stats = process.mm.stats();
            assert_eq!((stats.total, stats.resident(), stats.committed), (0, 0, 0));
        }
        drop(self.file);
        self.bench.nothing_is_left();
        self.bench
    }
}

fn rcu_section(ctx: &MaySleep) -> crate::rcu::RcuReadGuard<'_> {
    crate::rcu::read_lock(ctx)
}

fn against_the_model(way: (TableFormat, Layout)) {
    let cases = Config::default().cases;
    let config = Config {
        cases: if cases == 256 { 12 } else { cases / 20 },
        failure_persistence: None,
        ..Config::default()
    };
    let steps = prop::collection::vec(op(), 1..60);
    // One machine for all cases: simulated memory is not given back. A case that fails takes it along.
    let bench = RefCell::new(None);
    let result = TestRunner::new(config).run(&steps, |steps| {
        let mut world = World::new(bench.take().unwrap_or_else(|| Bench::new(way)));
        steps.iter().for_each(|op| world.step(op));
        bench.replace(Some(world.end()));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn s390x() {
    WAYS[..3].iter().for_each(|&way| against_the_model(way));
}

#[test]
fn ppc64_4k() {
    WAYS[3..6].iter().for_each(|&way| against_the_model(way));
}

#[test]
fn ppc64_64k() {
    WAYS[6..].iter().for_each(|&way| against_the_model(way));
}
