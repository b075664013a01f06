//! Scheduling: who runs where, and how politely.

use super::{Call, Result, Row};
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::proc::process::{Process, Task, find_task, for_each};
use crate::proc::sched as queues;
use alloc::sync::Arc;
use linux_raw_sys::general as nr;

type Plain<T> = core::result::Result<T, Errno>;

fn sched_yield(call: &mut Call<'_>) -> Result {
    queues::yield_now(call.ctx);
    Ok(0)
}

/// A task by number; 0: the caller.
fn task(call: &Call<'_>, number: i32) -> Plain<Arc<Task>> {
    let number = u32::try_from(number).map_err(|_| Errno::EINVAL)?;
    find_task(if number == 0 { call.task.tid() } else { number }).ok_or(Errno::ESRCH)
}

/// Bytes of a CPU set, as a multiple of a long: enough for all CPUs there can be.
const SET: u64 = 8;

fn sched_getaffinity(call: &mut Call<'_>) -> Result {
    let [_, size, at, ..] = call.args;
    if (size as u32) < SET as u32 || !size.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    let task = task(call, call.int(0))?;
    let allowed = task.with_thread(|thread| thread.allowed()).unwrap_or(CpuSet::NONE);
    let bits = allowed.and(queues::online_cpus()).iter().fold(0_u64, |bits, cpu| bits | 1 << cpu);
    call.write(at, &bits)?;
    Ok(SET)
}

fn sched_setaffinity(call: &mut Call<'_>) -> Result {
    let [_, size, at, ..] = call.args;
    // A shorter set says nothing of the others: they are not in it.
    let mut bytes = [0_u8; SET as usize];
    for (index, byte) in bytes.iter_mut().enumerate().take(size.min(SET) as usize) {
        // Little-endian machines have the low CPUs in the first byte, others in the last of a long.
        *byte = call.read(at.wrapping_add(index as u64))?;
    }
    let bits = u64::from_ne_bytes(bytes);
    let task = task(call, call.int(0))?;
    let creds = call.task.creds();
    let owner = task.creds();
    if !creds.is_root() && creds.euid != owner.uid && creds.euid != owner.euid {
        return Err(Errno::EPERM);
    }
    let chosen = queues::online_cpus().iter().filter(|cpu| bits & 1 << cpu != 0);
    let chosen = chosen.fold(CpuSet::NONE, |set, cpu| set.with(CpuSet::one(cpu)));
    if chosen.is_empty() {
        return Err(Errno::EINVAL);
    }
    task.with_thread(|thread| queues::allow(thread, chosen)).ok_or(Errno::ESRCH)?;
    // If it is the caller who may not stay here, he leaves.
    queues::yield_now(call.ctx);
    Ok(0)
}

/// There is one policy, SCHED_OTHER, whose one priority is 0.
fn sched_getscheduler(call: &mut Call<'_>) -> Result {
    task(call, call.int(0)).map(|_| nr::SCHED_NORMAL.into())
}

fn sched_setscheduler(call: &mut Call<'_>) -> Result {
    task(call, call.int(0))?;
    let priority: i32 = call.read(call.args[2])?;
    match call.uint(1) {
        nr::SCHED_NORMAL | nr::SCHED_BATCH | nr::SCHED_IDLE if priority == 0 => Ok(0),
        // There are no others.
        nr::SCHED_FIFO | nr::SCHED_RR if (1..100).contains(&priority) => Err(Errno::EPERM),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_getparam(call: &mut Call<'_>) -> Result {
    task(call, call.int(0))?;
    call.write(call.args[1], &0_i32)?;
    Ok(0)
}

fn sched_setparam(call: &mut Call<'_>) -> Result {
    task(call, call.int(0))?;
    let priority: i32 = call.read(call.args[1])?;
    if priority == 0 { Ok(0) } else { Err(Errno::EINVAL) }
}

fn priority_range(call: &mut Call<'_>, realtime: u64) -> Result {
    match call.uint(0) {
        nr::SCHED_NORMAL | nr::SCHED_BATCH | nr::SCHED_IDLE | nr::SCHED_DEADLINE => Ok(0),
        nr::SCHED_FIFO | nr::SCHED_RR => Ok(realtime),
        _ => Err(Errno::EINVAL),
    }
}

fn sched_get_priority_max(call: &mut Call<'_>) -> Result {
    priority_range(call, 99)
}

fn sched_get_priority_min(call: &mut Call<'_>) -> Result {
    priority_range(call, 1)
}

fn sched_rr_get_interval(call: &mut Call<'_>) -> Result {
    task(call, call.int(0))?;
    call.write(call.args[1], &[0, queues::TICK])?;
    Ok(0)
}

/// Calls with each process that `getpriority` means.
fn each(call: &Call<'_>, mut visit: impl FnMut(&Arc<Process>)) -> Plain<()> {
    let who = call.uint(1);
    let own = call.task.process();
    match call.uint(0) {
        nr::PRIO_PROCESS => {
            let number = if who == 0 { call.task.tid() } else { who };
            if let Some(task) = find_task(number) {
                visit(task.process());
            }
        }
        nr::PRIO_PGRP => {
            let group = if who == 0 { own.group_id() } else { who };
            for_each(|process| {
                if process.group_id() == group {
                    visit(process);
                }
            });
        }
        nr::PRIO_USER => {
            let user = if who == 0 { call.task.creds().uid } else { who };
            for_each(|process| {
                if process.leader().is_some_and(|leader| leader.creds().uid == user) {
                    visit(process);
                }
            });
        }
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

/// 40 to 1 for nice values of -20 to 19: results that are no errors.
fn getpriority(call: &mut Call<'_>) -> Result {
    let mut best = None;
    each(call, |process| {
        let value = 20 - process.nice();
        best = Some(best.map_or(value, |best: i32| best.max(value)));
    })?;
    best.map(|value| value as u64).ok_or(Errno::ESRCH)
}

fn setpriority(call: &mut Call<'_>) -> Result {
    let nice = call.int(2).clamp(-20, 19);
    let creds = call.task.creds();
    let mut result = Err(Errno::ESRCH);
    each(call, |process| {
        let owner = process.leader().map(|leader| leader.creds());
        let owns = owner.is_none_or(|owner| creds.euid == owner.uid || creds.euid == owner.euid);
        result = if !creds.is_root() && !owns {
            Err(Errno::EPERM)
        } else if !creds.is_root() && nice < process.nice() {
            Err(Errno::EACCES)
        } else {
            process.set_nice(nice);
            Ok(0)
        };
    })?;
    result
}

fn getcpu(call: &mut Call<'_>) -> Result {
    let [cpu_at, node_at, ..] = call.args;
    let cpu = call.task.cpu() as u32;
    call.write_if(cpu_at, &cpu)?;
    call.write_if(node_at, &0_u32)?;
    Ok(0)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_sched_yield, sched_yield),
    (nr::__NR_sched_getaffinity, sched_getaffinity),
    (nr::__NR_sched_setaffinity, sched_setaffinity),
    (nr::__NR_sched_getscheduler, sched_getscheduler),
    (nr::__NR_sched_setscheduler, sched_setscheduler),
    (nr::__NR_sched_getparam, sched_getparam),
    (nr::__NR_sched_setparam, sched_setparam),
    (nr::__NR_sched_get_priority_max, sched_get_priority_max),
    (nr::__NR_sched_get_priority_min, sched_get_priority_min),
    (nr::__NR_sched_rr_get_interval, sched_rr_get_interval),
    (nr::__NR_getpriority, getpriority),
    (nr::__NR_setpriority, setpriority),
    (nr::__NR_getcpu, getcpu),
];
