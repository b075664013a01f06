//! Whether what was read can be true, if so much happened before the read and so much until its end.

use super::slots::{Kind, PAGES, Piece, Slot};
use crate::harness::memory::page;
use crate::smaps::Record;
use std::ops::RangeInclusive;

/// How often each slot has been changed: twice the number of steps, and one more during a step.
pub type Counts = Vec<u64>;

/// What is wrong with the records of a whole file; `sums`: it is smaps, not maps.
pub fn complaint(
    records: &[Record],
    slots: &[Slot],
    before: &Counts,
    after: &Counts,
    sums: bool,
) -> Option<String> {
    // Linux shows a mapping again that grew over what was shown already; here it goes on behind that.
    let again = crate::harness::on_linux();
    let mut last = 0;
    for record in records {
        let range = &record.range;
        if range.end <= range.start || range.end <= last || range.start < last && !again {
            return Some(format!("{range:x?} comes after {last:x}"));
        }
        last = range.end;
        if let Some(complaint) = record.complaint().filter(|_| sums) {
            return Some(complaint);
        }
    }
    let mut children = None;
    for (n, slot) in slots.iter().enumerate() {
        let seen =
            Seen { slot: *slot, steps: before[n] / 2..=after[n].div_ceil(2), still: before[n] == after[n] };
        let seen = Seen { still: seen.still && before[n].is_multiple_of(2), ..seen };
        if let Some(complaint) = seen.complaint(records, sums) {
            return Some(format!("slot {n}, {:?}, steps {:?}: {complaint}", slot.kind, seen.steps));
        }
        if slot.kind == Kind::Fork && seen.still {
            children = Some(seen.steps.start() % 2);
        }
    }
    children.filter(|_| sums).and_then(|children| sharing(records, slots, children))
}

/// Whether pages count as shared with the child, if there was one all the time, or none.
fn sharing(records: &[Record], slots: &[Slot], children: u64) -> Option<String> {
    let kb = page() as u64 / 1024;
    for slot in slots.iter().filter(|slot| matches!(slot.kind, Kind::Still | Kind::Fork)) {
        let record = records.iter().find(|record| record.range == slot.range())?;
        let present = if slot.kind == Kind::Still { 6 } else { 12 };
        let shared = 6 * children * kb;
        let wanted = [
            ("Shared_Dirty", shared),
            ("Private_Dirty", present * kb - shared),
            ("Pss", present * kb - shared / 2),
        ];
        for (name, wanted) in wanted {
            if record.kb(name) != Some(wanted) {
                return Some(format!("{children} children, but {name} is not {wanted} kB: {record:?}"));
            }
        }
    }
    None
}

/// A slot, and what may have been its state during the read.
struct Seen {
    slot: Slot,
    steps: RangeInclusive<u64>,
    /// Nothing happened to it.
    still: bool,
}

impl Seen {
    fn states(&self) -> Vec<Vec<Piece>> {
        let (first, last) = self.steps.clone().into_inner();
        // After one time round there is nothing new.
        (first..=last.min(first + self.slot.kind.period())).map(|steps| self.slot.kind.state(steps)).collect()
    }

    fn complaint(&self, records: &[Record], sums: bool) -> Option<String> {
        let range = self.slot.range();
        let inside = |record: &&Record| record.range.start < range.end && record.range.end > range.start;
        let states = self.states();
        let number = |at: u64| ((at - range.start) / page() as u64) as usize;
        let mut covered = [false; PAGES];
        let mut last = None;
        let mut seen = Vec::new();
        for record in records.iter().filter(inside) {
            if record.range.start < range.start || record.range.end > range.end {
                return Some(format!("{:x?} reaches out of it", record.range));
            }
            let pages = number(record.range.start)..number(record.range.end);
            let present = record.kb("Rss").unwrap_or(0) as usize * 1024 / page();
            covered[pages.clone()].fill(true);
            // One that grew over what was shown already is shown from there on.
            let fits = |piece: &&Piece| {
                let rest = last == Some(pages.start) && piece.pages.contains(&pages.start);
                piece.rights == record.rights
                    && piece.pages.end == pages.end
                    && (piece.pages.start == pages.start || rest && !self.still)
            };
            if !states.iter().flatten().any(|piece| fits(&piece)) {
                return Some(format!("pages {pages:?} {} never were a mapping", record.rights));
            }
            // Its addresses are of one moment, its pages of a later one.
            let overlaps = |piece: &&Piece| piece.pages.start < pages.end && pages.start < piece.pages.end;
            let of =
                |state: &Vec<Piece>| state.iter().filter(overlaps).map(|piece| piece.present).sum::<usize>();
            let most = states.iter().map(of).max().unwrap_or(0).min(pages.len());
            if sums && present > most {
                return Some(format!("pages {pages:?}: {present} present, {most} at most"));
            }
            last = Some(pages.end);
            seen.push(Piece { pages, rights: "", present });
        }
        if self.still {
            let state = states.first()?;
            let same = |(seen, piece): (&Piece, &Piece)| {
                seen.pages == piece.pages && (!sums || seen.present == piece.present)
            };
            if seen.len() != state.len() || !seen.iter().zip(state).all(same) {
                return Some(format!("{seen:?} instead of {state:?}"));
            }
        }
        // What was mapped before each step and after it was mapped all the time.
        let always = |n: usize| states.iter().all(|state| state.iter().any(|piece| piece.pages.contains(&n)));
        (0..PAGES).find(|&n| always(n) && !covered[n]).map(|n| format!("page {n} was there, and is missing"))
    }
}

/// What is wrong with a smaps_rollup.
pub fn rollup(records: &[Record]) -> Option<String> {
    let [record] = records else { return Some(format!("{} records", records.len())) };
    let get = |name: &str| record.kb(name).unwrap_or(u64::MAX / 8);
    let sum = |names: &[&str]| names.iter().map(|name| get(name)).sum::<u64>();
    let (rss, pss) = (get("Rss"), get("Pss"));
    let parts = sum(&["Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty"]);
    // Three parts, each rounded down.
    let by_kind = sum(&["Pss_Anon", "Pss_File", "Pss_Shmem"]);
    let good = parts == rss && pss <= rss && by_kind <= pss && by_kind + 3 > pss && get("Pss_Dirty") <= pss;
    (!good).then(|| format!("{record:?}"))
}

/// What is wrong with a page_tables file: order, states, and the tables of what is always there.
pub fn page_tables(text: &str, slots: &[Slot]) -> Option<String> {
    let mut last = None;
    let mut leaves = Vec::new();
    let mut deepest = 0;
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [level, addresses, ..] = words.as_slice() else { return Some(line.into()) };
        let parse = |text| u64::from_str_radix(text, 16).ok();
        let (Ok(level), Some((start, end))) = (level.parse::<usize>(), addresses.split_once('-')) else {
            return Some(line.into());
        };
        let (Some(start), Some(end)) = (parse(start), parse(end)) else { return Some(line.into()) };
        if last.is_some_and(|last| last >= (start, level)) {
            return Some(format!("out of order: {line}"));
        }
        last = Some((start, level));
        let state = words.get(14).copied().unwrap_or("no state");
        if !["linked", "unlinked", "late", "covered"].contains(&state) {
            return Some(format!("{state}: {line}"));
        }
        if level > deepest {
            deepest = level;
            leaves.clear();
        }
        if level == deepest && state == "linked" {
            leaves.push(start..end);
        }
    }
    let missing = |slot: &&Slot| {
        matches!(slot.kind, Kind::Still | Kind::Fork) && !leaves.iter().any(|leaf| leaf.contains(&slot.start))
    };
    slots.iter().find(missing).map(|slot| format!("no table for {:x}", slot.start))
}
