//! What the machine and the system are, limits, and odds and ends.

use super::{Call, Result, Row};
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::{abi, timer};
use crate::error::Errno;
use crate::exit::{Status, exit};
use crate::fs::dev::random;
use crate::mm;
use crate::proc::process::{Limit, Process, find, for_each, limits, names};
use crate::proc::sched;
use crate::sync::context::{self, TaskName};
use alloc::sync::Arc;
use linux_raw_sys::general as nr;
use linux_raw_sys::prctl;

type Plain<T> = core::result::Result<T, Errno>;

/// `struct new_utsname`: six strings of 65 bytes.
fn uname(call: &mut Call<'_>) -> Result {
    const FIELD: usize = 65;
    let (host, domain) = names::get();
    let fields: [&[u8]; 6] = [
        b"Linux",
        host.as_bytes(),
        names::RELEASE.as_bytes(),
        names::VERSION.as_bytes(),
        abi::MACHINE.as_bytes(),
        domain.as_bytes(),
    ];
    let mut bytes = [0; 6 * FIELD];
    for (field, text) in bytes.chunks_mut(FIELD).zip(fields) {
        let len = text.len().min(FIELD - 1);
        field[..len].copy_from_slice(&text[..len]);
    }
    call.write(call.args[0], &bytes)?;
    Ok(0)
}

fn set_name(call: &mut Call<'_>, set: fn(&[u8]) -> Plain<()>) -> Result {
    const LONGEST: usize = 64;
    call.task.creds().require_root()?;
    let len = usize::try_from(call.int(1)).ok().filter(|len| *len <= LONGEST).ok_or(Errno::EINVAL)?;
    let mut bytes = [0; LONGEST];
    call.task.mm().read_user(call.ctx, VirtAddr::new(call.args[0]), &mut bytes[..len])?;
    set(&bytes[..len])?;
    Ok(0)
}

/// `struct sysinfo`, as both machines have it: 112 bytes.
fn sysinfo(call: &mut Call<'_>) -> Result {
    const LOAD_SHIFT: u32 = 16;
    const SECOND: u64 = 1_000_000_000;
    let counts = mm::frames().counts();
    let mut processes = 0_u16;
    for_each(|_| processes = processes.saturating_add(1));
    let mut bytes = [0_u8; 112];
    let mut put = |at: usize, value: u64| bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    put(0, timer::now() / SECOND);
    // Three averages, of which there is one.
    (8..32).step_by(8).for_each(|at| put(at, sched::usage::load(LOAD_SHIFT)));
    put(32, counts.managed as u64 * PAGE_SIZE);
    put(40, counts.free as u64 * PAGE_SIZE);
    bytes[80..82].copy_from_slice(&processes.to_ne_bytes());
    // Sizes are in bytes.
    bytes[104..108].copy_from_slice(&1_u32.to_ne_bytes());
    call.write(call.args[0], &bytes)?;
    Ok(0)
}

fn getrandom(call: &mut Call<'_>) -> Result {
    const PIECE: usize = 256;
    let [at, len, ..] = call.args;
    if call.uint(2) & !(nr::GRND_NONBLOCK | nr::GRND_RANDOM | nr::GRND_INSECURE) != 0 {
        return Err(Errno::EINVAL);
    }
    let len = len.min(i32::MAX as u64);
    let mut done = 0;
    while done < len {
        let mut bytes = [0; PIECE];
        let piece = &mut bytes[..(len - done).min(PIECE as u64) as usize];
        random::fill(piece);
        let to = VirtAddr::new(at.wrapping_add(done));
        match call.task.mm().write_user(call.ctx, to, piece) {
            Ok(()) => done += piece.len() as u64,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if call.task.signal_pending() {
            break;
        }
    }
    Ok(done)
}

/// Whose limits: 0 is the caller.
fn limited(call: &Call<'_>, pid: u32) -> Plain<Arc<Process>> {
    let own = call.task.process();
    if pid == 0 || pid == own.pid() {
        return Ok(Arc::clone(own));
    }
    let process = find(pid).ok_or(Errno::ESRCH)?;
    let (creds, target) = (call.task.creds(), process.leader().map(|leader| leader.creds()));
    let same =
        target.is_none_or(|target| [target.uid, target.euid, target.suid].iter().all(|id| *id == creds.uid));
    if creds.is_root() || same { Ok(process) } else { Err(Errno::EPERM) }
}

fn resource(number: u32) -> Plain<usize> {
    usize::try_from(number).ok().filter(|number| *number < limits::LIMITS).ok_or(Errno::EINVAL)
}

fn set_limit(call: &mut Call<'_>, process: &Process, number: usize, new: Limit) -> Plain<()> {
    let old = process.limits().get(number);
    if new.soft > new.hard {
        return Err(Errno::EINVAL);
    }
    if new.hard > old.hard {
        call.task.creds().require_root()?;
    }
    process.limits().set(number, new);
    process.limits_changed(call.ctx);
    Ok(())
}

fn prlimit64(call: &mut Call<'_>) -> Result {
    let [_, _, new_at, old_at, ..] = call.args;
    let number = resource(call.uint(1))?;
    let new = if new_at == 0 { None } else { Some(call.read::<[u64; 2]>(new_at)?) };
    let process = limited(call, call.uint(0))?;
    let old = process.limits().get(number);
    if let Some([soft, hard]) = new {
        set_limit(call, &process, number, Limit { soft, hard })?;
    }
    call.write_if(old_at, &[old.soft, old.hard])?;
    Ok(0)
}

fn getrlimit(call: &mut Call<'_>) -> Result {
    let limit = call.task.process().limits().get(resource(call.uint(0))?);
    call.write(call.args[1], &[limit.soft, limit.hard])?;
    Ok(0)
}

fn setrlimit(call: &mut Call<'_>) -> Result {
    let number = resource(call.uint(0))?;
    let [soft, hard] = call.read(call.args[1])?;
    let process = Arc::clone(call.task.process());
    set_limit(call, &process, number, Limit { soft, hard })?;
    Ok(0)
}

fn getrusage(call: &mut Call<'_>) -> Result {
    let process = call.task.process();
    let used = match call.int(0) {
        0 => process.usage(),
        -1 => process.children_usage(),
        1 => call.task.usage(),
        _ => return Err(Errno::EINVAL),
    };
    call.write(call.args[1], &super::process::usage_words(&used))?;
    Ok(0)
}

fn do_prctl(call: &mut Call<'_>) -> Result {
    let [_, argument, ..] = call.args;
    match call.uint(0) {
        prctl::PR_SET_NAME => {
            let mut bytes = [0; TaskName::MAX];
            let len = match call.task.mm().read_str(call.ctx, VirtAddr::new(argument), &mut bytes) {
                Ok(len) => len,
                // Longer names are cut.
                Err(Errno::ENAMETOOLONG) => TaskName::MAX,
                Err(error) => return Err(error),
            };
            let name = core::str::from_utf8(&bytes[..len]).unwrap_or("?");
            let name = TaskName::new(name);
            call.task.set_name(name);
            // And in what the kernel says about it.
            context::current().set_name(name);
            Ok(0)
        }
        prctl::PR_GET_NAME => {
            let mut bytes = [0; 16];
            let name = call.task.name();
            bytes[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
            call.write(argument, &bytes)?;
            Ok(0)
        }
        prctl::PR_SET_CHILD_SUBREAPER => {
            call.task.process().set_subreaper(argument != 0);
            Ok(0)
        }
        prctl::PR_GET_CHILD_SUBREAPER => {
            call.write(argument, &u32::from(call.task.process().is_subreaper()))?;
            Ok(0)
        }
        prctl::PR_GET_DUMPABLE => Ok(1),
        prctl::PR_SET_DUMPABLE if argument <= 1 => Ok(0),
        prctl::PR_SET_PDEATHSIG => {
            let signal = u32::try_from(argument).ok().filter(|number| *number <= 64).ok_or(Errno::EINVAL)?;
            call.task.process().set_death_signal(signal);
            Ok(0)
        }
        prctl::PR_GET_PDEATHSIG => {
            call.write(argument, &call.task.process().death_signal())?;
            Ok(0)
        }
        prctl::PR_GET_NO_NEW_PRIVS | prctl::PR_GET_KEEPCAPS => Ok(0),
        // All capabilities are in the bounding set.
        prctl::PR_CAPBSET_READ if argument <= LAST_CAPABILITY.into() => Ok(1),
        _ => Err(Errno::EINVAL),
    }
}

/// CAP_CHECKPOINT_RESTORE
const LAST_CAPABILITY: u32 = 40;

/// `capget`: root has all, nobody else has any.
fn capget(call: &mut Call<'_>) -> Result {
    const VERSION_3: u32 = 0x2008_0522;
    let [header_at, data_at, ..] = call.args;
    let [version, pid]: [u32; 2] = call.read(header_at)?;
    if version != VERSION_3 {
        call.write(header_at, &VERSION_3)?;
        // Who passes no data asks for the version.
        return if data_at == 0 { Ok(0) } else { Err(Errno::EINVAL) };
    }
    let creds = match pid {
        0 => call.task.creds(),
        pid => find(pid).and_then(|process| process.leader()).ok_or(Errno::ESRCH)?.creds(),
    };
    let all: u64 = if creds.is_root() { (1 << (LAST_CAPABILITY + 1)) - 1 } else { 0 };
    let (low, high) = (all as u32, (all >> 32) as u32);
    // Effective, permitted, inheritable; twice.
    call.write_if(data_at, &[low, low, 0, high, high, 0])?;
    Ok(0)
}

/// Only root has any, and keeps them.
fn capset(call: &mut Call<'_>) -> Result {
    call.task.creds().require_root().map(|()| 0)
}

/// 0xffffffff asks. Only PER_LINUX is here.
fn personality(call: &mut Call<'_>) -> Result {
    match call.uint(0) {
        u32::MAX | 0 => Ok(0),
        _ => Err(Errno::EINVAL),
    }
}

fn reboot(call: &mut Call<'_>) -> Result {
    const MAGIC: u32 = 0xfee1_dead;
    const MAGICS: [u32; 4] = [672_274_793, 85_072_278, 369_367_448, 537_993_216];
    call.task.creds().require_root()?;
    if call.uint(0) != MAGIC || !MAGICS.contains(&call.uint(1)) {
        return Err(Errno::EINVAL);
    }
    match call.uint(2) {
        // Ctrl-Alt-Del is no key here.
        0 | 0x89ab_cdef => Ok(0),
        0x4321_fedc | 0xcdef_0123 | 0x0123_4567 => {
            log::info!(target: "boot", "{:?} turns the machine off", call.task.process());
            exit(Status::Ok)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Memory barriers on all CPUs that run this process: a system call is one here, and the others are
/// interrupted.
fn membarrier(call: &mut Call<'_>) -> Result {
    const QUERY: u32 = 0;
    const GLOBAL: u32 = 1;
    match (call.uint(0), call.uint(1)) {
        (QUERY, 0) => Ok(GLOBAL.into()),
        (GLOBAL, 0) => {
            crate::proc::smp::call_on(crate::proc::sched::online_cpus(), |_| (), 0);
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_uname, uname),
    (nr::__NR_sethostname, |call| set_name(call, names::set_host)),
    (nr::__NR_setdomainname, |call| set_name(call, names::set_domain)),
    (nr::__NR_sysinfo, sysinfo),
    (nr::__NR_getrandom, getrandom),
    (nr::__NR_prlimit64, prlimit64),
    (nr::__NR_getrlimit, getrlimit),
    (abi::UGETRLIMIT, getrlimit),
    (nr::__NR_setrlimit, setrlimit),
    (nr::__NR_getrusage, getrusage),
    (nr::__NR_prctl, do_prctl),
    (nr::__NR_capget, capget),
    (nr::__NR_capset, capset),
    (nr::__NR_personality, personality),
    (nr::__NR_reboot, reboot),
    (nr::__NR_membarrier, membarrier),
];
