//! Copies from and to address spaces that need not be active: through the tables and the linear map. For
//! `exec`, which fills the stack of a program before it runs, and for `/proc`.
//!
//! A copy is made under the lock of the page's table, a small piece at a time: nobody shares the page with
//! a child, or frees it, meanwhile.

use super::tables::on;
use super::{AccessKind, Mm};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::current::mmu;
use crate::arch::current::user::SPACE_END;
use crate::error::Errno;
use crate::sync::MaySleep;

/// Bytes that are copied under one holding of a lock.
const PIECE: u64 = 4096;

impl Mm {
    /// Calls `work` with the place of an address in memory, under the lock of its page's table, when the
    /// page is there and allows it.
    pub(super) fn with_place<R>(
        &self,
        ctx: &mut MaySleep,
        addr: VirtAddr,
        kind: AccessKind,
        mut work: impl FnMut(PhysAddr) -> R,
    ) -> Result<R, Errno> {
        if addr >= SPACE_END {
            return Err(Errno::EFAULT);
        }
        let offset = addr.get() - self.page_down(addr.get());
        loop {
            let done = on!(self.tables, tables => tables.at(addr, ctx, |slot| {
                let page = slot.page()?;
                let allowed = if kind == AccessKind::Write { page.access.write } else { page.access.read };
                allowed.then(|| work(PhysAddr::new(page.addr.get() + offset)))
            }));
            if let Some(done) = done.flatten() {
                return Ok(done);
            }
            self.fault(ctx, addr, kind)?;
        }
    }

    /// Copies from any address space, active or not.
    pub fn read_remote(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < to.len() {
            let at = from.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let piece = ((PIECE - at.get() % PIECE) as usize).min(to.len() - done);
            let buffer = to[done..done + piece].as_mut_ptr();
            self.with_place(ctx, at, AccessKind::Read, |place| {
                // SAFETY: a piece of a page that stays while the lock is held; programs may change it
                // meanwhile, which makes a mixture. The buffer has room.
                unsafe { buffer.copy_from_nonoverlapping(mmu::linear(place), piece) };
            })?;
            done += piece;
        }
        Ok(())
    }

    /// Copies to any address space: what the program itself might write.
    pub fn write_remote(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        let mut done = 0;
        while done < from.len() {
            let at = to.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let piece = ((PIECE - at.get() % PIECE) as usize).min(from.len() - done);
            let buffer = from[done..done + piece].as_ptr();
            self.with_place(ctx, at, AccessKind::Write, |place| {
                // SAFETY: a piece of a page that the program may store to, which stays while the lock is
                // held.
                unsafe { mmu::linear(place).copy_from_nonoverlapping(buffer, piece) };
            })?;
            done += piece;
        }
        Ok(())
    }
}
