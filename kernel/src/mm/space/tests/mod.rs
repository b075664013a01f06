//! A small kernel around the address spaces of a test: frames and caches of its own, a machine, real grace
//! periods, and an object to map.

mod cases;
mod model;
mod races;

use super::{Ground, Identity, Mm, MmRef, PageError, PageObject, TableFormat};
use crate::addr::{Pfn, VirtAddr};
use crate::arch::current::mmu::linear;
use crate::arch::current::space::{Hardware, Machine};
use crate::mm::cache::ObjectCache;
use crate::mm::frame::{Counts, FrameAllocator, Kind};
use crate::mm::pagemap::PageMap;
use crate::mm::pgtable::kernel::{KernelMemory, TablePages};
use crate::mm::pgtable::scheme::{self, Scheme};
use crate::mm::pgtable::testing::start_rcu;
use crate::mm::pgtable::{Layout, Memory};
use crate::mm::shared::SharedFrames;
use crate::mm::vma::memory::Blocks;
use crate::rcu;
use crate::sync::{LockClass, MaySleep, Mutex, PreemptGuard, Rank};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// All that the kernel can be told on the host: formats, and their layouts.
const WAYS: [(TableFormat, Layout); 9] = [
    (TableFormat::Machine, Layout::Frag),
    (TableFormat::Machine, Layout::Page),
    (TableFormat::Machine, Layout::Group),
    (TableFormat::Radix4K, Layout::Group),
    (TableFormat::Radix4K, Layout::Page),
    (TableFormat::Radix4K, Layout::Frag),
    (TableFormat::Radix64K, Layout::Frag),
    (TableFormat::Radix64K, Layout::Page),
    (TableFormat::Radix64K, Layout::Group),
];

struct Bench {
    ground: &'static Ground,
    frames: &'static FrameAllocator,
    machine: Arc<Machine>,
    ctx: MaySleep,
    before: Counts,
}

impl Bench {
    fn new((format, layout): (TableFormat, Layout)) -> Self {
        Self::with(format, layout, &scheme::rcu::Rcu, 16)
    }

    fn with(format: TableFormat, layout: Layout, scheme: &'static dyn Scheme, megabytes: u64) -> Self {
        start_rcu();
        let frames = crate::mm::testing::frames(megabytes << 8);
        let descriptors = leak(ObjectCache::new("test descriptors", frames));
        let shared = leak(SharedFrames::new(frames));
        let memory: &'static dyn Memory =
            leak(KernelMemory::new(leak(TablePages::new(frames, descriptors)), shared));
        let blocks = leak(Blocks::new(frames));
        let ground = leak(Ground::new(frames, shared, memory, blocks, (format, layout, scheme)));
        let hardware = match format {
            TableFormat::Machine => Hardware::S390x,
            _ => Hardware::Ppc64,
        };
        let machine = Machine::new(hardware, 4);
        machine.enter(0);
        // SAFETY: the test's only token.
        let ctx = unsafe { MaySleep::mint() };
        Self { ground, frames, machine, ctx, before: frames.counts() }
    }

    fn mm(&mut self) -> MmRef {
        Mm::on(self.ground, &mut self.ctx).expect("memory")
    }

    fn activate(&self, mm: &Mm) {
        mm.activate(&PreemptGuard::new());
    }

    fn page(&self) -> u64 {
        self.ground.page_bytes()
    }

    /// After the end of all address spaces.
    fn nothing_is_left(&mut self) {
        self.ground.drop_zero();
        rcu::barrier(&mut self.ctx);
        rcu::barrier(&mut self.ctx);
        rcu::barrier(&mut self.ctx);
        crate::mm::cache::for_each(|cache| {
            if core::ptr::eq(cache.frames(), self.frames) {
                cache.shrink();
                assert_eq!((cache.counts().0, cache.misuses()), (0, 0), "objects of {}", cache.name());
            }
        });
        assert_eq!(self.frames.counts().used, self.before.used, "frames are left");
        assert_eq!(self.frames.misuses(), 0);
        assert_eq!(self.machine.remembered(), 0, "a CPU remembers a dead address space");
        assert_eq!(self.ground.committed.load(Ordering::Relaxed), 0);
    }
}

fn va(addr: u64) -> VirtAddr {
    VirtAddr::new(addr)
}

static NUMBERS: AtomicU64 = AtomicU64::new(1000);

/// A file: so many pages, each with a number in its first word.
struct TestFile {
    ground: &'static Ground,
    number: u64,
    pages: u64,
    map: Mutex<PageMap>,
}

const FILE: LockClass = LockClass::new("test file", Rank::SLEEPING);

impl TestFile {
    /// Page `n` begins with `first + n`.
    fn new(bench: &mut Bench, pages: u64, first: u64) -> Arc<Self> {
        let mut map = PageMap::new();
        for index in 0..pages {
            let frame = bench.ground.page(Kind::File, true, None).expect("memory");
            // SAFETY: the frame's first word.
            unsafe { linear(frame.addr()).cast::<u64>().write(first + index) };
            map.insert(index, bench.ground.shared.share(frame)).expect("memory");
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { ground: bench.ground, number, pages, map: Mutex::new(&FILE, map) })
    }

    /// Drops the pages from that one on.
    fn shorten(&self, ctx: &mut MaySleep, pages: u64) {
        let mut map = self.map.lock(ctx);
        while let Some((_, page)) = map.take_first(pages..u64::MAX) {
            // SAFETY: the file's reference.
            unsafe { self.ground.shared.put(page) };
        }
    }

    /// The first word of the page.
    fn word(&self, ctx: &mut MaySleep, index: u64) -> u64 {
        let page = self.map.lock(ctx).get(index).expect("a page");
        // SAFETY: the file has the frame.
        unsafe { (*linear(page.start()).cast::<AtomicU64>()).load(Ordering::Relaxed) }
    }
}

impl PageObject for TestFile {
    fn page(&self, ctx: &mut MaySleep, index: u64, _write: bool) -> Result<Pfn, PageError> {
        let map = self.map.lock(ctx);
        let page = map.get(index).ok_or(PageError::Beyond)?;
        // SAFETY: the file has a reference.
        unsafe { self.ground.shared.get(page) };
        Ok(page)
    }
    fn identity(&self) -> Identity {
        Identity { device: 7, inode: self.number }
    }
    fn name(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        write!(to, "/test/{}", self.number)
    }
    fn is_present(&self, index: u64) -> bool {
        index < self.pages
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        while let Some((_, page)) = self.map.get_mut().take_first(0..u64::MAX) {
            // SAFETY: the file's reference.
            unsafe { self.ground.shared.put(page) };
        }
    }
}
