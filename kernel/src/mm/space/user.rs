//! Copies from and to the program that runs: through its own active translation, as fast as it goes; what
//! faults is paged in and tried again.

use super::{AccessKind, Mm};
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::current::usercopy;
use crate::arch::handlers::{Fault, FaultKind};
use crate::error::Errno;
use crate::sync::{MaySleep, PreemptGuard};
use core::mem::MaybeUninit;

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

/// A fault that paging in does not end is given up after so many attempts at one place.
const ATTEMPTS: usize = 1000;

impl Mm {
    /// Calls `copy` with the address and the bytes done so far, piece by piece, each within a page.
    fn by_pages(
        &self,
        ctx: &mut MaySleep,
        at: VirtAddr,
        len: usize,
        mut copy: impl FnMut(VirtAddr, usize, usize) -> Result<(), Fault>,
    ) -> Result<(), Errno> {
        debug_assert!(self.is_active(&PreemptGuard::new()), "another address space is active");
        let end = at.get().checked_add(len as u64).ok_or(Errno::EFAULT)?;
        if end > SPACE_END.get() {
            return Err(Errno::EFAULT);
        }
        let mut done = 0;
        while done < len {
            let va = at.get() + done as u64;
            let piece = (self.page_down(va) + self.page_bytes() - va).min((len - done) as u64) as usize;
            let mut attempts = ATTEMPTS;
            while let Err(fault) = copy(VirtAddr::new(va), done, piece) {
                let kind = match fault.kind {
                    FaultKind::Read => AccessKind::Read,
                    FaultKind::Write => AccessKind::Write,
                    _ => return Err(Errno::EFAULT),
                };
                attempts = attempts.checked_sub(1).ok_or(Errno::EFAULT)?;
                self.fault(ctx, VirtAddr::new(va), kind)?;
            }
            done += piece;
        }
        Ok(())
    }

    /// Copies from the program's memory. This is its address space, and it is active. EFAULT: some of it
    /// cannot be read; then the buffer holds anything.
    pub fn read_user(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<(), Errno> {
        let (buffer, len) = (to.as_mut_ptr(), to.len());
        self.by_pages(ctx, from, len, |va, done, piece| {
            // SAFETY: `done + piece` is at most the slice's length.
            unsafe { usercopy::from_user(buffer.add(done), va, piece) }
        })
    }

    /// Copies to the program's memory. The same; what lies before the bad address may have been written.
    pub fn write_user(&self, ctx: &mut MaySleep, to: VirtAddr, from: &[u8]) -> Result<(), Errno> {
        self.by_pages(ctx, to, from.len(), |va, done, piece| {
            // SAFETY: `done + piece` is at most the slice's length.
            unsafe { usercopy::to_user(va, from.as_ptr().add(done), piece) }
        })
    }

    /// Zeroes the program's memory.
    pub fn zero_user(&self, ctx: &mut MaySleep, to: VirtAddr, len: u64) -> Result<(), Errno> {
        static ZEROS: [u8; 512] = [0; 512];
        let mut done = 0;
        while done < len {
            let piece = (len - done).min(ZEROS.len() as u64);
            let at = to.checked_add(done).ok_or(Errno::EFAULT)?;
            self.write_user(ctx, at, &ZEROS[..piece as usize])?;
            done += piece;
        }
        Ok(())
    }

    /// Copies a string that ends with a zero byte, which is not copied, and gives its length.
    /// ENAMETOOLONG: it does not fit.
    pub fn read_str(&self, ctx: &mut MaySleep, from: VirtAddr, to: &mut [u8]) -> Result<usize, Errno> {
        /// Most paths are found in one piece; no piece crosses a page.
        const PIECE: u64 = 64;
        let mut done = 0;
        loop {
            let at = from.checked_add(done as u64).ok_or(Errno::EFAULT)?;
            let piece = (PIECE - at.get() % PIECE) as usize;
            let mut buffer = [0; PIECE as usize];
            let buffer = &mut buffer[..piece];
            self.read_user(ctx, at, buffer)?;
            let found = buffer.iter().position(|&byte| byte == 0);
            let part = &buffer[..found.unwrap_or(piece)];
            let room = to.len() - done;
            // What fits is there all the same: names are cut, and long strings are read in pieces.
            let fits = part.len().min(room);
            to[done..done + fits].copy_from_slice(&part[..fits]);
            if fits < part.len() {
                return Err(Errno::ENAMETOOLONG);
            }
            done += part.len();
            if found.is_some() {
                return Ok(done);
            }
        }
    }

    /// A value from the program's memory.
    pub fn read_value<T: Plain>(&self, ctx: &mut MaySleep, from: VirtAddr) -> Result<T, Errno> {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: the value's bytes, all initialised.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>()) };
        self.read_user(ctx, from, bytes)?;
        // SAFETY: every pattern of bits is a value (`Plain`).
        Ok(unsafe { value.assume_init() })
    }

    /// A value to the program's memory.
    pub fn write_value<T: Plain>(&self, ctx: &mut MaySleep, to: VirtAddr, value: &T) -> Result<(), Errno> {
        // SAFETY: the value's bytes; there is no padding among them (`Plain`).
        let bytes =
            unsafe { core::slice::from_raw_parts(core::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) };
        self.write_user(ctx, to, bytes)
    }
}
