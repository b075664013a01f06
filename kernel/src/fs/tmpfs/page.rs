//! A file's page: a frame that is counted, since mappings may refer to it as well.

use crate::addr::Pfn;
use crate::arch::PAGE_SIZE;
use crate::arch::current::mmu;
use crate::error::Errno;
use crate::mm::frame::{FrameAllocator, Kind, Request};
use crate::mm::shared::SharedFrames;
use crate::sync::MaySleep;
use core::mem::ManuallyDrop;
use core::ops::Range;

/// Bytes of a page, as an index.
pub const PAGE: usize = PAGE_SIZE as usize;

/// Where a file system's frames come from.
#[derive(Clone, Copy)]
pub struct Memory {
    /// Whose frames.
    pub frames: &'static FrameAllocator,
    /// Who counts them.
    pub shared: &'static SharedFrames,
}

impl Memory {
    /// The machine's.
    pub fn machine() -> Self {
        Self { frames: crate::mm::frames(), shared: crate::mm::shared_frames() }
    }
}

/// One reference to a frame of a file.
///
/// # Invariants
/// The reference is counted, and this one's own.
pub struct Page {
    pfn: Pfn,
    shared: &'static SharedFrames,
}

impl Page {
    /// A new page, all zeros.
    pub fn zeroed(memory: Memory, ctx: &mut MaySleep) -> Result<Self, Errno> {
        let request = Request::of(Kind::Shmem).zeroed();
        let frame = memory.frames.alloc(request, Some(ctx))?;
        Ok(Self { pfn: memory.shared.share(frame), shared: memory.shared })
    }

    /// Gives the reference away, to a page-table entry.
    pub fn into_raw(self) -> Pfn {
        ManuallyDrop::new(self).pfn
    }

    fn bytes(&self, range: &Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= PAGE, "inside the page");
        mmu::linear(self.pfn.start()).wrapping_add(range.start)
    }

    /// Shows bytes of the page to somebody who copies them.
    ///
    /// The kernel's own writers are kept out by the lock of the file's contents. Programs that have the
    /// page mapped are not: what is copied then is what a racing read gives on any system. The bytes go
    /// to a copy only, which does not look at them twice.
    pub fn show<R>(&self, range: Range<usize>, copy: impl FnOnce(&[u8]) -> R) -> R {
        let start = self.bytes(&range);
        // SAFETY: the frame is ours to read as long as the reference is, and mapped in the linear map;
        // the range is inside. No code of the kernel writes it meanwhile (the lock of the contents).
        copy(unsafe { core::slice::from_raw_parts(start, range.len()) })
    }

    /// Lets bytes of the page be written, by the holder of the lock of the file's contents. What was
    /// said of programs in [`show`](Self::show) holds here as well.
    pub fn fill<R>(&self, range: Range<usize>, copy: impl FnOnce(&mut [u8]) -> R) -> R {
        let start = self.bytes(&range);
        // SAFETY: as in `show`; by the lock of the contents this is the only slice.
        copy(unsafe { core::slice::from_raw_parts_mut(start, range.len()) })
    }
}

impl Clone for Page {
    fn clone(&self) -> Self {
        // SAFETY: this reference is counted (invariant).
        unsafe { self.shared.get(self.pfn) };
        Self { pfn: self.pfn, shared: self.shared }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: this one's own reference (invariant), and its last use.
        unsafe { self.shared.put(self.pfn) };
    }
}
