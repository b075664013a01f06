//! What a mapping shows: [`PageObject`], and [`Mapped`], the count of its mapped pages.
//!
//! A mapping's attributes are plain values, so that blocks of the VMA set are copied without counting
//! anything. They name their object by the address of a [`Mapped`], which counts the *pages* that are
//! mapped of it, in all address spaces together: mapping adds, unmapping subtracts the length, and
//! splitting, merging and protecting change nothing. When the count is down to 0 the record waits for a
//! grace period and is freed, and the object with it: so whoever finds it in a version of a set may
//! look at it as long as his read section lasts, and may keep it longer if the count was not 0 yet.

use crate::addr::Pfn;
use crate::arch::try_box;
use crate::error::Errno;
use crate::rcu::{self, HasRcuHead, RcuHead, RcuReadGuard};
use crate::sync::MaySleep;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::mem::{ManuallyDrop, offset_of};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

/// Why an object has no page to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageError {
    /// It lies beyond the end: the program gets SIGBUS.
    Beyond,
    /// No memory.
    NoMemory,
    /// It could not be read: SIGBUS.
    Io,
}

/// Which object it is, for all who have it mapped: as `/proc/PID/maps` prints it, and as a futex in it
/// is found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Identity {
    /// The device's number, as `st_dev`.
    pub device: u64,
    /// The number there, as `st_ino`.
    pub inode: u64,
}

/// What a mapping shows: a file of the tmpfs, a device, shared memory without a name.
///
/// Its frames are blocks of one page, allocated as [`Kind::File`](crate::mm::frame::Kind::File) or
/// [`Kind::Shmem`](crate::mm::frame::Kind::Shmem) (the kind says under what an address space counts
/// them) and shared by counting ([`SharedFrames`](crate::mm::shared::SharedFrames)): the object keeps a
/// reference of its own for each.
///
/// `page` is called in a page fault: also in one that a system call takes on its buffer. So a lock that
/// it takes is not held by anybody who copies from or to a program. No lock of the address space is
/// held. The last count of an object may be dropped in an RCU callback: dropping it does not sleep.
pub trait PageObject: Send + Sync {
    /// The page with that number, with one reference for the caller. With `write` the page is about to
    /// be written to by way of a shared mapping. It may wait.
    fn page(&self, ctx: &mut MaySleep, index: u64, write: bool) -> Result<Pfn, PageError>;

    /// Which object it is.
    fn identity(&self) -> Identity;

    /// Its name as `/proc/PID/maps` shows it: a path, `/dev/zero (deleted)`, `[vdso]`. Called in a read
    /// section: it does not sleep.
    fn name(&self, to: &mut dyn fmt::Write) -> fmt::Result;

    /// What it shows: objects that show the same pages, each under its own name, give the same address.
    /// It is not followed.
    fn contents(&self) -> *const () {
        core::ptr::from_ref(self).cast()
    }

    /// Whether the page is in memory, for `mincore`. It does not sleep.
    fn is_present(&self, _index: u64) -> bool {
        true
    }

    /// Writes back what was written to these pages: `msync`. What lives in memory has nothing to do.
    fn sync(&self, _ctx: &mut MaySleep, _first: u64, _pages: u64) -> Result<(), Errno> {
        Ok(())
    }

    /// Gives up these pages: `madvise(MADV_REMOVE)`.
    fn remove(&self, _ctx: &mut MaySleep, _first: u64, _pages: u64) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// Whether pages that are mapped for the first time are counted as shared memory without a name
    /// would be: it has nothing on a disk. For the policy of overcommit.
    fn is_memory(&self) -> bool {
        false
    }
}

/// An object as mappings name it.
///
/// # Invariants
/// `pages` is the number of its pages in the VMAs of all address spaces, and one for each [`Kept`].
/// While it is not 0, and for a grace period after that, the record stays.
pub struct Mapped {
    rcu: RcuHead,
    pages: AtomicU64,
    /// How often the object gave up pages.
    losses: AtomicU64,
    object: Arc<dyn PageObject>,
}

// SAFETY: the offset of the head.
unsafe impl HasRcuHead for Mapped {
    const HEAD: usize = offset_of!(Self, rcu);
}

impl Mapped {
    /// What is mapped.
    pub fn object(&self) -> &Arc<dyn PageObject> {
        &self.object
    }
    /// How often the object gave up pages: a page that was got before is not to be used after.
    pub(in crate::mm) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Acquire)
    }
    /// The object has given up pages.
    pub(in crate::mm) fn note_loss(&self) {
        // Release: pairs with the Acquire in `losses`.
        self.losses.fetch_add(1, Ordering::Release);
    }
    /// How many of its pages are mapped, in all address spaces, and kept for the moment.
    pub fn pages(&self) -> u64 {
        self.pages.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({:?}, {} pages)", self.object.identity(), self.pages())
    }
}

/// How a mapping's attributes name their object: a plain value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectRef(NonNull<Mapped>);

// SAFETY: an address; what it leads to may be shared between CPUs.
unsafe impl Send for ObjectRef {}
// SAFETY: likewise.
unsafe impl Sync for ObjectRef {}

impl ObjectRef {
    /// The record, for whoever found the name in a version of a set and is still in the section in which
    /// he loaded that version.
    ///
    /// # Safety
    /// The name was found in a version that was loaded under this guard.
    pub(in crate::mm) unsafe fn get<'g>(self, _guard: &'g RcuReadGuard<'_>) -> &'g Mapped {
        // SAFETY: the version counted it when it was published (invariant), so it stays for a grace
        // period after the version is replaced.
        unsafe { self.0.as_ref() }
    }

    /// The record, for whoever holds the lock of an address space whose current version names it.
    ///
    /// # Safety
    /// The current version names it as long as the reference is used.
    pub(in crate::mm) unsafe fn get_locked<'a>(self) -> &'a Mapped {
        // SAFETY: counted by the version (invariant).
        unsafe { self.0.as_ref() }
    }

    /// Keeps the object beyond the read section. `None`: it was unmapped meanwhile.
    ///
    /// # Safety
    /// As for [`get`](Self::get).
    pub(in crate::mm) unsafe fn keep(self, guard: &RcuReadGuard<'_>) -> Option<Kept> {
        // SAFETY: the caller's promise.
        let mapped = unsafe { self.get(guard) };
        let more = |pages: u64| (pages != 0).then(|| pages + 1);
        // Relaxed: whoever put it in the version published it.
        mapped.pages.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Kept(self))
    }

    /// Keeps the object, for whoever holds the lock of an address space whose current version names it.
    ///
    /// # Safety
    /// The current version names it.
    pub(in crate::mm) unsafe fn keep_locked(self) -> Kept {
        // SAFETY: some pages are counted (the caller).
        unsafe { self.add(1) };
        Kept(self)
    }

    /// So many more pages are mapped.
    ///
    /// # Safety
    /// Some are already, or a [`Kept`] exists.
    pub(in crate::mm) unsafe fn add(self, pages: u64) {
        // SAFETY: counted, so it stays.
        unsafe { self.0.as_ref() }.pages.fetch_add(pages, Ordering::Relaxed);
    }

    /// So many fewer. With the last, the record goes to RCU.
    ///
    /// # Safety
    /// They were counted, and no version that is published names them any more.
    pub(in crate::mm) unsafe fn subtract(self, pages: u64) {
        // SAFETY: counted, so it stays until it is 0. AcqRel: what others did with it is over before it
        // is given to RCU.
        let before = unsafe { self.0.as_ref() }.pages.fetch_sub(pages, Ordering::AcqRel);
        debug_assert!(before >= pages, "more pages of an object are unmapped than were mapped");
        if before == pages {
            // SAFETY: made by `Kept::new` from a box, and nobody counts it any more.
            rcu::call_drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// An object that is kept for the moment.
///
/// # Invariants
/// One of the record's pages is counted for it.
#[derive(Debug)]
pub struct Kept(ObjectRef);

impl Kept {
    /// A new record for the object.
    pub fn new(object: Arc<dyn PageObject>) -> Result<Self, Errno> {
        let boxed = try_box(Mapped {
            rcu: RcuHead::new(),
            pages: AtomicU64::new(1),
            losses: AtomicU64::new(0),
            object,
        })?;
        Ok(Self(ObjectRef(NonNull::from(Box::leak(boxed)))))
    }
    /// Its name.
    pub fn name(&self) -> ObjectRef {
        self.0
    }
    /// The record.
    pub fn mapped(&self) -> &Mapped {
        // SAFETY: counted (invariant).
        unsafe { self.0.0.as_ref() }
    }
    /// What is mapped.
    pub fn object(&self) -> &Arc<dyn PageObject> {
        self.mapped().object()
    }
    /// Becomes that many mapped pages, of which there is at least one.
    pub(in crate::mm) fn into_pages(self, pages: u64) -> ObjectRef {
        let name = ManuallyDrop::new(self).0;
        // SAFETY: one is counted, which becomes the first of them.
        unsafe { name.add(pages - 1) };
        name
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // SAFETY: the one that is counted for it.
        unsafe { self.0.subtract(1) };
    }
}
