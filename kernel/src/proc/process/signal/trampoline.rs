//! The page with the code that ends a handler, the same frame in every program.

use crate::addr::{Pfn, VirtAddr};
use crate::arch::current::signal::TRAMPOLINE;
use crate::arch::paging::Access;
use crate::arch::{PAGE_SIZE, try_arc};
use crate::error::Errno;
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::mm::space::{Identity, MapFlags, MapRequest, Mm, PageError, PageObject};
use crate::sync::{LockClass, MaySleep, Mutex, Rank};
use alloc::sync::Arc;
use core::fmt;

/// The page, as something to map.
struct Trampoline(Pfn);

impl PageObject for Trampoline {
    fn page(&self, _ctx: &mut MaySleep, index: u64, write: bool) -> Result<Pfn, PageError> {
        if index != 0 || write {
            return Err(PageError::Beyond);
        }
        // SAFETY: the object holds a reference, for good.
        unsafe { mm::shared_frames().get(self.0) };
        Ok(self.0)
    }
    fn identity(&self) -> Identity {
        Identity { device: 0, inode: 0 }
    }
    fn name(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("[vdso]")
    }
}

const CLASS: LockClass = LockClass::new("trampoline", Rank::new(11));
static OBJECT: Mutex<Option<Arc<Trampoline>>> = Mutex::new(&CLASS, None);

/// Makes it, the first time.
fn object(ctx: &mut MaySleep) -> Result<Arc<Trampoline>, Errno> {
    let mut object = OBJECT.lock(ctx);
    if let Some(object) = &*object {
        return Ok(Arc::clone(object));
    }
    let frame = mm::frames().alloc(Request::of(Kind::File).zeroed(), None)?;
    assert!(TRAMPOLINE.len() <= PAGE_SIZE as usize);
    // SAFETY: the frame is ours, and that large.
    unsafe { core::ptr::copy_nonoverlapping(TRAMPOLINE.as_ptr(), frame.as_ptr().as_ptr(), TRAMPOLINE.len()) };
    let new = try_arc(Trampoline(mm::shared_frames().share(frame)))?;
    Ok(Arc::clone(object.insert(new)))
}

/// Maps it in a new program's address space; gives its address.
pub fn map(ctx: &mut MaySleep, space: &Mm) -> Result<VirtAddr, Errno> {
    let object = object(ctx)?;
    let access = Access { read: true, write: false, execute: true };
    let request = MapRequest { most: access, ..MapRequest::anonymous(PAGE_SIZE, access) };
    space.map(ctx, request.of(object, 0).with(MapFlags::SPECIAL))
}
