//! The service processor: SERVICE CALL and the console through it.
//!
//! QEMU carries a call out before the instruction ends, so a call is a function. Each also leaves
//! a service-signal interruption pending, which says whether input has arrived
//! ([`external`](super::external)).
//!
//! Control blocks lie in the kernel image (below 2 GB, outside every prefix area), aligned so that
//! none crosses a page. Output has a block for each CPU: a CPU that panics writes without the
//! console's lock and must not garble the words of the CPU that holds it.

use super::cpu::{self, relax};
use crate::arch::MAX_CPUS;
use crate::arch::s390x_sccb as sccb;
use core::arch::asm;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; 4096]>);
#[repr(C, align(1024))]
struct Kilobyte(UnsafeCell<[u8; 1024]>);

// SAFETY: who may use which block when is stated at each.
unsafe impl Sync for Page {}
// SAFETY: as above.
unsafe impl Sync for Kilobyte {}

/// Used at boot by the one CPU that runs, afterwards by `read`, whose caller holds the lock of the
/// ring of keys (`crate::console`).
static INPUT: Page = Page(UnsafeCell::new([0; 4096]));
/// Each used by its CPU, interrupts off.
static OUTPUT: [Kilobyte; MAX_CPUS] = [const { Kilobyte(UnsafeCell::new([0; 1024])) }; MAX_CPUS];

/// SERVICE CALL. The response is in the block.
///
/// # Safety
/// `block` is a control block of the command's layout, below 2 GB and within a page.
unsafe fn call(command: u32, block: *mut u8) {
    loop {
        let cc: u64;
        // SAFETY: the caller's promise. The assembler does not know SERVC.
        unsafe {
            asm!(".insn rre, 0xb2200000, {c}, {b}", "ipm {cc}", "srlg {cc}, {cc}, 28",
                 c = in(reg) command, b = in(reg) block, cc = out(reg) cc, options(nostack));
        }
        // 2: busy with another CPU's call.
        if cc & 3 != 2 {
            return;
        }
        relax();
    }
}

/// What the machine has. Only at boot, before `read`.
pub fn info() -> Result<sccb::ScpInfo, &'static str> {
    let block = INPUT.0.get();
    // SAFETY: one CPU runs, and this is the block's only user.
    unsafe {
        sccb::request(&mut *block);
        call(sccb::READ_SCP_INFO, block.cast());
        sccb::parse_scp_info(&*block)
    }
}

/// Asks for console input. Only at boot, before `read`.
pub fn listen() {
    let block = INPUT.0.get();
    // SAFETY: as in `info`.
    unsafe {
        sccb::event_mask(&mut *block);
        call(sccb::WRITE_EVENT_MASK, block.cast());
    }
}

/// Writes all.
pub fn write(mut text: &[u8], ends: sccb::LineEnds) {
    let on = cpu::irq_save();
    let block = OUTPUT[cpu::id()].0.get();
    while !text.is_empty() {
        // SAFETY: the block is this CPU's, and interrupts are off.
        unsafe {
            text = sccb::output(&mut *block, text, ends);
            call(sccb::WRITE_EVENT_DATA, block.cast());
        }
    }
    // SAFETY: pairs with `irq_save`.
    unsafe { cpu::irq_restore(on) };
}

/// Where in `INPUT` the text lies that an earlier `read` had no room for: start and length.
/// Relaxed: the caller's lock orders them.
static LEFT: (AtomicUsize, AtomicUsize) = (AtomicUsize::new(0), AtomicUsize::new(0));

/// Takes what has arrived. The caller holds the lock of the ring of keys: a `write` on another CPU
/// uses another block, and waits in `call` while the service processor is busy.
pub fn read(buffer: &mut [u8]) -> usize {
    let block = INPUT.0.get();
    let (mut start, mut length) = (LEFT.0.load(Ordering::Relaxed), LEFT.1.load(Ordering::Relaxed));
    if length == 0 {
        // SAFETY: the caller's lock makes this the block's only user.
        let text = unsafe {
            sccb::request(&mut *block);
            call(sccb::READ_EVENT_DATA, block.cast());
            sccb::input(&*block)
        };
        let Some(text) = text else { return 0 };
        start = text.as_ptr().addr() - block.addr();
        length = text.len();
    }
    let taken = length.min(buffer.len());
    // SAFETY: as above; `start` and `length` lie in the block.
    unsafe { buffer[..taken].copy_from_slice(&(&*block)[start..start + taken]) };
    LEFT.0.store(start + taken, Ordering::Relaxed);
    LEFT.1.store(length - taken, Ordering::Relaxed);
    taken
}
