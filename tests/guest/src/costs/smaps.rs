//! What reading a process' mappings costs: for each mapping, each page table, each page.
//!
//! Each figure is the difference of two readings of this process' own file, with what is counted and
//! without it, divided by how many there are of it.

use super::{FLAGS, ROUNDS, RW, now, span, told};
use crate::harness::memory::{Map, page};
use crate::harness::{Failure, Outcome, c};
use crate::sys;

/// Mappings, page tables, and tables that are filled with pages.
const MAPPINGS: usize = 512;
const TABLES: usize = 256;
const FULL: usize = 32;

/// Prints the figures of smaps and of smaps_rollup.
pub fn all() -> Outcome {
    for name in ["smaps", "smaps_rollup"] {
        let file = Reading::of(&format!("/proc/self/{name}"));
        costs(name, file)?;
    }
    Ok(())
}

fn costs(name: &str, mut file: Reading) -> Outcome {
    let alone = file.least()?;
    {
        // Every other one has another right, so none grows together with its neighbour.
        let map = Map::new(0, MAPPINGS * page(), RW, FLAGS, -1, 0)?;
        for number in (0..MAPPINGS).step_by(2) {
            sys!(mprotect(map.page(number).cast(), page(), libc::PROT_READ));
        }
        told(&format!("{name}, per mapping"), file.least()?.saturating_sub(alone), MAPPINGS as u64);
    }
    {
        let map = small_pages(TABLES)?;
        (0..TABLES).for_each(|number| map.set(number * span(), 1));
        let tables = file.least()?.saturating_sub(alone);
        told(&format!("{name}, per page table with one page"), tables, TABLES as u64);
    }
    let map = small_pages(FULL)?;
    (0..FULL).for_each(|number| map.set(number * span(), 1));
    let sparse = file.least()?;
    (0..FULL * span()).step_by(page()).for_each(|offset| map.set(offset, 1));
    let pages = FULL * (span() / page() - 1);
    told(&format!("{name}, per further page in a table"), file.least()?.saturating_sub(sparse), pages as u64);
    Ok(())
}

/// Room for so many page tables, from the first address of one on, and no large pages there.
pub fn small_pages(tables: usize) -> Result<Map, Failure> {
    let room = Map::new(0, (tables + 1) * span(), libc::PROT_NONE, FLAGS, -1, 0)?;
    let at = (room.start as usize).next_multiple_of(span());
    drop(room);
    // Where nothing is: the room was there, and nothing was mapped since.
    let map = Map::new(at, tables * span(), RW, FLAGS | libc::MAP_FIXED, -1, 0)?;
    // Others know no such advice.
    // SAFETY: advice about our own mapping.
    unsafe { libc::madvise(map.start.cast(), map.len, libc::MADV_NOHUGEPAGE) };
    Ok(map)
}

/// A file that is read from its beginning to its end.
pub struct Reading {
    path: std::ffi::CString,
    buffer: Vec<u8>,
}

impl Reading {
    /// Of that path.
    pub fn of(path: &str) -> Self {
        Self { path: c(path), buffer: vec![0; 64 << 10] }
    }

    /// Once. Gives its length.
    pub fn read(&mut self) -> Result<usize, Failure> {
        let file = sys!(open(self.path.as_ptr(), libc::O_RDONLY)) as i32;
        let mut length = 0;
        loop {
            let count = sys!(read(file, self.buffer.as_mut_ptr().cast(), self.buffer.len())) as usize;
            length += count;
            if count == 0 {
                sys!(close(file));
                return Ok(length);
            }
        }
    }

    /// The least time of a few.
    fn least(&mut self) -> Result<u64, Failure> {
        let mut least = u64::MAX;
        for _ in 0..ROUNDS {
            let before = now();
            self.read()?;
            least = least.min(now() - before);
        }
        Ok(least)
    }
}
