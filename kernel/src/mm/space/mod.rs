//! Address spaces: what a program has mapped, and how it comes to be there.
//!
//! ```text
//!  map unmap protect remap advise brk      change the set of mappings, then the tables
//!  fault                                   fills the tables from the set and the objects
//!  fork                                    copies both
//!  user  remote  futex                     copies from and to programs
//!  active                                  which CPU has it, and the end
//!  count  audit                            what is where, and whether that is true
//! ```
//!
//! # Who excludes whom
//!
//! Whoever changes the set of mappings holds the address space's sleeping lock. A page fault takes it for
//! nothing but the growth of a stack; a reader of `/proc` never. What makes that right is one rule: *a
//! writer publishes the new set before he touches a table*. A fault finds the mapping in a read section,
//! gets its page, which may sleep, and then, under the lock of the page's table, looks again: is the page
//! still mapped, and mapped the same? If so it fills the entry. Either it has the table's lock before
//! the writer, who will then find the entry; or after him, and then it sees the new set. Where there is
//! no table, and so no lock to have before or after, a fence on either side does the same
//! (`VmaSet::publish`, `PageTable::at`).
//!
//! Two writers cannot live with faults beside them: `mremap` moves pages to where the set already shows
//! the mapping, and `fork` wants the pages of one moment. They *close* the address space: a fault that
//! finds it closed, under the table's lock, waits for the sleeping lock and starts over.
//!
//! # Failing
//!
//! Every change of the set is a draft: all that can fail happens before it is published (`mremap` makes
//! its tables before, too). After that tables are only emptied, or filled where there is room.
//!
//! # What is committed
//!
//! More may be mapped than there is memory: programs map much that they never touch. The policy is that
//! of Linux' mode 0, without its guesses: a single mapping of private writable or of shared anonymous
//! memory that is larger than all memory there is gets ENOMEM; everything else is granted. Who then
//! touches a page for which there is no frame, after caches were emptied and a grace period was waited
//! for, gets [`MmFault::NoMemory`], and somebody is ended for it: not by this layer.

mod active;
mod advise;
mod audit;
mod brk;
mod count;
mod fault;
mod flags;
mod forget;
mod fork;
mod futex;
mod ground;
mod grow;
mod info;
mod kernel;
mod map;
mod protect;
mod remap;
mod remote;
mod request;
mod shmem;
mod tables;
#[cfg(test)]
mod tests;
mod user;

pub use crate::mm::object::{Identity, Kept, Mapped, ObjectRef, PageError, PageObject};
pub use active::leave_dying;
pub use audit::Audit;
pub use flags::VmFlags;
pub use forget::forget_pages;
pub use ground::{Attrs, Ground, TableFormat};
pub use kernel::{committed_pages, ground as kernel_ground, start};
pub use request::{
    AccessKind, Advice, FutexKey, Limits, LockAll, MapFlags, MapRequest, Marks, MmFault, MmStats,
    RemapRequest, VmaInfo,
};
pub use shmem::zeros;
pub use user::Plain;

use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::mm::pgtable::frag::counted::Counted;
use crate::mm::vma::VmaSet;
use crate::sync::mutex::MutexGuard;
use crate::sync::{LockClass, MaySleep, Mutex, Rank};
use core::ops::Range;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use count::Counters;
use ground::Areas;
use tables::{Tables, on};

const LOCK: LockClass = LockClass::new("address space", Rank::MM);

/// Soft bit of a page in the tables: it was written to through this entry since it was last clean. A
/// clean page has no right to store, so the first store faults: the machines' own change bits are of no
/// use (ppc64 under QEMU 10 does not set them, s390x has them by frame and not by entry).
pub const SOFT_DIRTY: u8 = 1;
/// Soft bit: it was touched since somebody cleared this. A page that is to be watched has no right at
/// all.
pub const SOFT_YOUNG: u8 = 2;

/// Below this nothing is mapped: a null pointer with an offset faults, in programs and in the kernel.
pub const LOWEST: u64 = 64 << 10;

/// An address space.
///
/// # Invariants
/// * `tables` has a page only where the set has a mapping, but for a moment after a mapping was taken
///   out of the set, by whoever holds `lock`.
/// * The counters are what the set and the tables weigh ([`Mm::audit`]).
/// * While `users` is not 0 somebody may run in it. At 0 the set is empty and no CPU has it active, but
///   for a moment, in [`Mm::end_use`].
pub struct Mm {
    ground: &'static Ground,
    id: u64,
    tables: Tables,
    areas: Areas,
    lock: Mutex<State>,
    /// Page faults are to wait for `lock`. Set and cleared by its holder.
    closed: AtomicBool,
    users: AtomicUsize,
    counters: Counters,
    limits: [AtomicU64; 4],
    marks: [AtomicU64; info::MARKS],
    place: forget::Place,
}

/// What the lock protects besides the set.
#[derive(Clone, Copy, Default)]
struct State {
    /// What is mapped from now on counts as locked (MCL_FUTURE).
    lock_future: bool,
}

/// A reference to an address space: as an `Arc`, but made without a panic when memory is short. It keeps
/// the [`Mm`], not what is mapped in it: that goes with the last *user* ([`Mm::end_use`]).
pub type MmRef = Counted<Mm>;

impl Mm {
    /// An address space with nothing mapped, and one user.
    pub fn new(ctx: &mut MaySleep) -> Result<MmRef, Errno> {
        Self::on(kernel::ground(), ctx)
    }

    /// The same, on another ground.
    pub fn on(ground: &'static Ground, ctx: &mut MaySleep) -> Result<MmRef, Errno> {
        ground.make_zero(ctx)?;
        let mm = Self {
            ground,
            id: ground.next_id(),
            tables: ground.tables(ctx)?,
            areas: VmaSet::new(ground.blocks),
            lock: Mutex::new(&LOCK, State::default()),
            closed: AtomicBool::new(false),
            users: AtomicUsize::new(1),
            counters: Counters::default(),
            limits: [const { AtomicU64::new(0) }; 4],
            marks: [const { AtomicU64::new(0) }; info::MARKS],
            place: forget::Place::default(),
        };
        mm.set_limits(Limits::NONE);
        let mm = MmRef::new(mm).ok_or(Errno::ENOMEM)?;
        ground.all.add(&mm);
        Ok(mm)
    }

    /// A number that no other address space has or had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Bytes of a page.
    #[inline(always)]
    pub fn page_bytes(&self) -> u64 {
        self.ground.page_bytes()
    }

    fn page_down(&self, addr: u64) -> u64 {
        addr & !(self.page_bytes() - 1)
    }

    /// Up to a whole page; `None` on overflow.
    fn page_up(&self, addr: u64) -> Option<u64> {
        Some(self.page_down(addr.checked_add(self.page_bytes() - 1)?))
    }

    fn is_page(&self, addr: u64) -> bool {
        addr == self.page_down(addr)
    }

    fn pages(&self, bytes: u64) -> u64 {
        bytes / self.page_bytes()
    }

    /// Takes out of the tables what is mapped there.
    fn zap(&self, range: Range<u64>, ctx: &MaySleep) {
        let mut tally = count::Tally::new(self.ground);
        on!(self.tables, tables => {
            if tables.has_tables() {
                tables.unmap_each([virt(&range)], ctx, &mut |page| tally.count(page.addr, -1));
            }
        });
        self.counters.add_pages(tally.pages);
    }

    /// Takes the lock that excludes other changes.
    fn lock_areas(&self, ctx: &mut MaySleep) -> MutexGuard<'_, State> {
        self.lock.lock(ctx)
    }
}

fn virt(range: &Range<u64>) -> Range<VirtAddr> {
    VirtAddr::new(range.start)..VirtAddr::new(range.end)
}

/// Page faults wait while it lives. For the holder of the lock.
struct Closed<'a>(&'a AtomicBool);

impl<'a> Closed<'a> {
    /// From here on a fault that looks, under its table's lock, finds it closed: the caller either
    /// publishes a set or looks at tables next, after the fence.
    fn new(mm: &'a Mm) -> Self {
        // Release, and the fence: pair with the look of `Mm::still`, after the fence of `PageTable::at`.
        mm.closed.store(true, Ordering::Release);
        core::sync::atomic::fence(Ordering::SeqCst);
        Self(&mm.closed)
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        // Release: whoever finds it open finds what was done meanwhile.
        self.0.store(false, Ordering::Release);
    }
}
