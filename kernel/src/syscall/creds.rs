//! Users and groups.

use super::{Call, Result, Row};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::proc::process::Creds;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as nr;

/// Leave it as it is.
const KEEP: u32 = u32::MAX;

type Plain<T> = core::result::Result<T, Errno>;

/// Changes a copy, and acts as that from now on.
fn change(call: &mut Call<'_>, change: impl FnOnce(&mut Creds) -> Plain<()>) -> Result {
    let mut creds = Creds::clone(&call.task.creds());
    change(&mut creds)?;
    call.task.set_creds(try_arc(creds)?);
    Ok(0)
}

/// EPERM unless each number that is not `KEEP` is one of those, or root asks.
fn allow(creds: &Creds, wanted: &[u32], have: &[u32]) -> Plain<()> {
    let allowed = creds.is_root() || wanted.iter().all(|id| *id == KEEP || have.contains(id));
    if allowed { Ok(()) } else { Err(Errno::EPERM) }
}

fn set(to: &mut u32, id: u32) {
    if id != KEEP {
        *to = id;
    }
}

fn setresuid(call: &mut Call<'_>) -> Result {
    let ids = [0, 1, 2].map(|index| call.uint(index));
    change(call, |creds| {
        allow(creds, &ids, &[creds.uid, creds.euid, creds.suid])?;
        set(&mut creds.uid, ids[0]);
        set(&mut creds.euid, ids[1]);
        set(&mut creds.suid, ids[2]);
        creds.fsuid = creds.euid;
        Ok(())
    })
}

fn setresgid(call: &mut Call<'_>) -> Result {
    let ids = [0, 1, 2].map(|index| call.uint(index));
    change(call, |creds| {
        allow(creds, &ids, &[creds.gid, creds.egid, creds.sgid])?;
        set(&mut creds.gid, ids[0]);
        set(&mut creds.egid, ids[1]);
        set(&mut creds.sgid, ids[2]);
        creds.fsgid = creds.egid;
        Ok(())
    })
}

fn setreuid(call: &mut Call<'_>) -> Result {
    let [real, effective] = [0, 1].map(|index| call.uint(index));
    change(call, |creds| {
        allow(creds, &[real], &[creds.uid, creds.euid])?;
        allow(creds, &[effective], &[creds.uid, creds.euid, creds.suid])?;
        let old = creds.uid;
        set(&mut creds.uid, real);
        set(&mut creds.euid, effective);
        if real != KEEP || effective != KEEP && effective != old {
            creds.suid = creds.euid;
        }
        creds.fsuid = creds.euid;
        Ok(())
    })
}

fn setregid(call: &mut Call<'_>) -> Result {
    let [real, effective] = [0, 1].map(|index| call.uint(index));
    change(call, |creds| {
        allow(creds, &[real], &[creds.gid, creds.egid])?;
        allow(creds, &[effective], &[creds.gid, creds.egid, creds.sgid])?;
        let old = creds.gid;
        set(&mut creds.gid, real);
        set(&mut creds.egid, effective);
        if real != KEEP || effective != KEEP && effective != old {
            creds.sgid = creds.egid;
        }
        creds.fsgid = creds.egid;
        Ok(())
    })
}

fn setuid(call: &mut Call<'_>) -> Result {
    let id = call.uint(0);
    if id == KEEP {
        return Err(Errno::EINVAL);
    }
    change(call, |creds| {
        if creds.is_root() {
            (creds.uid, creds.suid) = (id, id);
        } else {
            allow(creds, &[id], &[creds.uid, creds.suid])?;
        }
        (creds.euid, creds.fsuid) = (id, id);
        Ok(())
    })
}

fn setgid(call: &mut Call<'_>) -> Result {
    let id = call.uint(0);
    if id == KEEP {
        return Err(Errno::EINVAL);
    }
    change(call, |creds| {
        if creds.is_root() {
            (creds.gid, creds.sgid) = (id, id);
        } else {
            allow(creds, &[id], &[creds.gid, creds.sgid])?;
        }
        (creds.egid, creds.fsgid) = (id, id);
        Ok(())
    })
}

/// Gives the old one, whether it may or not.
fn setfsuid(call: &mut Call<'_>) -> Result {
    let (id, old) = (call.uint(0), call.task.creds().fsuid);
    let _ = change(call, |creds| {
        allow(creds, &[id], &[creds.uid, creds.euid, creds.suid, creds.fsuid])?;
        set(&mut creds.fsuid, id);
        Ok(())
    });
    Ok(old.into())
}

fn setfsgid(call: &mut Call<'_>) -> Result {
    let (id, old) = (call.uint(0), call.task.creds().fsgid);
    let _ = change(call, |creds| {
        allow(creds, &[id], &[creds.gid, creds.egid, creds.sgid, creds.fsgid])?;
        set(&mut creds.fsgid, id);
        Ok(())
    });
    Ok(old.into())
}

fn write_three(call: &mut Call<'_>, ids: [u32; 3]) -> Result {
    for (index, id) in ids.iter().enumerate() {
        call.write(call.args[index], id)?;
    }
    Ok(0)
}

fn getresuid(call: &mut Call<'_>) -> Result {
    let creds = call.task.creds();
    write_three(call, [creds.uid, creds.euid, creds.suid])
}

fn getresgid(call: &mut Call<'_>) -> Result {
    let creds = call.task.creds();
    write_three(call, [creds.gid, creds.egid, creds.sgid])
}

/// The most further groups: Linux' NGROUPS_MAX.
const MOST_GROUPS: u32 = 65_536;

fn getgroups(call: &mut Call<'_>) -> Result {
    let creds = call.task.creds();
    let (count, room) = (creds.groups().len(), call.int(0));
    let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
    if room == 0 {
        return Ok(count as u64);
    }
    if room < count {
        return Err(Errno::EINVAL);
    }
    for (index, group) in creds.groups().iter().enumerate() {
        call.write(call.args[1].wrapping_add(4 * index as u64), group)?;
    }
    Ok(count as u64)
}

fn setgroups(call: &mut Call<'_>) -> Result {
    call.task.creds().require_root()?;
    let count = call.uint(0);
    if count > MOST_GROUPS {
        return Err(Errno::EINVAL);
    }
    let mut groups = Vec::new();
    groups.try_reserve_exact(count as usize).map_err(|_| Errno::ENOMEM)?;
    for index in 0..count {
        let group: u32 = call.read(call.args[1].wrapping_add(4 * u64::from(index)))?;
        groups.push(group);
    }
    let groups = try_arc(groups)?;
    change(call, |creds| {
        creds.groups = Some(Arc::clone(&groups));
        Ok(())
    })
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_getuid, |call| Ok(call.task.creds().uid.into())),
    (nr::__NR_geteuid, |call| Ok(call.task.creds().euid.into())),
    (nr::__NR_getgid, |call| Ok(call.task.creds().gid.into())),
    (nr::__NR_getegid, |call| Ok(call.task.creds().egid.into())),
    (nr::__NR_getresuid, getresuid),
    (nr::__NR_getresgid, getresgid),
    (nr::__NR_setuid, setuid),
    (nr::__NR_setgid, setgid),
    (nr::__NR_setreuid, setreuid),
    (nr::__NR_setregid, setregid),
    (nr::__NR_setresuid, setresuid),
    (nr::__NR_setresgid, setresgid),
    (nr::__NR_setfsuid, setfsuid),
    (nr::__NR_setfsgid, setfsgid),
    (nr::__NR_getgroups, getgroups),
    (nr::__NR_setgroups, setgroups),
];
