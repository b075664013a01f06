//! What a layout costs: page-table memory and the time of a fault.

use super::kernel::{choice, status};
use super::stage::{Map, page, time};
use std::io;

/// Pages that are touched in each scene.
const PAGES: usize = 256;

/// A leaf table of this machine in this layout: its bytes, and the bytes of addresses that it covers.
fn leaf_table(layout: &str) -> (usize, usize) {
    // By the page's size: only s390x has 4 KB pages.
    match (page(), layout) {
        (4096, _) => (2048, 1 << 20),
        // 64 KB leaves: a table of 256 bytes for 2 MB.
        (_, "frag") => (256, 2 << 20),
        (_, _) => (4096, 2 << 20),
    }
}

/// Prints the table.
pub fn run() -> io::Result<i32> {
    let layout = choice("layout")?;
    let (bytes, span) = leaf_table(&layout);
    println!(
        "layouts: layout={layout}, {PAGES} pages of {} kB; a leaf table has {bytes} bytes",
        page() / 1024
    );
    println!(
        "{:<22} {:>9} {:>9} {:>12} {:>12}",
        "one page in", "VmPTE kB", "least kB", "fault us", "munmap us"
    );
    let scenes = [("dense (all)", page()), ("1 MB", 1 << 20), ("2 MB", 2 << 20), ("32 MB", 32 << 20)];
    for (name, stride) in scenes {
        let stride = stride.max(page());
        let own = std::process::id();
        let before = status(own, "VmPTE")?;
        let map = Map::private(PAGES * stride)?;
        let ((), faults) = time(|| (0..PAGES).for_each(|n| map.touch(n * stride)));
        let held = status(own, "VmPTE")?.saturating_sub(before);
        let tables = map.end().div_ceil(span as u64) - map.start() / span as u64;
        let least = (tables as usize).min(PAGES) * bytes;
        let ((), unmap) = time(|| drop(map));
        println!(
            "{name:<22} {held:>9} {:>9} {:>12.1} {:>12.1}",
            least.div_ceil(1024),
            faults as f64 / PAGES as f64 / 1000.0,
            unmap as f64 / 1000.0
        );
    }
    println!("least: the leaf tables alone, without upper tables and without what is spare");
    Ok(0)
}
