//! Clocks, sleeping, interval timers.

use super::{Call, Result, Row, futex};
use crate::arch::current::{abi, timer};
use crate::error::Errno;
use crate::proc::process::clock::{self, RESOLUTION};
use crate::proc::process::task::Resume;
use crate::proc::process::timers::{self, Clock, Interval};
use crate::proc::process::{CLOCK_TICKS, Task, find_task, wait_interruptible_until};
use crate::sync::WaitQueue;
use linux_raw_sys::general as nr;

const SECOND: u64 = 1_000_000_000;

type Plain<T> = core::result::Result<T, Errno>;

/// Nanoseconds of a `timespec` that a program passes.
///
/// # Errors
/// EFAULT. EINVAL: not a time.
pub(super) fn read_timespec(call: &mut Call<'_>, at: u64) -> Plain<u64> {
    let [seconds, nanoseconds]: [i64; 2] = call.read(at)?;
    let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
    let nanoseconds = u64::try_from(nanoseconds).ok().filter(|n| *n < SECOND).ok_or(Errno::EINVAL)?;
    Ok(seconds.saturating_mul(SECOND).saturating_add(nanoseconds))
}

/// As a `timespec`.
fn timespec(nanoseconds: u64) -> [u64; 2] {
    [nanoseconds / SECOND, nanoseconds % SECOND]
}

/// As a `timeval`.
fn timeval(nanoseconds: u64) -> [u64; 2] {
    [nanoseconds / SECOND, nanoseconds % SECOND / 1000]
}

fn ran(task: &Task) -> u64 {
    let (user, system) = task.times();
    user + system
}

/// What that clock shows. Negative numbers are the CPU time of a process or thread.
fn read_clock(call: &Call<'_>, id: i32) -> Plain<u64> {
    let id = match u32::try_from(id) {
        Ok(id) => id,
        Err(_) => return cpu_clock(call, id),
    };
    match id {
        nr::CLOCK_REALTIME | nr::CLOCK_REALTIME_COARSE | nr::CLOCK_REALTIME_ALARM | nr::CLOCK_TAI => {
            Ok(clock::real_time())
        }
        nr::CLOCK_MONOTONIC
        | nr::CLOCK_MONOTONIC_COARSE
        | nr::CLOCK_MONOTONIC_RAW
        | nr::CLOCK_BOOTTIME
        | nr::CLOCK_BOOTTIME_ALARM => Ok(timer::now()),
        nr::CLOCK_PROCESS_CPUTIME_ID => {
            let used = call.task.process().usage();
            Ok(used.user + used.system)
        }
        nr::CLOCK_THREAD_CPUTIME_ID => Ok(ran(&call.task)),
        _ => Err(Errno::EINVAL),
    }
}

/// Linux' encoding: the complement of the number, shifted by three; bit 2 says that it is a thread's.
fn cpu_clock(call: &Call<'_>, id: i32) -> Plain<u64> {
    let number = (!(id >> 3)).unsigned_abs();
    let thread = id & 4 != 0;
    let number =
        if number == 0 { if thread { call.task.tid() } else { call.task.process().pid() } } else { number };
    let task = find_task(number).ok_or(Errno::EINVAL)?;
    if thread {
        return Ok(ran(&task));
    }
    let used = task.process().usage();
    Ok(used.user + used.system)
}

fn clock_gettime(call: &mut Call<'_>) -> Result {
    let now = read_clock(call, call.int(0))?;
    call.write(call.args[1], &timespec(now))?;
    Ok(0)
}

fn clock_getres(call: &mut Call<'_>) -> Result {
    read_clock(call, call.int(0))?;
    call.write_if(call.args[1], &timespec(RESOLUTION))?;
    Ok(0)
}

fn clock_settime(call: &mut Call<'_>) -> Result {
    let time = read_timespec(call, call.args[1])?;
    if call.uint(0) != nr::CLOCK_REALTIME {
        return Err(Errno::EINVAL);
    }
    call.task.creds().require_root()?;
    clock::set_real_time(time);
    Ok(0)
}

fn gettimeofday(call: &mut Call<'_>) -> Result {
    let [time_at, zone_at, ..] = call.args;
    call.write_if(time_at, &timeval(clock::real_time()))?;
    // The zone: minutes west of Greenwich, summer time.
    call.write_if(zone_at, &[0_u32; 2])?;
    Ok(0)
}

/// The time at the address, if there is one, and as the result.
fn time(call: &mut Call<'_>) -> Result {
    let [seconds, _] = timeval(clock::real_time());
    call.write_if(call.args[0], &seconds)?;
    Ok(seconds)
}

fn settimeofday(call: &mut Call<'_>) -> Result {
    let [time_at, ..] = call.args;
    call.task.creds().require_root()?;
    if time_at != 0 {
        let [seconds, micros]: [i64; 2] = call.read(time_at)?;
        let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
        let micros = u64::try_from(micros).ok().filter(|n| *n < 1_000_000).ok_or(Errno::EINVAL)?;
        clock::set_real_time(seconds.saturating_mul(SECOND).saturating_add(micros * 1000));
    }
    Ok(0)
}

/// Nobody is woken through it: what ends these waits is time, or a signal.
static SLEEPERS: WaitQueue = WaitQueue::new();

/// Sleeps until then, as `timer::now`.
///
/// # Errors
/// ERESTARTSYS: a signal came first.
fn sleep_until(call: &mut Call<'_>, until: u64) -> Plain<()> {
    wait_interruptible_until(call.ctx, &SLEEPERS, Some(until), || false).map(|_| ())
}

/// The same for a time that was said relative: what is left is told, and `restart_syscall` goes on.
fn sleep_for(call: &mut Call<'_>, until: u64, left_to: u64) -> Result {
    if sleep_until(call, until).is_ok() {
        return Ok(0);
    }
    let left = until.saturating_sub(timer::now());
    if left == 0 {
        return Ok(0);
    }
    call.write_if(left_to, &timespec(left))?;
    call.task.set_resume(Resume::Sleep { until, left_to });
    Err(Errno::ERESTARTBLOCK)
}

fn nanosleep(call: &mut Call<'_>) -> Result {
    let [time_at, left_to, ..] = call.args;
    let time = read_timespec(call, time_at)?;
    sleep_for(call, timer::now().saturating_add(time), left_to)
}

fn clock_nanosleep(call: &mut Call<'_>) -> Result {
    let [_, _, time_at, left_to, ..] = call.args;
    let id = call.uint(0);
    let real = matches!(id, nr::CLOCK_REALTIME | nr::CLOCK_TAI);
    if !real && !matches!(id, nr::CLOCK_MONOTONIC | nr::CLOCK_BOOTTIME) {
        return Err(if read_clock(call, id as i32).is_ok() { Errno::EOPNOTSUPP } else { Errno::EINVAL });
    }
    let time = read_timespec(call, time_at)?;
    if call.uint(1) & nr::TIMER_ABSTIME == 0 {
        return sleep_for(call, timer::now().saturating_add(time), left_to);
    }
    let until = if real { time.saturating_sub(clock::real_base()) } else { time };
    sleep_until(call, until).map(|()| 0).map_err(|_| Errno::ERESTARTNOHAND)
}

/// A call that a stop interrupted goes on.
fn restart_syscall(call: &mut Call<'_>) -> Result {
    match call.task.resume() {
        Resume::Nothing | Resume::Poll { .. } => Err(Errno::EINTR),
        Resume::Sleep { until, left_to } => sleep_for(call, until, left_to),
        Resume::Futex { addr, value, until, bits, private } => {
            futex::resume(call, addr, value, until, bits, private)
        }
    }
}

/// Whole seconds, rounded up if it is less than one.
fn alarm(call: &mut Call<'_>) -> Result {
    let new = Interval { left: u64::from(call.uint(0)) * SECOND, every: 0 };
    let old = timers::set(call.task.process(), Clock::Real, new);
    let rounded = (old.left + SECOND / 2) / SECOND;
    Ok(if old.left > 0 { rounded.max(1) } else { 0 })
}

fn which(number: u32) -> Plain<Clock> {
    match number {
        nr::ITIMER_REAL => Ok(Clock::Real),
        nr::ITIMER_VIRTUAL => Ok(Clock::Virtual),
        nr::ITIMER_PROF => Ok(Clock::Prof),
        _ => Err(Errno::EINVAL),
    }
}

/// `struct itimerval`: two `timeval`, first the interval.
fn itimerval(interval: Interval) -> [u64; 4] {
    let ([a, b], [c, d]) = (timeval(interval.every), timeval(interval.left));
    // Less than a microsecond is not nothing.
    [a, b, c, if interval.left > 0 && c == 0 { d.max(1) } else { d }]
}

fn getitimer(call: &mut Call<'_>) -> Result {
    let value = timers::get(call.task.process(), which(call.uint(0))?);
    call.write(call.args[1], &itimerval(value))?;
    Ok(0)
}

fn setitimer(call: &mut Call<'_>) -> Result {
    let [_, new_at, old_at, ..] = call.args;
    let clock = which(call.uint(0))?;
    let words: [i64; 4] = if new_at == 0 { [0; 4] } else { call.read(new_at)? };
    let time = |seconds: i64, micros: i64| -> Plain<u64> {
        let seconds = u64::try_from(seconds).map_err(|_| Errno::EINVAL)?;
        let micros = u64::try_from(micros).ok().filter(|n| *n < 1_000_000).ok_or(Errno::EINVAL)?;
        Ok(seconds.saturating_mul(SECOND).saturating_add(micros * 1000))
    };
    let new = Interval { every: time(words[0], words[1])?, left: time(words[2], words[3])? };
    let old = timers::set(call.task.process(), clock, new);
    call.write_if(old_at, &itimerval(old))?;
    Ok(0)
}

fn times(call: &mut Call<'_>) -> Result {
    const TICK: u64 = SECOND / CLOCK_TICKS;
    let (own, children) = (call.task.process().usage(), call.task.process().children_usage());
    let ticks = [own.user, own.system, children.user, children.system].map(|time| time / TICK);
    call.write_if(call.args[0], &ticks)?;
    Ok(timer::now() / TICK)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_clock_gettime, clock_gettime),
    (nr::__NR_clock_getres, clock_getres),
    (nr::__NR_clock_settime, clock_settime),
    (nr::__NR_gettimeofday, gettimeofday),
    (abi::TIME, time),
    (nr::__NR_settimeofday, settimeofday),
    (nr::__NR_nanosleep, nanosleep),
    (nr::__NR_clock_nanosleep, clock_nanosleep),
    (nr::__NR_restart_syscall, restart_syscall),
    (nr::__NR_alarm, alarm),
    (nr::__NR_getitimer, getitimer),
    (nr::__NR_setitimer, setitimer),
    (nr::__NR_times, times),
];
