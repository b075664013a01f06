//! Starting the other CPUs.

use crate::addr::VirtAddr;
use crate::arch::MAX_CPUS;
use crate::arch::current::{cpu, timer};
use crate::boot::BootInfo;
use crate::error::Errno;
use crate::proc::{sched, thread};
use crate::sync::PerCpu;
use crate::sync::percpu::Slot;
use core::sync::atomic::{AtomicU8, Ordering};

/// How long a CPU that the firmware has started may take to arrive, in nanoseconds: generous, since
/// the host may be busy with everything else.
const PATIENCE: u64 = 10_000_000_000;

/// Who was first: the CPU that arrives, or the boot CPU that gives it up.
static ARRIVAL: PerCpu<AtomicU8> = PerCpu::new([const { Slot::new(AtomicU8::new(STARTING)) }; MAX_CPUS]);
const STARTING: u8 = 0;
const ARRIVED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Starts the CPUs that the machine has, at most `limit`, and waits until each is up. One that does
/// not come up is named and left out.
pub fn start_others(info: &BootInfo, limit: usize) {
    if info.cpus_found > info.cpus.len() {
        log::warn!(target: "smp", "{} CPUs found, {MAX_CPUS} are supported: the others stay off", info.cpus_found);
    }
    for (number, &hardware) in info.cpus.iter().enumerate().take(limit).skip(1) {
        if let Err(error) = start_one(number, hardware) {
            log::warn!(target: "smp", "CPU {number} (hardware number {hardware}) does not start: {error:?}");
        }
    }
    log::info!(target: "smp", "CPUs {} of {} online", sched::online_cpus(), info.cpus_found);
}

fn start_one(number: usize, hardware: u32) -> Result<(), Errno> {
    let (idle, stack): (_, VirtAddr) = thread::idle_thread(number)?;
    // SAFETY: the stack is new, the task is the new idle thread, both for that CPU alone.
    unsafe { cpu::start(number, hardware, stack, (&raw const *idle).cast()) }?;
    let deadline = timer::now() + PATIENCE;
    while !sched::online_cpus().contains(number) {
        // AcqRel: one of the two, this CPU and that one, is first.
        if timer::now() > deadline
            && ARRIVAL
                .of(number)
                .compare_exchange(STARTING, GIVEN_UP, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        {
            return Err(Errno::ETIMEDOUT);
        }
        cpu::relax();
    }
    Ok(())
}

/// A started CPU arrives here: its idle thread, interrupts off. One that comes too late stops: the
/// kernel has gone on without it, and has no thread for its RCU callbacks.
pub fn secondary_main(number: usize) -> ! {
    if ARRIVAL.of(number).compare_exchange(STARTING, ARRIVED, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        cpu::halt();
    }
    // SAFETY: called once by a started CPU, on the idle thread made for it.
    unsafe { sched::run_secondary(number) }
}
