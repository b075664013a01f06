//! Delivering: what a task does about its signals before it goes on as its program.

use super::super::task::{Task, attention};
use super::super::{Current, current, exit, stop};
use super::action::{SIG_DFL, flags};
use super::info::{BUS_ADRERR, SEGV_MAPERR};
use super::{Action, Default, Ending, Info, SigSet, Signal, Source, force};
use crate::addr::VirtAddr;
use crate::arch::current::{TrapFrame, signal};
use crate::arch::signals::{AltStack, Delivery};
use crate::error::Errno;
use crate::sync::MaySleep;
use core::sync::atomic::Ordering;

const SS_DISABLE: u32 = 2;

/// What is next.
enum Step {
    /// The program goes on.
    Nothing,
    /// A handler runs.
    Handle(Info, Action),
    /// This task ends.
    End,
    /// It waits for the end of a stop.
    Park,
    /// It stops the process, because of this signal.
    Stop(Signal),
    /// The parent learns that the process goes on.
    TellContinued,
}

/// Looks at all that wants the running task's attention.
pub fn attend(ctx: &mut MaySleep, frame: &mut TrapFrame) {
    let task = current();
    loop {
        match next(&task) {
            Step::Nothing => break,
            Step::Handle(info, action) => handle(ctx, &task, frame, info, &action),
            Step::End => exit::exit_thread(ctx, Ending::Exit(0)),
            Step::Park => stop::park(ctx, &task),
            Step::Stop(signal) => stop::begin(&task, signal),
            Step::TellContinued => stop::tell_continued(&task),
        }
    }
    finish(&task, frame);
}

/// No handler runs: a call that a signal interrupted is made again, and a mask is put back.
fn finish(task: &Task, frame: &mut TrapFrame) {
    let reasons = task.user().attention();
    if reasons & attention::RESTART != 0 {
        task.user().answered(attention::RESTART);
        if task.restart.load(Ordering::Relaxed) == Errno::ERESTARTBLOCK as u16 {
            frame.restart_as(linux_raw_sys::general::__NR_restart_syscall as usize);
        } else {
            frame.restart();
        }
    }
    if reasons & attention::RESTORE_MASK != 0 {
        task.user().answered(attention::RESTORE_MASK);
        let saved = SigSet::new(task.saved_mask.load(Ordering::Relaxed));
        // What this unblocks is attended to in the next round: the caller looks again.
        task.set_blocked(&task.process().signals.lock(), saved);
    }
}

fn next(task: &Task) -> Step {
    let process = task.process();
    let mut signals = process.signals.lock();
    if signals.ending.is_some() || signals.execs.is_some_and(|tid| tid != task.tid()) {
        return Step::End;
    }
    if core::mem::take(&mut signals.continued) {
        return Step::TellContinued;
    }
    if signals.stop.is_some() {
        return Step::Park;
    }
    task.user().answered(attention::PROCESS);
    loop {
        let wanted = SigSet::ALL.without(task.blocked());
        let own = task.pending.get(&signals).next(wanted);
        let info = match (own, signals.shared.next(wanted)) {
            // What an instruction caused is pending for the task itself.
            (Some(signal), _) => task.pending.get_mut(&mut signals).take(signal),
            (None, Some(signal)) => signals.shared.take(signal),
            (None, None) => {
                task.look(&signals);
                return Step::Nothing;
            }
        };
        let action = signals.actions.get(info.signal);
        if action.is_handled() {
            if action.flags & flags::SA_RESETHAND != 0 {
                signals.actions.set(info.signal, Action { handler: SIG_DFL, ..action });
            }
            return Step::Handle(info, action);
        }
        if action.ignores(info.signal) {
            continue;
        }
        let forced = matches!(info.source, Source::Fault { .. });
        if process.pid() == 1 && !forced {
            continue;
        }
        match info.signal.default_action() {
            Default::Ignore | Default::Continue => {}
            Default::Stop => {
                signals.stop_taken = true;
                return Step::Stop(info.signal);
            }
            Default::Terminate | Default::Core => {
                signals.end(Ending::Signal(info.signal.number()));
                return Step::End;
            }
        }
    }
}

/// Makes the program continue in its handler.
fn handle(ctx: &mut MaySleep, task: &Current, frame: &mut TrapFrame, info: Info, action: &Action) {
    let reasons = task.user().attention();
    if reasons & attention::RESTART != 0 {
        task.user().answered(attention::RESTART);
        let number = task.restart.load(Ordering::Relaxed);
        let again = number == Errno::ERESTARTNOINTR as u16
            || number == Errno::ERESTARTSYS as u16 && action.flags & flags::SA_RESTART != 0;
        if again {
            frame.restart();
        }
    }
    let mask = if reasons & attention::RESTORE_MASK != 0 {
        task.user().answered(attention::RESTORE_MASK);
        SigSet::new(task.saved_mask.load(Ordering::Relaxed))
    } else {
        task.blocked()
    };
    if place(ctx, task, frame, &info, action, mask).is_err() {
        // No stack for the handler of that is one for no handler.
        if info.signal == Signal::SIGSEGV {
            task.process().signals.lock().actions.set(Signal::SIGSEGV, Action::DEFAULT);
        }
        force(task, Info::fault(Signal::SIGSEGV, SEGV_MAPERR, frame.sp() as u64));
        return;
    }
    let mut blocked = task.blocked() | action.mask;
    if action.flags & flags::SA_NODEFER == 0 {
        blocked.insert(info.signal);
    }
    task.set_blocked(&task.process().signals.lock(), blocked);
}

/// Whether the address lies on the stack.
pub fn is_on(stack: &AltStack, sp: u64) -> bool {
    stack.flags & SS_DISABLE == 0 && sp > stack.sp && sp - stack.sp <= stack.size
}

fn place(
    ctx: &mut MaySleep,
    task: &Current,
    frame: &mut TrapFrame,
    info: &Info,
    action: &Action,
    mask: SigSet,
) -> Result<(), Errno> {
    let sp = frame.sp() as u64;
    let alt_stack = task.alt_stack();
    let enabled = alt_stack.size != 0 && alt_stack.flags & SS_DISABLE == 0;
    let was_on = enabled && is_on(&alt_stack, sp);
    let change = enabled && !was_on && action.flags & flags::SA_ONSTACK != 0;
    let delivery = Delivery {
        signal: info.signal.number(),
        handler: VirtAddr::new(action.handler),
        info: info.to_bytes(),
        wants_info: action.flags & flags::SA_SIGINFO != 0,
        mask: mask.bits(),
        alt_stack,
        stack: VirtAddr::new(if change { alt_stack.sp.wrapping_add(alt_stack.size) } else { sp }),
        trampoline: VirtAddr::new(task.process().trampoline.load(Ordering::Relaxed)),
        fault_address: match info.source {
            Source::Fault { address } => address,
            _ => 0,
        },
    };
    // SAFETY: the running task's own registers.
    let mut state = unsafe { task.user().registers() };
    let mut buffer = [0; signal::FRAME_MAX];
    let mut new = frame.clone();
    let placed = signal::deliver(&mut new, &mut state, &delivery, &mut buffer);
    if (was_on || change) && !is_on(&alt_stack, placed.at.get().wrapping_add(1)) {
        // It has run off its end.
        return Err(Errno::EFAULT);
    }
    task.mm().write_user(ctx, placed.at, &buffer[..placed.length])?;
    *frame = new;
    // SAFETY: the running task's own registers.
    unsafe { task.user().set_registers(&state) };
    Ok(())
}

/// `sigreturn`, or `rt_sigreturn`: the program goes on where a signal came.
pub fn sigreturn(ctx: &mut MaySleep, frame: &mut TrapFrame, rt: bool) {
    let task = current();
    if back(ctx, &task, frame, rt).is_err() {
        force(&task, Info::fault(Signal::SIGSEGV, SEGV_MAPERR, frame.sp() as u64));
    }
}

fn back(ctx: &mut MaySleep, task: &Current, frame: &mut TrapFrame, rt: bool) -> Result<(), Errno> {
    let mut buffer = [0; signal::FRAME_MAX];
    let (at, length) = signal::frame_address(frame, rt);
    let bytes = buffer.get_mut(..length).ok_or(Errno::EFAULT)?;
    task.mm().read_user(ctx, at, bytes)?;
    // SAFETY: the running task's own registers.
    let mut state = unsafe { task.user().registers() };
    let restored = signal::restore(frame, &mut state, bytes, rt)?;
    // SAFETY: as above; nothing of the kernel is in them.
    unsafe { task.user().set_registers(&state) };
    task.set_blocked(&task.process().signals.lock(), SigSet::new(restored.mask));
    if let Some(stack) = restored.alt_stack {
        // As Linux: what is not a stack is not taken, and nobody is told.
        let _ = set_alt_stack(task, stack, frame.sp() as u64);
    }
    Ok(())
}

/// `sigaltstack`.
///
/// # Errors
/// EPERM: the task runs on the one it has. EINVAL: no such flags. ENOMEM: too small for a signal.
pub fn set_alt_stack(task: &Task, stack: AltStack, sp: u64) -> Result<(), Errno> {
    const SS_ONSTACK: u32 = 1;
    const SS_AUTODISARM: u32 = 1 << 31;
    if is_on(&task.alt_stack(), sp) {
        return Err(Errno::EPERM);
    }
    match stack.flags & !SS_AUTODISARM {
        SS_DISABLE => task.set_alt_stack(AltStack { sp: 0, size: 0, flags: SS_DISABLE }),
        0 | SS_ONSTACK if stack.size < linux_raw_sys::general::MINSIGSTKSZ.into() => {
            return Err(Errno::ENOMEM);
        }
        0 | SS_ONSTACK => task.set_alt_stack(AltStack { flags: stack.flags & SS_AUTODISARM, ..stack }),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// A program touched what it cannot have: the signal for that.
pub fn memory_fault(task: &Task, fault: crate::mm::space::MmFault, address: VirtAddr) {
    use crate::mm::space::MmFault;
    let (signal, code) = match fault {
        MmFault::MapErr => (Signal::SIGSEGV, SEGV_MAPERR),
        MmFault::AccErr => (Signal::SIGSEGV, super::info::SEGV_ACCERR),
        MmFault::Bus | MmFault::NoMemory => (Signal::SIGBUS, BUS_ADRERR),
    };
    force(task, Info::fault(signal, code, address.get()));
}
