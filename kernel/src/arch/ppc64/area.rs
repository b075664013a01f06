//! What belongs to one CPU: 64 KB, aligned, of which the lower 16 KB hold this structure and the rest
//! is the emergency stack. r13 points to it whenever the kernel runs.
//!
//! The shape is that of every stack here (see `STACK_GUARD`), so the interrupt entry asks one
//! question of all stacks: does what I need lie above the low 16 KB of its block?

use super::{STACK_GUARD, STACK_SIZE};
use crate::arch::MAX_CPUS;
use core::arch::asm;
use core::cell::Cell;
use core::mem::size_of;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// The area of the CPU, of which `_emergency` is stack.
///
/// # Invariants
/// Everything but `state`, `hardware` and `reset_asked` is used by its own CPU only, or by the CPU that starts it
/// while it is stopped.
#[repr(C, align(65536))]
pub struct Area {
    /// Scratch of the interrupt entry.
    pub r10: Cell<u64>,
    /// Scratch of the interrupt entry.
    pub r11: Cell<u64>,
    /// Scratch of the interrupt entry.
    pub r12: Cell<u64>,
    /// Scratch of the interrupt entry.
    pub cr: Cell<u64>,
    /// Not 0 while the interrupt entry saves registers.
    pub entering: Cell<u64>,
    /// Where the kernel stack of the running thread ends; 0 of a thread that was never switched to.
    pub thread_stack: Cell<u64>,
    /// What the interrupt entry needs that is the same on every CPU: a load is shorter than a constant.
    pub entry: Entry,
    /// What `cpu::current_task` returns.
    pub task: Cell<*const ()>,
    /// Logical number.
    pub cpu: Cell<usize>,
    /// Processor number: PIR, interrupt server number.
    pub hardware: AtomicU32,
    /// How far starting it has come.
    pub state: AtomicU32,
    /// End of the stack that it starts on.
    pub stack: Cell<u64>,
    /// When the timer is to interrupt next, in ns since boot.
    pub deadline: Cell<u64>,
    /// The next system reset is the kernel's own.
    pub reset_asked: AtomicBool,
    /// Faults being handled on the emergency stack.
    pub emergencies: Cell<u32>,
    /// Arguments and results of firmware calls: the firmware sees real addresses only, and a stack
    /// is not in the linear map.
    pub firmware: Firmware,
    _rest: [u8; STACK_GUARD - 256],
    _emergency: [u8; STACK_SIZE - STACK_GUARD],
}

/// See [`Area::entry`].
#[repr(C)]
pub struct Entry {
    /// The kernel's r2.
    pub toc: Cell<u64>,
    /// What marks a frame of the entry.
    pub mark: Cell<u64>,
    /// Where interrupts go.
    pub trap: Cell<u64>,
    /// Where system calls go.
    pub call: Cell<u64>,
}

/// A buffer that does not cross a page.
#[repr(C, align(128))]
pub struct Firmware(pub Cell<[u64; 16]>);

const _: () = assert!(size_of::<Area>() == STACK_SIZE);

// SAFETY: the cells are used by one CPU at a time (the type's invariant).
unsafe impl Sync for Area {}

/// The CPU that is running here.
pub const RUNNING: u32 = 1;
/// Being started.
pub const STARTING: u32 = 2;
/// Did not come up in time; if it does later, it must stop.
pub const GIVEN_UP: u32 = 3;
/// Stopped for good.
pub const HALTED: u32 = 4;

impl Area {
    const fn new() -> Self {
        Self {
            r10: Cell::new(0),
            r11: Cell::new(0),
            r12: Cell::new(0),
            cr: Cell::new(0),
            entering: Cell::new(0),
            thread_stack: Cell::new(0),
            entry: Entry { toc: Cell::new(0), mark: Cell::new(0), trap: Cell::new(0), call: Cell::new(0) },
            task: Cell::new(core::ptr::null()),
            cpu: Cell::new(0),
            hardware: AtomicU32::new(0),
            state: AtomicU32::new(0),
            stack: Cell::new(0),
            deadline: Cell::new(0),
            reset_asked: AtomicBool::new(false),
            emergencies: Cell::new(0),
            firmware: Firmware(Cell::new([0; 16])),
            _rest: [0; STACK_GUARD - 256],
            _emergency: [0; STACK_SIZE - STACK_GUARD],
        }
    }
}

impl Area {
    /// Where its emergency stack ends.
    pub fn end_of_stack(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64 + STACK_SIZE as u64
    }
    /// Processor number.
    pub fn number(&self) -> u32 {
        self.hardware.load(Ordering::Relaxed)
    }
    /// Whether `cpu::halt` was called on it.
    pub fn halted(&self) -> bool {
        self.state.load(Ordering::Relaxed) == HALTED
    }
}

/// The boot CPU's area.
#[unsafe(no_mangle)]
static ppc64_boot_area: Area = Area::new();

/// Areas by logical number. The entry code looks a started CPU's area up here.
#[unsafe(no_mangle)]
static ppc64_areas: [AtomicPtr<Area>; MAX_CPUS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// Makes the boot CPU's area findable.
pub fn boot(hardware: u32) {
    ppc64_boot_area.state.store(RUNNING, Ordering::Relaxed);
    register(0, hardware, &ppc64_boot_area);
}

/// This CPU's area. Stays this CPU's only while interrupts are off.
pub fn this() -> &'static Area {
    let area: *const Area;
    // SAFETY: r13 always points to an area, and areas are never freed. Not `pure`: a thread that is
    // preempted finds another value afterwards.
    unsafe {
        asm!("mr {}, 13", out(reg) area, options(nomem, nostack, preserves_flags));
        &*area
    }
}

/// The area of that CPU, if it has one.
pub fn of(cpu: usize) -> Option<&'static Area> {
    // SAFETY: null or what `register` was given. Acquire: pairs with the Release there.
    unsafe { ppc64_areas.get(cpu)?.load(Ordering::Acquire).as_ref() }
}

/// Makes the area findable by its number.
pub fn register(cpu: usize, hardware: u32, area: &'static Area) {
    area.cpu.set(cpu);
    area.hardware.store(hardware, Ordering::Relaxed);
    // Release: pairs with the Acquire in `of`; the entry code of a started CPU is ordered behind it
    // by the firmware call that starts it.
    ppc64_areas[cpu].store(core::ptr::from_ref(area).cast_mut(), Ordering::Release);
}

unsafe extern "C" {
    fn ppc64_on_stack(end: u64, function: extern "C" fn(usize) -> !, argument: usize) -> !;
}

/// Goes on in the function, on the stack with that end.
///
/// # Safety
/// The stack is mapped and in use by nobody; what is on the present one lives on as it is.
pub unsafe fn go_on(end: u64, function: extern "C" fn(usize) -> !, argument: usize) -> ! {
    // SAFETY: the caller's.
    unsafe { ppc64_on_stack(end, function, argument) }
}
