//! Address spaces: what a program has mapped, and how it comes to be there.
#![expect(unused_variables, clippy::todo, reason = "bodies follow")]

mod flags;
mod request;

pub use crate::mm::object::{Identity, Kept, Mapped, ObjectRef, PageError, PageObject};
pub use flags::VmFlags;
pub use request::{
    AccessKind, Advice, FutexKey, Limits, LockAll, MapFlags, MapRequest, Marks, MmFault, MmStats,
    RemapRequest, VmaInfo,
};

use crate::addr::VirtAddr;
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::mm::pgtable::frag::counted::Counted;
use crate::rcu::RcuReadGuard;
use crate::sync::{MaySleep, Pinned};
use core::ops::Range;

/// An address space.
pub struct Mm {}

/// A reference to an address space: as an `Arc`, but made without a panic when memory is short. It keeps
/// the [`Mm`], not what is mapped in it: that goes with the last *user* ([`Mm::end_use`]).
pub type MmRef = Counted<Mm>;

impl Mm {
    /// An address space with nothing mapped, and one user.
    pub fn new(ctx: &mut MaySleep) -> Result<MmRef, Errno> {
        todo!()
    }
    /// A copy for a child, with one user: private pages are shared until one of the two writes.
    /// Nothing has changed if there is no memory.
    pub fn fork(&self, ctx: &mut MaySleep) -> Result<MmRef, Errno> {
        todo!()
    }
    /// One more user: a task that shares it (CLONE_VM).
    pub fn add_user(&self) {
        todo!()
    }
    /// One more user, unless the last is gone: for whoever found it by way of another process.
    pub fn try_add_user(&self) -> bool {
        todo!()
    }
    /// One user less: a task that has exited, or executes another program, and does not run in it any
    /// more (it has activated another or called `leave`). With the last, everything is unmapped.
    pub fn end_use(&self, ctx: &mut MaySleep) {
        todo!()
    }
    /// A number that no other address space has or had.
    pub fn id(&self) -> u64 {
        todo!()
    }

    /// This CPU's user accesses go through it from now on. Cheap if they do already.
    pub fn activate(&self, pin: &impl Pinned) {
        todo!()
    }
    /// This CPU has no user address space from now on.
    pub fn leave(pin: &impl Pinned) {
        todo!()
    }

    /// `mmap`: gives the address.
    pub fn map(&self, ctx: &mut MaySleep, request: MapRequest) -> Result<VirtAddr, Errno> {
        todo!()
    }
    /// `munmap`.
    pub fn unmap(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64) -> Result<(), Errno> {
        todo!()
    }
    /// `mprotect`.
    pub fn protect(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64, access: Access) -> Result<(), Errno> {
        todo!()
    }
    /// `mremap`: gives the new address.
    pub fn remap(&self, ctx: &mut MaySleep, request: RemapRequest) -> Result<VirtAddr, Errno> {
        todo!()
    }
    /// `madvise`.
    pub fn advise(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64, advice: Advice) -> Result<(), Errno> {
        todo!()
    }
    /// `brk`: moves the end of the heap if it can, and gives where it is now.
    pub fn set_brk(&self, ctx: &mut MaySleep, addr: VirtAddr) -> VirtAddr {
        todo!()
    }
    /// `mincore`: says of each page, in order, whether it is in memory.
    pub fn mincore(
        &self,
        ctx: &mut MaySleep,
        addr: VirtAddr,
        len: u64,
        page: &mut dyn FnMut(bool),
    ) -> Result<(), Errno> {
        todo!()
    }
    /// `msync`.
    pub fn sync(&self, ctx: &mut MaySleep, addr: VirtAddr, len: u64) -> Result<(), Errno> {
        todo!()
    }
    /// `mlock` (true; its pages are made unless `on_fault`) and `munlock`: counted, for nothing here goes
    /// to a disk.
    pub fn lock(
        &self,
        ctx: &mut MaySleep,
        addr: VirtAddr,
        len: u64,
        on: bool,
        on_fault: bool,
    ) -> Result<(), Errno> {
        todo!()
    }
    /// `mlockall` and `munlockall`.
    pub fn lock_all(&self, ctx: &mut MaySleep, what: LockAll) -> Result<(), Errno> {
        todo!()
    }

    /// A program touched an address and the machine would not let it. Ok: it may try again.
    pub fn fault(&self, ctx: &mut MaySleep, addr: VirtAddr, kind: AccessKind) -> Result<(), MmFault> {
        todo!()
    }

    /// Copies from the program's memory. This is its address space, and it is active. EFAULT: some of it
    /// cannot be read; then the buffer holds anything.
    pub fn read_user(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<(), Errno> {
        todo!()
    }
    /// Copies to the program's memory. The same; what lies before the bad address may have been written.
    pub fn write_user(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        todo!()
    }
    /// Zeroes the program's memory.
    pub fn zero_user(&self, ctx: &mut MaySleep, to: VirtAddr, len: u64) -> Result<(), Errno> {
        todo!()
    }
    /// Copies a string that ends with a zero byte, which is not copied, and gives its length.
    /// ENAMETOOLONG: it does not fit.
    pub fn read_str(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<usize, Errno> {
        todo!()
    }
    /// A value from the program's memory.
    pub fn read_value<T: Plain>(&self, ctx: &mut MaySleep, from: VirtAddr) -> Result<T, Errno> {
        todo!()
    }
    /// A value to the program's memory.
    pub fn write_value<T: Plain>(&self, ctx: &mut MaySleep, to: VirtAddr, value: &T) -> Result<(), Errno> {
        todo!()
    }

    /// Copies from any address space, active or not, by way of its tables.
    pub fn read_remote(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<(), Errno> {
        todo!()
    }
    /// Copies to any address space: what the program itself might write.
    pub fn write_remote(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        todo!()
    }

    /// The aligned word at the address, atomically.
    pub fn load_u32(&self, ctx: &mut MaySleep, addr: VirtAddr) -> Result<u32, Errno> {
        todo!()
    }
    /// Exchanges the aligned word if it is `old`, atomically for all who use it. Gives what it was.
    pub fn cmpxchg_u32(&self, ctx: &mut MaySleep, addr: VirtAddr, old: u32, new: u32) -> Result<u32, Errno> {
        todo!()
    }
    /// How a futex at the address is found. `private`: the program says that no other shares it.
    pub fn futex_key(&self, ctx: &mut MaySleep, addr: VirtAddr, private: bool) -> Result<FutexKey, Errno> {
        todo!()
    }

    /// What a process may have, from now on.
    pub fn set_limits(&self, limits: Limits) {
        todo!()
    }
    /// What stands where.
    pub fn marks(&self) -> Marks {
        todo!()
    }
    /// Says what stands where: `exec` does, once.
    pub fn set_marks(&self, marks: Marks) {
        todo!()
    }
    /// Numbers of pages and bytes.
    pub fn stats(&self) -> MmStats {
        todo!()
    }

    /// The mappings from the one that contains the address or is the next after it, in one version of
    /// the set; takes no lock. Go on in another section at the end of the last one seen.
    pub fn vmas<'g>(
        &self,
        guard: &'g RcuReadGuard<'_>,
        from: VirtAddr,
    ) -> impl Iterator<Item = VmaInfo<'g>> + use<'g> {
        core::iter::empty()
    }
}

/// Whether a value of the type may be copied byte by byte from and to a program.
///
/// # Safety
/// Every pattern of bits is a value, and there is no padding: a program sees every byte.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($t:ty),*) => { $(
        // SAFETY: an integer.
        unsafe impl Plain for $t {}
    )* };
}
plain!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
// SAFETY: no padding between elements.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

#[expect(dead_code, reason = "used by what follows")]
fn range(addr: VirtAddr, len: u64) -> Range<u64> {
    addr.get()..addr.get() + len
}
