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
//! Everything in memory that the MMU reads is big-endian, whatever MSR[LE] says.
//! Referenced and Changed are set in all entries: QEMU 10 does not set them, but faults.

use super::firmware::{H_REGISTER_PROC_TBL, H_SET_MODE, H_SUCCESS, hcall};
use super::platform::{self, Platform};
use super::regs::{LPCR, LPIDR, MSR_DR, MSR_IR, PIDR, PTCR, mfspr, msr, mtspr};
use super::{LINEAR, STACK_AREA, STACK_GUARD, STACK_SIZE, area, console, start, trap};
use crate::addr::{PhysAddr, PhysRange, VirtAddr};
use crate::arch::PAGE_SIZE;
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::arch::asm;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

const VALID: u64 = 1 << 63;
const LEAF: u64 = 1 << 62;
/// Referenced, changed.
const R_C: u64 = 0x100 | 0x80;
/// Attribute: non-idempotent I/O, that is, guarded and not cached.
const DEVICE: u64 = 0x20;
const PRIVILEGED: u64 = 8;
const READ: u64 = 4;
const WRITE: u64 = 2;
const EXECUTE: u64 = 1;

const KERNEL: u64 = VALID | LEAF | R_C | PRIVILEGED;
const READ_WRITE: u64 = KERNEL | READ | WRITE;
const READ_ONLY: u64 = KERNEL | READ;
const READ_EXECUTE: u64 = KERNEL | READ | EXECUTE;

/// Bits of the address that a table's index takes, root first; and where they begin.
const ROOT_BITS: u64 = 13;
const TABLE_BITS: u64 = 9;
const SHIFTS: [u32; 4] = [39, 30, 21, 12];
const TABLE_SIZE: u64 = 8 << TABLE_BITS;
const SMALL: u64 = 1 << SHIFTS[3];
const LARGE: u64 = 1 << SHIFTS[2];
const HUGE: u64 = 1 << SHIFTS[1];

/// Tree of 52 bits (RTS = 52 - 31 = 0b10101, split in two fields) with a root of 2^13 entries.
const TREE: u64 = 0b10 << 61 | 0b101 << 5 | ROOT_BITS;
/// Partition table entry, first word: host radix.
const HOST_RADIX: u64 = 1 << 63;
/// Second word: guest radix, for the process table. It has 2^(12 + 4) bytes.
const GUEST_RADIX: u64 = 1 << 63;
const PROCESS_TABLE_SIZE: u64 = 4;
/// LPCR: UPRT, HR (bits 41, 43), AIL = 3 (bits 39, 40).
const LPCR_RADIX: u64 = 1 << 22 | 1 << 20 | 3 << 23;

/// The PID of kernel threads: nothing is mapped in it.
pub const KERNEL_PID: u64 = 1;

/// Real address of the partition table; 0 before `enable`. What started CPUs need.
static PARTITION_TABLE: AtomicU64 = AtomicU64::new(0);
static ROOT: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" {
    static __kernel_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
}

fn address(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// The kernel image, with its zeroed data and the boot CPU's stack.
pub fn kernel_range() -> PhysRange {
    let [start, end] =
        [&raw const __kernel_start, &raw const __kernel_end].map(|end| PhysAddr::new(address(end) & !LINEAR));
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
    let address = pointer.addr() as u64;
    debug_assert!(address >> 48 == LINEAR >> 48, "{address:#x} is not in the linear map");
    PhysAddr::new(address & !LINEAR)
}

/// What the linear map allows at that address; 0 for nothing.
fn protection(real: u64) -> u64 {
    let boot_stack = start::boot_stack() as u64 & !LINEAR;
    let guard = boot_stack..boot_stack + STACK_GUARD as u64;
    let [text, rodata, _] =
        sections().map(|(_, part)| part.start as u64 & !LINEAR..part.end as u64 & !LINEAR);
    match real {
        _ if guard.contains(&real) => 0,
        _ if text.contains(&real) || real < trap::VECTORS_END => READ_EXECUTE,
        _ if rodata.contains(&real) => READ_ONLY,
        _ => READ_WRITE,
    }
}

/// Builds a tree. Its tables are 4 KB pieces of early frames.
struct Builder<'a> {
    early: &'a mut EarlyFrames,
    root: u64,
    /// Tables of the last frame that are not used yet.
    rest: Range<u64>,
}

impl Builder<'_> {
    /// A zeroed block.
    fn block(early: &mut EarlyFrames, size: u64) -> Result<u64, Errno> {
        let block = early.alloc(size, size).ok_or(Errno::ENOMEM)?;
        // SAFETY: ours, and of that size.
        unsafe { linear(block).write_bytes(0, size as usize) };
        Ok(block.get())
    }

    fn table(&mut self) -> Result<u64, Errno> {
        if self.rest.is_empty() {
            let block = Self::block(self.early, PAGE_SIZE)?;
            self.rest = block..block + PAGE_SIZE;
        }
        let table = self.rest.start;
        self.rest.start += TABLE_SIZE;
        Ok(table)
    }

    /// The table of the given level, 1 to 3, on the way to the effective address, made if need be.
    fn table_of(&mut self, effective: u64, level: usize) -> Result<u64, Errno> {
        let mut table = self.root;
        for shift in &SHIFTS[..level] {
            let slot = entry(table, index(effective, *shift));
            let mut value = load(slot);
            if value == 0 {
                value = VALID | self.table()? | TABLE_BITS;
                store(slot, value);
            }
            table = value & TABLE_ADDRESS;
        }
        Ok(table)
    }

    /// Maps a leaf: of 1 GB (level 1), 2 MB, 4 KB (level 3).
    fn leaf(&mut self, effective: u64, level: usize, value: u64) -> Result<(), Errno> {
        let table = self.table_of(effective, level)?;
        store(entry(table, index(effective, SHIFTS[level])), value);
        Ok(())
    }

    fn linear_map(&mut self, memory: PhysRange) -> Result<(), Errno> {
        let kernel = kernel_range();
        let mixed = [0..LARGE, kernel.start().get()..kernel.end().get()];
        let (mut at, end) = (memory.start().get() & !(SMALL - 1), memory.end().get());
        while at < end {
            let fits = |size: u64| {
                at.is_multiple_of(size)
                    && end - at >= size
                    && mixed.iter().all(|part| part.end <= at || at + size <= part.start)
            };
            let (level, size) = match () {
                () if fits(HUGE) => (1, HUGE),
                () if fits(LARGE) => (2, LARGE),
                () => (3, SMALL),
            };
            let allowed = protection(at);
            if allowed != 0 {
                self.leaf(LINEAR | at, level, allowed | at)?;
            }
            at += size;
        }
        Ok(())
    }

    /// The tables for the stacks in that memory.
    fn stack_tables(&mut self, memory: PhysRange) -> Result<(), Errno> {
        let first = memory.start().get() & !(LARGE - 1);
        for block in (first..memory.end().get()).step_by(LARGE as usize) {
            self.table_of(STACK_AREA + block, 3)?;
        }
        Ok(())
    }
}

/// The part of a table's entry that is the table's address (bits 4 to 55).
const TABLE_ADDRESS: u64 = 0x0fff_ffff_ffff_ff00;

fn index(effective: u64, shift: u32) -> u64 {
    let bits = if shift == SHIFTS[0] { ROOT_BITS } else { TABLE_BITS };
    effective >> shift & ((1 << bits) - 1)
}

fn entry(table: u64, index: u64) -> &'static AtomicU64 {
    let pointer = linear(PhysAddr::new(table + 8 * index)).cast::<u64>();
    // SAFETY: tables are never freed, and accessed by atomic operations only.
    unsafe { AtomicU64::from_ptr(pointer) }
}

fn load(slot: &AtomicU64) -> u64 {
    u64::from_be(slot.load(Ordering::Relaxed))
}

fn store(slot: &AtomicU64, value: u64) {
    slot.store(value.to_be(), Ordering::Relaxed);
}

/// Builds the kernel's tables and turns translation on. Also makes the areas of the other CPUs.
pub fn enable(early: &mut EarlyFrames) -> Result<(), Errno> {
    let info = start::info().ok_or(Errno::EINVAL)?;
    let tables = [(); 4].map(|()| Builder::block(early, PAGE_SIZE));
    let [partition, process, root, empty] = tables;
    let (partition, process, root, empty) = (partition?, process?, root?, empty?);

    let mut builder = Builder { early, root, rest: 0..0 };
    for memory in &info.memory {
        builder.linear_map(*memory)?;
        builder.stack_tables(*memory)?;
    }
    if let Some(uart) = console::uart_address() {
        let page = uart & !(SMALL - 1);
        builder.leaf(LINEAR | page, 3, READ_WRITE | DEVICE | page)?;
    }
    for (cpu, &hardware) in info.cpus.iter().enumerate().skip(1) {
        let block = Builder::block(builder.early, size_of::<area::Area>() as u64)?;
        // SAFETY: an aligned, zeroed block of the right size, never freed; all zeroes is an area.
        let area = unsafe { &*linear(PhysAddr::new(block)).cast::<area::Area>() };
        area::register(cpu, hardware, area);
    }

    // Two words a process: the tree, and nothing.
    store(entry(process, 0), TREE | root);
    store(entry(process, 2 * KERNEL_PID), TREE | empty);
    // The first entry is partition 0, us. Its first word must be a valid tree, since QEMU translates
    // the process table's own address by it, though no real address of ours is translated again.
    store(entry(partition, 0), HOST_RADIX | TREE | root);
    store(entry(partition, 1), GUEST_RADIX | process | PROCESS_TABLE_SIZE);
    ROOT.store(root, Ordering::Relaxed);
    PARTITION_TABLE.store(partition, Ordering::Relaxed);

    if platform::get() == Platform::Pseries {
        // New table, radix, with guest translation shootdown enabled (we may use tlbie).
        let (code, _) = hcall(H_REGISTER_PROC_TBL, [0x18 | 4 | 1, process, 0, PROCESS_TABLE_SIZE]);
        // Interrupts with translation on: resource 3, AIL = 3. For all CPUs.
        let (mode, _) = hcall(H_SET_MODE, [3, 3, 0, 0]);
        if code != H_SUCCESS || mode != H_SUCCESS {
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
            mtspr::<PTCR>(PARTITION_TABLE.load(Ordering::Relaxed) | PROCESS_TABLE_SIZE);
            mtspr::<LPIDR>(0);
            mtspr::<LPCR>(mfspr::<LPCR>() | LPCR_RADIX);
        }
        mtspr::<PIDR>(KERNEL_PID);
        flush_all();
        asm!("mtmsrd {}", "isync", in(reg) msr() | MSR_IR | MSR_DR, options(nostack));
    }
}

/// Invalidates every translation of this partition on all CPUs (`tlbie`, Power ISA v3.0B, Book III,
/// 5.9.3.3: RIC = 2, PRS = 1, R = 1, IS = 2).
fn flush_all() {
    // SAFETY: translations are only forgotten.
    unsafe {
        asm!("ptesync", "tlbie {}, {}, 2, 1, 1", "eieio", "tlbsync", "ptesync",
            in(reg) 2u64 << 10, in(reg) 0u64, options(nostack));
    }
}

/// Invalidates every translation of PID 0, the kernel's, on all CPUs (IS = 1).
fn flush_kernel() {
    // SAFETY: translations are only forgotten.
    unsafe {
        asm!("ptesync", "tlbie {}, {}, 2, 1, 1", "eieio", "tlbsync", "ptesync",
            in(reg) 1u64 << 10, in(reg) 0u64, options(nostack));
    }
}

/// Visits the entries of the stack in the block at that real address.
fn stack_entries(block: u64, mut visit: impl FnMut(&AtomicU64, u64)) {
    let mut table = ROOT.load(Ordering::Relaxed);
    for shift in &SHIFTS[..3] {
        table = load(entry(table, index(STACK_AREA + block, *shift))) & TABLE_ADDRESS;
    }
    for real in (block + STACK_GUARD as u64..block + STACK_SIZE as u64).step_by(SMALL as usize) {
        visit(entry(table, index(real, SHIFTS[3])), real);
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
    stack_entries(block.get(), |slot, real| store(slot, READ_WRITE | real));
    // SAFETY: orders the entries before the first access (Power ISA v3.0B, Book III, 5.10.1.2).
    unsafe { asm!("ptesync", options(nostack, preserves_flags)) };
    Ok(VirtAddr::new(STACK_AREA + block.get() + STACK_SIZE as u64))
}

/// Takes the stack back.
///
/// # Safety
/// `end` is what `stack_map` gave; nobody uses the stack.
pub unsafe fn stack_unmap(end: VirtAddr) -> PhysAddr {
    let block = end.get() - STACK_SIZE as u64 - STACK_AREA;
    stack_entries(block, |slot, _| store(slot, 0));
    flush_kernel();
    PhysAddr::new(block)
}
