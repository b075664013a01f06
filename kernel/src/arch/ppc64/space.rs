//! Address spaces of programs, as the hardware knows them: a PID, the index of the process-table entry
//! that names the root. PIDR says which one quadrant 0 shows.
//!
//! The table has 4096 entries, so a PID can run out. A PID is used again as soon as its owner is gone;
//! `destroy` flushes it everywhere first. (Linux does so too. Letting numbers go round and flushing once
//! a round would save flushes, and would let a forgotten one show up much later.)

use super::regs::{PIDR, mtspr};
use super::{mmu, probe, tlb};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::paging::to_memory;
use crate::arch::ppc64_format::root_word;
use crate::arch::ppc64_interrupt as interrupt;
use crate::error::Errno;
use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

/// PIDs that are taken, a bit each. 0 is the kernel's, as quadrant 3 demands; `KERNEL_PID` shows nothing.
static TAKEN: [AtomicU64; (mmu::PIDS / 64) as usize] = {
    let mut taken = [const { AtomicU64::new(0) }; (mmu::PIDS / 64) as usize];
    taken[0] = AtomicU64::new(1 << 0 | 1 << mmu::KERNEL_PID);
    taken
};

/// An address space: its PID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space(u64);

impl Space {
    /// The PID.
    pub fn bits(self) -> u64 {
        self.0
    }
}

fn take_pid() -> Option<u64> {
    for (index, word) in TAKEN.iter().enumerate() {
        // Acquire: pairs with the Release in `destroy`; the flush before it is over.
        let free = |bits: u64| (bits != u64::MAX).then(|| bits | 1 << bits.trailing_ones());
        if let Ok(bits) = word.fetch_update(Ordering::Acquire, Ordering::Relaxed, free) {
            return Some(64 * index as u64 + u64::from(bits.trailing_ones()));
        }
    }
    None
}

/// Makes a root known to the hardware. EAGAIN: no PID is left.
///
/// # Safety
/// The root is a table of the format, and stays one until the space is destroyed.
pub unsafe fn create(root: PhysAddr) -> Result<Space, Errno> {
    let pid = take_pid().ok_or(Errno::EAGAIN)?;
    mmu::set_process(pid, root_word(root));
    Ok(Space(pid))
}

/// Forgets it.
///
/// # Safety
/// No CPU has it active.
pub unsafe fn destroy(space: Space) {
    mmu::set_process(space.0, 0);
    tlb::flush_pid(space.0);
    // Release: pairs with the Acquire in `take_pid`.
    TAKEN[space.0 as usize / 64].fetch_and(!(1 << (space.0 % 64)), Ordering::Release);
}

/// This CPU's user accesses go through it from now on.
///
/// # Safety
/// Preemption is off, or the scheduler knows. The space is not destroyed while it is active.
pub unsafe fn activate(space: Space) {
    // SAFETY: the kernel runs in quadrant 3, which PIDR does not concern. `mtspr` ends with isync.
    unsafe { mtspr::<PIDR>(space.0) };
}

/// This CPU has no user space: every user access faults.
pub fn deactivate() {
    // SAFETY: as above.
    unsafe { mtspr::<PIDR>(mmu::KERNEL_PID) };
}

/// Replaces an entry of a last-level table. Old translations live on until `flush_pages` or `flush_all`.
/// `new` is what is to stand in memory.
///
/// # Safety
/// `slot` is the entry that translates `va` in the space; its table's lock is held.
pub unsafe fn replace_page(_space: Space, slot: &AtomicU64, _va: VirtAddr, new: u64) {
    // Release: whoever reads the entry sees what was written to the page before.
    slot.store(new, Ordering::Release);
}

/// Replaces an entry of an upper table. Old translations, and the page-walk caches' entries, live on until
/// `flush_all`.
///
/// # Safety
/// `slot` is the entry of that level that translates `va` in the space; its table's lock is held.
pub unsafe fn replace_table(_space: Space, _level: usize, slot: &AtomicU64, _va: VirtAddr, new: u64) {
    // Release: whoever reads the entry sees what was written to the new table before.
    slot.store(to_memory(new), Ordering::Release);
}

/// QEMU before 9.1 does not wait in `ptesync` until the other CPUs have left their blocks: 2 stale
/// reads in 300 exchanges of a page were seen with 7.2.
pub const FLUSH_ENDS: bool = false;

/// No CPU uses an old translation of these pages when it returns.
pub fn flush_pages(space: Space, pages: &[VirtAddr], leaf_shift: u32) {
    tlb::flush_pages(space.0, pages.iter().map(|page| page.get()), leaf_shift);
}

/// No CPU uses any old translation of the space, or cached upper entry, when it returns.
pub fn flush_all(space: Space) {
    tlb::flush_pid(space.0);
}

/// Quadrant 0 has 52 bits; what lies beyond is not the program's, and could be the kernel's.
fn check(va: VirtAddr, kind: FaultKind) -> Result<usize, Fault> {
    if va.get() >> 52 == 0 {
        Ok(va.get() as usize)
    } else {
        Err(Fault { kind, name: interrupt::name(interrupt::DATA_SEGMENT), address: Some(va) })
    }
}

/// What was written to these pages is what will be executed there: each line to memory, then out of all
/// instruction caches (Power ISA book II, "Instruction Storage").
///
/// # Safety
/// Whole pages of memory.
pub unsafe fn sync_code(page: PhysAddr, bytes: usize) {
    const LINE: usize = 128;
    let start = mmu::linear(page);
    for at in (0..bytes).step_by(LINE) {
        // SAFETY: in the pages; changes no byte.
        unsafe { asm!("dcbst 0, {0}", in(reg) start.wrapping_add(at), options(nostack)) };
    }
    // SAFETY: a barrier.
    unsafe { asm!("sync", options(nostack)) };
    for at in (0..bytes).step_by(LINE) {
        // SAFETY: as above.
        unsafe { asm!("icbi 0, {0}", in(reg) start.wrapping_add(at), options(nostack)) };
    }
    // SAFETY: a barrier. The return to the program synchronizes this CPU's instructions.
    unsafe { asm!("sync", "isync", options(nostack)) };
}

/// Loads a doubleword from the active user space.
pub fn user_load(va: VirtAddr) -> Result<u64, Fault> {
    probe::load(check(va, FaultKind::Read)?)
}

/// Stores a doubleword to the active user space.
///
/// # Safety
/// If it can be stored, it may.
pub unsafe fn user_store(va: VirtAddr, value: u64) -> Result<(), Fault> {
    let address = check(va, FaultKind::Write)?;
    // SAFETY: the caller's promise.
    unsafe { probe::store(address, value) }
}
