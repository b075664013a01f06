//! `/proc/PID/page_tables` against what the program mapped.

use crate::harness::child::{Child, fork};
use crate::harness::memory::{Map, page, poke};
use crate::harness::{Failure, Outcome, on_linux};
use crate::{check, equal, sys, tests};
use std::collections::BTreeMap;
use std::io::Read;

tests![counts_and_places, what_is_unmapped_is_gone, any_size_of_buffer, not_for_everybody];

/// Far enough apart for a group of its own on every machine.
const STRIDE: usize = 64 << 20;
const PLACES: usize = 4;

/// A table, as its line says.
#[derive(Clone, Debug, PartialEq)]
struct Table {
    level: usize,
    range: std::ops::Range<u64>,
    at: u64,
    page: u64,
    fragment: (u64, u64),
    bytes: u64,
    part: (u64, u64),
    entries: (u64, u64),
    state: String,
    live: u64,
}

fn parse(line: &str) -> Option<Table> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let hex = |word: &str| u64::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let of = |word: &str| {
        let (first, second) = word.split_once('/')?;
        Some((first.parse().ok()?, second.parse().ok()?))
    };
    let names = [(2, "table"), (4, "page"), (6, "fragment"), (8, "bytes"), (10, "part"), (12, "entries")];
    if words.len() < 22 || names.iter().any(|(n, name)| words[*n] != *name) {
        return None;
    }
    let (start, end) = words[1].split_once('-')?;
    Some(Table {
        level: words[0].parse().ok()?,
        range: hex(start)?..hex(end)?,
        at: hex(words[3])?,
        page: hex(words[5])?,
        fragment: of(words[7])?,
        bytes: words[9].parse().ok()?,
        part: of(words[11])?,
        entries: of(words[13])?,
        state: words[14].into(),
        live: words[16].parse().ok()?,
    })
}

fn text_of(pid: i32, piece: usize) -> Result<String, Failure> {
    let mut file = std::fs::File::open(format!("/proc/{pid}/page_tables"))?;
    let (mut text, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}

fn tables_of(pid: i32) -> Result<Vec<Table>, Failure> {
    let text = text_of(pid, 4096)?;
    let parsed = |line| parse(line).ok_or_else(|| Failure::new(format!("a line of other words: {line}")));
    text.lines().skip(1).map(parsed).collect()
}

fn vm_pte(pid: i32) -> Result<u64, Failure> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmPTE:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok())
        .ok_or_else(|| Failure::new("no VmPTE"))
}

fn layout() -> Result<String, Failure> {
    let text = std::fs::read_to_string("/sys/kernel/mm/pgtable/layout")?;
    let chosen =
        text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(name, _)| name.to_owned());
    chosen.ok_or_else(|| Failure::new(text))
}

fn ours() -> Outcome {
    if on_linux() { Err(Failure::Skipped("Linux has no page_tables".into())) } else { Ok(()) }
}

/// A child with pages in so many far places, three in each: two at the begin of a leaf table, one in the
/// next. Gives the first place.
fn dweller(unmap: bool) -> Result<(Child, u64, Map), Failure> {
    let word = Map::shared(1)?;
    let child = fork(|| {
        let room = Map::new(
            0,
            (PLACES + 1) * STRIDE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )?;
        let first = (room.start as usize).next_multiple_of(STRIDE);
        for place in 0..PLACES {
            for at in [0, page(), 2 << 20] {
                poke((first + place * STRIDE + at) as *mut u8, 1);
            }
        }
        if unmap {
            drop(room);
        }
        // In two words: the first of the shared page tells that it is done.
        word.word(1).store((first >> 20) as u32, std::sync::atomic::Ordering::SeqCst);
        word.word(0).store(1, std::sync::atomic::Ordering::SeqCst);
        loop {
            sys!(pause());
        }
    })?;
    while word.word(0).load(std::sync::atomic::Ordering::SeqCst) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let first = u64::from(word.word(1).load(std::sync::atomic::Ordering::SeqCst)) << 20;
    Ok((child, first, word))
}

fn with_dweller(unmap: bool, work: impl FnOnce(i32, u64) -> Outcome) -> Outcome {
    ours()?;
    let (child, first, _word) = dweller(unmap)?;
    let result = work(child.0, first);
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    result
}

fn counts_and_places() -> Outcome {
    with_dweller(false, |pid, first| {
        let all = tables_of(pid)?;
        let layout = layout()?;
        check!(all.iter().all(|table| table.state == "linked"), "{all:?}");
        check!(all.is_sorted_by_key(|table| (table.range.start, table.level)));
        equal!(all.iter().filter(|table| table.level == 0).count(), 1);
        // Each table lies in one that is a level higher, and the entries of all are accounted for.
        let deepest = all.iter().map(|table| table.level).max().unwrap_or(0);
        for table in all.iter().filter(|table| table.level < deepest) {
            let below =
                |other: &&Table| other.level == table.level + 1 && table.range.contains(&other.range.start);
            equal!(all.iter().filter(below).count() as u64, table.entries.0);
        }
        // All memory of tables is shown: VmPTE is their fragments.
        let fragments: BTreeMap<_, _> =
            all.iter().map(|table| ((table.page, table.fragment.0), table.bytes)).collect();
        equal!(fragments.values().sum::<u64>() / 1024, vm_pte(pid)?);
        for table in &all {
            let offset = table.at - table.page;
            check!(
                offset / table.bytes == table.fragment.0 && table.fragment.0 < table.fragment.1,
                "{table:?}"
            );
            let in_page = fragments.keys().filter(|(page, _)| *page == table.page).count() as u64;
            check!(table.live == in_page, "{in_page} tables of the page are shown: {table:?}");
        }
        let leaves: Vec<&Table> = all.iter().filter(|table| table.level == deepest).collect();
        for place in 0..PLACES as u64 {
            let range = first + place * STRIDE as u64..first + (place + 1) * STRIDE as u64;
            let here: Vec<&&Table> =
                leaves.iter().filter(|table| range.contains(&table.range.start)).collect();
            place_has(&here, &range, &layout)?;
        }
        if layout == "frag" {
            // Tables that were made one after the other share a page.
            let shares = |table: &&&Table| table.live > 1;
            check!(leaves.iter().filter(shares).count() >= 2 * PLACES - 1, "{leaves:?}");
        }
        Ok(())
    })
}

/// The leaf tables of a place: two, for the pages in the first and the third megabyte.
fn place_has(here: &[&&Table], range: &std::ops::Range<u64>, layout: &str) -> Outcome {
    let pages = |tables: &[&&Table]| tables.iter().map(|table| table.entries.0).sum::<u64>();
    // A page may be several entries.
    let span = (here[0].range.end - here[0].range.start) / here[0].entries.1;
    equal!(pages(here), 3 * page() as u64 / span);
    let used: Vec<&&&Table> = here.iter().filter(|table| table.entries.0 > 0).collect();
    // Two megabytes may be one table's or two tables'.
    let second = range.start + (2 << 20);
    for at in [range.start, second] {
        check!(used.iter().any(|table| table.range.contains(&at)), "no table for {at:x}: {here:?}");
    }
    if layout != "group" {
        check!(here.iter().all(|table| table.part == (0, 1) && table.entries.0 > 0), "{here:?}");
        equal!(here.len(), used.len());
        return Ok(());
    }
    // A group is whole, in the order of its addresses, one table behind the other.
    let count = here[0].part.1;
    check!(count > 1 && here.len() as u64 % count == 0, "{here:?}");
    for (n, table) in here.iter().enumerate() {
        let n = n as u64 % count;
        check!(table.part.0 == n && table.at == table.page + n * table.bytes / count, "{table:?}");
    }
    Ok(())
}

fn what_is_unmapped_is_gone() -> Outcome {
    with_dweller(true, |pid, first| {
        let all = tables_of(pid)?;
        let end = first + (PLACES * STRIDE) as u64;
        let deepest = all.iter().map(|table| table.level).max().unwrap_or(0);
        let left = all.iter().filter(|table| {
            table.level == deepest && table.entries.0 > 0 && (first..end).contains(&table.range.start)
        });
        equal!(left.count(), 0);
        let fragments: BTreeMap<_, _> =
            all.iter().map(|table| ((table.page, table.fragment.0), table.bytes)).collect();
        equal!(fragments.values().sum::<u64>() / 1024, vm_pte(pid)?);
        Ok(())
    })
}

fn any_size_of_buffer() -> Outcome {
    with_dweller(false, |pid, _| {
        let whole = text_of(pid, 1 << 16)?;
        check!(whole.lines().count() > 8 && whole.ends_with('\n'));
        for piece in [1, 7, 100, 4095] {
            equal!(text_of(pid, piece)?, whole);
        }
        Ok(())
    })
}

fn not_for_everybody() -> Outcome {
    with_dweller(false, |pid, _| {
        fork(|| {
            sys!(setresuid(1000, 1000, 1000));
            let path = crate::harness::c(&format!("/proc/{pid}/page_tables"));
            crate::fails!(EACCES, open(path.as_ptr(), libc::O_RDONLY));
            let own = tables_of(std::process::id() as i32)?;
            check!(!own.is_empty() && own.iter().all(|table| table.at == 0 && table.page == 0), "{own:?}");
            Ok(())
        })?
        .succeeds()
    })
}
