//! The kernel's own ground, as the command line chose it.

use super::ground::{Ground, TableFormat};
use crate::cmdline;
use crate::error::Errno;
use crate::mm::pgtable::kernel::{choose, memory};
use crate::mm::vma::memory::Blocks;
use crate::mm::{frames, shared_frames};
use crate::sync::{MaySleep, Once};
use core::sync::atomic::Ordering;

static BLOCKS: Blocks = Blocks::new(frames());
static GROUND: Once<Ground> = Once::new();

/// The kernel's ground.
pub fn ground() -> &'static Ground {
    GROUND.call_once(|| {
        let line = cmdline::get();
        let text = |name| line.text(name).and_then(|value| core::str::from_utf8(value).ok());
        let choice = choose(text("pgtable.layout"), text("pgtable.free"));
        log::info!(
            target: "pgtable",
            "free={} layout={}", choice.scheme.name(), choice.layout.name()
        );
        let tables = (TableFormat::Machine, choice.layout, choice.scheme);
        Ground::new(frames(), shared_frames(), memory(), &BLOCKS, tables)
    })
}

/// Makes what all address spaces share, at boot: the page of zeros.
pub fn start(ctx: &mut MaySleep) -> Result<(), Errno> {
    ground().make_zero(ctx)
}

/// The kernel's ground, if anything stands on it yet.
pub(super) fn existing() -> Option<&'static Ground> {
    GROUND.get()
}

/// Pages that all address spaces have committed, as `Committed_AS` of `/proc/meminfo`.
pub fn committed_pages() -> u64 {
    let ground = ground();
    ground.committed.load(Ordering::Relaxed).max(0) as u64 / ground.page_bytes()
}
