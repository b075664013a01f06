//! What address spaces stand on: frames, tables' pages, blocks of the sets, the page of zeros, and which
//! CPU has which of them. The kernel has one; tests on the host make their own.

use super::Mm;
use super::tables::Tables;
use crate::addr::{Pfn, PhysAddr};
use crate::arch::paging::Access;
use crate::arch::{MAX_CPUS, PAGE_SIZE, current::mmu};
use crate::error::Errno;
use crate::mm::frame::{Descriptor, Frame, FrameAllocator, Kind, Request};
use crate::mm::object::ObjectRef;
use crate::mm::pgtable::scheme::Scheme;
use crate::mm::pgtable::{Layout, Memory};
use crate::mm::shared::SharedFrames;
use crate::mm::vma::memory::Blocks;
use crate::mm::vma::{Vma, VmaSet};
use crate::sync::MaySleep;
use core::sync::atomic::{AtomicI64, AtomicPtr, AtomicU64, Ordering};

/// How a mapping is described in the set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attrs {
    /// How it is mapped.
    pub flags: super::VmFlags,
    /// What is mapped; `None`: anonymous memory.
    pub object: Option<ObjectRef>,
    /// The object's byte that address 0 would show: what is at `addr` is the byte `offset + addr`, with
    /// overflow. 0 for anonymous memory.
    pub offset: u64,
}

/// A mapping of a program.
pub type Area = Vma<Attrs>;
/// The set of them.
pub type Areas = VmaSet<Attrs, &'static Blocks>;

/// Which tables an address space gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableFormat {
    /// The machine's, as the layout wants it.
    Machine,
    /// ppc64 radix with 4 KB leaves, on the host.
    #[cfg(test)]
    Radix4K,
    /// ppc64 radix with 64 KB leaves, on the host.
    #[cfg(test)]
    Radix64K,
}

/// What address spaces stand on.
pub struct Ground {
    pub(super) frames: &'static FrameAllocator,
    pub(super) shared: &'static SharedFrames,
    pub(super) memory: &'static dyn Memory,
    pub(super) blocks: &'static Blocks,
    pub(super) format: TableFormat,
    pub(super) layout: Layout,
    pub(super) scheme: &'static dyn Scheme,
    /// The address space that each CPU has active.
    pub(super) active: [AtomicPtr<Mm>; MAX_CPUS],
    /// The page of zeros, once there is one: its number plus one.
    zero: AtomicU64,
    /// The number of the last address space.
    ids: AtomicU64,
    /// Pages that all address spaces have committed.
    pub(super) committed: AtomicI64,
    /// All address spaces.
    pub(super) all: super::forget::List,
}

impl Ground {
    /// Nothing stands on it yet.
    pub const fn new(
        frames: &'static FrameAllocator,
        shared: &'static SharedFrames,
        memory: &'static dyn Memory,
        blocks: &'static Blocks,
        (format, layout, scheme): (TableFormat, Layout, &'static dyn Scheme),
    ) -> Self {
        Self {
            frames,
            shared,
            memory,
            blocks,
            format,
            layout,
            scheme,
            active: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS],
            zero: AtomicU64::new(0),
            ids: AtomicU64::new(0),
            committed: AtomicI64::new(0),
            all: super::forget::List::new(),
        }
    }

    pub(super) fn next_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Log2 of the frames of a page.
    fn order(&self) -> u8 {
        match self.format {
            TableFormat::Machine => 0,
            #[cfg(test)]
            _ => 4,
        }
    }

    /// The layout of the tables.
    pub fn layout(&self) -> Layout {
        self.layout
    }
    /// How they are freed.
    pub fn scheme(&self) -> &'static dyn Scheme {
        self.scheme
    }
    /// Bytes of a page.
    #[inline(always)]
    pub fn page_bytes(&self) -> u64 {
        PAGE_SIZE << self.order()
    }

    /// A page of a program with whatever it contains, or zeros.
    pub(super) fn page(&self, kind: Kind, zeroed: bool, ctx: Option<&mut MaySleep>) -> Result<Frame, Errno> {
        let frame = self.frames.alloc(Request::of(kind).order(self.order()), ctx)?;
        if zeroed {
            // SAFETY: the frame is ours, and that large.
            unsafe { zero_page(frame.as_ptr().as_ptr(), frame.size()) };
        }
        Ok(frame)
    }

    /// Makes the page of zeros, if there is none yet.
    pub(super) fn make_zero(&self, ctx: &mut MaySleep) -> Result<(), Errno> {
        if self.zero.load(Ordering::Relaxed) == 0 {
            let frame = self.page(Kind::Kernel, true, Some(ctx))?;
            let page = self.shared.share(frame);
            // Release: pairs with the Acquire in `zero`.
            let first = self.zero.compare_exchange(0, page.get() + 1, Ordering::Release, Ordering::Relaxed);
            if first.is_err() {
                // SAFETY: the reference of `share`, used by nobody.
                unsafe { self.shared.put(page) };
            }
        }
        Ok(())
    }

    /// The page of zeros, with a reference for the caller.
    pub(super) fn zero(&self) -> Pfn {
        let page = Pfn::new(self.zero.load(Ordering::Acquire).saturating_sub(1));
        // SAFETY: the ground keeps a reference.
        unsafe { self.shared.get(page) };
        page
    }

    /// Whether it is the page of zeros.
    #[inline]
    pub(super) fn is_zero(&self, page: PhysAddr) -> bool {
        Pfn::containing(page).get() + 1 == self.zero.load(Ordering::Relaxed)
    }

    /// What a page in the tables counts as.
    #[inline]
    pub(super) fn kind(&self, page: PhysAddr) -> Kind {
        self.frames.descriptor(Pfn::containing(page)).map_or(Kind::Kernel, Descriptor::kind)
    }

    /// Both, with one look.
    #[inline(always)]
    pub(super) fn kind_and_references(&self, page: PhysAddr) -> (Kind, u32) {
        let frame = self.frames.descriptor(Pfn::containing(page));
        frame.map_or((Kind::Kernel, 0), |frame| (frame.kind(), frame.references()))
    }

    /// How many references there are to a page.
    #[inline]
    pub(super) fn references(&self, page: PhysAddr) -> u32 {
        self.frames.descriptor(Pfn::containing(page)).map_or(0, |frame| frame.references())
    }

    /// Forgets the page of zeros: at the end of a test.
    #[cfg(test)]
    pub fn drop_zero(&self) {
        if let Some(page) = self.zero.swap(0, Ordering::Relaxed).checked_sub(1) {
            // SAFETY: the ground's own reference; no address space is left.
            unsafe { self.shared.put(Pfn::new(page)) };
        }
    }

    pub(super) fn tables(&self, ctx: &mut MaySleep) -> Result<Tables, Errno> {
        Tables::new(self, ctx)
    }
}

/// Zeroes a page.
///
/// # Safety
/// The memory is the caller's, and that large.
pub(super) unsafe fn zero_page(page: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { mmu::fill(page, 0, bytes) };
}

/// Copies a page.
///
/// # Safety
/// Both are the caller's for that, and that large.
pub(super) unsafe fn copy_page(to: *mut u8, from: PhysAddr, bytes: usize) {
    // SAFETY: the caller's promise. The source may be changed meanwhile by a program that shares it,
    // which then finds a mixture, as it would have with any copy.
    unsafe { mmu::copy(to, mmu::linear(from), bytes) };
}

/// What a page may be used for: the mapping's right, without the right to store.
pub(super) const fn without_store(access: Access) -> Access {
    let access = access.normal();
    Access { write: false, ..access }
}
