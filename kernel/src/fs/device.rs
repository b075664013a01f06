//! Which driver opens a device node.

use super::attr::{DevNo, Kind};
use super::file::{FileOps, OpenFlags};
use super::locks;
use crate::error::Errno;
use crate::sync::{MaySleep, SpinLock};
use alloc::sync::Arc;
use arrayvec::ArrayVec;

/// What a driver does.
pub trait Driver: Sync {
    /// Opens one of its devices. ENXIO if it has none of that minor number.
    fn open(&self, ctx: &mut MaySleep, device: DevNo, flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno>;
}

/// More than there are.
const MOST: usize = 16;

static DRIVERS: SpinLock<ArrayVec<(Kind, u32, &'static dyn Driver), MOST>> =
    SpinLock::new(&locks::DRIVERS, ArrayVec::new_const());

/// Makes a driver known, for devices of that kind ([`Kind::Char`] or [`Kind::Block`]) and major number.
pub fn register(kind: Kind, major: u32, driver: &'static dyn Driver) -> Result<(), Errno> {
    let mut drivers = DRIVERS.lock();
    if drivers.iter().any(|&(k, m, _)| (k, m) == (kind, major)) {
        return Err(Errno::EBUSY);
    }
    drivers.try_push((kind, major, driver)).map_err(|_| Errno::ENOMEM)
}

/// Opens a device. ENXIO if nobody drives it.
pub fn open(
    ctx: &mut MaySleep,
    kind: Kind,
    device: DevNo,
    flags: OpenFlags,
) -> Result<Arc<dyn FileOps>, Errno> {
    let find = |&&(k, m, _): &&(Kind, u32, _)| (k, m) == (kind, device.major);
    let driver = DRIVERS.lock().iter().find(find).map(|&(_, _, driver)| driver);
    driver.ok_or(Errno::ENXIO)?.open(ctx, device, flags)
}
