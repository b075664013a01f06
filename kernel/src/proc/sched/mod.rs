//! The scheduler: one run queue for each CPU, round robin within a priority, preemptive.
//!
//! Round robin and not a fair share by weights: nothing in this kernel asks for weights, and a
//! reader sees at once who runs next. A CPU that has nothing to do takes threads from others.
//!
//! Who is preempted within its slice stays the first of its line, and goes on with what is left of it.
//! Sent to the end instead, a program that makes work for the kernel's own threads (whoever unmaps
//! memory makes some for RCU) is sent there by each piece of it: beside three that only compute, it came
//! to run for some microseconds of every 12 ms.
//!
//! # Why a thread never runs on two CPUs
//! It is in at most one run queue, and runs only by being taken from it, under its lock. The one
//! that switches away from a thread puts it back (or leaves it Blocked) *and switches* with the
//! lock held; the next thread gives the lock back when it stands on its own stack
//! ([`finish_switch`]). So whoever finds a thread in a queue, to run it here or to steal it, finds
//! its registers saved.
//!
//! # Why a wake-up is never lost
//! Blocking and waking take the lock of the same run queue: the one that the thread's `cpu` names,
//! which changes only under that lock ([`wake`]). If the waker comes first, it sets `woken` and the
//! thread does not block; if it comes second, it finds the thread Blocked and makes it Ready.
//!
//! # Why a stack is not freed under somebody
//! A dead thread is noted in its run queue, and the next thread on that CPU, when it stands on its
//! own stack, gives the dead one's share of its memory up ([`Thread::bury`]).
//!
//! # Locks
//! A run queue's lock has the rank [`RUN_QUEUE`](crate::sync::Rank::RUN_QUEUE) and no other is taken under it, not even a
//! second run queue's: who moves a thread takes it out under the one lock, says where it goes, and
//! puts it in under the other. Between the two it is Ready and in no queue, so nobody else moves
//! it.

mod clock;
mod hotplug;
mod idle;
mod queue;
pub mod usage;
mod wake;

pub use clock::{TICK, sleep, sleep_until, timer_interrupt};
pub use hotplug::{offline, online};
pub use idle::{run_idle, run_secondary};
pub use queue::QUEUE_CLASS;
pub use wake::{allow, poke, start};

use super::thread::{Priority, State, Thread, ThreadRef, user};
use crate::arch::current::{context, cpu};
use crate::cpus::{AtomicCpuSet, CpuSet};
use crate::rcu;
use crate::sync::context::{TaskContext, TaskName, assert_may_sleep, current};
use crate::sync::latency::{self, Off};
use crate::sync::{IrqGuard, MaySleep, Pinned, hooks};
use intrusive_collections::UnsafeRef;
use queue::QUEUES;

/// CPUs that run threads.
static ONLINE: AtomicCpuSet = AtomicCpuSet::new();

/// The CPUs that run threads now.
pub fn online_cpus() -> CpuSet {
    ONLINE.get()
}

/// Why a thread leaves its CPU.
enum Leave {
    /// Others may run; it stays ready.
    Yield,
    /// Its slice is over, or a thread of higher priority is to run; it stays ready.
    Preempted,
    /// Until it is woken, or until the time.
    Block(Option<u64>),
    /// For good.
    Exit,
}

/// Makes what runs on the boot CPU its idle thread, and the hooks of `sync` work.
///
/// # Safety
/// Once, on the boot CPU, interrupts off, no lock held.
pub unsafe fn init() {
    static BOOT: Thread = Thread::new(TaskContext::new("idle/0"), Priority::Idle, 0, 1);
    // SAFETY: static, and a `Thread` begins with its `TaskContext`.
    unsafe { cpu::set_current_task((&raw const BOOT).cast()) };
    // SAFETY: static.
    adopt(0, unsafe { UnsafeRef::from_raw(&raw const BOOT) });
    hooks::set(&HOOKS);
}

/// The running thread is that CPU's idle thread; the CPU is online from now on.
fn adopt(cpu: usize, idle: ThreadRef) {
    rcu::cpu_online();
    idle.set_state(State::Running);
    QUEUES.of(cpu).lock().begin(idle);
    ONLINE.insert(cpu);
}

static HOOKS: hooks::Hooks = hooks::Hooks {
    prepare_to_block: || {
        // Acquire: pairs with the Release in `wake`: what the waker did before is seen by the look
        // at the condition that follows.
        Thread::current().woken.swap(false, core::sync::atomic::Ordering::Acquire);
    },
    cancel_block: || (),
    block: |deadline| leave_cpu(Leave::Block(deadline)),
    wake: wake::wake_context,
    preempt: || leave_cpu(Leave::Preempted),
};

/// Lets the next thread run, if there is one.
pub fn yield_now(_ctx: &mut MaySleep) {
    assert_may_sleep("yield");
    leave_cpu(Leave::Yield);
}

/// Ends the running thread.
pub fn exit() -> ! {
    assert_may_sleep("exit");
    leave_cpu(Leave::Exit);
    unreachable!("a dead thread runs");
}

/// The last thing that an interrupt does on return to a context that had interrupts on.
#[inline]
pub fn irq_exit() {
    let task = current();
    if task.need_resched() && task.preemptible() {
        leave_cpu(Leave::Preempted);
    }
}

/// The name of the thread that runs on a CPU: for reports.
pub fn current_name(cpu: usize) -> Option<TaskName> {
    QUEUES.of(cpu).lock().current_name()
}

/// What a CPU does and has to do: for reports.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// The thread that runs.
    pub running: Option<TaskName>,
    /// Threads that are ready to run.
    pub ready: u32,
    /// Threads that sleep until a time at the latest.
    pub asleep: usize,
}

/// What that CPU does now. Walks the list of its sleepers with its run queue locked.
pub fn load(cpu: usize) -> Load {
    let queue = QUEUES.of(cpu).lock();
    Load { running: queue.current_name(), ready: queue.waiting(), asleep: queue.sleeping() }
}

/// Leaves the CPU; and again, as long as that is asked for meanwhile. A loop, so that a storm of
/// wishes does not nest on this stack.
fn leave_cpu(how: Leave) {
    let irqs_were_on = cpu::irq_save();
    if irqs_were_on {
        latency::begin(Off::Irqs);
    }
    leave_once(how);
    while irqs_were_on && current().need_resched() && current().preemptible() {
        leave_once(Leave::Preempted);
    }
    if irqs_were_on {
        latency::end(Off::Irqs);
    }
    // SAFETY: pairs with `irq_save` above. A wish that another CPU has from here on comes with an
    // interrupt.
    unsafe { cpu::irq_restore(irqs_were_on) };
}

/// The one place where a thread leaves its CPU. Interrupts are off.
fn leave_once(how: Leave) {
    let irqs = IrqGuard::new();
    rcu::note_context_switch();
    let mut queue = QUEUES.of(irqs.cpu()).lock();
    let prev = Thread::current();
    match how {
        Leave::Yield | Leave::Preempted if wake::is_misplaced(&prev, irqs.cpu()) => {
            prev.set_state(State::Ready);
            queue.misplaced = Some(prev.clone());
        }
        Leave::Yield => queue.put_back(&prev),
        Leave::Preempted => queue.put_back_preempted(&prev),
        Leave::Block(deadline) => {
            // Relaxed: this lock orders it with `wake`. The wish to run another thread stays.
            if prev.woken.swap(false, core::sync::atomic::Ordering::Relaxed) {
                return;
            }
            queue.block(&prev, deadline);
        }
        Leave::Exit => {
            prev.set_state(State::Dead);
            queue.dead = Some(prev.clone());
        }
    }
    let next = queue.take_next();
    prev.context().clear_need_resched();
    if core::ptr::eq(&*next, &*prev) {
        return;
    }
    if matches!(how, Leave::Yield | Leave::Preempted) {
        // It still wants to run, and the next one may keep this CPU with interrupts off.
        wake::call_for_help(prev.allowed(), irqs.cpu());
    }
    // SAFETY: interrupts are off and the lock is held: `prev` leaves and `next` comes.
    unsafe { user::switch(&prev, &next, &irqs) };
    usage::note_switch();
    // The next thread gives the lock back. Its context is the one that counts from here on.
    core::mem::forget(queue);
    // SAFETY: interrupts are off; the next thread lives as long as it runs.
    unsafe { cpu::set_current_task((&raw const *next).cast()) };
    // SAFETY: interrupts are off and the lock is held: nobody else touches either context. `next`
    // does not run; its registers were saved under a run queue's lock, or it is new. A dead `prev`
    // lives until `finish_switch`, which runs elsewhere.
    unsafe {
        let from = (*prev.saved.get()).as_mut_ptr();
        let to = (*next.saved.get()).as_ptr();
        context::switch(from, to);
        finish_switch();
    }
    // Back on this stack, perhaps on another CPU. Interrupts are off still.
}

/// The end of every switch, on the stack of the thread that now runs.
///
/// # Safety
/// Once, first thing after a switch.
pub(super) unsafe fn finish_switch() {
    // Interrupts are off: the CPU stays the same.
    let lock = QUEUES.of(cpu::id());
    // SAFETY: the lock is held (by the thread before this one, which forgot its guard).
    let (dead, misplaced) = unsafe { ((*lock.bypass()).dead.take(), (*lock.bypass()).misplaced.take()) };
    // SAFETY: held, the guard forgotten, interrupts off.
    unsafe { lock.force_unlock() };
    if let Some(thread) = misplaced {
        wake::place(thread, cpu::id());
    }
    if let Some(dead) = dead {
        // SAFETY: it is Dead and this switch was its last; `dead` was taken, so this is once.
        unsafe { Thread::bury(dead) };
    }
}
