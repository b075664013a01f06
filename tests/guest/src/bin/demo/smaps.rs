//! Reading `/proc/PID/smaps` as a tool would, and looking whether it can be true.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;

/// One mapping as it was reported.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Its addresses.
    pub range: Range<u64>,
    /// What may be done with it: `rw-p`.
    pub rights: String,
    /// Its name, if it has one.
    pub name: String,
    fields: Vec<(String, u64)>,
    has_flags: bool,
}

impl Record {
    /// A field in kB.
    pub fn kb(&self, name: &str) -> Option<u64> {
        self.fields.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }

    /// What is wrong within the record, if anything is.
    pub fn complaint(&self) -> Option<String> {
        let Range { start, end } = self.range;
        let wrong = |what: String| Some(format!("{start:x}-{end:x} {}: {what}", self.name));
        if start >= end {
            return wrong("ends before it begins".into());
        }
        if self.rights.len() != 4 {
            return wrong(format!("may be used as {:?}", self.rights));
        }
        let get = |name: &str| self.kb(name).ok_or_else(|| format!("has no {name}"));
        let check = || -> Result<Option<String>, String> {
            let (size, rss, pss) = (get("Size")?, get("Rss")?, get("Pss")?);
            let parts = ["Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty"];
            let mut sum = 0;
            for part in parts {
                sum += get(part)?;
            }
            Ok(if size != (end - start) / 1024 {
                Some(format!("Size {size} kB"))
            } else if rss > size || pss > rss || get("Referenced")? > rss || get("Anonymous")? > rss {
                Some(format!("Size {size}, Rss {rss}, Pss {pss} kB"))
            } else if sum != rss {
                Some(format!("Rss {rss} kB, its parts {sum} kB"))
            } else if !self.has_flags {
                Some("has no VmFlags".into())
            } else {
                None
            })
        };
        match check() {
            Ok(None) => None,
            Ok(Some(what)) | Err(what) => wrong(what),
        }
    }
}

/// Reads the whole file, `piece` bytes at a time.
pub fn read(pid: u32, piece: usize) -> io::Result<String> {
    let mut file = File::open(format!("/proc/{pid}/smaps"))?;
    let mut text = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return String::from_utf8(text).map_err(|_| io::Error::other("smaps is no text"));
        }
        text.extend_from_slice(&buffer[..length]);
    }
}

/// Takes it apart. The error is the line that does not belong there.
pub fn parse(text: &str) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::new();
    for line in text.lines() {
        let Some((first, rest)) = line.split_once(' ') else { return Err(line.into()) };
        let record = records.last_mut();
        if let Some((start, end)) = first.split_once('-') {
            let number = |text| u64::from_str_radix(text, 16).map_err(|_| line.to_owned());
            let range = number(start)?..number(end)?;
            let mut words = rest.split_whitespace();
            let rights = words.next().ok_or_else(|| line.to_owned())?.into();
            let name = words.skip(3).collect::<Vec<_>>().join(" ");
            records.push(Record { range, rights, name, ..Record::default() });
        } else if let (Some(name), Some(record)) = (first.strip_suffix(':'), record) {
            if name == "VmFlags" {
                record.has_flags = !rest.trim().is_empty();
            } else {
                let number = rest.split_whitespace().next().and_then(|word| word.parse().ok());
                record.fields.push((name.into(), number.ok_or_else(|| line.to_owned())?));
            }
        } else {
            return Err(line.into());
        }
    }
    Ok(records)
}

/// A mapping that was there all the time, and how much of it.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// Its addresses.
    pub range: Range<u64>,
    /// What is present, in kB.
    pub rss: u64,
}

/// What is wrong with the records, one after the other, if the anchors were there all the time.
pub fn complaint(records: &[Record], anchors: &[Anchor]) -> Option<String> {
    let mut last = 0..0;
    for record in records {
        if let Some(complaint) = record.complaint() {
            return Some(complaint);
        }
        // One that grew over its neighbour meanwhile may come again, as in Linux.
        if record.range.start < last.end && record.range.end <= last.end {
            return Some(format!("{:x?} after {last:x?}", record.range));
        }
        last = record.range.clone();
    }
    anchors.iter().find_map(|anchor| match records.iter().find(|record| record.range == anchor.range) {
        None => Some(format!("{:x?} is missing", anchor.range)),
        Some(record) if record.kb("Rss") != Some(anchor.rss) => {
            Some(format!("{:x?} has {} kB: {record:?}", anchor.range, anchor.rss))
        }
        Some(_) => None,
    })
}
