//! What a CPU says of itself.

use crate::arch::current::{TrapFrame, backtrace, cpu};
use crate::log;
use crate::symbols::Code;
use crate::sync::context::current;

/// The most functions that are shown: a recursion that ran away repeats itself.
const MOST: usize = 24;

/// Takes a return address and says whether it wants another.
type Visit<'a> = &'a mut dyn FnMut(usize) -> bool;

/// The CPU, its task, the locks that the task holds.
pub(super) fn task() {
    let task = current();
    let (preempt, irq, rcu) = (task.preempt_depth(), task.irq_depth(), task.rcu.get());
    log::raw(format_args!(
        "CPU {}, task {}, depth of preemption off {preempt}, interrupts {irq}, RCU {rcu}\n",
        cpu::id(),
        task.name(),
    ));
    for lock in task.held_locks() {
        log::raw(format_args!("  holds lock: {lock}\n"));
    }
}

/// The registers.
pub(super) fn registers(frame: &TrapFrame) {
    log::raw(format_args!("Registers:\n{frame}\n"));
}

/// What a CPU was doing when it was interrupted.
pub(super) fn frame(frame: &TrapFrame) {
    registers(frame);
    if frame.is_user() {
        // Its addresses say nothing here.
        log::raw(format_args!("  in a program\n"));
        return;
    }
    log::raw(format_args!("  in {}\n", Code::at(frame.pc())));
    let mut first = true;
    trace(&mut |visit| {
        // The walk begins with the interrupted instruction, which is no return address.
        backtrace::of_frame(frame, &mut |address| {
            core::mem::take(&mut first) && address == frame.pc() || visit(address)
        });
    });
}

/// Whether a function only brings the panic about, or reports it: not what one wants to know.
fn is_of_the_panic(name: &str) -> bool {
    ["fallow::panic::", "<fallow::panic::", "core::panicking::", "__rustc::rust_begin_unwind"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The functions that a walk visits.
pub(super) fn trace(walk: &mut dyn FnMut(Visit<'_>)) {
    log::raw(format_args!("Call trace:\n"));
    let mut shown = 0;
    walk(&mut |address| {
        let code = Code::return_to(address);
        if shown == 0 && code.name().is_some_and(is_of_the_panic) {
            return true;
        }
        log::raw(format_args!("  {code}\n"));
        shown += 1;
        shown < MOST
    });
    if shown == MOST {
        log::raw(format_args!("  ...\n"));
    }
}
