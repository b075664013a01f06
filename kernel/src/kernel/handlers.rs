//! What the machine calls: the table that joins interrupts to the layers above.

use fallow::arch::current::{TrapFrame, cpu};
use fallow::arch::handlers::{Handlers, UserFault};
use fallow::ktest::programs;
use fallow::proc::sched::usage::{self, Interrupt};
use fallow::proc::{process, sched, smp};
use fallow::sync::token::interrupt;
use fallow::{console, mm, panic, rcu, syscall as calls};

pub static HANDLERS: Handlers = Handlers {
    timer,
    ipi,
    nmi: panic::answer_nmi,
    console_input,
    irq_exit: sched::irq_exit,
    kernel_fault: panic::kernel_fault,
    syscall,
    user_fault,
    user_return,
    secondary_main: smp::secondary_main,
};

/// The end of a slice or of somebody's sleep; for RCU, a sign of life.
fn timer(frame: &TrapFrame) {
    let _watch = rcu::irq_enter();
    interrupt(|irq| {
        usage::note_interrupt(Interrupt::Timer);
        rcu::interrupted();
        if sched::timer_interrupt(irq) {
            usage::note_tick(frame.is_user());
            process::tick(frame.is_user());
        }
    });
}

/// Another CPU wants something: to know what this one does, because it panics; a function called;
/// or just that this one looks at its run queue, which it does on its way out of the interrupt.
fn ipi(frame: &TrapFrame) {
    let _watch = rcu::irq_enter();
    interrupt(|_| {
        usage::note_interrupt(Interrupt::Ipi);
        panic::answer(frame);
        rcu::interrupted();
        mm::pgtable::users::answer();
        mm::space::leave_dying();
        smp::serve(cpu::id());
    });
}

/// Somebody typed.
fn console_input() {
    let _watch = rcu::irq_enter();
    interrupt(|irq| {
        usage::note_interrupt(Interrupt::Console);
        console::input(irq);
    });
}

/// A program's call. (A program of a test has no process, and the test as its kernel.)
fn syscall(frame: &mut TrapFrame) {
    if let Some(task) = process::try_current() {
        process::enter(|ctx| calls::serve(ctx, task, frame));
        process::user_return(task, frame);
    } else if programs::syscall(frame) {
        programs::user_return(frame);
    } else {
        unreachable!("a kernel thread makes a system call: {frame}");
    }
}

fn user_fault(frame: &mut TrapFrame, fault: &UserFault) {
    if let Some(task) = process::try_current() {
        process::enter(|ctx| process::program_fault(ctx, task, fault));
        process::user_return(task, frame);
    } else if programs::user_fault(frame, fault) {
        programs::user_return(frame);
    } else {
        unreachable!("a kernel thread has a program's fault: {fault:?}, {frame}");
    }
}

fn user_return(frame: &mut TrapFrame) {
    if let Some(task) = process::try_current() {
        process::user_return(task, frame);
    } else {
        programs::user_return(frame);
    }
}
