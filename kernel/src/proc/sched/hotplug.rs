//! CPUs that stop running threads, and come back.
//!
//! Offline means offline to this kernel: the CPU runs no thread, takes no part in RCU and waits for
//! interrupts with nothing to do. It is not handed back to the firmware; that would exercise the
//! firmware's code, not ours. The boot CPU stays.
//!
//! A CPU takes itself offline, in its idle thread: so nothing of it is in the middle of anything.
//! Threads that wait in its queue move to others, sleepers are woken early (every sleep allows
//! that) and sleep again elsewhere, and blocked threads are placed when they are woken. A thread
//! that may run on this CPU only runs on any other meanwhile.

use super::queue::QUEUES;
use super::{ONLINE, wake};
use crate::arch::MAX_CPUS;
use crate::arch::current::cpu;
use crate::error::Errno;
use crate::rcu;
use crate::sync::percpu::Slot;
use crate::sync::{IrqGuard, LockClass, MaySleep, Mutex, PerCpu, Pinned, Rank, WaitQueue};
use core::sync::atomic::{AtomicBool, Ordering};

const CLASS: LockClass = LockClass::new("CPU hotplug", Rank::PROCESS);

/// One change at a time.
static CHANGE: Mutex<()> = Mutex::new(&CLASS, ());
/// Who waits for a change to be made.
static CHANGED: WaitQueue = WaitQueue::new();
/// CPUs that are to be offline.
static WANTED_OFFLINE: PerCpu<AtomicBool> =
    PerCpu::new([const { Slot::new(AtomicBool::new(false)) }; MAX_CPUS]);

/// Takes a CPU offline. When this returns it runs no thread.
///
/// # Errors
/// ENODEV: it is not online. EBUSY: it is the boot CPU, which stays.
pub fn offline(ctx: &mut MaySleep, cpu: usize) -> Result<(), Errno> {
    if cpu == 0 {
        return Err(Errno::EBUSY);
    }
    let _one = CHANGE.lock(ctx);
    if !ONLINE.get().contains(cpu) {
        return Err(Errno::ENODEV);
    }
    WANTED_OFFLINE.of(cpu).store(true, Ordering::Release);
    {
        let mut queue = QUEUES.of(cpu).lock();
        queue.leaving = true;
        queue.preempt_current();
    }
    // To itself, too: it preempts this thread, which goes on elsewhere.
    cpu::send_ipi(cpu);
    CHANGED.wait(ctx, || !ONLINE.get().contains(cpu));
    Ok(())
}

/// Takes a CPU back.
///
/// # Errors
/// ENODEV: it is not one that was taken offline.
pub fn online(ctx: &mut MaySleep, cpu: usize) -> Result<(), Errno> {
    let _one = CHANGE.lock(ctx);
    if cpu >= MAX_CPUS || !WANTED_OFFLINE.of(cpu).load(Ordering::Relaxed) {
        return Err(Errno::ENODEV);
    }
    // Release: pairs with the Acquire in `is_leaving`.
    WANTED_OFFLINE.of(cpu).store(false, Ordering::Release);
    cpu::send_ipi(cpu);
    CHANGED.wait(ctx, || ONLINE.get().contains(cpu));
    Ok(())
}

/// Whether that CPU is to be offline.
pub(super) fn is_leaving(cpu: usize) -> bool {
    WANTED_OFFLINE.of(cpu).load(Ordering::Acquire)
}

/// The idle thread of a CPU that is to go: goes, waits, comes back.
pub(super) fn leave(irqs: &IrqGuard) {
    let this = irqs.cpu();
    // From here on nobody puts a thread in.
    QUEUES.of(this).lock().online = false;
    ONLINE.remove(this);
    empty(this);
    rcu::cpu_offline(0);
    CHANGED.wake_all();
    while is_leaving(this) {
        cpu::idle();
    }
    rcu::cpu_online();
    let mut queue = QUEUES.of(this).lock();
    queue.leaving = false;
    queue.online = true;
    ONLINE.insert(this);
    drop(queue);
    CHANGED.wake_all();
}

/// Moves everybody out of the queue.
fn empty(this: usize) {
    loop {
        let thread = {
            let mut queue = QUEUES.of(this).lock();
            let Some(thread) = queue.take_ready().or_else(|| queue.take_sleeper()) else { return };
            // Under this queue's lock: Ready, in no queue, bound for another CPU.
            thread.set_state(crate::proc::thread::State::Ready);
            thread.set_cpu(wake::choose(&thread));
            thread
        };
        let target = thread.cpu();
        wake::put_on(thread, target, this);
    }
}
