//! `syslog`: the kernel's log, for `dmesg`.

use super::{Call, Result, Row};
use crate::addr::VirtAddr;
use crate::error::Errno;
use linux_raw_sys::general as nr;

/// The kernel's log for `dmesg`. What was logged is kept in a ring of that size.
fn syslog(call: &mut Call<'_>) -> Result {
    const CLOSE: i32 = 0;
    const OPEN: i32 = 1;
    const READ: i32 = 2;
    const READ_ALL: i32 = 3;
    const READ_CLEAR: i32 = 4;
    const CLEAR: i32 = 5;
    const CONSOLE_OFF: i32 = 6;
    const CONSOLE_ON: i32 = 7;
    const CONSOLE_LEVEL: i32 = 8;
    const UNREAD: i32 = 9;
    const SIZE: i32 = 10;
    let (what, at, length) = (call.int(0), call.args[1], call.int(2));
    if !matches!(what, READ_ALL | SIZE) {
        call.task.creds().require_root()?;
    }
    match what {
        CLOSE | OPEN => Ok(0),
        READ | READ_ALL | READ_CLEAR => {
            let most = usize::try_from(length).map_err(|_| Errno::EINVAL)?;
            let copied = copy_log(call, VirtAddr::new(at), most)?;
            if what == READ_CLEAR {
                crate::log::clear();
            }
            Ok(copied)
        }
        CLEAR => {
            crate::log::clear();
            Ok(0)
        }
        // Accepted and without an effect, as `loglevel=` is for the kernel's owner to say.
        CONSOLE_OFF | CONSOLE_ON | CONSOLE_LEVEL => Ok(0),
        UNREAD => Ok(0),
        SIZE => Ok(crate::log::RING as u64),
        _ => Err(Errno::EINVAL),
    }
}

/// Copies the newest bytes of the log, at most that many, oldest first.
fn copy_log(call: &mut Call<'_>, at: VirtAddr, most: usize) -> Result {
    let (mut from, end) = crate::log::kept();
    from = from.max(end.saturating_sub(most as u64));
    let mut buffer = [0; 256];
    let mut done = 0;
    while from < end {
        let (start, count) = crate::log::copy(from, &mut buffer);
        let count = count.min((end - start.min(end)) as usize).min(most - done as usize);
        if count == 0 {
            break;
        }
        let to = at.checked_add(done).ok_or(Errno::EFAULT)?;
        call.task.mm().write_user(call.ctx, to, &buffer[..count])?;
        done += count as u64;
        from = start + count as u64;
    }
    Ok(done)
}

pub(super) const CALLS: &[Row] = &[(nr::__NR_syslog, syslog)];
