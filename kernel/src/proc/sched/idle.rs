//! What a CPU does when no thread wants it: looks for one elsewhere, then waits for an interrupt.
//!
//! Why it does not sleep on work: it looks with interrupts off, and `cpu::idle` ends at an
//! interrupt that came since. Another CPU that puts a thread into this queue sends one afterwards:
//! every thread comes before the idle thread (`RunQueue::put`). What this CPU itself put in since it
//! looked shows in the idle thread's `need_resched`.

use super::queue::{IDLE, QUEUES, WAITING};
use super::{Leave, hotplug, leave_cpu, online_cpus, usage};
use crate::arch::current::{cpu, timer};
use crate::cpus::CpuSet;
use crate::proc::thread::Thread;
use crate::rcu;
use crate::sync::context::current;
use crate::sync::{IrqGuard, Pinned, PreemptGuard};
use core::sync::atomic::Ordering;

/// The idle thread's body, on the boot CPU the end of the boot flow. Interrupts are off at the
/// beginning.
///
/// # Safety
/// The running thread is this CPU's idle thread.
pub unsafe fn run_idle() -> ! {
    // SAFETY: the scheduler is set up: interrupts have somewhere to go.
    unsafe { cpu::irq_restore(true) };
    loop {
        leave_cpu(Leave::Yield);
        // No preemption out of the wait: this loop looks by itself, when RCU knows that it is back.
        let pin = PreemptGuard::new();
        let irqs = IrqGuard::new();
        if hotplug::is_leaving(irqs.cpu()) {
            hotplug::leave(&irqs);
        } else if WAITING.this(&irqs).load(Ordering::Relaxed) == 0 && !steal(&irqs) {
            wait(&irqs);
        }
        drop(irqs);
        drop(pin);
    }
}

fn wait(irqs: &IrqGuard) {
    let this = irqs.cpu();
    IDLE.insert(this);
    rcu::idle_enter();
    // RCU may just have learnt of the last quiescent state and woken its thread, which then stands
    // in this very queue: nobody sends this CPU an interrupt for what it did itself.
    if !current().need_resched() {
        let since = timer::now();
        cpu::idle();
        usage::note_idle(timer::now().saturating_sub(since));
    }
    rcu::idle_exit();
    IDLE.remove(this);
}

/// Takes a waiting thread from another CPU that may run here. Says whether it did.
fn steal(irqs: &IrqGuard) -> bool {
    let this = irqs.cpu();
    for victim in online_cpus().without(CpuSet::one(this)).iter() {
        if WAITING.of(victim).load(Ordering::Relaxed) == 0 {
            continue;
        }
        let Some(thread) = ({
            let mut queue = QUEUES.of(victim).lock();
            queue.take_for(this).inspect(|thread| thread.set_cpu(this))
        }) else {
            continue;
        };
        // Ready and in no queue: nobody else moves it. This CPU is online: it takes itself offline.
        QUEUES.of(this).lock().put(thread);
        return true;
    }
    false
}

/// The beginning of a CPU that was started: its idle thread, interrupts off.
///
/// # Safety
/// Once on each such CPU; the running thread is its idle thread.
pub unsafe fn run_secondary(cpu: usize) -> ! {
    super::adopt(cpu, Thread::current());
    // SAFETY: it is (the caller).
    unsafe { run_idle() }
}
