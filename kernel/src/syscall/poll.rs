//! Waiting for one of several descriptors.

use super::{Call, Result, Row};
use crate::arch::current::{abi, timer};
use crate::error::Errno;
use crate::fs::File;
use crate::fs::poll::{Events, PollTable, poll_until};
use crate::proc::process::signal::{SigSet, masks};
use crate::proc::process::signal_pending;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as nr;

type Plain<T> = core::result::Result<T, Errno>;

/// When a wait of that long ends; `None`: never. 0: at once.
fn deadline(nanoseconds: Option<u64>) -> Option<u64> {
    nanoseconds.map(|wait| if wait == 0 { 0 } else { timer::now().saturating_add(wait).max(1) })
}

/// Seconds and a part of a second that is `unit` nanoseconds; `None` for a null pointer. EINVAL.
fn read_time(call: &mut Call<'_>, at: u64, unit: i64) -> Plain<Option<u64>> {
    if at == 0 {
        return Ok(None);
    }
    let [seconds, part]: [i64; 2] = call.read(at)?;
    if seconds < 0 || !(0..1_000_000_000 / unit).contains(&part) {
        return Err(Errno::EINVAL);
    }
    Ok(Some((seconds as u64).saturating_mul(1_000_000_000).saturating_add((part * unit) as u64)))
}

/// Writes back how much of the time is left.
fn write_left(call: &mut Call<'_>, at: u64, deadline: Option<u64>, unit: u64) {
    if let (Some(deadline), true) = (deadline, at != 0) {
        let left = deadline.saturating_sub(timer::now());
        // Linux does not mind if it cannot be written.
        let _ = call.write(at, &[left / 1_000_000_000, left % 1_000_000_000 / unit]);
    }
}

/// Takes a signal mask for the wait. `size` is that of the set.
fn wait_with_mask(call: &mut Call<'_>, at: u64, size: u64) -> Plain<()> {
    if at == 0 {
        return Ok(());
    }
    if size != 8 {
        return Err(Errno::EINVAL);
    }
    let mask = SigSet::new(call.read(at)?);
    masks::mask_for_wait(&call.task, mask);
    Ok(())
}

/// A descriptor that is polled.
struct Polled {
    file: Option<Arc<File>>,
    wants: Events,
    found: Events,
}

/// Looks at one; errors and the like are told unasked.
fn look(ctx: &mut MaySleep, polled: &mut Polled, table: &mut PollTable) -> bool {
    polled.found = match &polled.file {
        Some(file) => file.poll(ctx, table) & (polled.wants | Events::ALWAYS),
        None => polled.found,
    };
    !polled.found.is_empty()
}

/// Waits until one of them has something; says how many have.
fn wait(call: &mut Call<'_>, all: &mut [Polled], deadline: Option<u64>) -> Plain<u64> {
    let found = poll_until(call.ctx, deadline, signal_pending, |ctx, table| {
        let count = all.iter_mut().map(|polled| u64::from(look(ctx, polled, table))).sum();
        Ok(Some(count).filter(|&count| count > 0))
    });
    match found {
        Ok(count) => Ok(count.unwrap_or(0)),
        // Made again only if no handler ran.
        Err(Errno::EINTR) => Err(Errno::ERESTARTNOHAND),
        Err(error) => Err(error),
    }
}

/// Bytes of a `struct pollfd`.
const POLLFD: u64 = 8;

fn poll_with(call: &mut Call<'_>, deadline: Option<u64>) -> Result {
    let (at, count) = (call.args[0], u64::from(call.uint(1)));
    if count > super::files::descriptors(call) {
        return Err(Errno::EINVAL);
    }
    let mut all = Vec::new();
    all.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        let entry = at.checked_add(index * POLLFD).ok_or(Errno::EFAULT)?;
        let [fd_high, fd_low, wants, _]: [u16; 4] = call.read(entry)?;
        let fd = i32::from_ne_bytes(bytes_of(fd_high, fd_low));
        let file = if fd < 0 { None } else { super::files::file(call, fd).ok() };
        let found = if fd >= 0 && file.is_none() { Events::NVAL } else { Events::empty() };
        all.push(Polled { file, wants: Events::from_bits_truncate(wants), found });
    }
    let result = wait(call, &mut all, deadline);
    if let Err(error) = result
        && error != Errno::ERESTARTNOHAND
    {
        return Err(error);
    }
    for (index, polled) in (0..).zip(&all) {
        call.write(at + index * POLLFD + 6, &polled.found.bits())?;
    }
    result
}

/// A number's bytes from its two halves in memory order.
fn bytes_of(first: u16, second: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    [a, b, c, d]
}

fn poll(call: &mut Call<'_>) -> Result {
    let wait = u64::try_from(call.int(2)).ok().map(|milliseconds| milliseconds * 1_000_000);
    poll_with(call, deadline(wait))
}

fn ppoll(call: &mut Call<'_>) -> Result {
    let time_at = call.args[2];
    let deadline = deadline(read_time(call, time_at, 1)?);
    wait_with_mask(call, call.args[3], call.args[4])?;
    let result = poll_with(call, deadline);
    write_left(call, time_at, deadline, 1);
    result
}

/// The three sets of `select`.
const SETS: usize = 3;

/// What a descriptor in each of them waits for.
const WANTS: [Events; SETS] = [
    Events::READABLE.union(Events::RDBAND).union(Events::HUP).union(Events::ERR),
    Events::WRITABLE.union(Events::WRBAND).union(Events::ERR),
    Events::PRI,
];

fn select_with(call: &mut Call<'_>, deadline: Option<u64>) -> Result {
    let count = usize::try_from(call.int(0)).map_err(|_| Errno::EINVAL)?;
    // Beyond the table nothing is open; Linux does not look there.
    let count = count.min(call.task.files().room().next_multiple_of(64));
    let words = count.div_ceil(64);
    let at = [call.args[1], call.args[2], call.args[3]];
    let mut sets: [Vec<u64>; SETS] = [const { Vec::new() }; SETS];
    for (set, &at) in sets.iter_mut().zip(&at) {
        set.try_reserve_exact(words).map_err(|_| Errno::ENOMEM)?;
        for word in 0..words as u64 {
            let bits: u64 = if at == 0 { 0 } else { call.read(at.wrapping_add(word * 8))? };
            set.push(bits);
        }
    }
    let has = |set: &[u64], fd: usize| set[fd / 64] >> (fd % 64) & 1 != 0;
    let mut all = Vec::new();
    let mut numbers = Vec::new();
    for fd in 0..count {
        let mut wants = Events::empty();
        for (set, want) in sets.iter().zip(WANTS) {
            if has(set, fd) {
                wants |= want;
            }
        }
        if wants.is_empty() {
            continue;
        }
        let file = Some(super::files::file(call, fd as i32)?);
        all.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        numbers.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        all.push(Polled { file, wants, found: Events::empty() });
        numbers.push(fd);
    }
    // What is told unasked counts for the sets that ask for it.
    let result = {
        let sets = &sets;
        let numbers = &numbers;
        let answer = |found: Events, fd: usize| {
            sets.iter().zip(WANTS).filter(|(set, want)| has(set, fd) && found.intersects(*want)).count()
        };
        poll_until(call.ctx, deadline, signal_pending, |ctx, table| {
            let mut bits = 0;
            for (polled, &fd) in all.iter_mut().zip(numbers) {
                look(ctx, polled, table);
                bits += answer(polled.found, fd) as u64;
            }
            Ok(Some(bits).filter(|&bits| bits > 0))
        })
    };
    let bits = match result {
        Ok(bits) => bits.unwrap_or(0),
        Err(Errno::EINTR) => return Err(Errno::ERESTARTNOHAND),
        Err(error) => return Err(error),
    };
    for ((set, want), at) in sets.iter().zip(WANTS).zip(at) {
        if at == 0 {
            continue;
        }
        for word in 0..words {
            let mut answer = 0_u64;
            for (polled, &fd) in all.iter().zip(&numbers) {
                if fd / 64 == word && has(set, fd) && polled.found.intersects(want) {
                    answer |= 1 << (fd % 64);
                }
            }
            call.write(at.wrapping_add(word as u64 * 8), &answer)?;
        }
    }
    Ok(bits)
}

fn select(call: &mut Call<'_>) -> Result {
    let time_at = call.args[4];
    let deadline = deadline(read_timeval(call, time_at)?);
    let result = select_with(call, deadline);
    write_left(call, time_at, deadline, 1000);
    result
}

/// A `timeval`, whose microseconds may be more than a second.
fn read_timeval(call: &mut Call<'_>, at: u64) -> Plain<Option<u64>> {
    if at == 0 {
        return Ok(None);
    }
    let [seconds, microseconds]: [i64; 2] = call.read(at)?;
    let seconds = seconds.saturating_add(microseconds / 1_000_000);
    if seconds < 0 || microseconds < 0 {
        return Err(Errno::EINVAL);
    }
    let part = (microseconds % 1_000_000) as u64 * 1000;
    Ok(Some((seconds as u64).saturating_mul(1_000_000_000).saturating_add(part)))
}

fn pselect6(call: &mut Call<'_>) -> Result {
    let (time_at, mask_at) = (call.args[4], call.args[5]);
    let deadline = deadline(read_time(call, time_at, 1)?);
    if mask_at != 0 {
        let [set, size]: [u64; 2] = call.read(mask_at)?;
        wait_with_mask(call, set, size)?;
    }
    let result = select_with(call, deadline);
    write_left(call, time_at, deadline, 1);
    result
}

/// The rows of this file.
pub(super) const CALLS: &[Row] =
    &[(nr::__NR_poll, poll), (nr::__NR_ppoll, ppoll), (abi::SELECT, select), (nr::__NR_pselect6, pselect6)];
