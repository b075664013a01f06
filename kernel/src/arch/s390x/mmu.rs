//! The kernel's address space: every byte of memory where it lies, each page as weak as it may be.
//!
//! One ASCE for all CPUs, in CR13 (home space). A region-third table, one segment table for each
//! 2 GB, and the page tables of a segment table's part in one block. They are built once; later
//! only stack guards change. (POP chapter 3, "Translation Tables"; TCG has no EDAT, so no
//! 1 MB pages.)

use super::lowcore::{self, ALIAS};
use super::{STACK_GUARD, STACK_SIZE, control, psw, smp, tlb};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::PAGE_SIZE;
use crate::arch::paging::{Access, ENTRY_BYTES, Level, Page, PagingFormat};
use crate::arch::s390x_format::{
    ASCE_REGION_THIRD, PAGE_LEVEL, REGION_LEVEL, REGION_ORIGIN, S390Dat, SEGMENT_LEVEL, SEGMENT_ORIGIN,
};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

const REGIONS: Level = S390Dat::LEVELS[REGION_LEVEL];
const SEGMENTS: Level = S390Dat::LEVELS[SEGMENT_LEVEL];
const PAGES: Level = S390Dat::LEVELS[PAGE_LEVEL];

/// The kernel's region-third table; 0 before `enable`.
static TABLE: AtomicU64 = AtomicU64::new(0);

/// Bytes of memory. Written at boot.
static MEMORY: AtomicU64 = AtomicU64::new(0);
/// The ASCE of a space where nothing is mapped, for CPUs that run no program.
static EMPTY: AtomicU64 = AtomicU64::new(0);
/// Entries of its region-third table: the least that an ASCE's length, 00 for 512, can say.
const EMPTY_ENTRIES: usize = 512;

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __kernel_end: u8;
    static boot_stack_end: u8;
}

/// The linear map is the identity.
pub fn linear(addr: PhysAddr) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(addr.get() as usize)
}

/// The reverse.
pub fn linear_to_phys(pointer: *const u8) -> PhysAddr {
    PhysAddr::new(pointer.expose_provenance() as u64)
}

/// The kernel's text, constants, writable data.
pub fn sections() -> [(&'static str, Range<usize>); 3] {
    let [text, rodata, data, end] =
        [&raw const __text_start, &raw const __text_end, &raw const __rodata_end, &raw const __kernel_end]
            .map(|symbol| symbol.addr());
    [("text", text..rodata), ("rodata", rodata..data), ("data", data..end)]
}

/// A table's entry. The tables are read by the machine at any time, hence atomic stores.
fn entry(table: u64, index: usize) -> &'static AtomicU64 {
    let pointer = core::ptr::with_exposed_provenance_mut(table as usize + ENTRY_BYTES * index);
    // SAFETY: tables are in memory that the early allocator gave to them for ever, aligned, and
    // only accessed so.
    unsafe { AtomicU64::from_ptr(pointer) }
}

/// Takes a table and fills it with empty entries.
fn new_table(early: &mut EarlyFrames, level: usize, entries: usize) -> Result<u64, Errno> {
    let table = early.alloc((entries * ENTRY_BYTES) as u64, PAGE_SIZE).ok_or(Errno::ENOMEM)?.get();
    for index in 0..entries {
        entry(table, index).store(S390Dat::empty(level), Ordering::Relaxed);
    }
    Ok(table)
}

/// The page table that translates an address of the map, and the entry.
fn page_entry(va: u64) -> (u64, &'static AtomicU64) {
    let va = VirtAddr::new(va);
    let region = entry(TABLE.load(Ordering::Relaxed), REGIONS.index(va));
    let segment = entry(region.load(Ordering::Relaxed) & REGION_ORIGIN, SEGMENTS.index(va));
    let pages = segment.load(Ordering::Relaxed) & SEGMENT_ORIGIN;
    (pages, entry(pages, PAGES.index(va)))
}

/// An entry for a page at the address.
fn page(addr: u64, access: Access) -> u64 {
    S390Dat::page(Page { addr: PhysAddr::new(addr), access, soft: 0 })
}

/// Notes how much memory there is. At boot.
pub(super) fn found(memory: u64) {
    MEMORY.store(memory, Ordering::Relaxed);
}

/// The ASCE of a space where nothing is mapped.
pub(super) fn empty_space() -> u64 {
    EMPTY.load(Ordering::Relaxed)
}

/// Builds the kernel's space and turns translation on.
pub fn enable(early: &mut EarlyFrames) -> Result<(), Errno> {
    let guards = smp::make_areas(early)?;
    let memory = MEMORY.load(Ordering::Relaxed);
    let regions = new_table(early, REGION_LEVEL, REGIONS.entries)?;
    let mut base = 0;
    while base < memory {
        let size = (memory - base).min(REGIONS.entry_span());
        let segments = new_table(early, SEGMENT_LEVEL, SEGMENTS.entries)?;
        let region = entry(regions, REGIONS.index(VirtAddr::new(base)));
        region.store(S390Dat::table(REGION_LEVEL, PhysAddr::new(segments)), Ordering::Relaxed);
        map_segments(early, segments, base, size)?;
        base += size;
    }
    TABLE.store(regions, Ordering::Relaxed);
    let empty = new_table(early, REGION_LEVEL, EMPTY_ENTRIES)? | ASCE_REGION_THIRD;
    EMPTY.store(empty, Ordering::Relaxed);

    let set = |range: Range<usize>, access: Access| {
        for addr in range.step_by(PAGE_SIZE as usize) {
            page_entry(addr as u64).1.store(page(addr as u64, access), Ordering::Relaxed);
        }
    };
    let [text, rodata, _] = sections().map(|(_, section)| section);
    // Low memory: only the alias of low core, real 0, is mapped.
    set(0..text.start, Access::NONE);
    for addr in (0..lowcore::SIZE as u64).step_by(PAGE_SIZE as usize) {
        page_entry(ALIAS as u64 + addr).1.store(page(addr, Access::RW), Ordering::Relaxed);
    }
    set(text, Access::RX);
    set(rodata, Access::R);
    let boot_guard = (&raw const boot_stack_end).addr() - STACK_SIZE;
    for guard in guards.map(PhysAddr::get).chain([boot_guard as u64]) {
        page_entry(guard).1.store(page(guard, Access::NONE), Ordering::Relaxed);
    }

    // SAFETY: the tables map the running code, its stack and its data where they are. The primary
    // and secondary spaces stay empty until a program runs; the other CPUs start with copies of
    // these registers.
    unsafe {
        lowcore::adopt(smp::emergency_stack(0));
        control::set_cr0(control::CR0_KERNEL | control::CR0_SERVICE_SIGNAL);
        control::set_cr1(empty);
        control::set_cr7(empty);
        control::set_cr13(S390Dat::root(PhysAddr::new(regions)));
        psw::continue_with(psw::KERNEL);
    }
    Ok(())
}

/// Maps `size` bytes from `base` on, by page tables in one block.
fn map_segments(early: &mut EarlyFrames, segments: u64, base: u64, size: u64) -> Result<(), Errno> {
    let count = size.div_ceil(SEGMENTS.entry_span()) as usize;
    let tables = early.alloc((count * PAGES.bytes()) as u64, PAGE_SIZE).ok_or(Errno::ENOMEM)?.get();
    // The longest loop of the boot, one turn for each page of memory: nothing but the store in it.
    let mut value = page(base, Access::RW);
    for index in 0..(size / PAGE_SIZE) as usize {
        entry(tables, index).store(value, Ordering::Relaxed);
        value += PAGE_SIZE;
    }
    for index in (size / PAGE_SIZE) as usize..count * PAGES.entries {
        entry(tables, index).store(S390Dat::empty(PAGE_LEVEL), Ordering::Relaxed);
    }
    for index in 0..count {
        let table = PhysAddr::new(tables + (index * PAGES.bytes()) as u64);
        entry(segments, index).store(S390Dat::table(SEGMENT_LEVEL, table), Ordering::Relaxed);
    }
    Ok(())
}

/// Turns a block of memory into a stack with its guard.
///
/// # Safety
/// The block is `STACK_SIZE` bytes, aligned to that, and the caller's.
pub unsafe fn stack_map(block: PhysAddr) -> Result<VirtAddr, Errno> {
    let guard = block.get();
    let (table, _) = page_entry(guard);
    // SAFETY: the page is the caller's, who gives it up.
    unsafe { tlb::invalidate_page(table, guard) };
    Ok(VirtAddr::new(guard + STACK_SIZE as u64))
}

/// Takes a stack back; its memory is ordinary again.
///
/// # Safety
/// The stack comes from [`stack_map`] and nobody runs on it.
pub unsafe fn stack_unmap(end: VirtAddr) -> PhysAddr {
    let guard = end.get() - STACK_SIZE as u64;
    // From invalid to valid needs no flush.
    page_entry(guard).1.store(page(guard, Access::RW), Ordering::Relaxed);
    PhysAddr::new(guard)
}

const _: () = assert!(STACK_GUARD as u64 == PAGE_SIZE);

/// Fills memory with a doubleword, as few instructions as it takes: MOVE LONG pads what has no source with
/// a byte; and MOVE CHARACTERS goes from the left to the right, byte by byte, so what overlaps with its own
/// beginning repeats it.
///
/// # Safety
/// The memory is the caller's; the bytes are a multiple of 2048, and less than 16 MB.
pub unsafe fn fill(to: *mut u8, value: u64, bytes: usize) {
    if value == 0 {
        // SAFETY: the caller's promise.
        unsafe { move_long(to, core::ptr::null(), bytes, 0) };
        return;
    }
    for at in (0..bytes).step_by(2048) {
        // SAFETY: within the memory (the caller): 2048 bytes at each step.
        unsafe {
            let at = to.add(at);
            at.cast::<u64>().write(value);
            core::arch::asm!(
                "mvc 8(248, {p}), 0({p})",
                ".irp n, 0, 256, 512, 768, 1024, 1280, 1536", "mvc \\n+256(256, {p}), \\n({p})", ".endr",
                p = in(reg_addr) at, options(nostack, preserves_flags));
        }
    }
}

/// Copies memory.
///
/// # Safety
/// Both are the caller's and do not overlap; the bytes are less than 16 MB.
pub unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { move_long(to, from, bytes, bytes) };
}

/// MOVE LONG (MVCL) goes on where it was when an interruption came in between. The lengths have 24 bits.
///
/// # Safety
/// `bytes` are the caller's to write at `to`, `available` of them to read at `from`; they do not overlap.
unsafe fn move_long(to: *mut u8, from: *const u8, bytes: usize, available: usize) {
    // SAFETY: the caller's promise. The byte that pads is 0, in bits 32-39 of register 5.
    unsafe {
        core::arch::asm!(
            "mvcl %r2, %r4",
            inout("r2") to => _, inout("r3") bytes => _, inout("r4") from => _, inout("r5") available => _,
            options(nostack));
    }
}
