//! `/proc/PID/status`.

use crate::cpus::CpuSet;
use crate::fs::pseudo::Text;

/// What a process has in memory, in kB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// The most that was ever mapped.
    pub peak: u64,
    /// Mapped now.
    pub size: u64,
    /// Locked.
    pub locked: u64,
    /// The most that was ever in memory.
    pub high_water: u64,
    /// In memory: anonymous, of files, of shared memory.
    pub resident: [u64; 3],
    /// Private and writable.
    pub data: u64,
    /// The stack.
    pub stack: u64,
    /// The program's text.
    pub text: u64,
    /// Other text.
    pub libraries: u64,
    /// Page tables, really allocated.
    pub tables: u64,
}

/// The values of `status`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its umask; `None`: it has none any more.
    pub umask: Option<u32>,
    /// As in `stat`.
    pub state: char,
    /// The process.
    pub tgid: u32,
    /// The task.
    pub pid: u32,
    /// The parent.
    pub parent: u32,
    /// Real, effective, saved, file system.
    pub uids: [u32; 4],
    /// The same.
    pub gids: [u32; 4],
    /// Room for descriptors.
    pub descriptors: usize,
    /// Further groups.
    pub groups: &'a [u32],
    /// Its group and its session.
    pub group_and_session: (u32, u32),
    /// Its memory; `None`: it has none (any more).
    pub memory: Option<Memory>,
    /// Threads.
    pub threads: u32,
    /// Signals queued for its user, and how many may be.
    pub queued: (u64, u64),
    /// Pending for the task, for the process; blocked, ignored, caught.
    pub signals: [u64; 5],
    /// Capabilities: inheritable, permitted, effective, bounding, ambient.
    pub capabilities: [u64; 5],
    /// Whether `exec` gives it no privileges.
    pub no_new_privileges: bool,
    /// Where it may run.
    pub cpus: CpuSet,
    /// Switches that it asked for, and others.
    pub switches: (u64, u64),
}

/// What a state letter means.
pub const fn state_name(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk sleep",
        'T' => "stopped",
        't' => "tracing stop",
        'Z' => "zombie",
        'I' => "idle",
        _ => "dead",
    }
}

/// `Name:\tvalue`
macro_rules! row {
    ($to:expr, $name:literal, $($value:tt)*) => {
        $to.print(format_args!("{}:\t{}\n", $name, format_args!($($value)*)))
    };
}

impl Status<'_> {
    /// The file.
    pub fn print(&self, to: &mut Text) {
        to.put(b"Name:\t");
        to.put_escaped(self.name, b"\n");
        to.put(b"\n");
        if let Some(umask) = self.umask {
            row!(to, "Umask", "{umask:04o}");
        }
        row!(to, "State", "{} ({})", self.state, state_name(self.state));
        row!(to, "Tgid", "{}", self.tgid);
        row!(to, "Ngid", "0");
        row!(to, "Pid", "{}", self.pid);
        row!(to, "PPid", "{}", self.parent);
        row!(to, "TracerPid", "0");
        let [uid, euid, suid, fsuid] = self.uids;
        row!(to, "Uid", "{uid}\t{euid}\t{suid}\t{fsuid}");
        let [gid, egid, sgid, fsgid] = self.gids;
        row!(to, "Gid", "{gid}\t{egid}\t{sgid}\t{fsgid}");
        row!(to, "FDSize", "{}", self.descriptors);
        to.put(b"Groups:\t");
        self.groups.iter().for_each(|group| to.print(format_args!("{group} ")));
        // Linux' own blank behind the last one, kept for programs that compare.
        to.put(if self.groups.is_empty() { b" \n" } else { b"\n" });
        row!(to, "NStgid", "{}", self.tgid);
        row!(to, "NSpid", "{}", self.pid);
        row!(to, "NSpgid", "{}", self.group_and_session.0);
        row!(to, "NSsid", "{}", self.group_and_session.1);
        if let Some(memory) = &self.memory {
            memory.print(to);
        }
        row!(to, "Threads", "{}", self.threads);
        row!(to, "SigQ", "{}/{}", self.queued.0, self.queued.1);
        for (name, set) in ["SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt"].iter().zip(self.signals) {
            to.print(format_args!("{name}:\t{set:016x}\n"));
        }
        for (name, set) in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].iter().zip(self.capabilities) {
            to.print(format_args!("{name}:\t{set:016x}\n"));
        }
        row!(to, "NoNewPrivs", "{}", u8::from(self.no_new_privileges));
        row!(to, "Seccomp", "0");
        row!(to, "Seccomp_filters", "0");
        // Linux' words for a kernel that does not know, and has nothing to switch.
        row!(to, "Speculation_Store_Bypass", "unknown");
        row!(to, "SpeculationIndirectBranch", "unsupported");
        let mask = self.cpus.iter().fold(0_u64, |mask, cpu| mask | 1 << cpu);
        row!(to, "Cpus_allowed", "{mask:x}");
        row!(to, "Cpus_allowed_list", "{}", self.cpus);
        row!(to, "Mems_allowed", "1");
        row!(to, "Mems_allowed_list", "0");
        row!(to, "voluntary_ctxt_switches", "{}", self.switches.0);
        row!(to, "nonvoluntary_ctxt_switches", "{}", self.switches.1);
    }
}

impl Memory {
    fn print(&self, to: &mut Text) {
        let [anon, file, shmem] = self.resident;
        for (name, kb) in [
            ("VmPeak", self.peak),
            ("VmSize", self.size),
            ("VmLck", self.locked),
            ("VmPin", 0),
            ("VmHWM", self.high_water),
            ("VmRSS", anon + file + shmem),
            ("RssAnon", anon),
            ("RssFile", file),
            ("RssShmem", shmem),
            ("VmData", self.data),
            ("VmStk", self.stack),
            ("VmExe", self.text),
            ("VmLib", self.libraries),
            ("VmPTE", self.tables),
            ("VmSwap", 0),
            ("HugetlbPages", 0),
        ] {
            to.print(format_args!("{name}:\t{kb:8} kB\n"));
        }
        to.put(b"CoreDumping:\t0\nTHP_enabled:\t0\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Linux 6.1 printed on s390x, but for lines about what this kernel does not have: large
    /// pages, and mitigations of speculation.
    const LINUX: &str = "Name:\tinit
Umask:\t0022
State:\tR (running)
Tgid:\t1
Ngid:\t0
Pid:\t1
PPid:\t0
TracerPid:\t0
Uid:\t0\t0\t0\t0
Gid:\t0\t0\t0\t0
FDSize:\t64
Groups:\t \nNStgid:\t1
NSpid:\t1
NSpgid:\t0
NSsid:\t0
VmPeak:\t   10256 kB
VmSize:\t   10256 kB
VmLck:\t       0 kB
VmPin:\t       0 kB
VmHWM:\t       4 kB
VmRSS:\t       4 kB
RssAnon:\t       4 kB
RssFile:\t       0 kB
RssShmem:\t       0 kB
VmData:\t    9520 kB
VmStk:\t     132 kB
VmExe:\t     568 kB
VmLib:\t       8 kB
VmPTE:\t      64 kB
VmSwap:\t       0 kB
HugetlbPages:\t       0 kB
CoreDumping:\t0
THP_enabled:\t0
Threads:\t1
SigQ:\t0/1931
SigPnd:\t0000000000000000
ShdPnd:\t0000000000000000
SigBlk:\t0000000000000000
SigIgn:\t0000000000000000
SigCgt:\t0000000000000000
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t000001ffffffffff
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
NoNewPrivs:\t0
Seccomp:\t0
Seccomp_filters:\t0
Speculation_Store_Bypass:\tunknown
SpeculationIndirectBranch:\tunsupported
Cpus_allowed:\t1
Cpus_allowed_list:\t0
Mems_allowed:\t1
Mems_allowed_list:\t0
voluntary_ctxt_switches:\t144
nonvoluntary_ctxt_switches:\t53
";

    #[test]
    fn as_linux_prints_it() {
        const ALL: u64 = 0x1ff_ffff_ffff;
        let status = Status {
            name: b"init",
            umask: Some(0o22),
            state: 'R',
            tgid: 1,
            pid: 1,
            parent: 0,
            uids: [0; 4],
            gids: [0; 4],
            descriptors: 64,
            groups: &[],
            group_and_session: (0, 0),
            memory: Some(Memory {
                peak: 10256,
                size: 10256,
                locked: 0,
                high_water: 4,
                resident: [4, 0, 0],
                data: 9520,
                stack: 132,
                text: 568,
                libraries: 8,
                tables: 64,
            }),
            threads: 1,
            queued: (0, 1931),
            signals: [0; 5],
            capabilities: [0, ALL, ALL, ALL, 0],
            no_new_privileges: false,
            cpus: CpuSet::one(0),
            switches: (144, 53),
        };
        let mut text = Text::new();
        status.print(&mut text);
        assert_eq!(core::str::from_utf8(text.bytes().expect("memory")), Ok(LINUX));
    }
}
