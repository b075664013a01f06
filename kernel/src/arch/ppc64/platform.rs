//! Which machine this is, found by the entry code before anything else.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

static POWERNV: AtomicBool = AtomicBool::new(false);
static OPAL_BASE: AtomicU64 = AtomicU64::new(0);
static OPAL_ENTRY: AtomicU64 = AtomicU64::new(0);

/// The machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Platform {
    /// Bare metal: hypervisor state, the firmware is OPAL.
    PowerNv,
    /// A guest of a hypervisor, which is called by `sc 1`; RTAS is behind such a call too.
    Pseries,
}

/// Remembers what the entry code found. Before everything else, on one CPU.
pub fn set(platform: Platform, opal_base: u64, opal_entry: u64) {
    POWERNV.store(platform == Platform::PowerNv, Ordering::Relaxed);
    OPAL_BASE.store(opal_base, Ordering::Relaxed);
    OPAL_ENTRY.store(opal_entry, Ordering::Relaxed);
}

/// The machine.
pub fn get() -> Platform {
    if POWERNV.load(Ordering::Relaxed) { Platform::PowerNv } else { Platform::Pseries }
}

/// OPAL's base and entry, real addresses.
pub fn opal() -> (u64, u64) {
    (OPAL_BASE.load(Ordering::Relaxed), OPAL_ENTRY.load(Ordering::Relaxed))
}
