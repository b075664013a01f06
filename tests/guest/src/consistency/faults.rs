//! Reads that were made wrong, one mistake each: mistakes that a reader of `/proc` without a lock could make.
//! A checker that misses one proves nothing.

use super::slots::{Kind, SLOTS, Slot};
use super::watch::{judge, still, whole};
use crate::check;
use crate::harness::memory::page;
use crate::harness::{Failure, Outcome};

/// The file's records, each its text.
fn records(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.split(' ').next().is_some_and(|word| word.contains('-') && !word.ends_with(':')) {
            all.push(String::new());
        }
        if let Some(last) = all.last_mut() {
            *last += line;
            *last += "\n";
        }
    }
    all
}

type Fault = fn(&mut Vec<String>, usize);

/// What is done to the record of that number.
const FAULTS: &[(&str, Fault)] = &[
    ("a mapping is missing", |all, n| drop(all.remove(n))),
    ("a mapping is shown twice", |all, n| all.insert(n, all[n].clone())),
    ("two mappings have changed places", |all, n| all.swap(n, n + 1)),
    ("a page is missing from Rss", |all, n| change(&mut all[n], "Rss", -1)),
    ("a page too many in Rss", |all, n| change(&mut all[n], "Rss", 1)),
    ("a page was counted twice", |all, n| {
        ["Rss", "Pss", "Private_Dirty"].iter().for_each(|name| change(&mut all[n], name, 1));
    }),
    ("a page was passed over", |all, n| {
        ["Rss", "Pss", "Pss_Dirty", "Private_Dirty", "Anonymous", "Referenced"]
            .iter()
            .for_each(|name| change(&mut all[n], name, -1));
    }),
    ("a page counts as shared", |all, n| {
        change(&mut all[n], "Private_Dirty", -1);
        change(&mut all[n], "Shared_Dirty", 1);
    }),
    ("Pss is more than Rss", |all, n| change(&mut all[n], "Pss", 1)),
    ("the record is cut", |all, n| {
        let length = all[n].len() / 2;
        all[n].truncate(length);
    }),
    ("a record has no flags", |all, n| all[n] = all[n].replace("VmFlags: rd", "VmFlags: \nX: 0 kB #")),
    ("the rights are old", |all, n| all[n] = all[n].replacen(" rw-p ", " r--p ", 1)),
    ("it is cut in two", |all, n| {
        let text = all[n].clone();
        let (start, end) = text.split(' ').next().and_then(|word| word.split_once('-')).unwrap_or_default();
        let number = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        let middle = (number(start) + number(end)) / 2;
        let half = (number(end) - number(start)) / 2048;
        let size = format!("Size:           {half:8} kB");
        let sized = |head: String| {
            let lines = text.lines().skip(1);
            let body: Vec<_> = lines
                .map(|line| if line.starts_with("Size:") { size.clone() } else { line.into() })
                .collect();
            format!("{head} rw-p 00000000 00:00 0\n{}\n", body.join("\n"))
        };
        all[n] = sized(format!("{start}-{middle:x}"));
        all.insert(n + 1, sized(format!("{middle:x}-{end}")));
    }),
    ("the file ends before its end", |all, n| all.truncate(n)),
];

/// Adds so many pages to a field.
fn change(record: &mut String, name: &str, pages: i64) {
    let lines: Vec<String> = record
        .lines()
        .map(|line| {
            let value = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
            match value.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<i64>().ok()) {
                Some(kb) => format!("{name}: {} kB", kb + pages * page() as i64 / 1024),
                None => line.into(),
            }
        })
        .collect();
    *record = lines.join("\n") + "\n";
}

/// Each of them, in the record of a slot that is always there.
pub fn each_is_seen() -> Outcome {
    let (child, slots) = still()?;
    let result = seen(child.0, &slots);
    child.kill(libc::SIGKILL)?;
    child.wait()?;
    result
}

fn seen(pid: i32, slots: &[Slot]) -> Outcome {
    let counts = vec![0; SLOTS.len()];
    let text = whole(pid, "smaps", 4096)?;
    let complain = |text: &str| judge("smaps", text, slots, &counts, &counts);
    check!(complain(&text).is_none(), "the true one: {:?}", complain(&text));
    let all = records(&text);
    check!(all.concat() == text);
    for slot in slots.iter().filter(|slot| matches!(slot.kind, Kind::Still | Kind::Fork | Kind::Split)) {
        let head = format!("{:x}-{:x} ", slot.start, slot.range().end);
        let number = all.iter().position(|record| record.starts_with(&head));
        let Some(number) = number else { return Err(Failure::new(format!("no {head}in {text}"))) };
        for (name, fault) in FAULTS {
            // Whether pages are shared is not looked at there, for other slots change it.
            if slot.kind == Kind::Split && *name == "a page counts as shared" {
                continue;
            }
            let mut wrong = all.clone();
            fault(&mut wrong, number);
            let wrong = wrong.concat();
            check!(wrong != text, "{name}: nothing is changed");
            check!(complain(&wrong).is_some(), "{name}: it is not seen, at {head}");
        }
    }
    tables(pid, slots)
}

/// The same of page_tables.
fn tables(pid: i32, slots: &[Slot]) -> Outcome {
    if crate::harness::on_linux() {
        return Ok(());
    }
    let text = whole(pid, "page_tables", 4096)?;
    let counts = vec![0; SLOTS.len()];
    let complain = |text: &str| judge("page_tables", text, slots, &counts, &counts);
    check!(complain(&text).is_none(), "the true one: {:?}\n{text}", complain(&text));
    let lines: Vec<&str> = text.lines().collect();
    let number = lines.iter().position(|line| {
        let range = line.split_whitespace().nth(1).and_then(|word| word.split_once('-'));
        let parse = |text| u64::from_str_radix(text, 16).unwrap_or(0);
        let holds = |(start, end)| (parse(start)..parse(end)).contains(&slots[0].start);
        line.ends_with(" page table") && range.is_some_and(holds)
    });
    let Some(number) = number else { return Err(Failure::new(format!("no table of a slot: {text}"))) };
    let free = lines[number].replace(" linked ", " free ");
    let mut wrong = [lines.clone(), lines.clone(), lines.clone(), lines.clone()];
    wrong[0].remove(number);
    wrong[1].insert(number, lines[number]);
    wrong[2].swap(number, number + 1);
    wrong[3][number] = &free;
    for (kind, lines) in wrong.iter().enumerate() {
        check!(complain(&lines.join("\n")).is_some(), "fault {kind} of page_tables is not seen");
    }
    Ok(())
}
