//! Starting the other CPUs.
//!
//! Each CPU has an *area*: its low core (the boot CPU's is at 0, so that part of its area is
//! unused), a guard page, an emergency stack. A stopped CPU is given its prefix and restarted; it
//! loads its control registers from its low core (copies of the starter's), turns translation on
//! and reports.

use super::lowcore::{self, LowCore, field};
use super::sigp::{Order, Outcome, signal, stop};
use super::{control, cpu, timer};
use crate::addr::{PhysAddr, VirtAddr};
use crate::arch::{MAX_CPUS, PAGE_SIZE, handlers};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Bytes of an area: low core, guard page, three pages of stack.
const AREA: u64 = lowcore::SIZE as u64 + 4 * PAGE_SIZE;

/// Where each CPU's area lies; 0 before `make_areas` and for CPUs that there are not.
static AREAS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// What `make_areas` makes areas for. Written at boot.
static CPUS: AtomicU32 = AtomicU32::new(1);

/// Hardware address of each CPU that was started, with these bits; 0 for the rest. Only one of the
/// last two is ever set: the CPU claims `UP`, its starter `GIVEN_UP`, by an exchange, and who comes
/// second gives in.
static ADDRESSES: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
const KNOWN: u32 = 1 << 16;
const UP: u32 = 1 << 17;
const GIVEN_UP: u32 = 1 << 18;

/// How long a started CPU may take. Generous: QEMU runs it in a thread that the host schedules.
const PATIENCE: u64 = 10_000_000_000;

/// Notes how many CPUs there are, and that this one is up. At boot.
pub fn found(cpus: usize) {
    CPUS.store(cpus as u32, Ordering::Relaxed);
    ADDRESSES[0].store(u32::from(control::cpu_address()) | KNOWN | UP, Ordering::Relaxed);
}

/// Takes the areas from the early allocator, which hands out the lowest memory first: prefixes
/// must lie below 2 GB. Gives the guard pages, to be unmapped.
pub fn make_areas(early: &mut EarlyFrames) -> Result<impl Iterator<Item = PhysAddr> + use<>, Errno> {
    for area in AREAS.iter().take(CPUS.load(Ordering::Relaxed) as usize) {
        let base = early.alloc(AREA, lowcore::SIZE as u64).ok_or(Errno::ENOMEM)?.get();
        if base + AREA > 1 << 31 {
            return Err(Errno::ENOMEM);
        }
        area.store(base, Ordering::Relaxed);
    }
    let areas = AREAS.iter().map(|area| area.load(Ordering::Relaxed)).filter(|&base| base != 0);
    Ok(areas.map(|base| PhysAddr::new(base + lowcore::SIZE as u64)))
}

/// End of a CPU's emergency stack.
pub fn emergency_stack(cpu: usize) -> VirtAddr {
    VirtAddr::new(AREAS[cpu].load(Ordering::Relaxed) + AREA)
}

/// Hardware address of a CPU that is up.
pub fn address(cpu: usize) -> Option<u16> {
    // Acquire: pairs with the Release in `s390x_secondary`; who signals the CPU has seen it come up.
    let entry = ADDRESSES.get(cpu)?.load(Ordering::Acquire);
    (entry & UP != 0).then_some(entry as u16)
}

/// Hardware addresses of all CPUs that were ever started, this one among them.
pub fn started() -> impl Iterator<Item = u16> {
    let entries = ADDRESSES.iter().map(|entry| entry.load(Ordering::Acquire));
    entries.filter(|entry| entry & KNOWN != 0).map(|entry| entry as u16)
}

/// Starts a CPU and waits until it is up.
///
/// # Safety
/// As `cpu::start`.
pub unsafe fn start(cpu: usize, hardware: u32, stack: VirtAddr, task: *const ()) -> Result<(), Errno> {
    let address = u16::try_from(hardware).map_err(|_| Errno::ENODEV)?;
    let area = AREAS.get(cpu).ok_or(Errno::ENODEV)?.load(Ordering::Relaxed);
    if area == 0 || cpu == 0 {
        return Err(Errno::ENODEV);
    }
    let base = PhysAddr::new(area);
    let mut control = control::all();
    control[0] &= !control::CR0_SERVICE_SIGNAL;
    // SAFETY: the area is the CPU's, which is stopped; the stack and the task are the caller's.
    unsafe {
        field::<LowCore>(base, 0).write_bytes(0, 1);
        lowcore::install(base);
        field::<u64>(base, offset_of!(LowCore, kernel_stack)).write_volatile(stack.get());
        field::<u64>(base, offset_of!(LowCore, emergency_stack)).write_volatile(area + AREA);
        field::<u64>(base, offset_of!(LowCore, current_task)).write_volatile(task.expose_provenance() as u64);
        field::<u64>(base, offset_of!(LowCore, cpu)).write_volatile(cpu as u64);
        field::<[u64; 16]>(base, offset_of!(LowCore, control)).write_volatile(control);
        lowcore::start_at_restart(base);
    }
    let entry = &ADDRESSES[cpu];
    let starting = u32::from(address) | KNOWN;
    entry.store(starting, Ordering::Relaxed);
    // SAFETY: the CPU is stopped and its low core is ready; SIGP orders the stores above.
    let accepted = unsafe {
        signal(address, Order::SetPrefix, area) == Outcome::Accepted
            && signal(address, Order::Restart, 0) == Outcome::Accepted
    };
    if !accepted {
        entry.store(0, Ordering::Relaxed);
        return Err(Errno::ENODEV);
    }
    let deadline = timer::now().saturating_add(PATIENCE);
    // Acquire: pairs with the Release in `s390x_secondary`.
    while entry.load(Ordering::Acquire) & UP == 0 {
        if timer::now() > deadline {
            // Acquire: as above, if it has come up at the last moment.
            let given_up = starting | GIVEN_UP;
            let claim = entry.compare_exchange(starting, given_up, Ordering::Relaxed, Ordering::Acquire);
            if claim.is_err() {
                return Ok(());
            }
            // SAFETY: it did not report and cannot any more, so it holds no lock; after this it is
            // stopped and the stack is the caller's again.
            unsafe { stop(address) };
            return Err(Errno::ETIMEDOUT);
        }
        cpu::relax();
    }
    Ok(())
}

/// A started CPU: translation is on, interrupts are off.
#[unsafe(no_mangle)]
extern "C" fn s390x_secondary() -> ! {
    timer::disarm();
    let cpu = cpu::id();
    // SAFETY: this CPU's own low core, all filled in: from here on a restart is reported.
    unsafe { lowcore::install(PhysAddr::new(lowcore::ALIAS as u64)) };
    let starting = u32::from(control::cpu_address()) | KNOWN;
    // Release: pairs with the Acquires of who waits for, or signals, this CPU.
    let claim =
        ADDRESSES[cpu].compare_exchange(starting, starting | UP, Ordering::Release, Ordering::Relaxed);
    if claim.is_err() {
        cpu::halt();
    }
    match handlers::get() {
        Some(handlers) => (handlers.secondary_main)(cpu),
        None => cpu::halt(),
    }
}
