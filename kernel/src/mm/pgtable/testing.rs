//! A small kernel around the page tables of a test: frames of its own, grace periods by hand.
#![expect(clippy::expect_used, reason = "tests stop where the test is wrong")]

use super::frag::PageSource;
use super::kernel::TablePages;
use super::scheme::Scheme;
use super::{Layout, Memory, PageTable, PtPage, WORDS};
use crate::addr::{Pfn, PhysAddr, VirtAddr};
use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu::linear;
use crate::arch::current::space::{Hardware, Machine};
use crate::arch::paging::{Access, Page, PagingFormat};
use crate::cpus::CpuSet;
use crate::mm::cache::ObjectCache;
use crate::mm::frame::{FrameAllocator, Kind, Request};
use crate::rcu::Deferred;
use crate::sync::MaySleep;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Frames, and what waits for the next turn.
pub struct TestMemory {
    pub frames: &'static FrameAllocator,
    pub pages: &'static TablePages,
    queue: Mutex<Vec<&'static PtPage>>,
    data: Mutex<Vec<PhysAddr>>,
    /// Whom `interrupt` was asked for.
    pub interrupted: Mutex<Vec<CpuSet>>,
    /// Real grace periods instead of turns.
    real: bool,
    /// Pages belong to the test: they are not freed when they are unmapped.
    pub keep_pages: AtomicBool,
}

impl TestMemory {
    pub fn new(megabytes: u64) -> &'static Self {
        Self::make(megabytes, false)
    }

    /// With the grace periods of [`crate::rcu`].
    pub fn with_rcu(megabytes: u64) -> &'static Self {
        start_rcu();
        Self::make(megabytes, true)
    }

    fn make(megabytes: u64, real: bool) -> &'static Self {
        let frames = crate::mm::testing::frames(megabytes << 20 >> PAGE_SIZE.trailing_zeros());
        let descriptors = Box::leak(Box::new(ObjectCache::new("test descriptors", frames)));
        Box::leak(Box::new(Self {
            frames,
            pages: Box::leak(Box::new(TablePages::new(frames, descriptors))),
            queue: Mutex::default(),
            data: Mutex::default(),
            interrupted: Mutex::default(),
            real,
            keep_pages: AtomicBool::new(false),
        }))
    }

    /// One grace period, and what waited for it.
    pub fn turn(&self) {
        let due: Vec<_> = self.queue.lock().expect("no panic").drain(..).collect();
        let data: Vec<_> = self.data.lock().expect("no panic").drain(..).collect();
        due.into_iter().for_each(PtPage::grace_over);
        self.free_data(&data);
    }

    /// How many callbacks are queued.
    pub fn queued(&self) -> usize {
        self.queue.lock().expect("no panic").len()
    }

    /// Frames in use by tables and pages.
    pub fn used(&self) -> usize {
        let counts = self.frames.counts();
        counts.used[Kind::PageTable as usize] + counts.used[Kind::User as usize]
    }

    /// A page for the format, with a stamp at the begin of each 4 KB; the page table owns it once it
    /// is mapped.
    pub fn page<F: PagingFormat>(&self, access: Access, stamp: u64) -> Page {
        let order = (F::PAGE_SHIFT - PAGE_SIZE.trailing_zeros()) as u8;
        let frame = self.frames.alloc(Request::of(Kind::User).order(order), None).expect("memory");
        for part in 0..1 << order {
            let at = PhysAddr::new(frame.addr().get() + part * 4096);
            word(at).store(stamp + part, Ordering::Relaxed);
        }
        Page { addr: frame.into_raw().start(), access, soft: 0 }
    }
}

/// Starts the process' grace-period thread, once, and waits until it is there.
pub fn start_rcu() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::thread::spawn(|| {
            // SAFETY: the thread's only token.
            let mut ctx = unsafe { MaySleep::mint() };
            crate::rcu::kernel::hosted_main(&mut ctx);
        });
        while !crate::rcu::global::RCU.is_driven() {
            std::thread::yield_now();
        }
    });
}

/// A word of simulated memory.
pub fn word(at: PhysAddr) -> &'static AtomicU64 {
    // SAFETY: simulated RAM is never freed; tests use it atomically.
    unsafe { &*linear(at).cast() }
}

impl PageSource<WORDS> for TestMemory {
    fn new_page(&self, bytes: usize, ctx: Option<&mut MaySleep>) -> Option<&'static PtPage> {
        self.pages.new_page(bytes, ctx)
    }
    fn free_page(&self, page: &'static PtPage) {
        self.pages.free_page(page);
    }
    fn call_rcu(&self, page: &'static PtPage) {
        if self.real {
            return crate::rcu::call(page);
        }
        let mut queue = self.queue.lock().expect("no panic");
        assert!(!queue.iter().any(|queued| core::ptr::eq(*queued, page)), "H1: queued twice");
        queue.push(page);
    }
    fn page_of(&self, table: PhysAddr) -> Option<&'static PtPage> {
        self.pages.page_of(table)
    }
    fn warn(&self, what: &'static str) {
        panic!("{what}");
    }
}

impl Memory for TestMemory {
    fn free_data(&self, pages: &[PhysAddr]) {
        if self.keep_pages.load(Ordering::Relaxed) {
            return;
        }
        for page in pages {
            // SAFETY: from `page` above; the page table gives each back once.
            drop(unsafe { self.frames.adopt(Pfn::containing(*page)) }.expect("an allocated page"));
        }
    }
    fn free_data_later(&self, pages: &[PhysAddr]) {
        self.data.lock().expect("no panic").extend(pages);
    }
    fn interrupt(&self, cpus: CpuSet) {
        self.interrupted.lock().expect("no panic").push(cpus);
    }
}

/// Whose tables a format's are.
pub fn hardware<F: PagingFormat>() -> Hardware {
    if F::NAME.starts_with("s390x") { Hardware::S390x } else { Hardware::Ppc64 }
}

/// A test's machine, memory, and task.
pub struct Bench<F> {
    pub memory: &'static TestMemory,
    pub machine: Arc<Machine>,
    pub ctx: MaySleep,
    _format: core::marker::PhantomData<F>,
}

impl<F: PagingFormat> Bench<F> {
    pub fn new(megabytes: u64) -> Self {
        Self::on(TestMemory::new(megabytes))
    }

    pub fn on(memory: &'static TestMemory) -> Self {
        let machine = Machine::new(hardware::<F>(), 4);
        machine.enter(0);
        // SAFETY: the test's only token.
        let ctx = unsafe { MaySleep::mint() };
        Self { memory, machine, ctx, _format: core::marker::PhantomData }
    }

    pub fn tables(&mut self, layout: Layout, scheme: &'static dyn Scheme) -> PageTable<F> {
        PageTable::new(self.memory, layout, scheme, None).expect("memory")
    }

    /// After the end of all address spaces: that nothing is left, tables nor pages.
    pub fn nothing_is_left(&self) {
        self.memory.turn();
        self.memory.turn();
        assert_eq!((self.memory.queued(), self.memory.used(), self.memory.pages.bytes()), (0, 0, 0));
        assert_eq!(self.memory.frames.misuses(), 0);
        assert_eq!(self.machine.remembered(), 0, "a CPU remembers a dead address space");
    }
}

/// The address of the n-th page.
pub fn nth<F: PagingFormat>(page: u64) -> VirtAddr {
    VirtAddr::new(page << F::PAGE_SHIFT)
}
