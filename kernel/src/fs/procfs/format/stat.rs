//! `/proc/PID/stat` and `statm`.

use crate::fs::pseudo::Text;

/// The values of `stat`, in its order; times in clock ticks. What Linux has kept for old programs, or
/// what this kernel does not have, is 0 there and not here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stat<'a> {
    /// Its number.
    pub pid: u32,
    /// Its name, as it is.
    pub name: &'a [u8],
    /// `R`, `S`, `D`, `T`, `Z` ...
    pub state: char,
    /// Its parent.
    pub parent: u32,
    /// Its group.
    pub group: u32,
    /// Its session.
    pub session: u32,
    /// Its terminal's device number; 0: none.
    pub terminal: u32,
    /// The terminal's foreground group; -1: no terminal.
    pub foreground: i32,
    /// `PF_*`
    pub flags: u32,
    /// Page faults: its own, then those of its children that it waited for.
    pub faults: [u64; 2],
    /// Time as a program, in the kernel; then the same of its children.
    pub times: [u64; 4],
    /// 20 + nice.
    pub priority: i32,
    /// -20 to 19.
    pub nice: i32,
    /// Threads.
    pub threads: u32,
    /// When it began, in ticks since boot.
    pub start: u64,
    /// Bytes mapped.
    pub size: u64,
    /// Pages in memory.
    pub resident: u64,
    /// The limit on them.
    pub resident_limit: u64,
    /// Text: from and to.
    pub code: (u64, u64),
    /// The stack's beginning.
    pub stack: u64,
    /// Pending, blocked, ignored and caught signals, the first 31.
    pub signals: [u64; 4],
    /// Whether it waits for something in the kernel.
    pub waits: bool,
    /// The signal that its parent gets at its end.
    pub exit_signal: i32,
    /// Where it ran last.
    pub cpu: usize,
    /// Data: from and to.
    pub data: (u64, u64),
    /// Where `brk` began.
    pub brk: u64,
    /// Arguments: from and to.
    pub args: (u64, u64),
    /// Environment: from and to.
    pub env: (u64, u64),
    /// As `wait` tells it; 0 unless it has ended.
    pub exit_code: i32,
}

impl Stat<'_> {
    /// The line.
    pub fn print(&self, to: &mut Text) {
        to.print(format_args!("{} (", self.pid));
        to.put(self.name);
        let (parent, group, session) = (self.parent, self.group, self.session);
        to.print(format_args!(") {} {parent} {group} {session}", self.state));
        to.print(format_args!(" {} {} {}", self.terminal, self.foreground, self.flags));
        // minflt cminflt majflt cmajflt: nothing is read from a disk.
        to.print(format_args!(" {} {} 0 0", self.faults[0], self.faults[1]));
        self.times.iter().for_each(|time| to.print(format_args!(" {time}")));
        to.print(format_args!(" {} {} {} 0 {}", self.priority, self.nice, self.threads, self.start));
        to.print(format_args!(" {} {} {}", self.size, self.resident, self.resident_limit));
        // esp, eip: not told by Linux either, unless the process is dumping core.
        to.print(format_args!(" {} {} {} 0 0", self.code.0, self.code.1, self.stack));
        self.signals.iter().for_each(|set| to.print(format_args!(" {}", set & 0x7fff_ffff)));
        to.print(format_args!(" {} 0 0", u8::from(self.waits)));
        // rt_priority, policy, blkio_ticks, guest_time, cguest_time.
        to.print(format_args!(" {} {} 0 0 0 0 0", self.exit_signal, self.cpu));
        to.print(format_args!(" {} {} {}", self.data.0, self.data.1, self.brk));
        to.print(format_args!(" {} {}", self.args.0, self.args.1));
        to.print(format_args!(" {} {} {}\n", self.env.0, self.env.1, self.exit_code));
    }
}

/// `statm`: pages mapped, in memory, of these shared, of text, of data and stack.
pub fn statm(to: &mut Text, size: u64, resident: u64, shared: u64, text: u64, data: u64) {
    to.print(format_args!("{size} {resident} {shared} {text} 0 {data} 0\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_linux_prints_it() {
        let stat = Stat {
            pid: 1,
            name: b"init",
            state: 'R',
            foreground: -1,
            flags: 4_194_560,
            faults: [31, 0],
            times: [0, 2, 0, 0],
            priority: 20,
            threads: 1,
            start: 206,
            size: 10_502_144,
            resident: 1,
            resident_limit: u64::MAX,
            code: (16_777_216, 17_356_616),
            stack: 4_397_295_181_664,
            exit_signal: 17,
            data: (17_360_680, 17_383_496),
            brk: 28_946_432,
            args: (4_397_295_185_864, 4_397_295_185_888),
            env: (4_397_295_185_888, 4_397_295_185_906),
            ..Stat::default()
        };
        let mut text = Text::new();
        stat.print(&mut text);
        let linux = "1 (init) R 0 0 0 0 -1 4194560 31 0 0 0 0 2 0 0 20 0 1 0 206 10502144 1 \
                     18446744073709551615 16777216 17356616 4397295181664 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 \
                     0 17360680 17383496 28946432 4397295185864 4397295185888 4397295185888 \
                     4397295185906 0\n";
        assert_eq!(text.bytes(), Ok(linux.as_bytes()));
        assert_eq!(linux.split(' ').count(), 52);
    }

    #[test]
    fn pages() {
        let mut text = Text::new();
        statm(&mut text, 2564, 1, 0, 142, 2413);
        assert_eq!(text.bytes(), Ok(b"2564 1 0 142 0 2413 0\n".as_slice()));
    }
}
