//! Signals.

use super::{Call, Result, Row};
use crate::arch::signals::AltStack;
use crate::error::Errno;
use crate::proc::process::signal::action::flags;
use crate::proc::process::signal::info::{SI_TKILL, SI_USER};
use crate::proc::process::signal::{Action, deliver, masks, send_by};
use crate::proc::process::{Info, SigSet, Signal, Source};
use linux_raw_sys::general as nr;

/// The only size of a `sigset_t` there is.
fn check_size(size: u64) -> core::result::Result<(), Errno> {
    if size == 8 { Ok(()) } else { Err(Errno::EINVAL) }
}

fn signal(number: u32) -> core::result::Result<Signal, Errno> {
    Signal::new(number).ok_or(Errno::EINVAL)
}

/// `struct sigaction` of the kernel, the same on both machines: handler, flags, restorer, mask.
fn rt_sigaction(call: &mut Call<'_>) -> Result {
    let [_, new_at, old_at, size, ..] = call.args;
    check_size(size)?;
    let signal = signal(call.uint(0))?;
    let new = if new_at == 0 {
        None
    } else {
        let [handler, flags, _restorer, mask]: [u64; 4] = call.read(new_at)?;
        if signal.is_absolute() {
            return Err(Errno::EINVAL);
        }
        Some(Action {
            handler,
            flags: flags & flags::KNOWN,
            mask: SigSet::new(mask).without(SigSet::ABSOLUTE),
        })
    };
    let old = masks::set_action(call.task.process(), signal, new);
    call.write_if(old_at, &[old.handler, old.flags, 0, old.mask.bits()])?;
    Ok(0)
}

fn rt_sigprocmask(call: &mut Call<'_>) -> Result {
    let [_, new_at, old_at, size, ..] = call.args;
    check_size(size)?;
    let old = call.task.blocked();
    if new_at != 0 {
        let set = SigSet::new(call.read(new_at)?);
        let new = match call.uint(0) {
            nr::SIG_BLOCK => old | set,
            nr::SIG_UNBLOCK => old.without(set),
            nr::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        masks::set_blocked(&call.task, new);
    }
    call.write_if(old_at, &old.bits())?;
    Ok(0)
}

fn rt_sigpending(call: &mut Call<'_>) -> Result {
    let [at, size, ..] = call.args;
    if size > 8 {
        return Err(Errno::EINVAL);
    }
    let pending = masks::pending(&call.task) & call.task.blocked();
    call.write(at, &pending.bits())?;
    Ok(0)
}

fn rt_sigsuspend(call: &mut Call<'_>) -> Result {
    let [at, size, ..] = call.args;
    check_size(size)?;
    let mask = SigSet::new(call.read(at)?);
    masks::suspend(call.ctx, &call.task, Some(mask))
}

fn pause(call: &mut Call<'_>) -> Result {
    masks::suspend(call.ctx, &call.task, None)
}

fn rt_sigtimedwait(call: &mut Call<'_>) -> Result {
    let [set_at, info_at, timeout_at, size, ..] = call.args;
    check_size(size)?;
    let set = SigSet::new(call.read(set_at)?).without(SigSet::ABSOLUTE);
    let timeout = if timeout_at == 0 { None } else { Some(super::time::read_timespec(call, timeout_at)?) };
    let info = masks::await_signal(call.ctx, &call.task, set, timeout)?;
    call.write_if(info_at, &info.to_bytes())?;
    Ok(info.signal.number().into())
}

/// Who sends, as the receiver is told.
fn from_caller(call: &Call<'_>, signal: Signal, code: i32) -> Info {
    let source = Source::Process { pid: call.task.process().pid(), uid: call.task.creds().uid, value: 0 };
    Info { signal, code, source }
}

/// `None`: signal 0, which only asks whether one might.
fn or_nothing(number: u32) -> core::result::Result<Option<Signal>, Errno> {
    if number == 0 { Ok(None) } else { signal(number).map(Some) }
}

fn kill(call: &mut Call<'_>) -> Result {
    let info = or_nothing(call.uint(1))?.map(|signal| from_caller(call, signal, SI_USER));
    send_by::kill(&call.task, call.int(0), info).map(|()| 0)
}

fn tkill(call: &mut Call<'_>) -> Result {
    let info = or_nothing(call.uint(1))?.map(|signal| from_caller(call, signal, SI_TKILL));
    send_by::to_thread(&call.task, None, call.int(0), info).map(|()| 0)
}

fn tgkill(call: &mut Call<'_>) -> Result {
    let info = or_nothing(call.uint(2))?.map(|signal| from_caller(call, signal, SI_TKILL));
    send_by::to_thread(&call.task, Some(call.int(0)), call.int(1), info).map(|()| 0)
}

/// What a program says of its signal: it may not pretend to be the kernel, or `kill`.
fn queued(
    call: &mut Call<'_>,
    number: u32,
    at: u64,
    to_self: bool,
) -> core::result::Result<Option<Info>, Errno> {
    let bytes: [u8; 128] = call.read(at)?;
    let signal = or_nothing(number)?;
    let info = signal.map(|signal| Info::from_program(signal, &bytes));
    match info {
        Some(info) if (info.code >= 0 || info.code == SI_TKILL) && !to_self => Err(Errno::EPERM),
        info => Ok(info),
    }
}

fn rt_sigqueueinfo(call: &mut Call<'_>) -> Result {
    let to_self = call.uint(0) == call.task.process().pid();
    let info = queued(call, call.uint(1), call.args[2], to_self)?;
    if call.int(0) <= 0 {
        return Err(Errno::ESRCH);
    }
    send_by::kill(&call.task, call.int(0), info).map(|()| 0)
}

fn rt_tgsigqueueinfo(call: &mut Call<'_>) -> Result {
    let to_self = call.uint(0) == call.task.process().pid();
    let info = queued(call, call.uint(2), call.args[3], to_self)?;
    send_by::to_thread(&call.task, Some(call.int(0)), call.int(1), info).map(|()| 0)
}

/// `stack_t`: address, flags and padding, size.
fn sigaltstack(call: &mut Call<'_>) -> Result {
    const SS_ONSTACK: u64 = 1;
    let [new_at, old_at, ..] = call.args;
    let sp = call.frame.sp() as u64;
    let old = call.task.alt_stack();
    let on = if deliver::is_on(&old, sp) { SS_ONSTACK } else { 0 };
    if new_at != 0 {
        let bytes: [u8; 24] = call.read(new_at)?;
        let word = |at: usize| u64::from_ne_bytes(core::array::from_fn(|i| bytes[at + i]));
        let flags = u32::from_ne_bytes(core::array::from_fn(|i| bytes[8 + i]));
        deliver::set_alt_stack(&call.task, AltStack { sp: word(0), flags, size: word(16) }, sp)?;
    }
    if old_at != 0 {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&old.sp.to_ne_bytes());
        bytes[8..12].copy_from_slice(&(old.flags | on as u32).to_ne_bytes());
        bytes[16..].copy_from_slice(&old.size.to_ne_bytes());
        call.write(old_at, &bytes)?;
    }
    Ok(0)
}

fn rt_sigreturn(call: &mut Call<'_>) -> Result {
    deliver::sigreturn(call.ctx, call.frame, true);
    call.keep_frame = true;
    Ok(0)
}

/// Of handlers that want no `siginfo_t`.
pub(super) fn sigreturn(call: &mut Call<'_>) -> Result {
    deliver::sigreturn(call.ctx, call.frame, false);
    call.keep_frame = true;
    Ok(0)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_rt_sigaction, rt_sigaction),
    (nr::__NR_rt_sigprocmask, rt_sigprocmask),
    (nr::__NR_rt_sigpending, rt_sigpending),
    (nr::__NR_rt_sigsuspend, rt_sigsuspend),
    (nr::__NR_pause, pause),
    (nr::__NR_rt_sigtimedwait, rt_sigtimedwait),
    (nr::__NR_kill, kill),
    (nr::__NR_tkill, tkill),
    (nr::__NR_tgkill, tgkill),
    (nr::__NR_rt_sigqueueinfo, rt_sigqueueinfo),
    (nr::__NR_rt_tgsigqueueinfo, rt_tgsigqueueinfo),
    (nr::__NR_sigaltstack, sigaltstack),
    (nr::__NR_rt_sigreturn, rt_sigreturn),
];
