//! A mapping as `/proc/PID/maps` shows it, and its record in smaps.

use super::memory::KbLines;
use crate::fs::DevNo;
use crate::fs::pseudo::Text;
use crate::mm::space::VmFlags;
use arrayvec::ArrayVec;
use core::ops::Range;

/// Columns before the path.
const PATH: usize = 73;

/// The line of a mapping, without its end: up to the path, if there is one.
pub struct Header<'a> {
    /// Its addresses.
    pub range: Range<u64>,
    /// How it is mapped.
    pub flags: VmFlags,
    /// Which byte of the object comes first.
    pub offset: u64,
    /// Whose inode it shows.
    pub device: DevNo,
    /// Which inode; 0: none.
    pub inode: u64,
    /// Its name: a path, or `[heap]` and the like.
    pub name: Option<&'a [u8]>,
}

impl Header<'_> {
    /// The line.
    pub fn print(&self, to: &mut Text) {
        let start = to.len();
        let flag = |flag, letter| if self.flags.has(flag) { letter } else { b'-' };
        to.put_hex(self.range.start, 8);
        to.put(b"-");
        to.put_hex(self.range.end, 8);
        let shared = if self.flags.has(VmFlags::MAY_SHARE) { b's' } else { b'p' };
        let [read, write, exec] =
            [flag(VmFlags::READ, b'r'), flag(VmFlags::WRITE, b'w'), flag(VmFlags::EXEC, b'x')];
        to.put(&[b' ', read, write, exec, shared, b' ']);
        to.put_hex(self.offset, 8);
        to.put(b" ");
        to.put_hex(self.device.major.into(), 2);
        to.put(b":");
        to.put_hex(self.device.minor.into(), 2);
        to.put(b" ");
        to.put_decimal(self.inode, 0);
        to.put(b" ");
        if let Some(name) = self.name {
            let width = PATH.saturating_sub(to.len() - start);
            to.put(&[b' '; PATH][..width]);
            // A newline, and that alone, would end the line early.
            for (part, piece) in name.split(|&byte| byte == b'\n').enumerate() {
                if part > 0 {
                    to.put(b"\\012");
                }
                to.put(piece);
            }
        }
        to.put(b"\n");
    }
}

/// What a mapping has in memory: sums over its pages, in bytes.
///
/// `pss` is in 4096ths of a byte, as in Linux: a page of seven mappers counts a seventh to each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Pages that are there.
    pub resident: u64,
    /// The same, each divided by those who map it; of these, what was written to.
    pub pss: u64,
    /// Of these, what was written to.
    pub pss_dirty: u64,
    /// Of anonymous pages, of files, of shared memory: parts of `pss`, for the rollup.
    pub pss_parts: [u64; 3],
    /// More than one maps them; not written to, written to.
    pub shared: (u64, u64),
    /// One maps them.
    pub private: (u64, u64),
    /// Used lately.
    pub referenced: u64,
    /// No file's.
    pub anonymous: u64,
    /// Locked: parts of `pss`, in 4096ths.
    pub locked: u64,
}

/// 4096ths in one.
pub const PSS_SHIFT: u32 = 12;

/// Kilobytes of a number of bytes, of one in 4096ths.
const fn kb(bytes: u64) -> u64 {
    bytes >> 10
}
const fn pss_kb(value: u64) -> u64 {
    value >> (10 + PSS_SHIFT)
}

/// A page, for the sums.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageUse {
    /// Its bytes.
    pub bytes: u64,
    /// How many map it; at least 1.
    pub mappers: u64,
    /// Whether it was written to, by anybody.
    pub dirty: bool,
    /// Whether it was used lately.
    pub referenced: bool,
    /// Which part of `pss_parts` it belongs to: 0 anonymous, 1 of a file, 2 of shared memory.
    pub part: usize,
    /// Whether its mapping is locked.
    pub locked: bool,
}

impl Usage {
    /// Adds `count` pages that are alike.
    pub fn add(&mut self, page: &PageUse, count: u64) {
        let bytes = page.bytes * count;
        self.resident += bytes;
        let share = (page.bytes << PSS_SHIFT) / page.mappers.max(1) * count;
        self.pss += share;
        if let Some(part) = self.pss_parts.get_mut(page.part) {
            *part += share;
        }
        if page.dirty {
            self.pss_dirty += share;
        }
        let of = if page.mappers > 1 { &mut self.shared } else { &mut self.private };
        *(if page.dirty { &mut of.1 } else { &mut of.0 }) += bytes;
        if page.referenced {
            self.referenced += bytes;
        }
        if page.part == 0 {
            self.anonymous += bytes;
        }
        if page.locked {
            self.locked += share;
        }
    }

    /// Adds the sums of another mapping.
    pub fn add_all(&mut self, other: &Self) {
        self.resident += other.resident;
        self.pss += other.pss;
        self.pss_dirty += other.pss_dirty;
        for (part, more) in self.pss_parts.iter_mut().zip(other.pss_parts) {
            *part += more;
        }
        self.shared.0 += other.shared.0;
        self.shared.1 += other.shared.1;
        self.private.0 += other.private.0;
        self.private.1 += other.private.1;
        self.referenced += other.referenced;
        self.anonymous += other.anonymous;
        self.locked += other.locked;
    }

    /// The numbers of the lines from `Shared_Clean:` to `Locked:`, in kB.
    fn rest(&self) -> [u64; 15] {
        let (shared, private) = (self.shared, self.private);
        let bytes = [shared.0, shared.1, private.0, private.1, self.referenced, self.anonymous];
        let mut all = [0; 15];
        all.iter_mut().zip(bytes).for_each(|(number, bytes)| *number = kb(bytes));
        all[14] = pss_kb(self.locked);
        all
    }
}

/// The lines from `Shared_Clean:` to `Locked:`, which end a record.
const REST: [&str; 15] = [
    "Shared_Clean",
    "Shared_Dirty",
    "Private_Clean",
    "Private_Dirty",
    "Referenced",
    "Anonymous",
    "LazyFree",
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Shared_Hugetlb",
    "Private_Hugetlb",
    "Swap",
    "SwapPss",
    "Locked",
];

/// Some lines, then [`REST`].
const fn with_rest<const N: usize, const ALL: usize>(first: [&'static str; N]) -> [&'static str; ALL] {
    let mut all = [""; ALL];
    let mut at = 0;
    while at < ALL {
        all[at] = if at < N { first[at] } else { REST[at - N] };
        at += 1;
    }
    all
}

static RECORD: KbLines<21, 588> =
    KbLines::new(with_rest(["Size", "KernelPageSize", "MMUPageSize", "Rss", "Pss", "Pss_Dirty"]));

static ROLLUP: KbLines<21, 588> =
    KbLines::new(with_rest(["Rss", "Pss", "Pss_Dirty", "Pss_Anon", "Pss_File", "Pss_Shmem"]));

/// Numbers, then those of [`Usage::rest`].
fn numbers(first: [u64; 6], usage: &Usage) -> [u64; 21] {
    let mut all = [0; 21];
    all.iter_mut().zip(first.into_iter().chain(usage.rest())).for_each(|(to, number)| *to = number);
    all
}

/// A record of smaps behind its header.
pub fn record(to: &mut Text, size: u64, page: (u64, u64), usage: &Usage, flags: VmFlags) {
    let (rss, pss, dirty) = (kb(usage.resident), pss_kb(usage.pss), pss_kb(usage.pss_dirty));
    let first = [kb(size), kb(page.0), kb(page.1), rss, pss, dirty];
    RECORD.print(to, &numbers(first, usage));
    to.put(b"THPeligible:    0\nVmFlags: ");
    let mut names = ArrayVec::<u8, { 3 * VmFlags::NAMES.len() + 1 }>::new();
    for (_, name) in VmFlags::NAMES.iter().filter(|(flag, _)| flags.has(*flag)) {
        names.extend(name.bytes().take(2).chain([b' ']));
    }
    names.push(b'\n');
    to.put(&names);
}

/// The only record of smaps_rollup, of all mappings between the two addresses.
pub fn rollup(to: &mut Text, range: Range<u64>, usage: &Usage) {
    let header = Header {
        range,
        flags: VmFlags::NONE,
        offset: 0,
        device: DevNo::default(),
        inode: 0,
        name: Some(b"[rollup]"),
    };
    header.print(to);
    let [anonymous, file, shmem] = usage.pss_parts.map(pss_kb);
    let first = [kb(usage.resident), pss_kb(usage.pss), pss_kb(usage.pss_dirty), anonymous, file, shmem];
    ROLLUP.print(to, &numbers(first, usage));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::new();
        print(&mut text);
        String::from_utf8(text.into_bytes().expect("memory")).expect("text")
    }

    const RX: VmFlags = VmFlags::NONE.set(VmFlags::READ, true).set(VmFlags::EXEC, true);
    const MAY: VmFlags =
        VmFlags::NONE.set(VmFlags::MAY_READ, true).set(VmFlags::MAY_WRITE, true).set(VmFlags::MAY_EXEC, true);

    #[test]
    fn headers_as_linux_prints_them() {
        let header = |range, flags, offset, inode, name| {
            let device = if inode == 0 { DevNo::default() } else { DevNo::new(0, 2) };
            printed(|to| Header { range, flags, offset, device, inode, name }.print(to))
        };
        let rw = VmFlags::READ | VmFlags::WRITE;
        assert_eq!(
            header(0x0100_0000..0x0108_e000, RX, 0, 5, Some(b"/init")),
            "01000000-0108e000 r-xp 00000000 00:02 5                                  /init\n"
        );
        assert_eq!(
            header(0x0108_e000..0x0109_2000, VmFlags::READ, 0x8_e000, 5, Some(b"/a\nb")),
            "0108e000-01092000 r--p 0008e000 00:02 5                                  /a\\012b\n"
        );
        assert_eq!(
            header(0x0109_5000..0x011b_a000, rw, 0, 0, None),
            "01095000-011ba000 rw-p 00000000 00:00 0 \n"
        );
        assert_eq!(
            header(0x3ff_d335_a000..0x3ff_d337_b000, rw, 0, 0, Some(b"[stack]")),
            "3ffd335a000-3ffd337b000 rw-p 00000000 00:00 0                            [stack]\n"
        );
    }

    #[test]
    fn a_record_as_linux_prints_it() {
        let mut usage = Usage::default();
        let page = PageUse { bytes: 4096, mappers: 1, dirty: true, referenced: true, part: 2, locked: false };
        usage.add(&page, 142);
        let linux = "\
Size:                568 kB
KernelPageSize:        4 kB
MMUPageSize:           4 kB
Rss:                 568 kB
Pss:                 568 kB
Pss_Dirty:           568 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         0 kB
Private_Dirty:       568 kB
Referenced:          568 kB
Anonymous:             0 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
THPeligible:    0
VmFlags: rd ex mr mw me \n";
        assert_eq!(printed(|to| record(to, 568 << 10, (4096, 4096), &usage, RX | MAY)), linux);
    }

    #[test]
    fn the_rollup_as_linux_prints_it() {
        let linux = "\
01000000-3ffd3391000 ---p 00000000 00:00 0                               [rollup]
Rss:                 648 kB
Pss:                 648 kB
Pss_Dirty:           644 kB
Pss_Anon:             68 kB
Pss_File:              4 kB
Pss_Shmem:           576 kB
Shared_Clean:          0 kB
Shared_Dirty:          0 kB
Private_Clean:         4 kB
Private_Dirty:       644 kB
Referenced:          648 kB
Anonymous:            68 kB
LazyFree:              0 kB
AnonHugePages:         0 kB
ShmemPmdMapped:        0 kB
FilePmdMapped:         0 kB
Shared_Hugetlb:        0 kB
Private_Hugetlb:       0 kB
Swap:                  0 kB
SwapPss:               0 kB
Locked:                0 kB
";
        let mut usage = Usage::default();
        let page =
            |part, dirty| PageUse { bytes: 4096, mappers: 1, dirty, referenced: true, part, locked: false };
        usage.add(&page(0, true), 17);
        usage.add(&page(1, false), 1);
        let mut all = Usage::default();
        all.add_all(&usage);
        usage = Usage::default();
        usage.add(&page(2, true), 144);
        all.add_all(&usage);
        assert_eq!(printed(|to| rollup(to, 0x0100_0000..0x3ff_d339_1000, &all)), linux);
    }

    #[test]
    fn a_shared_page_is_divided() {
        let mut usage = Usage::default();
        let page =
            PageUse { bytes: 65536, mappers: 3, dirty: false, referenced: false, part: 1, locked: true };
        usage.add(&page, 3);
        assert_eq!((kb(usage.resident), kb(usage.shared.0)), (192, 192));
        // Three thirds of 64 kB, each rounded down to a 4096th of a byte.
        assert_eq!(pss_kb(usage.pss + 3), 64);
        assert_eq!(usage.locked, usage.pss);
    }
}
