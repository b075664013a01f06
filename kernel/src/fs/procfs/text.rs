//! What the files of a process say.

use super::fds::path_of;
use super::format::stat::{self, Stat};
use super::format::status::{Memory, Status};
use super::format::{limits as limits_format, ticks};
use super::task::Whose;
use crate::addr::VirtAddr;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::fs::inode::Target;
use crate::fs::mount::{self, Mount};
use crate::fs::pseudo::Text;
use crate::fs::{Place, walk};
use crate::mm::space::{Marks, Mm, MmStats};
use crate::proc::process::limits::Resource;
use crate::proc::process::try_current;
use crate::sync::MaySleep;
use crate::sync::context::TaskName;
use alloc::sync::Arc;
use alloc::vec::Vec;
use linux_raw_sys::general as linux;

/// Linux' PF_RANDOMIZE, which every program has there, and PF_FORKNOEXEC.
const RANDOMIZED: u32 = 0x0040_0000;
const FORKED: u32 = 0x40;
/// Bytes that are copied at once from another program's memory.
const BOUNCE: usize = 512;

/// Does something with the process' memory, which stays meanwhile. `None`: it has none (any more).
pub(super) fn with_space<R>(
    ctx: &mut MaySleep,
    whose: &Whose,
    work: impl FnOnce(&mut MaySleep, &Mm) -> R,
) -> Option<R> {
    let space = whose.task.process().space()?;
    let result = work(ctx, &space);
    space.end_use(ctx);
    Some(result)
}

/// The state letter, of the process or of the thread.
fn state(whose: &Whose) -> char {
    if whose.whole { whose.task.process().state_letter() } else { whose.task.state_letter() }
}

/// The name, of the process or of the thread.
fn name(whose: &Whose) -> TaskName {
    if whose.whole { whose.task.process().name() } else { whose.task.name() }
}

pub(super) fn stat(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    let process = whose.task.process();
    let name = name(whose);
    let (usage, children) =
        (if whose.whole { process.usage() } else { whose.task.usage() }, process.children_usage());
    let session = process.session();
    let terminal = session.terminal();
    let shown = with_space(ctx, whose, |_, space| (space.stats(), space.marks()));
    let (memory, marks) = shown.unwrap_or_default();
    let state = state(whose);
    let nice = process.nice();
    // Addresses are for those who may look into the process.
    let marks = if whose.may_look().is_ok() { marks } else { Default::default() };
    let [own, shared, blocked, ignored, caught] = whose.task.signal_sets();
    let stat = Stat {
        pid: whose.task.tid(),
        name: name.as_str().as_bytes(),
        state,
        parent: process.parent_pid(),
        group: process.group_id(),
        session: session.id(),
        terminal: terminal.as_ref().map_or(0, |terminal| terminal.device()),
        foreground: terminal.as_ref().map_or(-1, |terminal| terminal.foreground() as i32),
        flags: if process.has_execed() { RANDOMIZED } else { RANDOMIZED | FORKED },
        faults: [usage.faults, children.faults],
        times: [usage.user, usage.system, children.user, children.system].map(ticks),
        priority: 20 + nice,
        nice,
        threads: process.thread_count(),
        start: ticks(process.started()),
        size: memory.total * memory.page_bytes,
        resident: memory.resident(),
        resident_limit: process.limits().soft(Resource::Resident),
        code: marks.code,
        stack: marks.stack,
        signals: [own | shared, blocked, ignored, caught],
        waits: matches!(state, 'S' | 'D'),
        exit_signal: 17,
        cpu: whose.task.cpu(),
        data: marks.data,
        brk: marks.brk.0,
        args: marks.args,
        env: marks.env,
        exit_code: 0,
    };
    stat.print(to);
    Ok(())
}

pub(super) fn statm(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    let shown = with_space(ctx, whose, |_, space| (space.stats(), space.marks()));
    let (memory, marks) = shown.unwrap_or_default();
    let shared = memory.file + memory.shmem;
    let text = program_text(&memory, &marks);
    stat::statm(to, memory.total, memory.resident(), shared, text, memory.data + memory.stack);
    Ok(())
}

/// Pages of the program's own code; what else may be executed is a library's, for Linux.
fn program_text(memory: &MmStats, marks: &Marks) -> u64 {
    let (start, end) = marks.code;
    let bytes = memory.page_bytes.max(1);
    (end.div_ceil(bytes).saturating_sub(start / bytes)).min(memory.text)
}

/// Numbers of pages, in kB.
fn in_kb(memory: &MmStats, marks: &Marks) -> Memory {
    let kb = |pages: u64| pages * memory.page_bytes / 1024;
    let text = program_text(memory, marks);
    Memory {
        peak: kb(memory.most_total),
        size: kb(memory.total),
        locked: kb(memory.locked),
        high_water: kb(memory.most_resident.max(memory.resident())),
        resident: [memory.anon, memory.file, memory.shmem].map(kb),
        data: kb(memory.data),
        stack: kb(memory.stack),
        text: kb(text),
        libraries: kb(memory.text - text),
        tables: memory.table_bytes / 1024,
    }
}

pub(super) fn status(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    const ALL: u64 = 0x1ff_ffff_ffff;
    let process = whose.task.process();
    let creds = whose.task.creds();
    let memory = with_space(ctx, whose, |_, space| in_kb(&space.stats(), &space.marks()));
    let capabilities = if creds.is_root() { ALL } else { 0 };
    let name = name(whose);
    let status = Status {
        name: name.as_str().as_bytes(),
        umask: whose.task.fs_of().map(|fs| fs.umask()),
        state: state(whose),
        tgid: process.pid(),
        pid: whose.task.tid(),
        parent: process.parent_pid(),
        uids: [creds.uid, creds.euid, creds.suid, creds.fsuid],
        gids: [creds.gid, creds.egid, creds.sgid, creds.fsgid],
        descriptors: 64,
        groups: creds.groups(),
        group_and_session: (process.group_id(), process.session().id()),
        memory,
        threads: process.thread_count(),
        queued: (0, process.limits().soft(Resource::Pending)),
        signals: whose.task.signal_sets(),
        capabilities: [0, capabilities, capabilities, ALL, 0],
        no_new_privileges: false,
        cpus: whose.task.with_thread(|thread| thread.allowed()).unwrap_or(CpuSet::ALL),
        switches: (0, 0),
    };
    status.print(to);
    Ok(())
}

pub(super) fn comm(_ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.put(name(whose).as_str().as_bytes());
    to.put(b"\n");
    Ok(())
}

pub(super) fn set_comm(_ctx: &mut MaySleep, whose: &Whose, bytes: &[u8]) -> Result<(), Errno> {
    let own = try_current().is_none_or(|task| Arc::ptr_eq(task.process(), whose.task.process()));
    if !own {
        return Err(Errno::EINVAL);
    }
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let name = TaskName::new(text.trim_end_matches('\n'));
    if whose.whole {
        whose.task.process().set_name(name);
    } else {
        whose.task.set_name(name);
    }
    Ok(())
}

/// Copies strings from the process' memory. What is not there any more is left out.
fn strings(
    ctx: &mut MaySleep,
    whose: &Whose,
    to: &mut Text,
    range: impl FnOnce(&Mm) -> (u64, u64),
) -> Result<(), Errno> {
    with_space(ctx, whose, |ctx, space| {
        let (mut at, end) = range(space);
        let mut buffer = [0; BOUNCE];
        while at < end {
            let count = (end - at).min(BOUNCE as u64) as usize;
            if space.read_remote(ctx, VirtAddr::new(at), &mut buffer[..count]).is_err() {
                break;
            }
            to.put(&buffer[..count]);
            at += count as u64;
        }
    });
    Ok(())
}

pub(super) fn cmdline(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    strings(ctx, whose, to, |space| space.marks().args)
}

pub(super) fn environ(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    strings(ctx, whose, to, |space| space.marks().env)
}

pub(super) fn limits(_ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    limits_format::print(to, |number| {
        let limit = whose.task.process().limits().get(number);
        (limit.soft, limit.hard)
    });
    Ok(())
}

/// Calls with each mount, and its path.
fn each_mount(ctx: &mut MaySleep, mut visit: impl FnMut(&Arc<Mount>, &[u8])) -> Result<(), Errno> {
    let root = mount::root().ok_or(Errno::ENOENT)?;
    // The list is gathered first: paths are found by reading directories.
    let mut all: Vec<Arc<Mount>> = Vec::new();
    let mut failed = false;
    root.mount.visit(&mut |mount| {
        failed |= all.try_reserve(1).is_err();
        if !failed {
            all.push(mount.clone());
        }
    });
    if failed {
        return Err(Errno::ENOMEM);
    }
    for mount in all {
        match walk::path_of_directory(ctx, &mount.root(), &root) {
            Ok(path) => visit(&mount, &path),
            // Taken away meanwhile.
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What breaks a line of `mounts`.
const SPECIAL: &[u8] = b" \t\n";

fn mount_flags(mount: &Mount, to: &mut Text) {
    let flags = mount.flags();
    to.put(if flags & linux::MS_RDONLY != 0 { b"ro" } else { b"rw" });
    for (flag, name) in [
        (linux::MS_NOSUID, ",nosuid"),
        (linux::MS_NODEV, ",nodev"),
        (linux::MS_NOEXEC, ",noexec"),
        (linux::MS_NOATIME, ",noatime"),
    ] {
        if flags & flag != 0 {
            to.put(name.as_bytes());
        }
    }
}

pub(super) fn mounts(ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    mounts_of_all(ctx, to)
}

/// `/proc/mounts`: there is one tree for all.
pub(super) fn mounts_of_all(ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    each_mount(ctx, |mount, path| {
        to.put_escaped(mount.source(), SPECIAL);
        to.put(b" ");
        to.put_escaped(path, SPECIAL);
        to.print(format_args!(" {} ", mount.filesystem().name()));
        mount_flags(mount, to);
        // An error is a want of memory, and remembered.
        let _ = mount.filesystem().options(to);
        to.put(b" 0 0\n");
    })
}

pub(super) fn mountinfo(ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    each_mount(ctx, |mount, path| {
        let up = mount.covers().map_or(mount.id(), |place| place.mount.id());
        let device = mount.device();
        to.print(format_args!("{} {up} {}:{} / ", mount.id(), device.major, device.minor));
        to.put_escaped(path, SPECIAL);
        to.put(b" ");
        mount_flags(mount, to);
        to.print(format_args!(" - {} ", mount.filesystem().name()));
        to.put_escaped(mount.source(), SPECIAL);
        to.put(b" rw");
        let _ = mount.filesystem().options(to);
        to.put(b"\n");
    })
}

pub(super) fn exe(_ctx: &mut MaySleep, whose: &Whose) -> Result<Target, Errno> {
    whose.task.process().executable().map(Target::Open).ok_or(Errno::ENOENT)
}

pub(super) fn exe_path(ctx: &mut MaySleep, whose: &Whose) -> Result<Vec<u8>, Errno> {
    let file = whose.task.process().executable().ok_or(Errno::ENOENT)?;
    path_of(ctx, &file)
}

fn cwd_place(whose: &Whose) -> Result<Place, Errno> {
    Ok(whose.task.fs_of().ok_or(Errno::ENOENT)?.cwd())
}

fn root_place(whose: &Whose) -> Result<Place, Errno> {
    Ok(whose.task.fs_of().ok_or(Errno::ENOENT)?.root())
}

pub(super) fn cwd(_ctx: &mut MaySleep, whose: &Whose) -> Result<Target, Errno> {
    cwd_place(whose).map(Target::Place)
}

pub(super) fn root(_ctx: &mut MaySleep, whose: &Whose) -> Result<Target, Errno> {
    root_place(whose).map(Target::Place)
}

fn directory_path(ctx: &mut MaySleep, place: &Place) -> Result<Vec<u8>, Errno> {
    let root = mount::root().ok_or(Errno::ENOENT)?;
    walk::path_of_directory(ctx, place, &root)
}

pub(super) fn cwd_path(ctx: &mut MaySleep, whose: &Whose) -> Result<Vec<u8>, Errno> {
    let place = cwd_place(whose)?;
    directory_path(ctx, &place)
}

pub(super) fn root_path(ctx: &mut MaySleep, whose: &Whose) -> Result<Vec<u8>, Errno> {
    let place = root_place(whose)?;
    directory_path(ctx, &place)
}

/// How likely it is to be ended when memory is short: its share of memory in thousandths, and what was
/// added to that.
pub(super) fn oom_score(ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    let used = with_space(ctx, whose, |_, space| {
        let memory = space.stats();
        memory.resident() * memory.page_bytes + memory.table_bytes
    });
    let all = crate::mm::stats::kb(crate::mm::frames().counts().managed).max(1);
    let share = (used.unwrap_or(0) / 1024 * 1000 / all) as i64;
    let adjusted = (share + i64::from(whose.task.process().oom_score_adj())).clamp(0, 1000);
    to.print(format_args!("{adjusted}\n"));
    Ok(())
}

pub(super) fn oom_score_adj(_ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.print(format_args!("{}\n", whose.task.process().oom_score_adj()));
    Ok(())
}

pub(super) fn set_oom_score_adj(_ctx: &mut MaySleep, whose: &Whose, bytes: &[u8]) -> Result<(), Errno> {
    whose.may_look()?;
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    let value: i32 = text.trim().parse().map_err(|_| Errno::EINVAL)?;
    if !(-1000..=1000).contains(&value) {
        return Err(Errno::EINVAL);
    }
    let process = whose.task.process();
    let is_root = try_current().is_none_or(|task| task.creds().is_root());
    if value < process.oom_score_adj() && !is_root {
        return Err(Errno::EACCES);
    }
    process.set_oom_score_adj(value);
    Ok(())
}

/// The older scale, from -17 to 15.
pub(super) fn oom_adj(_ctx: &mut MaySleep, whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    let value = whose.task.process().oom_score_adj();
    to.print(format_args!("{}\n", if value == 1000 { 15 } else { value * 17 / 1000 }));
    Ok(())
}

/// In which function of the kernel it waits: not told.
pub(super) fn wchan(_ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.put(b"0");
    Ok(())
}

/// There is one group of all.
pub(super) fn cgroup(_ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.put(b"0::/\n");
    Ok(())
}

/// Nobody logged in: -1 as a number without a sign.
pub(super) fn no_user(_ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.put(b"4294967295");
    Ok(())
}

pub(super) fn personality(_ctx: &mut MaySleep, _whose: &Whose, to: &mut Text) -> Result<(), Errno> {
    to.put(b"00000000\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_programs_code_is_a_librarys() {
        let memory = MmStats { page_bytes: 4096, text: 10, ..MmStats::default() };
        let marks = |start, end| Marks { code: (start, end), ..Marks::default() };
        let split = |start, end| {
            let shown = in_kb(&memory, &marks(start, end));
            (shown.text, shown.libraries)
        };
        assert_eq!(split(0x1000_0000, 0x1000_2001), (12, 28));
        assert_eq!(split(0x1000_0800, 0x1000_2000), (8, 32));
        assert_eq!(split(0, 0), (0, 40));
        assert_eq!(split(0, 1 << 40), (40, 0), "some of it is unmapped");
    }
}
