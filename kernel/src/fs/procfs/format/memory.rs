//! `/proc/meminfo`, and lines of `kB` as there and in smaps.

use crate::fs::pseudo::Text;

/// A line as Linux prints it: the number ends in the 24th column.
pub fn kb_line(to: &mut Text, name: &str, kb: u64) {
    // The colon belongs to the name and stands before the padding.
    to.put(name.as_bytes());
    to.print(format_args!("{:<1$}", ":", 16_usize.saturating_sub(name.len())));
    to.print(format_args!("{kb:>8} kB\n"));
}

/// What there is, in kB.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MemInfo {
    /// All that the kernel manages.
    pub total: u64,
    /// In no use.
    pub free: u64,
    /// What programs could get.
    pub available: u64,
    /// Pages of files.
    pub cached: u64,
    /// Pages of programs alone.
    pub anonymous: u64,
    /// Locked by programs.
    pub locked: u64,
    /// Pages of files in some program's tables.
    pub mapped: u64,
    /// Shared memory; here that is every file.
    pub shared: u64,
    /// Small objects and the heap.
    pub slab: u64,
    /// Stacks of the kernel.
    pub stacks: u64,
    /// Page tables, really allocated.
    pub tables: u64,
    /// What may be promised, and what is.
    pub commit: (u64, u64),
}

impl MemInfo {
    /// The file. No page is aged here: all that programs use counts as active.
    pub fn print(&self, to: &mut Text) {
        for (name, kb) in [
            ("MemTotal", self.total),
            ("MemFree", self.free),
            ("MemAvailable", self.available),
            ("Buffers", 0),
            ("Cached", self.cached),
            ("SwapCached", 0),
            ("Active", self.anonymous + self.cached),
            ("Inactive", 0),
            ("Active(anon)", self.anonymous + self.shared),
            ("Inactive(anon)", 0),
            ("Active(file)", self.cached.saturating_sub(self.shared)),
            ("Inactive(file)", 0),
            ("Unevictable", 0),
            ("Mlocked", self.locked),
            ("SwapTotal", 0),
            ("SwapFree", 0),
            ("Dirty", 0),
            ("Writeback", 0),
            ("AnonPages", self.anonymous),
            ("Mapped", self.mapped),
            ("Shmem", self.shared),
            ("KReclaimable", 0),
            ("Slab", self.slab),
            ("SReclaimable", 0),
            ("SUnreclaim", self.slab),
            ("KernelStack", self.stacks),
            ("PageTables", self.tables),
            ("Bounce", 0),
            ("WritebackTmp", 0),
            ("CommitLimit", self.commit.0),
            ("Committed_AS", self.commit.1),
        ] {
            kb_line(to, name, kb);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what Linux 6.1 printed on s390x, the lines that this kernel prints.
    const LINUX: &str = "\
MemTotal:         498652 kB
MemFree:          480384 kB
MemAvailable:     480348 kB
Buffers:               0 kB
Cached:              668 kB
SwapCached:            0 kB
Active:              724 kB
Inactive:              0 kB
Active(anon):        724 kB
Inactive(anon):        0 kB
Active(file):          0 kB
Inactive(file):        0 kB
Unevictable:           0 kB
Mlocked:               0 kB
SwapTotal:             0 kB
SwapFree:              0 kB
Dirty:                 0 kB
Writeback:             0 kB
AnonPages:            56 kB
Mapped:              560 kB
Shmem:               668 kB
KReclaimable:          0 kB
Slab:               3724 kB
SReclaimable:          0 kB
SUnreclaim:         3724 kB
KernelStack:         704 kB
PageTables:           48 kB
Bounce:                0 kB
WritebackTmp:          0 kB
CommitLimit:      249324 kB
Committed_AS:       2136 kB
";

    #[test]
    fn as_linux_prints_it() {
        let info = MemInfo {
            total: 498_652,
            free: 480_384,
            available: 480_348,
            cached: 668,
            anonymous: 56,
            locked: 0,
            mapped: 560,
            shared: 668,
            slab: 3724,
            stacks: 704,
            tables: 48,
            commit: (249_324, 2136),
        };
        let mut text = Text::new();
        info.print(&mut text);
        assert_eq!(core::str::from_utf8(text.bytes().expect("memory")), Ok(LINUX));
    }
}
