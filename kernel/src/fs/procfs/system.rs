//! Files about the whole system.

use super::format::memory::MemInfo;
use super::format::system::{CpuTime, LOAD_SHIFT, SystemStat, loadavg, uptime};
use super::text::mounts_of_all;
use crate::arch::MAX_CPUS;
use crate::arch::current::{abi, cpuinfo, timer};
use crate::error::Errno;
use crate::fs::file::FileOps;
use crate::fs::pseudo::node::entry;
use crate::fs::pseudo::{Entry, Node, OpenSequence, Sequence, Text};
use crate::fs::{Time, mount};
use crate::mm::frame::Kind;
use crate::mm::stats::kb;
use crate::mm::{self, pgtable};
use crate::proc::process::{self, names, pid, try_current};
use crate::proc::sched;
use crate::sync::MaySleep;
use crate::sync::latency::{self, Off};
use crate::{cmdline, rcu, symbols};
use alloc::sync::Arc;
use arrayvec::ArrayVec;

/// The root's own names.
pub(super) static FILES: [Entry; 21] = [
    entry("self", Node::Link(own_process)),
    entry("thread-self", Node::Link(own_thread)),
    entry("cmdline", Node::File(command_line)),
    entry("cpuinfo", Node::File(cpus)),
    entry("devices", Node::File(devices)),
    entry("filesystems", Node::File(filesystems)),
    entry("interrupts", Node::File(interrupts)),
    entry("kallsyms", Node::Open(0o400, open_symbols)),
    entry("loadavg", Node::File(load)),
    entry("meminfo", Node::File(memory)),
    entry("mounts", Node::File(mounts_of_all)),
    entry("partitions", Node::File(partitions)),
    entry("rcu", Node::File(grace_periods)),
    entry("latency", Node::Setting(latencies, set_latencies)),
    entry("stat", Node::File(stat)),
    entry("swaps", Node::File(swaps)),
    entry("sys", Node::Directory(&SYS)),
    entry("tty", Node::Directory(&TTY)),
    entry("uptime", Node::File(up)),
    entry("version", Node::File(version)),
    entry("vmstat", Node::File(vmstat)),
];

static SYS: [Entry; 3] = [
    entry("fs", Node::Directory(&SYS_FS)),
    entry("kernel", Node::Directory(&SYS_KERNEL)),
    entry("vm", Node::Directory(&SYS_VM)),
];

static SYS_FS: [Entry; 2] = [
    entry("file-max", Node::File(|_, to| line(to, u64::MAX >> 1))),
    entry("nr_open", Node::File(|_, to| line(to, 1 << 20))),
];

static SYS_KERNEL: [Entry; 12] = [
    entry("cap_last_cap", Node::File(|_, to| line(to, 40))),
    entry(
        "domainname",
        Node::Setting(|_, to| line(to, names::get().1), |_, name| set(name, names::set_domain)),
    ),
    entry("hostname", Node::Setting(|_, to| line(to, names::get().0), |_, name| set(name, names::set_host))),
    entry("ngroups_max", Node::File(|_, to| line(to, 65536))),
    entry("osrelease", Node::File(|_, to| line(to, names::RELEASE))),
    entry("ostype", Node::File(|_, to| line(to, "Linux"))),
    entry("overflowgid", Node::File(|_, to| line(to, 65534))),
    entry("overflowuid", Node::File(|_, to| line(to, 65534))),
    entry("pid_max", Node::File(|_, to| line(to, pid::PID_MAX))),
    entry("random", Node::Directory(&RANDOM)),
    entry("threads-max", Node::File(|_, to| line(to, pid::PID_MAX))),
    entry("version", Node::File(|_, to| line(to, names::VERSION))),
];

static RANDOM: [Entry; 3] = [
    entry("boot_id", Node::File(boot_id)),
    entry("entropy_avail", Node::File(|_, to| line(to, 256))),
    entry(
        "uuid",
        Node::File(|_, to| {
            let mut bytes = [0; 16];
            crate::fs::dev::random::fill(&mut bytes);
            uuid(to, bytes)
        }),
    ),
];

static SYS_VM: [Entry; 3] = [
    entry("max_map_count", Node::File(|_, to| line(to, 65530))),
    entry("mmap_min_addr", Node::File(|_, to| line(to, 65536))),
    // Heuristic: a request that could never be met is refused.
    entry("overcommit_memory", Node::File(|_, to| line(to, 0))),
];

static TTY: [Entry; 1] = [entry(
    "drivers",
    Node::File(|_, to| {
        to.put(b"/dev/tty             /dev/tty        5       0 system:/dev/tty\n");
        to.put(b"/dev/console         /dev/console    5       1 system:console\n");
        Ok(())
    }),
)];

fn line(to: &mut Text, value: impl core::fmt::Display) -> Result<(), Errno> {
    to.print(format_args!("{value}\n"));
    Ok(())
}

/// Takes a name from a program that is root.
fn set(bytes: &[u8], store: fn(&[u8]) -> Result<(), Errno>) -> Result<(), Errno> {
    if try_current().is_some_and(|task| !task.creds().is_root()) {
        return Err(Errno::EPERM);
    }
    store(bytes.split(|&byte| byte == b'\n').next().unwrap_or_default())
}

fn uuid(to: &mut Text, mut bytes: [u8; 16]) -> Result<(), Errno> {
    // Version 4: random.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        to.print(format_args!("{}{byte:02x}", if [4, 6, 8, 10].contains(&index) { "-" } else { "" }));
    }
    to.put(b"\n");
    Ok(())
}

fn boot_id(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    static ID: crate::sync::Once<[u8; 16]> = crate::sync::Once::new();
    uuid(
        to,
        *ID.call_once(|| {
            let mut bytes = [0; 16];
            crate::fs::dev::random::fill(&mut bytes);
            bytes
        }),
    )
}

fn own_process(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let task = try_current().ok_or(Errno::ENOENT)?;
    to.print(format_args!("{}", task.process().pid()));
    Ok(())
}

fn own_thread(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let task = try_current().ok_or(Errno::ENOENT)?;
    to.print(format_args!("{}/task/{}", task.process().pid(), task.tid()));
    Ok(())
}

fn command_line(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    line(to, cmdline::get())
}

fn cpus(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    // An error is a want of memory, and remembered.
    let _ = cpuinfo::print(to, sched::online_cpus());
    Ok(())
}

fn devices(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.put(b"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n");
    Ok(())
}

fn filesystems(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    mount::for_each_kind(|kind| to.print(format_args!("nodev\t{kind}\n")));
    Ok(())
}

fn interrupts(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.put(b"           ");
    let cpus = sched::online_cpus();
    cpus.iter().for_each(|cpu| to.print(format_args!("CPU{cpu:<8}")));
    to.put(b"\n");
    for (kind, (name, what)) in sched::usage::INTERRUPTS.iter().enumerate() {
        to.print(format_args!("{name}: "));
        cpus.iter().for_each(|cpu| to.print(format_args!("{:>10} ", sched::usage::interrupts(cpu, kind))));
        to.print(format_args!("  {what}\n"));
    }
    Ok(())
}

fn load(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let (mut tasks, mut newest) = (0, 0);
    process::for_each(|process| {
        tasks += u64::from(process.thread_count());
        newest = process.pid();
    });
    loadavg(to, [sched::usage::load(LOAD_SHIFT); 3], runnable(), tasks, newest);
    Ok(())
}

/// Threads that run or could.
fn runnable() -> u64 {
    let of = |cpu| {
        let load = sched::load(cpu);
        u64::from(load.ready)
            + u64::from(load.running.is_some_and(|name| !name.as_str().starts_with("idle/")))
    };
    sched::online_cpus().iter().map(of).sum()
}

fn memory(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let counts = mm::frames().counts();
    let used = |kind: Kind| kb(counts.used[kind as usize]);
    let free = kb(counts.free + counts.cached);
    let (files, shared) = (used(Kind::File), used(Kind::Shmem));
    let (mut locked, mut mapped) = (0, 0);
    process::for_each(|process| {
        // A look at its numbers, not a use of its memory.
        if let Some(stats) = process.memory_stats() {
            locked += stats.locked * stats.page_bytes / 1024;
            mapped += (stats.file + stats.shmem) * stats.page_bytes / 1024;
        }
    });
    let cached = files + shared;
    let total = kb(counts.managed);
    let info = MemInfo {
        total,
        free,
        available: free,
        cached,
        anonymous: used(Kind::User),
        locked,
        // Pages that several map are counted once by Linux; at most all are mapped.
        mapped: mapped.min(cached),
        shared: cached,
        slab: used(Kind::Slab) + used(Kind::Heap),
        stacks: used(Kind::Stack),
        tables: pgtable::kernel::memory().table_bytes() as u64 / 1024,
        commit: (total, mm::space::committed_pages() * crate::arch::PAGE_SIZE / 1024),
    };
    info.print(to);
    Ok(())
}

fn partitions(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.put(b"major minor  #blocks  name\n\n");
    Ok(())
}

fn swaps(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.put(b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    Ok(())
}

fn grace_periods(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let totals = rcu::totals();
    to.print(format_args!("grace periods:      {}\n", rcu::grace_periods()));
    to.print(format_args!("callbacks queued:   {}\n", totals.queued()));
    to.print(format_args!("  done:             {}\n", totals.done));
    to.print(format_args!("  wait:             {}\n", totals.wait));
    to.print(format_args!("  next:             {}\n", totals.next));
    to.print(format_args!("longest queue:      {}\n", totals.most));
    to.print(format_args!("callbacks invoked:  {}\n", totals.invoked));
    to.print(format_args!("stalls:             {}\n", rcu::kernel::stalls()));
    longest(to);
    Ok(())
}

/// The longest stretches without interrupts and without preemption, where they are measured.
fn longest(to: &mut Text) {
    for off in Off::ALL {
        for cpu in sched::online_cpus().iter() {
            if let Some((nanoseconds, place)) = latency::longest(cpu, off) {
                to.print(format_args!("CPU {cpu}: {} off for {nanoseconds} ns at {place}\n", off.name()));
            }
        }
    }
}

fn latencies(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.print(format_args!("measured: {}\n", u8::from(latency::counts())));
    longest(to);
    Ok(())
}

/// `1` begins anew, `0` ends.
fn set_latencies(_ctx: &mut MaySleep, bytes: &[u8]) -> Result<(), Errno> {
    match bytes.trim_ascii() {
        b"1" => {
            latency::reset();
            latency::count(true);
        }
        b"0" => latency::count(false),
        _ => return Err(Errno::EINVAL),
    }
    Ok(())
}

fn stat(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let mut cpus: ArrayVec<(usize, CpuTime), MAX_CPUS> = ArrayVec::new();
    let mut interrupts = 0;
    for cpu in sched::online_cpus().iter() {
        let (user, system) = sched::usage::ticks(cpu);
        let idle = sched::usage::idle(cpu);
        let busy = timer::now().saturating_sub(idle);
        // Ticks say how the busy time is divided.
        let share = (u128::from(busy) * u128::from(user) / u128::from((user + system).max(1))) as u64;
        cpus.push((cpu, CpuTime { user: share, system: busy - share, idle }));
        interrupts +=
            (0..sched::usage::INTERRUPTS.len()).map(|kind| sched::usage::interrupts(cpu, kind)).sum::<u64>();
    }
    let stat = SystemStat {
        cpus: &cpus,
        interrupts,
        switches: sched::usage::switches(),
        boot_time: Time::now().seconds - (timer::now() / 1_000_000_000) as i64,
        forks: pid::given(),
        running: runnable(),
        blocked: 0,
    };
    stat.print(to);
    Ok(())
}

fn up(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let idle = sched::online_cpus().iter().map(sched::usage::idle).sum();
    uptime(to, timer::now(), idle);
    Ok(())
}

fn version(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    to.print(format_args!(
        "Linux version {} (Fallow) (rustc) {} {}\n",
        names::RELEASE,
        names::VERSION,
        abi::MACHINE
    ));
    Ok(())
}

fn vmstat(_ctx: &mut MaySleep, to: &mut Text) -> Result<(), Errno> {
    let counts = mm::frames().counts();
    let used = |kind: Kind| counts.used[kind as usize];
    for (name, value) in [
        ("nr_free_pages", counts.free + counts.cached),
        ("nr_anon_pages", used(Kind::User)),
        ("nr_file_pages", used(Kind::File) + used(Kind::Shmem)),
        ("nr_shmem", used(Kind::File) + used(Kind::Shmem)),
        ("nr_kernel_stack", used(Kind::Stack) * (crate::arch::PAGE_SIZE as usize / 1024)),
        ("nr_page_table_pages", used(Kind::PageTable)),
        ("nr_slab_unreclaimable", used(Kind::Slab) + used(Kind::Heap)),
        ("nr_waiting_for_grace_period", mm::shared_frames().waiting()),
        ("pgpgin", 0),
        ("pgpgout", 0),
        ("pswpin", 0),
        ("pswpout", 0),
        ("pgmajfault", 0),
    ] {
        to.print(format_args!("{name} {value}\n"));
    }
    Ok(())
}

/// The kernel's functions, some at a time.
struct SymbolLines(usize);

/// For root alone: where the kernel lies is nobody else's business.
fn open_symbols() -> Result<Arc<dyn FileOps>, Errno> {
    OpenSequence::open(SymbolLines(0))
}

impl Sequence for SymbolLines {
    fn rewind(&mut self) {
        self.0 = 0;
    }
    fn next(&mut self, _ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        const BATCH: usize = 32;
        let Some(symbols) = symbols::kernel() else { return Ok(false) };
        for _ in 0..BATCH {
            let Some((address, name)) = symbols.get(self.0) else { return Ok(false) };
            to.print(format_args!("{address:016x} t {name}\n"));
            self.0 += 1;
        }
        Ok(true)
    }
}
