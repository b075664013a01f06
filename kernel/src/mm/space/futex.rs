//! Words that programs wait at: read and exchanged through the linear map, under the lock of the page's
//! table. (s390x has no compare-and-swap that reaches another address space.)

use super::{AccessKind, FutexKey, Mm, VmFlags};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::current::mmu;
use crate::arch::current::user::SPACE_END;
use crate::error::Errno;
use crate::rcu;
use crate::sync::MaySleep;
use core::sync::atomic::{AtomicU32, Ordering};

/// # Safety
/// The word lies in a page that stays as long as the reference, and is aligned.
unsafe fn word<'a>(place: PhysAddr) -> &'a AtomicU32 {
    // SAFETY: in the linear map; programs access it as atomically (the caller).
    unsafe { &*mmu::linear(place).cast() }
}

impl Mm {
    /// The aligned word at the address, atomically.
    pub fn load_u32(&self, ctx: &mut MaySleep, addr: VirtAddr) -> Result<u32, Errno> {
        aligned(addr)?;
        // SAFETY: the table's lock is held, and the page is there.
        self.with_place(ctx, addr, AccessKind::Read, |place| unsafe { word(place) }.load(Ordering::SeqCst))
    }

    /// Exchanges the aligned word if it is `old`, atomically for all who use it. Gives what it was.
    pub fn cmpxchg_u32(&self, ctx: &mut MaySleep, addr: VirtAddr, old: u32, new: u32) -> Result<u32, Errno> {
        aligned(addr)?;
        self.with_place(ctx, addr, AccessKind::Write, |place| {
            // SAFETY: the table's lock is held, and the page is there.
            let word = unsafe { word(place) };
            match word.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(was) | Err(was) => was,
            }
        })
    }

    /// How a futex at the address is found. `private`: the program says that no other shares it.
    pub fn futex_key(&self, ctx: &mut MaySleep, addr: VirtAddr, private: bool) -> Result<FutexKey, Errno> {
        aligned(addr)?;
        if addr >= SPACE_END {
            return Err(Errno::EFAULT);
        }
        let own = FutexKey::Private { mm: self.id, addr: addr.get() };
        if private {
            return Ok(own);
        }
        let section = rcu::read_lock(ctx);
        let area = self.vmas(&section, addr).next().filter(|area| area.range.contains(&addr.get()));
        let area = area.ok_or(Errno::EFAULT)?;
        Ok(match area.object.filter(|_| area.flags.has(VmFlags::SHARED)) {
            Some((object, offset)) => FutexKey::Shared {
                object: object.identity(),
                offset: offset + (addr.get() - area.range.start),
            },
            None => own,
        })
    }
}

fn aligned(addr: VirtAddr) -> Result<(), Errno> {
    if addr.is_aligned(4) { Ok(()) } else { Err(Errno::EINVAL) }
}
