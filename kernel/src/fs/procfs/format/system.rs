//! Files about the whole system: `stat`, `uptime`, `loadavg`.

use super::{TICKS, ticks};
use crate::fs::pseudo::Text;
use core::fmt;

/// What a CPU did, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CpuTime {
    /// As a program.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Nothing.
    pub idle: u64,
}

impl CpuTime {
    fn print(&self, to: &mut Text, name: fmt::Arguments<'_>) {
        let (user, system, idle) = (ticks(self.user), ticks(self.system), ticks(self.idle));
        // user nice system idle iowait irq softirq steal guest guest_nice
        to.print(format_args!("{name} {user} 0 {system} {idle} 0 0 0 0 0 0\n"));
    }
}

/// The values of `/proc/stat`.
pub struct SystemStat<'a> {
    /// Each CPU that runs, by its number.
    pub cpus: &'a [(usize, CpuTime)],
    /// Interrupts.
    pub interrupts: u64,
    /// Switches from one thread to another.
    pub switches: u64,
    /// When it was booted, in seconds since 1970.
    pub boot_time: i64,
    /// Tasks ever made.
    pub forks: u64,
    /// Threads that run or could.
    pub running: u64,
    /// Threads that wait for a disk.
    pub blocked: u64,
}

impl SystemStat<'_> {
    /// The file.
    pub fn print(&self, to: &mut Text) {
        let mut all = CpuTime::default();
        for (_, cpu) in self.cpus {
            all.user += cpu.user;
            all.system += cpu.system;
            all.idle += cpu.idle;
        }
        // Two blanks, as in Linux.
        all.print(to, format_args!("cpu "));
        for (number, cpu) in self.cpus {
            cpu.print(to, format_args!("cpu{number}"));
        }
        to.print(format_args!("intr {}\n", self.interrupts));
        to.print(format_args!("ctxt {}\nbtime {}\n", self.switches, self.boot_time));
        to.print(format_args!("processes {}\n", self.forks));
        to.print(format_args!("procs_running {}\nprocs_blocked {}\n", self.running, self.blocked));
        to.put(b"softirq 0 0 0 0 0 0 0 0 0 0 0\n");
    }
}

/// Nanoseconds, as seconds with two digits behind the point.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = ticks(self.0);
        write!(f, "{}.{:02}", hundredths / TICKS, hundredths % TICKS)
    }
}

/// `/proc/uptime`: nanoseconds since boot, and those that all CPUs were idle.
pub fn uptime(to: &mut Text, up: u64, idle: u64) {
    to.print(format_args!("{} {}\n", Seconds(up), Seconds(idle)));
}

/// Of a load as a number with that many bits behind the point.
pub const LOAD_SHIFT: u32 = 11;

/// `/proc/loadavg`: averages over 1, 5 and 15 minutes, running and all threads, the newest process.
pub fn loadavg(to: &mut Text, loads: [u64; 3], running: u64, threads: u64, newest: u32) {
    for load in loads {
        // Rounded to the nearest hundredth.
        let load = load + (1 << LOAD_SHIFT) / 200;
        let hundredths = ((load & ((1 << LOAD_SHIFT) - 1)) * 100) >> LOAD_SHIFT;
        to.print(format_args!("{}.{hundredths:02} ", load >> LOAD_SHIFT));
    }
    to.print(format_args!("{running}/{threads} {newest}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::new();
        print(&mut text);
        String::from_utf8(text.into_bytes().expect("memory")).expect("text")
    }

    #[test]
    fn times_and_loads() {
        assert_eq!(printed(|to| uptime(to, 12_345_678_901, 9_999_999)), "12.34 0.00\n");
        let loads = [1 << LOAD_SHIFT, (1 << LOAD_SHIFT) / 4, 0];
        assert_eq!(printed(|to| loadavg(to, loads, 1, 42, 7)), "1.00 0.25 0.00 1/42 7\n");
        // Never 100 hundredths.
        assert_eq!(printed(|to| loadavg(to, [2047; 3], 0, 0, 0)), "1.00 1.00 1.00 0/0 0\n");
    }

    #[test]
    fn the_sums_of_cpus() {
        let second = 1_000_000_000;
        let cpus = [
            (0, CpuTime { user: second, system: 2 * second, idle: 3 * second }),
            (2, CpuTime { user: 0, system: 0, idle: 6 * second }),
        ];
        let stat = SystemStat {
            cpus: &cpus,
            interrupts: 1,
            switches: 2,
            boot_time: 3,
            forks: 4,
            running: 5,
            blocked: 0,
        };
        let expected = "cpu  100 0 200 900 0 0 0 0 0 0\n\
                        cpu0 100 0 200 300 0 0 0 0 0 0\n\
                        cpu2 0 0 0 600 0 0 0 0 0 0\n\
                        intr 1\nctxt 2\nbtime 3\nprocesses 4\nprocs_running 5\nprocs_blocked 0\n\
                        softirq 0 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(printed(|to| stat.print(to)), expected);
    }
}
