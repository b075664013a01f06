//! How much of a file system may be used.

use crate::error::Errno;
use core::sync::atomic::{AtomicU64, Ordering};

/// A number of things, and how many there may be.
pub struct Quota {
    used: AtomicU64,
    most: AtomicU64,
}

impl Quota {
    /// At most so many.
    pub const fn new(most: u64) -> Self {
        Self { used: AtomicU64::new(0), most: AtomicU64::new(most) }
    }
    /// ENOSPC if there are not that many left.
    pub fn take(&self, count: u64) -> Result<(), Errno> {
        let most = self.most();
        let more = |used: u64| used.checked_add(count).filter(|&used| used <= most);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(_) => Err(Errno::ENOSPC),
        }
    }
    /// They are free again.
    pub fn give(&self, count: usize) {
        self.used.fetch_sub(count as u64, Ordering::Relaxed);
    }
    /// How many are used.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
    /// How many there may be.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
    /// EINVAL if more are used already.
    pub fn set_most(&self, most: u64) -> Result<(), Errno> {
        if most < self.used() {
            return Err(Errno::EINVAL);
        }
        self.most.store(most, Ordering::Relaxed);
        Ok(())
    }
}
