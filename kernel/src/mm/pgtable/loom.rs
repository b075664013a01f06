//! The page tables under the model checker: a small format, a few CPUs, at most three preemptions a
//! run.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p fallow --lib --release --target-dir target/loom pgtable::loom`
//!
//! The format has two levels of two entries, and two leaf tables to a page: the smallest in which a
//! group is more than one table. Empty is not zero there either. A page's address tells where it is
//! mapped, so a walker that ends up in a table of another address is seen.

use super::frag::PageSource;
use super::scheme::{FlushedTables, Scheme, Section};
use super::{Layout, Memory, PageTable, PtPage, WORDS};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::paging::{self, Access, Entry, Level, Page, PagingFormat};
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::rcu::Deferred;
use crate::sync::MaySleep;
use loom::sync::{Arc, Mutex};
use loom::thread::spawn;
use std::cell::Cell;

/// Two levels of two entries; pages of 32 bytes.
#[derive(Clone, Copy)]
struct Toy;

const EMPTY: u64 = 1;
const TABLE: u64 = 2;
const PAGE: u64 = 4;

impl PagingFormat for Toy {
    const NAME: &'static str = "toy";
    const LEVELS: &'static [Level] =
        &[Level { name: "root", entries: 2, shift: 6 }, Level { name: "leaf", entries: 2, shift: 5 }];
    const PAGE_SHIFT: u32 = 5;
    const READ_ONLY: (u64, u64) = (!0, 0);

    fn empty(_level: usize) -> u64 {
        EMPTY
    }
    fn poison(_level: usize) -> u64 {
        EMPTY | 8
    }
    fn table(_level: usize, child: PhysAddr) -> u64 {
        child.get() << 8 | TABLE
    }
    fn page(page: Page) -> u64 {
        page.addr.get() << 8 | PAGE
    }
    fn decode(level: usize, entry: u64) -> Entry {
        let addr = PhysAddr::new(entry >> 8);
        match (level, entry & 0xff) {
            (0, TABLE) => Entry::Table(addr),
            (1, PAGE) => Entry::Page(Page { addr, access: Access::RW, soft: 0 }),
            _ => Entry::Absent,
        }
    }
    fn root(table: PhysAddr) -> u64 {
        table.get()
    }
}

const _: () = paging::check::<Toy>();

const PAGES: usize = 5;
const CPUS: usize = 4;

loom::thread_local! {
    static CPU: Cell<usize> = Cell::new(0);
}

/// Pages, callbacks, and a lock for each CPU: a walk holds its CPU's, a grace period takes and drops
/// all of them.
struct Model {
    free: Mutex<Vec<&'static PtPage>>,
    queue: Mutex<Vec<&'static PtPage>>,
    cpus: [Mutex<()>; CPUS],
}

impl Model {
    fn new() -> &'static Self {
        let page = |k: usize| &*Box::leak(Box::new(PtPage::new(PhysAddr::new(32 * (k as u64 + 1)))));
        Box::leak(Box::new(Self {
            free: Mutex::new((0..PAGES).map(page).collect()),
            queue: Mutex::new(vec![]),
            cpus: std::array::from_fn(|_| Mutex::new(())),
        }))
    }

    fn turn(&self) {
        let due: Vec<_> = std::mem::take(&mut *self.queue.lock().unwrap());
        if due.is_empty() {
            return;
        }
        for cpu in &self.cpus {
            drop(cpu.lock().unwrap());
        }
        due.into_iter().for_each(PtPage::grace_over);
    }

    /// Pages that are in use, or wait.
    fn used(&self) -> usize {
        PAGES - self.free.lock().unwrap().len()
    }

    /// The end: nothing is left.
    fn finish(&'static self, tables: Arc<PageTable<Toy>>) {
        drop(Arc::try_unwrap(tables).ok().expect("nobody else has it"));
        self.turn();
        self.turn();
        assert_eq!((self.used(), self.queue.lock().unwrap().len()), (0, 0));
    }
}

impl PageSource<WORDS> for Model {
    fn new_page(&self, _bytes: usize, _ctx: Option<&mut MaySleep>) -> Option<&'static PtPage> {
        self.free.lock().unwrap().pop()
    }
    fn free_page(&self, page: &'static PtPage) {
        let mut free = self.free.lock().unwrap();
        assert!(!free.iter().any(|other| std::ptr::eq(*other, page)), "H13: given back twice");
        free.push(page);
    }
    fn call_rcu(&self, page: &'static PtPage) {
        self.queue.lock().unwrap().push(page);
    }
    fn page_of(&self, table: PhysAddr) -> Option<&'static PtPage> {
        Some(PtPages::of(table))
    }
    fn warn(&self, what: &'static str) {
        panic!("{what}");
    }
}

/// All descriptors of a run by address; what a frame's descriptor is in the kernel.
struct PtPages;

loom::lazy_static! {
    static ref BY_ADDRESS: std::sync::Mutex<Vec<&'static PtPage>> = std::sync::Mutex::new(vec![]);
}

impl PtPages {
    fn remember(model: &Model) {
        let mut all = BY_ADDRESS.lock().unwrap();
        all.extend(model.free.lock().unwrap().iter());
        all.sort_by_key(|page| page.block());
    }
    fn of(table: PhysAddr) -> &'static PtPage {
        BY_ADDRESS.lock().unwrap()[table.get() as usize / 32 - 1]
    }
}

impl Memory for Model {
    fn free_data(&self, _pages: &[PhysAddr]) {}
    fn free_data_later(&self, _pages: &[PhysAddr]) {}
    fn interrupt(&self, _cpus: CpuSet) {}
}

/// Read sections are the locks of the model's CPUs.
struct ModelRcu(&'static Model);

impl Scheme for ModelRcu {
    fn name(&self) -> &'static str {
        "model"
    }
    fn enter<'ctx>(&self, _ctx: &'ctx MaySleep) -> Section<'ctx> {
        Section::Model(self.0.cpus[CPU.with(Cell::get)].lock().unwrap())
    }
    fn dispose(&self, memory: &'static dyn Memory, _users: CpuSet, flushed: FlushedTables<'_>) {
        flushed.free_after_grace_period(memory);
    }
}

fn start(layout: Layout) -> (&'static Model, Arc<PageTable<Toy>>, MaySleep) {
    let model = Model::new();
    PtPages::remember(model);
    let scheme: &'static ModelRcu = Box::leak(Box::new(ModelRcu(model)));
    let tables = PageTable::new(model, layout, scheme, None).expect("memory");
    (model, Arc::new(tables), token())
}

fn token() -> MaySleep {
    // SAFETY: one for each thread of the model.
    unsafe { MaySleep::mint() }
}

fn map(tables: &PageTable<Toy>, number: u64, ctx: &mut MaySleep) -> Result<(), Errno> {
    // The page says where it is mapped; page 0 too.
    let page = Page { addr: PhysAddr::new(32 * (number + 1)), access: Access::RW, soft: 0 };
    tables.map(VirtAddr::new(32 * number), page, ctx)
}

fn unmap(tables: &PageTable<Toy>, number: u64, ctx: &MaySleep) {
    tables.unmap(VirtAddr::new(32 * number)..VirtAddr::new(32 * (number + 1)), ctx);
}

/// What a walk finds; every page must be where it says.
fn walk(tables: &PageTable<Toy>, ctx: &MaySleep) -> Vec<u64> {
    let mut found = vec![];
    tables.walk(ctx, VirtAddr::new(0)..VirtAddr::new(128), &mut |va: VirtAddr, page: Page| {
        assert_eq!(page.addr.get(), va.get() + 32, "H2: a walker in a table of another address");
        found.push(va.get() / 32);
    });
    found
}

fn on<R: 'static>(
    cpu: usize,
    tables: &Arc<PageTable<Toy>>,
    work: impl FnOnce(&PageTable<Toy>, &mut MaySleep) -> R + 'static,
) -> loom::thread::JoinHandle<R> {
    let tables = tables.clone();
    spawn(move || {
        CPU.with(|number| number.set(cpu));
        let result = work(&tables, &mut token());
        drop(tables);
        result
    })
}

/// Runs the model with at most three preemptions, says how much it tried and how often the case came
/// up.
fn bounded(name: &str, test: impl Fn() -> bool + Sync + Send + 'static) {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    let runs = std::sync::Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let (counted, began) = (runs.clone(), std::time::Instant::now());
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || {
        counted.0.fetch_add(1, Relaxed);
        counted.1.fetch_add(usize::from(test()), Relaxed);
    });
    let (all, hits) = (runs.0.load(Relaxed), runs.1.load(Relaxed));
    println!("{name}: {all} interleavings, the case itself in {hits}, {:.1?}", began.elapsed());
    assert!(hits > 0, "the test never came to its point");
}

/// H11: two CPUs fault in the two halves of one group, a third walks: one group is installed, and
/// the walker sees no page, one, or both.
#[test]
fn a_group_is_published_as_one() {
    bounded("two faults and a walker; the walker saw one page", || {
        let (model, tables, mut ctx) = start(Layout::Group);
        let fault = on(1, &tables, |tables, ctx| map(tables, 2, ctx));
        let walker = on(2, &tables, |tables, ctx| walk(tables, ctx));
        assert_eq!(map(&tables, 0, &mut ctx), Ok(()));
        assert_eq!(fault.join().unwrap(), Ok(()));
        let seen = walker.join().unwrap();
        assert_eq!(walk(&tables, &ctx), [0, 2]);
        // The root's page and the group's: nobody installed a second one, or kept it.
        assert_eq!(model.used(), 2);
        model.finish(tables);
        seen.len() == 1
    });
}

/// H12, H13: two CPUs empty the two halves of one group while a third walks: it is withdrawn once.
#[test]
fn a_group_is_withdrawn_once() {
    bounded("two unmaps and a walker; the walker saw both pages", || {
        let (model, tables, mut ctx) = start(Layout::Group);
        assert_eq!((map(&tables, 0, &mut ctx), map(&tables, 2, &mut ctx)), (Ok(()), Ok(())));
        let other = on(1, &tables, |tables, ctx| unmap(tables, 2, ctx));
        let walker = on(2, &tables, |tables, ctx| walk(tables, ctx));
        unmap(&tables, 0, &ctx);
        other.join().unwrap();
        let seen = walker.join().unwrap();
        assert_eq!(walk(&tables, &ctx), []);
        assert_eq!(model.queue.lock().unwrap().len(), 1, "withdrawn once");
        model.turn();
        assert_eq!(model.used(), 1);
        model.finish(tables);
        seen.len() == 2
    });
}

/// H14, H22: one CPU unmaps the last page of a group while another maps one in it: what was mapped is
/// there afterwards, in this group or in a new one.
#[test]
fn a_group_that_is_refilled_stays() {
    bounded("unmap against map in one group; a new group was made", || {
        let (model, tables, mut ctx) = start(Layout::Group);
        assert_eq!(map(&tables, 0, &mut ctx), Ok(()));
        let fault = on(1, &tables, |tables, ctx| map(tables, 3, ctx));
        unmap(&tables, 0, &ctx);
        assert_eq!(fault.join().unwrap(), Ok(()));
        assert_eq!(walk(&tables, &ctx), [3]);
        let new = model.queue.lock().unwrap().len() == 1;
        model.finish(tables);
        new
    });
}

/// H2, H9: a walker while a fragment is unmapped, waits, and is handed out again for another address,
/// its twin (the root) living on: he is never in a table of another address.
#[test]
fn a_fragment_is_not_reused_under_a_walker() {
    bounded("walker against reuse; the same memory was handed out again", || {
        let (model, tables, mut ctx) = start(Layout::Frag);
        assert_eq!(map(&tables, 0, &mut ctx), Ok(()));
        let used = model.used();
        let walker = on(2, &tables, |tables, ctx| walk(tables, ctx));
        let rcu = spawn(|| model.turn());
        unmap(&tables, 0, &ctx);
        // The memory of the table for page 0 if its grace period is over by now, else a new page.
        assert_eq!(map(&tables, 2, &mut ctx), Ok(()));
        let reused = model.used() == used;
        rcu.join().unwrap();
        walker.join().unwrap();
        assert_eq!(walk(&tables, &ctx), [2]);
        model.finish(tables);
        reused
    });
}

/// The pages that are mapped: where, and where each was mapped first.
fn moved(tables: &PageTable<Toy>, ctx: &MaySleep) -> Vec<(u64, u64)> {
    let mut found = vec![];
    tables.walk(ctx, VirtAddr::new(0)..VirtAddr::new(128), &mut |va: VirtAddr, page: Page| {
        found.push((va.get() / 32, page.addr.get() / 32 - 1));
    });
    found
}

fn move_page(tables: &PageTable<Toy>, from: u64, to: u64, ctx: &mut MaySleep) -> Result<(), Errno> {
    tables.move_page(VirtAddr::new(32 * from), VirtAddr::new(32 * to), ctx)
}

/// H23: two CPUs move pages between the same two tables, each in the other direction, while a third
/// unmaps the first and with it the table: nobody waits for himself (the first table and the root
/// have one lock), nor two for each other.
#[test]
fn moves_against_each_other() {
    bounded("two moves between two tables and an unmap; both moved", || {
        let (model, tables, mut ctx) = start(Layout::Frag);
        assert_eq!((map(&tables, 0, &mut ctx), map(&tables, 2, &mut ctx)), (Ok(()), Ok(())));
        let there = on(1, &tables, |tables, ctx| move_page(tables, 0, 3, ctx));
        let back = on(2, &tables, |tables, ctx| move_page(tables, 2, 1, ctx));
        unmap(&tables, 0, &ctx);
        let (there, back) = (there.join().unwrap(), back.join().unwrap());
        assert_eq!(back, Ok(()));
        assert!(there == Ok(()) || there == Err(Errno::ENOENT), "{there:?}");
        let expected = if there.is_ok() { vec![(1, 2), (3, 0)] } else { vec![(1, 2)] };
        assert_eq!(moved(&tables, &ctx), expected);
        model.finish(tables);
        there.is_ok()
    });
}

/// A page is unmapped while it is being moved. If the unmapping was first, the table that was made
/// for the move goes again.
#[test]
fn a_move_that_fails_leaves_no_table() {
    bounded("move against unmap; a table was made for nothing", || {
        let (model, tables, mut ctx) = start(Layout::Page);
        let empty = tables.table_bytes();
        assert_eq!(map(&tables, 0, &mut ctx), Ok(()));
        let one = tables.table_bytes();
        let other = on(1, &tables, |tables, ctx| move_page(tables, 0, 2, ctx));
        unmap(&tables, 0, &ctx);
        let result = other.join().unwrap();
        match result {
            Ok(()) => {
                assert_eq!(moved(&tables, &ctx), [(2, 0)]);
                assert_eq!(tables.table_bytes(), one);
            }
            Err(errno) => {
                assert_eq!((errno, moved(&tables, &ctx)), (Errno::ENOENT, vec![]));
                assert_eq!(tables.table_bytes(), empty, "an empty table is left");
            }
        }
        let in_vain = model.queue.lock().unwrap().len() == 2;
        model.finish(tables);
        result.is_err() && in_vain
    });
}
