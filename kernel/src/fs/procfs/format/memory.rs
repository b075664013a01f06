//! `/proc/meminfo`, and lines of `kB` as there and in smaps.

use crate::fs::pseudo::Text;
use crate::fs::pseudo::text::write_decimal;

/// Columns of the name with its colon, and of the whole line as long as the number has 8 digits at most.
const NAME: usize = 16;
const NUMBER: usize = NAME + 8;
const LINE: usize = NUMBER + 4;
/// The least number that makes a line longer.
const TOO_WIDE: u64 = 100_000_000;

/// The line of a name with the number 0.
const fn line_of(name: &str) -> [u8; LINE] {
    let mut line = [b' '; LINE];
    let name = name.as_bytes();
    assert!(name.len() < NAME, "a name that fits");
    let mut at = 0;
    while at < name.len() {
        line[at] = name[at];
        at += 1;
    }
    line[at] = b':';
    line[NUMBER - 1] = b'0';
    [line[NUMBER + 1], line[NUMBER + 2], line[NUMBER + 3]] = [b'k', b'B', b'\n'];
    line
}

/// A line as Linux prints it: the number ends in the 24th column.
pub fn kb_line(to: &mut Text, name: &str, kb: u64) {
    // The colon belongs to the name and stands before the padding.
    to.put(name.as_bytes());
    to.put(&b":               "[..NAME.saturating_sub(name.len()).max(1)]);
    to.put_decimal(kb, NUMBER - NAME);
    to.put(b" kB\n");
}

/// Lines that always come together, made once for all with zeros in them: most numbers of smaps are. Who
/// prints them copies the block and writes the digits of the others.
#[derive(Debug)]
pub struct KbLines<const N: usize, const BYTES: usize> {
    names: [&'static str; N],
    zeros: [u8; BYTES],
}

impl<const N: usize, const BYTES: usize> KbLines<N, BYTES> {
    /// `BYTES` is 28 for each name.
    pub const fn new(names: [&'static str; N]) -> Self {
        assert!(BYTES == N * LINE, "28 bytes a line");
        let mut zeros = [0; BYTES];
        let mut at = 0;
        while at < BYTES {
            zeros[at] = line_of(names[at / LINE])[at % LINE];
            at += 1;
        }
        Self { names, zeros }
    }

    /// Prints them with these numbers.
    pub fn print(&self, to: &mut Text, numbers: &[u64; N]) {
        if numbers.iter().any(|&kb| kb >= TOO_WIDE) {
            return self.names.iter().zip(numbers).for_each(|(name, &kb)| kb_line(to, name, kb));
        }
        let Some(block) = to.put_block(&self.zeros) else { return };
        for (line, &kb) in block.as_chunks_mut::<LINE>().0.iter_mut().zip(numbers) {
            if kb != 0 {
                write_decimal(&mut line[NAME..NUMBER], kb);
            }
        }
    }
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
    fn lines_together_are_the_lines_one_by_one() {
        const LINES: KbLines<3, 84> = KbLines::new(["Rss", "KernelPageSize", "Private_Hugetlb"]);
        for numbers in [[0, 1, 10], [99_999_999, 12_345_678, 0], [100_000_000, 4, 0], [u64::MAX, 0, 7]] {
            let (mut together, mut single) = (Text::new(), Text::new());
            LINES.print(&mut together, &numbers);
            LINES.names.iter().zip(numbers).for_each(|(name, kb)| {
                let padding = 16 - name.len();
                single.print(format_args!("{name}{:<padding$}{kb:>8} kB\n", ":"));
            });
            assert_eq!(together.bytes(), single.bytes());
        }
    }

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
