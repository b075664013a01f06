//! Futexes.

use super::time::read_timespec;
use super::{Call, Result, Row};
use crate::arch::current::timer;
use crate::error::Errno;
use crate::proc::process::clock;
use crate::proc::process::futex::{self, ANY, Wait};
use crate::proc::process::{find_task, try_current};
use linux_raw_sys::general as nr;

fn do_futex(call: &mut Call<'_>) -> Result {
    let [addr, _, value, timeout, second, third] = call.args;
    let operation = call.uint(1);
    let private = operation & nr::FUTEX_PRIVATE_FLAG != 0;
    let real = operation & nr::FUTEX_CLOCK_REALTIME != 0;
    let command = operation & !(nr::FUTEX_PRIVATE_FLAG | nr::FUTEX_CLOCK_REALTIME);
    if real && !matches!(command, nr::FUTEX_WAIT | nr::FUTEX_WAIT_BITSET) {
        return Err(Errno::ENOSYS);
    }
    let (value, third) = (value as u32, third as u32);
    let (ctx, mm) = (&mut *call.ctx, call.task.mm());
    match command {
        nr::FUTEX_WAIT | nr::FUTEX_WAIT_BITSET => {
            let relative = command == nr::FUTEX_WAIT;
            let bits = if relative { ANY } else { third };
            let deadline = if timeout == 0 { None } else { Some(deadline(call, timeout, relative, real)?) };
            futex::wait(call.ctx, &Wait { addr, value, private, bits, deadline }).map(|()| 0)
        }
        nr::FUTEX_WAKE => futex::wake(ctx, mm, addr, private, value, ANY).map(u64::from),
        nr::FUTEX_WAKE_BITSET => futex::wake(ctx, mm, addr, private, value, third).map(u64::from),
        nr::FUTEX_REQUEUE | nr::FUTEX_CMP_REQUEUE => {
            let compare = (command == nr::FUTEX_CMP_REQUEUE).then_some(third);
            // The fourth argument is a number here. Both are signed.
            let (wake, requeue) = (value as i32, timeout as i32);
            let (Ok(wake), Ok(requeue)) = (u32::try_from(wake), u32::try_from(requeue)) else {
                return Err(Errno::EINVAL);
            };
            futex::requeue(ctx, mm, addr, second, private, wake, requeue, compare).map(u64::from)
        }
        nr::FUTEX_WAKE_OP => {
            futex::wake_op(ctx, mm, addr, second, private, value, timeout as u32, third).map(u64::from)
        }
        // Priority inheritance is not here.
        _ => Err(Errno::ENOSYS),
    }
}

/// As `timer::now`.
fn deadline(call: &mut Call<'_>, at: u64, relative: bool, real: bool) -> core::result::Result<u64, Errno> {
    let time = read_timespec(call, at)?;
    Ok(match (relative, real) {
        (true, _) => timer::now().saturating_add(time),
        (false, true) => time.saturating_sub(clock::real_base()),
        (false, false) => time,
    })
}

/// `restart_syscall` of a wait with a time limit.
pub(super) fn resume(
    call: &mut Call<'_>,
    addr: u64,
    value: u32,
    until: u64,
    bits: u32,
    private: bool,
) -> Result {
    futex::wait(call.ctx, &Wait { addr, value, private, bits, deadline: Some(until) }).map(|()| 0)
}

/// Bytes of `struct robust_list_head`.
const HEAD: u64 = 24;

fn set_robust_list(call: &mut Call<'_>) -> Result {
    let [head, size, ..] = call.args;
    if size != HEAD {
        return Err(Errno::EINVAL);
    }
    call.task.set_robust_list(head);
    Ok(0)
}

fn get_robust_list(call: &mut Call<'_>) -> Result {
    let [pid, head_at, size_at, ..] = call.args;
    let head = match pid as u32 {
        0 => call.task.robust_list(),
        pid => {
            let task = find_task(pid).ok_or(Errno::ESRCH)?;
            let may = call.task.creds();
            let same = try_current().is_some_and(|own| own.tid() == task.tid());
            if !same && !may.is_root() && may.uid != task.creds().uid {
                return Err(Errno::EPERM);
            }
            task.robust_list()
        }
    };
    call.write(size_at, &HEAD)?;
    call.write(head_at, &head)?;
    Ok(0)
}

/// The rows of this file. `rseq` is missing on purpose: glibc does without it.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_futex, do_futex),
    (nr::__NR_set_robust_list, set_robust_list),
    (nr::__NR_get_robust_list, get_robust_list),
    (nr::__NR_rseq, |_| Err(Errno::ENOSYS)),
];
