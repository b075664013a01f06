//! From the program into the kernel and back: what the machine's handlers do with a program's thread.

use super::signal::{self, Info, Signal, deliver};
use super::task::attention;
use super::{Current, Resource, current, oom, try_current};
use crate::addr::VirtAddr;
use crate::arch::current::{TrapFrame, cpu};
use crate::arch::handlers::{FaultKind, UserFault};
use crate::error::Errno;
use crate::mm::space::{AccessKind, MmFault};
use crate::proc::sched;
use crate::sync::MaySleep;
use core::sync::atomic::Ordering;

/// The last thing before a thread goes on as its program. Interrupts are off, and are off again.
///
/// Nothing is missed: whoever asks for this task's attention after the last look here sends its CPU an
/// interrupt, which comes as soon as the program runs, and leads here again.
#[inline]
pub fn user_return(task: Current, frame: &mut TrapFrame) {
    loop {
        // What asked for the CPU while interrupts were off.
        sched::irq_exit();
        if task.user().attention() == 0 {
            return;
        }
        attend(frame);
    }
}

#[cold]
fn attend(frame: &mut TrapFrame) {
    enter(|ctx| deliver::attend(ctx, frame));
}

/// Runs with interrupts on, as a task that may sleep. They are off before and after.
#[inline(always)]
pub fn enter<R>(body: impl FnOnce(&mut MaySleep) -> R) -> R {
    // SAFETY: the program had them on.
    unsafe { cpu::irq_restore(true) };
    // SAFETY: the thread was in its program: what had a token before is gone, and `user_return` and a
    // call take turns.
    let mut token = unsafe { MaySleep::mint() };
    let result = body(&mut token);
    cpu::irq_save();
    result
}

/// The result of a call, or what becomes of it: a call that a signal interrupted may be made again,
/// which is decided when the signal is delivered.
#[inline(always)]
pub fn finish_call(frame: &mut TrapFrame, result: Result<u64, Errno>) {
    let restarts = matches!(
        result,
        Err(Errno::ERESTARTSYS | Errno::ERESTARTNOINTR | Errno::ERESTARTNOHAND | Errno::ERESTARTBLOCK)
    );
    if !restarts {
        frame.set_result(result);
        return;
    }
    frame.set_result(Err(Errno::EINTR));
    if let Err(number) = result {
        let task = current();
        task.restart.store(number as u16, Ordering::Relaxed);
        task.user().ask(attention::RESTART);
    }
}

/// A program's memory access that the machine would not make, or an exception. Called as `enter` calls.
pub fn program_fault(ctx: &mut MaySleep, task: Current, fault: &UserFault) {
    match *fault {
        UserFault::Page { kind, address } => {
            let kind = match kind {
                FaultKind::Write => AccessKind::Write,
                FaultKind::Execute => AccessKind::Execute,
                _ => AccessKind::Read,
            };
            memory_fault(ctx, task, address, kind);
        }
        UserFault::Signal { signal, code, address, name } => {
            log::debug!(target: "proc", "{:?}: {name} at {address:?}", task.process());
            let signal = Signal::new(signal).unwrap_or(Signal::SIGILL);
            signal::force(&task, Info::fault(signal, code, address.get()));
        }
    }
}

/// A page that the running task's program touched: it is there now, or the program gets a signal.
pub fn memory_fault(ctx: &mut MaySleep, task: Current, address: VirtAddr, kind: AccessKind) {
    task.faults.fetch_add(1, Ordering::Relaxed);
    loop {
        match task.mm().fault(ctx, address, kind) {
            Ok(()) => return,
            Err(MmFault::NoMemory) => {
                oom::end_somebody(ctx);
                // Either it was this one, or there is memory now.
                if task.signal_pending() {
                    return;
                }
            }
            Err(fault) => return deliver::memory_fault(&task, fault, address),
        }
    }
}

/// A tick of the clock found this: counted for the running task, if there is one. In the interrupt.
pub fn tick(in_program: bool) {
    let Some(task) = try_current() else { return };
    let ticks = if in_program { &task.user_ticks } else { &task.system_ticks };
    // The task's own CPU counts, nobody else does.
    ticks.store(ticks.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let process = task.process();
    let beyond = process.timers.spend(sched::TICK, process.limits().get(Resource::Cpu as usize));
    for due in process.timers.tick(in_program, sched::TICK).chain(beyond) {
        // A standard signal is not refused.
        let _ = signal::signal_process(process, Info::kernel(due));
    }
}
