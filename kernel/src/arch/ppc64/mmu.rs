//! The kernel's own translation: a radix tree for quadrant 3 (Power ISA v3.0B, Book III, 5.7.10).
//!
//! | effective address | what |
//! |---|---|
//! | 0 .. | quadrant 0: the process that PIDR names. The kernel's own threads run with `KERNEL_PID`, whose tree is empty, so that a null pointer faults; PID 0, which quadrant 3 always uses, would show the kernel's memory here again |
//! | `LINEAR` + real address | all memory, and the UART's page. Text R-X, constants R--, all else RW- |
//! | `STACK_AREA` + real address | the block at that address as a stack, without its low part |
//!
//! The linear map has leaves of 1 GB and 2 MB, and of 4 KB where the kernel's parts meet. A stack
//! could be a block of the linear map with a hole, but then every stack would split a large leaf, and
//! changing a leaf into a table while other CPUs use it is not safe without taking it out first. So
//! stacks have an area of their own, with all its tables made at boot: 4 KB for 2 MB of memory, 0.2 %,
//! and in return making a stack needs no table, no lock, and cannot fail.
//!
//! Reference and change are set in all entries: QEMU 10 does not set them, but faults.

use super::firmware::{H_REGISTER_PROC_TBL, H_SET_MODE, H_SUCCESS, hcall};
use super::platform::{self, Platform};
use super::regs::{LPCR, LPIDR, MSR_DR, MSR_IR, PIDR, PTCR, mfspr, msr, mtspr};
use super::tables::{self, Builder, SMALL_PAGE};
use super::{LINEAR, STACK_AREA, STACK_GUARD, STACK_SIZE, area, console, start, tlb, trap};
use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::arch::paging::Access;
use crate::arch::ppc64_format::{PARTITION_HOST_RADIX, root_word};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

/// Partition-table doubleword 1, bit 0: processes use radix translation (Power ISA v3.0B, Book III,
/// 5.7.6.1).
const PARTITION_GUEST_RADIX: u64 = 1 << 63;
/// Partition and process table: 2^(12 + 4) bytes each.
const TABLE_SIZE: u64 = 4;
const TABLE_BYTES: u64 = 1 << (12 + TABLE_SIZE);
/// LPCR bits 41 (0x400000), UPRT: there is a process table; 43 (0x100000), HR: radix; 39-40 (0x1800000),
/// AIL = 3: interrupts leave translation on.
const LPCR_RADIX: u64 = 1 << 22 | 1 << 20 | 3 << 23;

/// Processes that the table has room for, 16 bytes each.
pub const PIDS: u64 = TABLE_BYTES / 16;
/// The PID of kernel threads: nothing is mapped in it.
pub const KERNEL_PID: u64 = 1;

/// Real addresses; 0 before `enable`.
static PARTITION_TABLE: AtomicU64 = AtomicU64::new(0);
static PROCESS_TABLE: AtomicU64 = AtomicU64::new(0);
static ROOT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static __kernel_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
}

/// The kernel image, with its zeroed data and the boot CPU's stack.
pub fn kernel_range() -> PhysRange {
    let ends = [&raw const __kernel_start, &raw const __kernel_end];
    let [start, end] = ends.map(|end| PhysAddr::new(end.addr() as u64 & !LINEAR));
    // The linker script orders them.
    PhysRange::new(start, end).unwrap_or_else(|| unreachable!())
}

/// Whether the address lies in the kernel's text.
pub fn is_text(address: u64) -> bool {
    sections()[0].1.contains(&(address as usize))
}

/// The kernel's text, constants, writable data.
pub fn sections() -> [(&'static str, Range<usize>); 3] {
    let bounds =
        [&raw const __kernel_start, &raw const __text_end, &raw const __rodata_end, &raw const __kernel_end];
    let [a, b, c, d] = bounds.map(|bound| bound.addr());
    [("text", a..b), ("rodata", b..c), ("data", c..d)]
}

/// Pointer to the memory at that address.
pub fn linear(addr: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut((LINEAR | addr.get()) as usize)
}

/// Address of a linear pointer.
pub fn linear_to_phys(pointer: *const u8) -> PhysAddr {
    let address = pointer.expose_provenance() as u64;
    debug_assert!(address >> 48 == LINEAR >> 48, "{address:#x} is not in the linear map");
    PhysAddr::new(address & !LINEAR)
}

/// What the linear map allows at that address; `None`: it is not mapped.
pub fn access(real: u64) -> Option<Access> {
    let boot_stack = start::boot_stack() as u64 & !LINEAR;
    let guard = boot_stack..boot_stack + STACK_GUARD as u64;
    let parts = sections().map(|(_, part)| part.start as u64 & !LINEAR..part.end as u64 & !LINEAR);
    let [text, rodata, _] = parts;
    match real {
        _ if guard.contains(&real) => None,
        _ if text.contains(&real) || real < trap::VECTORS_END => Some(Access::RX),
        _ if rodata.contains(&real) => Some(Access::R),
        _ => Some(Access::RW),
    }
}

/// Builds the kernel's tables and turns translation on. Also makes the areas of the other CPUs.
pub fn enable(early: &mut EarlyFrames) -> Result<(), Errno> {
    let info = start::info().ok_or(Errno::EINVAL)?;
    let kernel = kernel_range();
    let mixed = [0..trap::VECTORS_END, kernel.start().get()..kernel.end().get()];
    let mut builder = Builder::new(early)?;
    for memory in &info.memory {
        builder.linear_map(*memory, &mixed)?;
        builder.stack_tables(*memory)?;
    }
    if let Some(uart) = console::uart_address() {
        builder.device(uart)?;
    }
    let root = builder.root();
    let [partition, process] = [builder.block(TABLE_BYTES)?, builder.block(TABLE_BYTES)?];
    // The tree in which nothing is mapped: as large as any root.
    let empty = builder.block(TABLE_BYTES)?;
    for (cpu, &hardware) in info.cpus.iter().enumerate().skip(1) {
        let block = builder.block(size_of::<area::Area>() as u64)?;
        // SAFETY: an aligned, zeroed block of the right size, never freed; all zeroes is an area.
        let area = unsafe { &*linear(PhysAddr::new(block)).cast::<area::Area>() };
        area::register(cpu, hardware, area);
    }

    // The first entry is partition 0, us. Its first word must be a valid tree, since QEMU translates
    // the process table's own address by it, though no real address of ours is translated again.
    tables::store(partition, 0, PARTITION_HOST_RADIX | root_word(PhysAddr::new(root)));
    tables::store(partition, 1, PARTITION_GUEST_RADIX | process | TABLE_SIZE);
    PARTITION_TABLE.store(partition, Ordering::Relaxed);
    PROCESS_TABLE.store(process, Ordering::Relaxed);
    ROOT.store(root, Ordering::Relaxed);
    set_process(0, root_word(PhysAddr::new(root)));
    set_process(KERNEL_PID, root_word(PhysAddr::new(empty)));

    if platform::get() == Platform::Pseries {
        // A new table, radix, guest translation shootdown (we may use tlbie): LoPAPR's flags.
        let (table, _) = hcall(H_REGISTER_PROC_TBL, [0x18 | 4 | 1, process, 0, TABLE_SIZE]);
        // Interrupts with translation on: resource 3, AIL = 3. For all CPUs.
        let (mode, _) = hcall(H_SET_MODE, [3, 3, 0, 0]);
        if table != H_SUCCESS || mode != H_SUCCESS {
            return Err(Errno::ENODEV);
        }
    }
    enable_here();
    Ok(())
}

/// Turns translation on, on this CPU.
pub fn enable_here() {
    // SAFETY: the tables are complete, and map the kernel where it runs: real mode ignores the upper
    // address bits, so the next instruction is the same one.
    unsafe {
        asm!("ptesync", options(nostack));
        if platform::get() == Platform::PowerNv {
            mtspr::<PTCR>(PARTITION_TABLE.load(Ordering::Relaxed) | TABLE_SIZE);
            mtspr::<LPIDR>(0);
            mtspr::<LPCR>(mfspr::<LPCR>() | LPCR_RADIX);
        }
        mtspr::<PIDR>(KERNEL_PID);
        tlb::flush_all();
        asm!("mtmsrd {}", "isync", in(reg) msr() | MSR_IR | MSR_DR, options(nostack));
    }
}

/// Writes a process-table entry: the tree of that PID.
pub fn set_process(pid: u64, root: u64) {
    // Two doublewords an entry; the second is for segment tables.
    tables::store(PROCESS_TABLE.load(Ordering::Relaxed), 2 * pid as usize, root);
    // SAFETY: orders the entry before the first access through it.
    unsafe { asm!("ptesync", options(nostack, preserves_flags)) };
}

/// Writes the entries of the stack in the block at that real address.
fn set_stack(block: u64, entry: impl Fn(u64) -> u64) {
    let root = ROOT.load(Ordering::Relaxed);
    let (table, first) = tables::find(root, STACK_AREA + block);
    let pages = (STACK_GUARD as u64..STACK_SIZE as u64).step_by(SMALL_PAGE as usize);
    for offset in pages {
        tables::store(table, first + (offset / SMALL_PAGE) as usize, entry(block + offset));
    }
}

/// Turns the block into a stack with its guard and gives the address of its end.
///
/// # Safety
/// The block is memory, aligned to `STACK_SIZE`, the caller's.
pub unsafe fn stack_map(block: PhysAddr) -> Result<VirtAddr, Errno> {
    if !block.is_aligned(STACK_SIZE as u64) {
        return Err(Errno::EINVAL);
    }
    set_stack(block.get(), |real| tables::leaf(real, Access::RW));
    // SAFETY: orders the entries before the first access (Power ISA v3.0B, Book III, 5.10.1,
    // "Translation Table Updates").
    unsafe { asm!("ptesync", options(nostack, preserves_flags)) };
    Ok(VirtAddr::new(STACK_AREA + block.get() + STACK_SIZE as u64))
}

/// Takes the stack back.
///
/// # Safety
/// `end` is what `stack_map` gave; nobody uses the stack.
pub unsafe fn stack_unmap(end: VirtAddr) -> PhysAddr {
    let block = end.get() - STACK_SIZE as u64 - STACK_AREA;
    set_stack(block, |_| 0);
    // By PID: QEMU knows no flush of single kernel addresses, and turns one into this with a complaint.
    tlb::flush_pid(0);
    PhysAddr::new(block)
}

/// Bytes of a cache block of POWER9, which `dcbz` zeroes.
const BLOCK: usize = 128;

/// Fills memory with a doubleword; zeros by the cache block, eight of them in each step of the loop.
///
/// # Safety
/// The memory is the caller's, in the linear map, aligned to 128 bytes; so are the bytes if the value is 0,
/// else they are a multiple of 64.
pub unsafe fn fill(to: *mut u8, value: u64, bytes: usize) {
    if value == 0 && bytes.is_multiple_of(BLOCK) && to.addr().is_multiple_of(BLOCK) {
        let (steps, rest) = (bytes / (8 * BLOCK), bytes / BLOCK % 8);
        let mut at = to;
        for _ in 0..steps {
            // SAFETY: eight blocks within the memory (the caller).
            unsafe {
                core::arch::asm!(
                    "dcbz 0, {at}", "dcbz {b1}, {at}", "dcbz {b2}, {at}", "dcbz {b3}, {at}",
                    "dcbz {b4}, {at}", "dcbz {b5}, {at}", "dcbz {b6}, {at}", "dcbz {b7}, {at}",
                    at = in(reg_nonzero) at, b1 = in(reg_nonzero) BLOCK, b2 = in(reg_nonzero) 2 * BLOCK,
                    b3 = in(reg_nonzero) 3 * BLOCK, b4 = in(reg_nonzero) 4 * BLOCK,
                    b5 = in(reg_nonzero) 5 * BLOCK, b6 = in(reg_nonzero) 6 * BLOCK,
                    b7 = in(reg_nonzero) 7 * BLOCK, options(nostack, preserves_flags));
                at = at.add(8 * BLOCK);
            }
        }
        for _ in 0..rest {
            // SAFETY: likewise, one block.
            unsafe {
                core::arch::asm!("dcbz 0, {}", in(reg_nonzero) at, options(nostack, preserves_flags));
                at = at.add(BLOCK);
            }
        }
        return;
    }
    for word in 0..bytes / 8 {
        // SAFETY: within the memory (the caller). Not a loop that becomes a call.
        unsafe { to.cast::<u64>().add(word).write(value) };
    }
}

unsafe extern "C" {
    fn ppc64_copy(to: *mut u8, from: *const u8, steps: usize);
}

/// Copies memory, 16 bytes an instruction.
///
/// # Safety
/// Both are the caller's, and do not overlap; the bytes are a multiple of 256, and not 0.
pub unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise; 256 bytes a step.
    unsafe { ppc64_copy(to, from, bytes / 256) };
}
