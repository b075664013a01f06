//! Shared anonymous memory: an object without a name, whose pages are zeros until they are touched. Who
//! inherits the mapping shares it.

use super::{Ground, Identity, PageError, PageObject};
use crate::addr::Pfn;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::mm::frame::Kind;
use crate::mm::pagemap::PageMap;
use crate::sync::{LockClass, MaySleep, Mutex, Rank};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

const LOCK: LockClass = LockClass::new("shared memory", Rank::SLEEPING);

/// The device number of such objects: Linux' `00:01`.
const DEVICE: u64 = 1;
static NUMBERS: AtomicU64 = AtomicU64::new(1);

/// Shared memory without a name.
///
/// # Invariants
/// The map has one reference to each of its frames.
pub(super) struct Shmem {
    ground: &'static Ground,
    pages: u64,
    number: u64,
    map: Mutex<PageMap>,
}

impl Shmem {
    /// So many bytes of it.
    pub(super) fn make(ground: &'static Ground, bytes: u64) -> Result<Arc<dyn PageObject>, Errno> {
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let map = Mutex::new(&LOCK, PageMap::new());
        let object = try_arc(Self { ground, pages: bytes / ground.page_bytes(), number, map })?;
        Ok(object)
    }
}

/// What a mapping of `/dev/zero` shows: memory of its own, as much as is touched.
pub fn zeros() -> Result<Arc<dyn PageObject>, Errno> {
    Shmem::make(super::kernel::ground(), u64::MAX)
}

impl PageObject for Shmem {
    fn page(&self, ctx: &mut MaySleep, index: u64, _write: bool) -> Result<Pfn, PageError> {
        if index >= self.pages {
            return Err(PageError::Beyond);
        }
        let shared = self.ground.shared;
        let find = |map: &PageMap| {
            let page = map.get(index)?;
            // SAFETY: the map has a reference, and is locked.
            unsafe { shared.get(page) };
            Some(page)
        };
        if let Some(page) = find(&self.map.lock(ctx)) {
            return Ok(page);
        }
        let frame = self.ground.page(Kind::Shmem, true, Some(ctx)).map_err(|_| PageError::NoMemory)?;
        let mut map = self.map.lock(ctx);
        if let Some(page) = find(&map) {
            return Ok(page);
        }
        let page = frame.pfn();
        map.insert(index, page).map_err(|_| PageError::NoMemory)?;
        shared.share(frame);
        find(&map).ok_or(PageError::NoMemory)
    }

    fn identity(&self) -> Identity {
        Identity { device: DEVICE, inode: self.number }
    }

    fn name(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        to.write_str("/dev/zero (deleted)")
    }

    fn is_present(&self, index: u64) -> bool {
        self.map.try_lock().is_none_or(|map| map.get(index).is_some())
    }

    fn is_memory(&self) -> bool {
        true
    }
}

impl Drop for Shmem {
    fn drop(&mut self) {
        let map = self.map.get_mut();
        while let Some((_, page)) = map.take_first(0..u64::MAX) {
            // SAFETY: the map's reference.
            unsafe { self.ground.shared.put(page) };
        }
    }
}
