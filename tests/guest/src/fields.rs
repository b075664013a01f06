//! `guest-tests fields`: the same mappings on every kernel, and every field that is told about them.
//!
//! Numbers of kB are printed in hundredths of a page (a page is 4 kB on one machine and 64 kB on
//! another), addresses and inodes not at all: so what is printed is the same wherever the kernel says the
//! same. `fields.expected` has it, with the lines in which Linux and Fallow differ marked; the host
//! compares both with it.

use crate::harness::child::fork;
use crate::harness::memory::{Map, page, poke, touch};
use crate::harness::{Failure, Folder, Outcome, SELF};
use crate::sys;
use libc::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE,
    MAP_SHARED, MAP_STACK, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE,
};
use std::io::Read;
use std::ops::Range;

const RW: i32 = PROT_READ | PROT_WRITE;
const ANONYMOUS: i32 = MAP_PRIVATE | MAP_ANONYMOUS;
/// Pages of each mapping.
const PAGES: usize = 4;

/// Prints it all; the result is the exit status.
pub fn run() -> i32 {
    // A child: what this process itself has is the C library's.
    match fork(report).and_then(|child| child.succeeds()) {
        Ok(()) => 0,
        Err(failure) => {
            println!("{failure:?}");
            1
        }
    }
}

/// Mappings side by side in a room of their own, each with a page before it that nobody may use.
struct Room {
    room: Map,
    next: usize,
    named: Vec<(String, Range<u64>)>,
    folder: Folder,
}

impl Room {
    fn new() -> Result<Self, Failure> {
        let room = Map::new(0, 400 * page(), PROT_NONE, ANONYMOUS | MAP_NORESERVE, -1, 0)?;
        Ok(Self { room, next: page(), named: Vec::new(), folder: Folder::new("fields")? })
    }

    /// A file of its own for each mapping, so that pages are of one mapping unless it is said.
    fn file(&self) -> Result<i32, Failure> {
        let path = self.folder.c(&format!("file{}", self.named.len()));
        let file = sys!(open(path.as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o644)) as i32;
        // Little at a time: a large buffer would make the heap grow, which is counted here.
        let content = [7_u8; 4096];
        for _ in 0..(PAGES + 2) * page() / content.len() {
            sys!(write(file, content.as_ptr().cast(), content.len()));
        }
        Ok(file)
    }

    /// Maps; of a file from its second page on.
    #[track_caller]
    fn map(&mut self, name: &str, protection: i32, flags: i32) -> Result<usize, Failure> {
        let file = if flags & MAP_ANONYMOUS != 0 { -1 } else { self.file()? };
        let at = self.map_file(name, protection, flags, file)?;
        if file >= 0 {
            sys!(close(file));
        }
        Ok(at)
    }

    #[track_caller]
    fn map_file(&mut self, name: &str, protection: i32, flags: i32, file: i32) -> Result<usize, Failure> {
        let at = self.room.start as usize + self.next;
        let offset = if file < 0 { 0 } else { page() as i64 };
        let flags = flags | MAP_FIXED;
        // SAFETY: inside of the room.
        let start = unsafe { libc::mmap(at as *mut _, PAGES * page(), protection, flags, file, offset) };
        crate::harness::call(start as i64, "mmap()")?;
        self.named.push((name.into(), at as u64..(at + PAGES * page()) as u64));
        self.next += (PAGES + 1) * page();
        Ok(at)
    }

    /// Maps, and writes to the first so many pages.
    #[track_caller]
    fn written(&mut self, name: &str, flags: i32, pages: usize) -> Result<usize, Failure> {
        let at = self.map(name, RW, flags)?;
        (0..pages).for_each(|n| poke((at + n * page()) as *mut u8, 1));
        Ok(at)
    }

    /// Maps, and reads the first so many pages.
    #[track_caller]
    fn read(&mut self, name: &str, protection: i32, flags: i32, pages: usize) -> Result<usize, Failure> {
        let at = self.map(name, protection, flags)?;
        (0..pages).for_each(|n| touch((at + n * page()) as *const u8));
        Ok(at)
    }

    /// Maps, writes to three pages, and gives the kernel advice about all.
    #[track_caller]
    fn advised(&mut self, name: &str, advice: i32) -> Outcome {
        let at = self.written(name, ANONYMOUS, 3)?;
        sys!(madvise(at as *mut _, PAGES * page(), advice));
        Ok(())
    }
}

fn report() -> Outcome {
    let before = Memory::now()?;
    let mut room = Room::new()?;
    build(&mut room)?;
    let after = Memory::now()?;

    fields_of_a_record()?;
    for (name, range) in &room.named {
        println!("=== {name}");
        records(range)?;
    }
    println!("=== numbers of status and statm, and what the mappings added to them");
    after.print(&before);
    names("/proc/self/status", ':')?;
    status()?;
    names("/proc/self/smaps_rollup", ':')?;
    rollup_is_the_sum()?;
    stat()?;
    own_records()?;
    forked(&room)?;
    ended()
}

fn build(room: &mut Room) -> Outcome {
    room.map("anonymous, untouched", RW, ANONYMOUS)?;
    room.written("anonymous, three pages written", ANONYMOUS, 3)?;
    room.read("anonymous, two pages read", RW, ANONYMOUS, 2)?;
    room.read("anonymous, read-only, read", PROT_READ, ANONYMOUS, PAGES)?;
    let at = room.read("anonymous, read, then written", RW, ANONYMOUS, PAGES)?;
    poke(at as *mut u8, 1);
    room.map("anonymous, no access", PROT_NONE, ANONYMOUS)?;
    room.written("anonymous, NORESERVE", ANONYMOUS | MAP_NORESERVE, 1)?;
    room.written("anonymous, STACK", ANONYMOUS | MAP_STACK, 1)?;
    room.map("anonymous, POPULATE", RW, ANONYMOUS | MAP_POPULATE)?;
    room.map("anonymous, LOCKED", RW, ANONYMOUS | MAP_LOCKED)?;
    room.map("anonymous, executable", RW | PROT_EXEC, ANONYMOUS)?;
    room.written("GROWSDOWN", ANONYMOUS | MAP_GROWSDOWN, PAGES)?;

    room.map("private file, untouched", RW, MAP_PRIVATE)?;
    room.read("private file, read-only, read", PROT_READ, MAP_PRIVATE, PAGES)?;
    room.read("private file, one page read", RW, MAP_PRIVATE, 1)?;
    let at = room.read("private file, read, two pages written", RW, MAP_PRIVATE, PAGES)?;
    (0..2).for_each(|n| poke((at + n * page()) as *mut u8, 1));
    room.read("private file, executable", PROT_READ | PROT_EXEC, MAP_PRIVATE, PAGES)?;
    room.map("shared file, untouched", RW, MAP_SHARED)?;
    room.read("shared file, read", RW, MAP_SHARED, PAGES)?;
    room.written("shared file, all pages written", MAP_SHARED, PAGES)?;
    room.read("shared file, read-only", PROT_READ, MAP_SHARED, PAGES)?;
    let file = room.file()?;
    for name in ["one file, mapped twice: shared", "one file, mapped twice: private"] {
        let flags = if name.ends_with("shared") { MAP_SHARED } else { MAP_PRIVATE };
        let at = room.map_file(name, RW, flags, file)?;
        (0..PAGES).for_each(|n| touch((at + n * page()) as *const u8));
    }
    sys!(close(file));
    room.read("private file, deleted, read", PROT_READ, MAP_PRIVATE, PAGES)?;
    let path = room.folder.c(&format!("file{}", room.named.len() - 1));
    sys!(unlink(path.as_ptr()));
    room.map("shared anonymous, untouched", RW, MAP_SHARED | MAP_ANONYMOUS)?;
    room.written("shared anonymous, two pages written", MAP_SHARED | MAP_ANONYMOUS, 2)?;

    let at = room.written("made read-only", ANONYMOUS, 3)?;
    sys!(mprotect(at as *mut _, PAGES * page(), PROT_READ));
    let at = room.written("made inaccessible", ANONYMOUS, 3)?;
    sys!(mprotect(at as *mut _, PAGES * page(), PROT_NONE));
    let at = room.written("middle made read-only", ANONYMOUS, PAGES)?;
    sys!(mprotect((at + page()) as *mut _, 2 * page(), PROT_READ));
    let at = room.written("cut, and whole again", ANONYMOUS, 3)?;
    sys!(mprotect((at + page()) as *mut _, page(), PROT_READ));
    sys!(mprotect((at + page()) as *mut _, page(), RW));
    let at = room.written("first half locked", ANONYMOUS, 1)?;
    sys!(mlock(at as *const _, 2 * page()));
    let at = room.written("locked, and no more", ANONYMOUS, 1)?;
    sys!(mlock(at as *const _, PAGES * page()));
    sys!(munlock(at as *const _, PAGES * page()));
    let at = room.read("locked file", PROT_READ, MAP_SHARED, 1)?;
    sys!(mlock(at as *const _, PAGES * page()));

    room.advised("DONTNEED", libc::MADV_DONTNEED)?;
    room.advised("DONTFORK", libc::MADV_DONTFORK)?;
    room.advised("WIPEONFORK", libc::MADV_WIPEONFORK)?;
    room.advised("DONTDUMP", libc::MADV_DONTDUMP)?;
    room.advised("SEQUENTIAL", libc::MADV_SEQUENTIAL)?;
    room.advised("RANDOM", libc::MADV_RANDOM)?;
    room.advised("WILLNEED", libc::MADV_WILLNEED)?;
    room.advised("COLD", libc::MADV_COLD)?;
    let at = room.written("hole in the middle", ANONYMOUS, PAGES)?;
    sys!(munmap((at + page()) as *mut _, page()));
    Ok(())
}

/// What smaps, maps and pagemap tell of the mappings of that range, and that they agree. Of the fields
/// those that are not 0, in their order.
fn records(range: &Range<u64>) -> Outcome {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(found) = header(line) else { continue };
        let inside = found.start < range.end && found.end > range.start;
        let mut fields = Vec::new();
        while let Some(line) = lines.next_if(|line| header(line).is_none()) {
            fields.push(line);
        }
        if inside {
            crate::check!(maps.lines().any(|other| other == line), "maps has no {line}");
            show_header(line, &found, range);
            let (flags, numbers): (Vec<&str>, _) =
                fields.iter().partition(|line| line.starts_with("VmFlags"));
            let numbers: Vec<String> = numbers.into_iter().filter_map(number).collect();
            println!("{}", numbers.join(" "));
            flags.iter().for_each(|line| show_flags(line));
            pages(&found)?;
        }
    }
    Ok(())
}

/// The flags but `sd`, which Linux sets on whatever was mapped since somebody asked for pages that are
/// written to: Fallow lacks that.
fn show_flags(line: &str) {
    let words: Vec<&str> = line.split_whitespace().filter(|word| *word != "sd").collect();
    println!("{}", words.join(" "));
}

/// The names of the fields of one record, in their order, and what pages there are.
fn fields_of_a_record() -> Outcome {
    println!("=== a record of smaps");
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    for line in text.lines().skip(1).take_while(|line| header(line).is_none()) {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.ends_with("PageSize") {
            println!("{name} {}", in_pages(value).unwrap_or(u64::MAX));
        } else {
            let width = value.len() - value.trim_start().len();
            let unit = if value.ends_with(" kB") { "kB" } else { "no unit" };
            println!("{name}, {} columns, {unit}", if name == "VmFlags" { width } else { value.len() });
        }
    }
    Ok(())
}

/// kB in hundredths of a page.
fn in_pages(value: &str) -> Option<u64> {
    let kb: u64 = value.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kb * 100 * 1024 / page() as u64)
}

/// A field that is not 0.
fn number(line: &str) -> Option<String> {
    let (name, value) = line.split_once(':')?;
    let value = in_pages(value).map_or_else(|| value.trim().into(), |pages| pages.to_string());
    (value != "0" && !name.ends_with("PageSize")).then(|| format!("{name} {value}"))
}

/// A header's addresses.
fn header(line: &str) -> Option<Range<u64>> {
    let (start, end) = line.split(' ').next()?.split_once('-')?;
    Some(u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?)
}

/// Pages from the room's own begin, rights, offset in pages, whether there is a device and an inode, name.
fn show_header(line: &str, found: &Range<u64>, range: &Range<u64>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let word = |n: usize| words.get(n).copied().unwrap_or("?");
    let from = found.start.wrapping_sub(range.start) as i64 / page() as i64;
    let size = (found.end - found.start) / page() as u64;
    let offset = u64::from_str_radix(word(2), 16).unwrap_or(u64::MAX) / page() as u64;
    let device = if word(3) == "00:00" { "none" } else { "some" };
    let inode = if word(4) == "0" { "none" } else { "some" };
    let name = words.get(5..).unwrap_or_default().join(" ");
    // The folder's name ends with a process' number.
    let name = match name.split_once("/fields.") {
        Some((before, rest)) => {
            format!("{before}/fields{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => name,
    };
    let line = format!("{from}+{size} {} offset {offset} device {device} inode {inode} {name}", word(1));
    println!("{}", line.trim_end());
}

/// What pagemap says of each page: present, of a file or shared, mapped here alone, written to since
/// somebody cleared that.
fn pages(range: &Range<u64>) -> Outcome {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open("/proc/self/pagemap")?;
    let mut line = String::from("pagemap:");
    for at in (range.start..range.end).step_by(page()) {
        let mut entry = [0; 8];
        file.read_exact_at(&mut entry, at / page() as u64 * 8)?;
        let entry = u64::from_ne_bytes(entry);
        let letters = [(63, 'p'), (62, 's'), (61, 'f'), (56, 'x')];
        let bits: String = letters.iter().filter(|(bit, _)| entry >> bit & 1 != 0).map(|(_, c)| c).collect();
        line += if bits.is_empty() { " -" } else { " " };
        line += &bits;
        crate::check!(entry >> 63 == 0 || entry & ((1 << 55) - 1) != 0, "no frame: {entry:x}");
    }
    println!("{line}");
    Ok(())
}

/// The names of a file's lines, in their order.
fn names(path: &str, end: char) -> Outcome {
    println!("=== names in {path}");
    let text = std::fs::read_to_string(path)?;
    let names = text.lines().filter_map(|line| line.split_once(end));
    names.filter(|(name, _)| !name.contains(' ')).for_each(|(name, _)| println!("{name}"));
    Ok(())
}

/// The sums of smaps_rollup are those of smaps.
fn rollup_is_the_sum() -> Outcome {
    println!("=== sums");
    // A buffer that is touched before: reading must not change what is read.
    let mut texts = [vec![1_u8; 1 << 17], vec![1_u8; 1 << 17]];
    for (text, name) in texts.iter_mut().zip(["smaps", "smaps_rollup"]) {
        text.clear();
        std::fs::File::open(format!("/proc/self/{name}"))?.read_to_end(text)?;
    }
    let sum = |text: &[u8], name: &str| -> u64 {
        let text = String::from_utf8_lossy(text).into_owned();
        let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.filter_map(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).sum()
    };
    for name in ["Rss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous"] {
        let [whole, rolled] = texts.each_ref().map(|text| sum(text, name));
        println!("{name} {}", if whole == rolled { "equal".into() } else { format!("{whole} {rolled}") });
    }
    Ok(())
}

/// Memory as status and statm have it, in pages.
struct Memory(Vec<(String, u64)>);

impl Memory {
    fn now() -> Result<Self, Failure> {
        let text = std::fs::read_to_string("/proc/self/status")?;
        let kb = page() as u64 / 1024;
        let mut all: Vec<(String, u64)> = Vec::new();
        for name in ["VmSize", "VmLck", "VmPin", "VmData", "VmStk", "VmExe", "VmLib", "VmSwap"] {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            all.push((name.into(), number.ok_or_else(|| Failure::new(format!("no {name}")))? / kb));
        }
        let text = std::fs::read_to_string("/proc/self/statm")?;
        let names = ["size", "resident", "shared", "text", "lib", "data", "dt"];
        for (name, word) in names.iter().zip(text.split_whitespace()) {
            // What is resident is told late by Linux, which counts on each CPU.
            if !["resident", "shared"].contains(name) {
                all.push((format!("statm {name}"), word.parse().unwrap_or(u64::MAX)));
            }
        }
        Ok(Self(all))
    }

    fn print(&self, before: &Self) {
        for ((name, after), (_, before)) in self.0.iter().zip(&before.0) {
            println!("{name} +{}", *after as i64 - *before as i64);
        }
    }
}

/// The rows of status that do not depend on when and where it runs.
fn status() -> Outcome {
    println!("=== rows of /proc/self/status");
    let text = std::fs::read_to_string("/proc/self/status")?;
    let other = [
        "Tgid",
        "Pid",
        "PPid",
        "NStgid",
        "NSpid",
        "NSpgid",
        "NSsid",
        "VmPeak",
        "VmSize",
        "VmHWM",
        "VmRSS",
        "VmLck",
        "RssAnon",
        "RssFile",
        "RssShmem",
        "VmData",
        "VmStk",
        "VmExe",
        "VmLib",
        "VmPTE",
        "SigQ",
        "Cpus_allowed",
        "Cpus_allowed_list",
        "Mems_allowed",
        "Speculation_Store_Bypass",
        "SpeculationIndirectBranch",
        "voluntary_ctxt_switches",
        "nonvoluntary_ctxt_switches",
    ];
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or_default();
        if !other.contains(&name) {
            println!("{name}:{}", value.trim_end().replace('\t', " "));
        }
    }
    let row = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(u64::MAX / 4)
    };
    let same = |name: &str, value: i64| {
        println!("{name} {}", if row(name) as i64 == value { "equal" } else { "other" })
    };
    let id = i64::from(std::process::id());
    ["Tgid", "Pid", "NStgid", "NSpid"].iter().for_each(|name| same(name, id));
    same("PPid", sys!(getppid()));
    same("NSpgid", sys!(getpgrp()));
    same("NSsid", sys!(getsid(0)));
    same("VmRSS", (row("RssAnon") + row("RssFile") + row("RssShmem")) as i64);
    println!("VmPeak {}", if row("VmPeak") >= row("VmSize") { "more" } else { "less" });
    println!("VmHWM {}", if row("VmHWM") >= row("VmRSS") { "more" } else { "less" });
    println!("VmPTE {}", if (1..4096).contains(&row("VmPTE")) { "some" } else { "none" });
    Ok(())
}

/// The fields of stat that do not depend on when and where it runs.
fn stat() -> Outcome {
    println!("=== fields of /proc/self/stat");
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (start, rest) = text.rsplit_once(") ").unwrap_or_default();
    println!("2 {})", start.split_once(' ').map_or("?", |(_, name)| name));
    let fields: Vec<&str> = rest.split_whitespace().collect();
    println!("fields {}", fields.len() + 2);
    // Numbered as in proc(5), from 1 on; the third is the first here.
    for number in [3, 9, 18, 19, 20, 21, 25, 31, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 43, 44, 52] {
        println!("{number} {}", fields.get(number - 3).unwrap_or(&"?"));
    }
    let number = |n: usize| fields.get(n - 3).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    let same =
        |n: usize, value: i64| println!("{n} {}", if number(n) as i64 == value { "equal" } else { "other" });
    same(4, sys!(getppid()));
    same(5, sys!(getpgrp()));
    same(6, sys!(getsid(0)));
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = |n: usize| statm.split(' ').nth(n).and_then(|word| word.parse::<i64>().ok()).unwrap_or(-1);
    same(23, pages(0) * page() as i64);
    println!("7 {}", if number(7) > 0 { "a terminal" } else { "none" });
    println!("10 {}", if number(10) > 100 { "some" } else { "none" });
    println!("22 {}", if number(22) > 0 { "some" } else { "none" });
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    println!("39 {}", if number(39) < cpus { "a CPU" } else { "none" });
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let of = |name: &str, rights: &str| {
        let fits = |line: &&str| line.ends_with(name) && line.contains(rights);
        maps.lines().find(fits).and_then(header).unwrap_or(0..0)
    };
    let within = |range: Range<u64>, at: u64| if range.contains(&at) { "within" } else { "elsewhere" };
    println!("startcode {}", within(of(SELF, "r-xp"), number(26)));
    println!("endcode {}", within(of(SELF, "r-xp"), number(27) - 1));
    println!("startstack {}", within(of("[stack]", "rw-p"), number(28)));
    println!("start_data {}", within(of(SELF, "rw-p"), number(45)));
    println!("arg_start {}", within(of("[stack]", "rw-p"), number(48)));
    println!("env_end {}", within(of("[stack]", "rw-p"), number(51) - 1));
    // It may be in two parts, and what is mapped before it may belong to it.
    let heaps = || maps.lines().filter(|line| line.ends_with("[heap]")).filter_map(header);
    let all =
        heaps().map(|heap| heap.start).min().unwrap_or(0)..heaps().map(|heap| heap.end).max().unwrap_or(0);
    println!("start_brk {}", within(all, number(47)));
    Ok(())
}

/// The program's own mappings: names, rights, flags.
fn own_records() -> Outcome {
    let text = std::fs::read_to_string("/proc/self/smaps")?;
    println!("=== the program's own mappings");
    let (mut shown, mut last) = (false, String::new());
    for line in text.lines() {
        if header(line).is_some() {
            let name = line.split_whitespace().nth(5).unwrap_or_default();
            // One heap may be two mappings.
            shown = [SELF, "[heap]", "[stack]"].contains(&name) && (last != name || name == SELF);
            last = name.into();
            if shown {
                println!("{} {name}", line.split(' ').nth(1).unwrap_or_default());
            }
        } else if shown && line.starts_with("VmFlags") {
            show_flags(line);
        }
    }
    Ok(())
}

/// After a fork, a page of each mapping is written by the child: who has what.
fn forked(room: &Room) -> Outcome {
    let mut ends = [0; 2];
    let mut back = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    sys!(pipe(back.as_mut_ptr()));
    let names = [
        "anonymous, three pages written",
        "anonymous, two pages read",
        "private file, read, two pages written",
        "shared anonymous, two pages written",
        "shared file, all pages written",
        "DONTFORK",
        "WIPEONFORK",
    ];
    let chosen = || room.named.iter().filter(|(name, _)| names.contains(&name.as_str()));
    let child = fork(|| {
        for (name, range) in chosen() {
            if name != "DONTFORK" {
                poke(range.start as *mut u8, 2);
            }
        }
        for (name, range) in chosen() {
            println!("=== in a child that wrote to the first page: {name}");
            records(range)?;
        }
        sys!(write(back[1], [1_u8].as_ptr().cast(), 1));
        let mut byte = [0_u8];
        sys!(read(ends[0], byte.as_mut_ptr().cast(), 1));
        Ok(())
    })?;
    let mut byte = [0_u8];
    sys!(read(back[0], byte.as_mut_ptr().cast(), 1));
    for (name, range) in chosen() {
        println!("=== while a child has it too: {name}");
        records(range)?;
    }
    sys!(write(ends[1], [1_u8].as_ptr().cast(), 1));
    child.succeeds()?;
    for (name, range) in chosen() {
        println!("=== after the child's end: {name}");
        records(range)?;
    }
    Ok(())
}

/// What the files of a process say that ended and was not yet waited for.
fn ended() -> Outcome {
    println!("=== a process that ended");
    let child = fork(|| Ok(()))?;
    child.reaches('Z')?;
    for name in ["maps", "smaps", "smaps_rollup", "statm", "pagemap"] {
        let path = format!("/proc/{}/{name}", child.0);
        let mut bytes = vec![0; 4096];
        match std::fs::File::open(path).and_then(|mut file| file.read(&mut bytes)) {
            Ok(count) if name == "statm" => {
                println!("{name} {}", String::from_utf8_lossy(&bytes[..count]).trim_end());
            }
            Ok(count) => println!("{name} {count} bytes"),
            Err(error) => println!("{name} {error}"),
        }
    }
    child.succeeds()
}
