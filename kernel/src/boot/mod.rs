//! What the machine's entry code found, handed to `kernel_main`.

mod early;

pub use early::EarlyFrames;

use crate::addr::PhysRange;
use crate::arch::MAX_CPUS;
use arrayvec::ArrayVec;

/// A range of memory that is not free, and who holds it.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// Where.
    pub range: PhysRange,
    /// Who: `kernel`, `initrd`, `device tree`, `firmware` ...
    pub owner: &'static str,
}

/// The most memory ranges, and the most reserved ranges, that are remembered. What does not fit is
/// left out of `memory` (never handed out) and reported in `complaints`.
pub const MAX_RANGES: usize = 64;

/// What the machine's entry code found. It lives in the kernel image and never changes after boot.
#[derive(Debug)]
pub struct BootInfo {
    /// The machine's name as QEMU calls it: `s390-ccw-virtio`, `powernv9`, `pseries`.
    pub machine: &'static str,
    /// The kernel command line, bytes as given, without the final NUL.
    pub cmdline: &'static [u8],
    /// All memory, sorted, disjoint.
    pub memory: ArrayVec<PhysRange, MAX_RANGES>,
    /// What of it is taken: kernel image, initrd, device tree, firmware, prefix pages. Any order;
    /// ranges may overlap each other and need not be page-aligned.
    pub reserved: ArrayVec<Reserved, MAX_RANGES>,
    /// The initial RAM disk, checked: inside `memory`, overlapping nothing it may not.
    pub initrd: Option<PhysRange>,
    /// Hardware numbers of the CPUs by logical number; the boot CPU is number 0.
    pub cpus: ArrayVec<u32, MAX_CPUS>,
    /// How many CPUs the machine has, more than `cpus` holds if there are too many.
    pub cpus_found: usize,
    /// What was wrong with the machine's description; each is logged as a warning.
    pub complaints: ArrayVec<&'static str, 16>,
}
