//! What page tables take of the machine's memory, as `/proc/meminfo` counts it: whole pages, with what
//! is spare in them, and the tables above.

use super::{FLAGS, RW, smaps::small_pages, span};
use crate::harness::memory::{Map, page};
use crate::harness::{Failure, Outcome};

/// Tables that hold one page each.
const SPARSE: usize = 1024;
/// Pages that lie side by side.
const DENSE: usize = 4096;

/// A line of `/proc/meminfo`, in kB.
pub fn meminfo(name: &str) -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .ok_or_else(|| Failure::new(format!("/proc/meminfo has no {name}")))
}

/// What page tables take when those that were freed have gone.
fn settled() -> Result<u64, Failure> {
    std::thread::sleep(std::time::Duration::from_millis(300));
    meminfo("PageTables")
}

/// Prints both.
pub fn all() -> Outcome {
    let before = settled()?;
    {
        let map = small_pages(SPARSE)?;
        (0..SPARSE).for_each(|number| map.set(number * span(), 1));
        let held = meminfo("PageTables")?.saturating_sub(before);
        println!("cost memory of {SPARSE} page tables with one page: {held} kB");
    }
    let before = settled()?;
    let map = Map::new(0, DENSE * page(), RW, FLAGS, -1, 0)?;
    // SAFETY: advice about our own mapping.
    unsafe { libc::madvise(map.start.cast(), map.len, libc::MADV_NOHUGEPAGE) };
    (0..DENSE).for_each(|number| map.set(number * page(), 1));
    let held = meminfo("PageTables")?.saturating_sub(before);
    println!("cost memory of the page tables of {DENSE} pages side by side: {held} kB");
    Ok(())
}
