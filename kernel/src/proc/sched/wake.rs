//! Making a thread ready, and the choice of its CPU.

use super::queue::{IDLE, QUEUES, RunQueue, WAITING};
use super::{ONLINE, online_cpus};
use crate::arch::current::cpu;
use crate::cpus::CpuSet;
use crate::proc::thread::{Priority, State, Thread, ThreadRef};
use crate::sync::context::{TaskContext, current};
use crate::sync::spin::IrqSpinGuard;
use crate::sync::{IrqGuard, Pinned};
use core::ptr::NonNull;
use core::sync::atomic::Ordering;
use intrusive_collections::UnsafeRef;

/// The hook of `sync`: wakes the thread that has this context.
///
/// # Safety
/// The thread is alive during the call.
pub(super) unsafe fn wake_context(context: NonNull<TaskContext>) {
    // SAFETY: every task is a `Thread`, which begins with its context; alive (the caller).
    wake(unsafe { UnsafeRef::from_raw(context.as_ptr().cast::<Thread>()) });
}

/// Makes a thread ready that is blocked, or about to block.
fn wake(thread: ThreadRef) {
    let irqs = IrqGuard::new();
    let mut queue = lock_queue_of(&thread);
    if thread.state() != State::Blocked {
        // Release: pairs with the Acquire in `prepare_to_block`. For `block` the lock suffices.
        thread.woken.store(true, Ordering::Release);
        return;
    }
    queue.stop_timer(&thread);
    thread.set_state(State::Ready);
    let target = choose_to_wake(&thread, irqs.cpu());
    if target == queue.cpu && queue.online {
        if queue.put(thread) {
            tell(target, irqs.cpu());
        }
        return;
    }
    // Ready and in no queue: nobody else moves it.
    thread.set_cpu(target);
    drop(queue);
    put_on(thread, target, irqs.cpu());
}

/// Makes a thread look up: wakes it if it is blocked, interrupts its CPU if it runs on another.
///
/// The caller knows it to be alive.
pub fn poke(thread: &ThreadRef) {
    wake(thread.clone());
    let irqs = IrqGuard::new();
    let cpu = thread.cpu();
    if thread.state() == State::Running && cpu != irqs.cpu() {
        cpu::send_ipi(cpu);
    }
}

/// The CPUs that a thread may run on from now on. If it waits elsewhere it is moved, if it runs elsewhere
/// it is asked to leave, and is moved then.
///
/// The caller knows it to be alive.
pub fn allow(thread: &ThreadRef, cpus: CpuSet) {
    let irqs = IrqGuard::new();
    let mut queue = lock_queue_of(thread);
    thread.set_allowed(cpus);
    let here = queue.cpu;
    if !is_misplaced(thread, here) {
        return;
    }
    if thread.state() == State::Running {
        thread.context().set_need_resched();
        drop(queue);
        tell(here, irqs.cpu());
    } else if queue.take_out(thread) {
        drop(queue);
        place(thread.clone(), irqs.cpu());
    }
}

/// Whether it may not run there, and there is a CPU where it may.
pub(super) fn is_misplaced(thread: &Thread, cpu: usize) -> bool {
    let allowed = thread.allowed();
    !allowed.contains(cpu) && thread.priority() != Priority::Idle && !allowed.and(ONLINE.get()).is_empty()
}

/// Puts a Ready thread that is in no queue, and off its stack, where it may run. Interrupts are off.
pub(super) fn place(thread: ThreadRef, this: usize) {
    let target = choose(&thread);
    thread.set_cpu(target);
    put_on(thread, target, this);
}

/// Starts a new thread.
pub fn start(thread: &ThreadRef) {
    let irqs = IrqGuard::new();
    thread.set_cpu(irqs.cpu());
    let target = choose(thread);
    thread.set_cpu(target);
    put_on(thread.clone(), target, irqs.cpu());
}

/// Puts a Ready thread that is in no queue into that CPU's, or, if that CPU has gone, another's.
pub(super) fn put_on(thread: ThreadRef, mut target: usize, this: usize) {
    loop {
        let mut queue = QUEUES.of(target).lock();
        if queue.online {
            if queue.put(thread) {
                drop(queue);
                tell(target, this);
            }
            return;
        }
        // The lock of the queue that `cpu` names is held.
        target = choose(&thread);
        thread.set_cpu(target);
    }
}

/// The running thread of that CPU was asked to leave: if it is another CPU, interrupt it.
pub(super) fn tell(target: usize, this: usize) {
    if target != this {
        cpu::send_ipi(target);
    }
}

/// The run queue that the thread belongs to, locked.
fn lock_queue_of(thread: &ThreadRef) -> IrqSpinGuard<'static, RunQueue> {
    loop {
        let cpu = thread.cpu();
        let queue = QUEUES.of(cpu).lock();
        // It may have moved while we waited; it cannot any more.
        if thread.cpu() == cpu {
            return queue;
        }
    }
}

/// The CPU that a thread shall run on: where it ran last if that is idle (its data may be in the
/// caches there), else any that is idle, else the one with the shortest queue.
pub(super) fn choose(thread: &ThreadRef) -> usize {
    let home = thread.cpu();
    best(thread.allowed(), ONLINE.get(), IDLE.get(), home, |cpu| WAITING.of(cpu).load(Ordering::Relaxed))
}

/// The CPU on which a thread shall wake up. One of high priority is short of time and soon done: where
/// its work has just been made it runs at once, while an idle CPU must be interrupted first, and an
/// emulated one that its host has put to sleep may take milliseconds to hear it. Not so in a read
/// section, which may have long to go before anybody else runs here.
fn choose_to_wake(thread: &ThreadRef, this: usize) -> usize {
    let urgent = thread.priority() == Priority::High && current().rcu.get() == 0;
    if urgent && thread.allowed().and(ONLINE.get()).contains(this) { this } else { choose(thread) }
}

/// The choice, as a function of what is known.
fn best(allowed: CpuSet, online: CpuSet, idle: CpuSet, home: usize, waiting: impl Fn(usize) -> u32) -> usize {
    let mut cpus = allowed.and(online);
    if cpus.is_empty() {
        cpus = online;
    }
    if cpus == CpuSet::one(home) {
        return home;
    }
    let idle = idle.and(cpus);
    if idle.contains(home) {
        return home;
    }
    if let Some(cpu) = idle.first() {
        return cpu;
    }
    // `home` counts as shorter than an equal one.
    cpus.iter().min_by_key(|&cpu| (waiting(cpu), cpu != home)).unwrap_or(home)
}

/// Asks one idle CPU of these to look for threads that wait elsewhere: some do in this CPU's queue.
pub(super) fn call_for_help(allowed: CpuSet, this: usize) {
    let idle = IDLE.get().and(online_cpus()).and(allowed).without(CpuSet::one(this));
    if let Some(helper) = idle.first() {
        cpu::send_ipi(helper);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cpus: &[usize]) -> CpuSet {
        cpus.iter().fold(CpuSet::NONE, |set, &cpu| set.with(CpuSet::one(cpu)))
    }

    #[test]
    fn an_idle_cpu_first_and_home_before_others() {
        let online = set(&[0, 1, 2, 3]);
        let none = |_| 0;
        assert_eq!(best(CpuSet::ALL, online, set(&[1, 2]), 2, none), 2);
        assert_eq!(best(CpuSet::ALL, online, set(&[1, 2]), 3, none), 1);
        assert_eq!(best(CpuSet::ALL, online, set(&[]), 3, none), 3);
        assert_eq!(best(CpuSet::ALL, online, set(&[9]), 3, none), 3, "idle, but offline");
    }

    #[test]
    fn the_shortest_queue_if_none_is_idle() {
        let waiting = |cpu: usize| [2, 1, 0, 0][cpu];
        assert_eq!(best(CpuSet::ALL, set(&[0, 1, 2, 3]), CpuSet::NONE, 0, waiting), 2);
        assert_eq!(best(set(&[0, 1]), set(&[0, 1, 2, 3]), CpuSet::NONE, 0, waiting), 1);
    }

    #[test]
    fn a_thread_whose_cpus_are_gone_runs_anywhere() {
        assert_eq!(best(set(&[5]), set(&[0, 1]), set(&[1]), 5, |_| 0), 1);
        assert_eq!(best(set(&[5]), set(&[0, 1]), set(&[]), 5, |_| 0), 0);
    }
}
