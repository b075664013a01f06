//! The kernel's side of page tables: where their pages come from, and what was chosen at boot.

use super::frag::{PageSource, PtPage as Descriptor};
use super::layout::Layout;
use super::scheme::{self, Scheme};
use super::{Memory, PtPage, WORDS};
use crate::addr::{Pfn, PhysAddr};
use crate::arch::PAGE_SIZE;
use crate::cpus::CpuSet;
use crate::mm::cache::ObjectCache;
use crate::mm::frame::{FrameAllocator, Kind, Request};
use crate::mm::shared::SharedFrames;
use crate::rcu;
use crate::sync::MaySleep;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Page-table pages out of a frame allocator, each with a descriptor out of an object cache. The
/// descriptor is found from any address in the page through the owner's pointer of its frame.
pub struct TablePages {
    frames: &'static FrameAllocator,
    descriptors: &'static ObjectCache<PtPage>,
    bytes: AtomicUsize,
}

impl TablePages {
    /// None yet.
    pub const fn new(frames: &'static FrameAllocator, descriptors: &'static ObjectCache<PtPage>) -> Self {
        Self { frames, descriptors, bytes: AtomicUsize::new(0) }
    }

    /// Bytes of all page-table pages there are.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// See [`PageSource::new_page`].
    pub fn new_page(&'static self, bytes: usize, mut ctx: Option<&mut MaySleep>) -> Option<&'static PtPage> {
        let order = (bytes as u64).div_ceil(PAGE_SIZE).next_power_of_two().trailing_zeros() as u8;
        let frame = self.frames.alloc(Request::of(Kind::PageTable).order(order), ctx.as_deref_mut()).ok()?;
        let descriptor = self.descriptors.alloc(Descriptor::new(frame.addr()), ctx).ok()?;
        let raw = descriptor.into_raw();
        self.bytes.fetch_add(frame.size(), Ordering::Relaxed);
        self.name(frame.pfn(), order, raw.as_ptr().cast());
        let _ = frame.into_raw();
        // SAFETY: a descriptor lives until `free_page` takes it, and whoever holds the reference
        // holds a fragment of the page, is its callback, or is a reader whose grace period the page
        // waits for.
        Some(unsafe { raw.as_ref() })
    }

    /// See [`PageSource::free_page`].
    pub fn free_page(&'static self, page: &'static PtPage) {
        let start = Pfn::containing(page.block());
        let order = self.frames.descriptor(start).map_or(0, |descriptor| descriptor.word().order);
        self.name(start, order, core::ptr::null_mut());
        // SAFETY: nobody uses it any more: the page is empty, on no list, without a callback.
        drop(unsafe { self.descriptors.adopt(NonNull::from(page)) });
        // SAFETY: given up by `new_page`, and taken back once.
        if let Ok(frame) = unsafe { self.frames.adopt(start) } {
            self.bytes.fetch_sub(frame.size(), Ordering::Relaxed);
        }
    }

    /// See [`PageSource::page_of`].
    pub fn page_of(&self, table: PhysAddr) -> Option<&'static PtPage> {
        let page: NonNull<PtPage> =
            NonNull::new(self.frames.descriptor(Pfn::containing(table))?.owner())?.cast();
        // SAFETY: the frame is one of a page-table page, which stays (the caller sees to it), so its
        // owner's pointer is what `new_page` left.
        Some(unsafe { page.as_ref() })
    }

    fn name(&self, start: Pfn, order: u8, owner: *mut ()) {
        for frame in start.get()..start.get() + (1 << order) {
            if let Some(descriptor) = self.frames.descriptor(Pfn::new(frame)) {
                descriptor.set_owner(owner);
            }
        }
    }
}

/// The kernel's memory for page tables.
pub struct KernelMemory {
    pages: &'static TablePages,
    shared: &'static SharedFrames,
}

static DESCRIPTORS: ObjectCache<PtPage> = ObjectCache::new("page-table pages", crate::mm::frames());
static PAGES: TablePages = TablePages::new(crate::mm::frames(), &DESCRIPTORS);
static MEMORY: KernelMemory = KernelMemory::new(&PAGES, crate::mm::shared_frames());

/// The kernel's memory for page tables.
pub fn memory() -> &'static KernelMemory {
    &MEMORY
}

impl KernelMemory {
    /// Tables out of these pages; pages that are mapped are these frames.
    pub const fn new(pages: &'static TablePages, shared: &'static SharedFrames) -> Self {
        Self { pages, shared }
    }

    /// Bytes of all page-table pages there are, used or spare.
    pub fn table_bytes(&self) -> usize {
        self.pages.bytes()
    }
}

impl PageSource<WORDS> for KernelMemory {
    fn new_page(&self, bytes: usize, ctx: Option<&mut MaySleep>) -> Option<&'static PtPage> {
        self.pages.new_page(bytes, ctx)
    }
    fn free_page(&self, page: &'static PtPage) {
        self.pages.free_page(page);
    }
    fn call_rcu(&self, page: &'static PtPage) {
        rcu::call(page);
    }
    fn hold(&self, bytes: usize) {
        rcu::hold(bytes);
    }
    fn let_go(&self, bytes: usize) {
        rcu::let_go(bytes);
    }
    fn page_of(&self, table: PhysAddr) -> Option<&'static PtPage> {
        self.pages.page_of(table)
    }
    fn warn(&self, what: &'static str) {
        log::error!(target: "pgtable", "{what}");
        debug_assert!(false, "{what}");
    }
}

impl Memory for KernelMemory {
    /// Each entry held a reference; the frame of the last one waits for a grace period all the same.
    fn free_data(&self, pages: &[PhysAddr]) {
        for page in pages {
            // SAFETY: `map` was given the reference; unmapped, it is ours.
            unsafe { self.shared.put(Pfn::containing(*page)) };
        }
    }
    fn free_data_later(&self, pages: &[PhysAddr]) {
        self.free_data(pages);
    }
    fn interrupt(&self, cpus: CpuSet) {
        super::users::interrupt(cpus);
    }
}

/// What the command line chose.
#[derive(Clone, Copy)]
pub struct Choice {
    /// `pgtable.layout=`
    pub layout: Layout,
    /// `pgtable.free=`
    pub scheme: &'static dyn Scheme,
}

/// What the command line says; where it says nothing, or nothing that there is, the machine's layout
/// and `rcu`.
pub fn choose(layout: Option<&str>, free: Option<&str>) -> Choice {
    Choice {
        layout: layout.and_then(Layout::named).unwrap_or(DEFAULT_LAYOUT),
        scheme: free.and_then(scheme::named).unwrap_or(&scheme::rcu::Rcu),
    }
}

/// Halves on s390x, groups on ppc64: what the discussion of 2021 was about on each.
const DEFAULT_LAYOUT: Layout = if WORDS == 1 { Layout::Frag } else { Layout::Group };
