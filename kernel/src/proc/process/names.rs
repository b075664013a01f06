//! What the system calls itself: `uname`.

use crate::error::Errno;
use crate::sync::{IrqSpinLock, LockClass, Rank};
use arrayvec::ArrayString;

/// The Linux whose calls these are; programs look at it (glibc refuses to run below 3.2).
pub const RELEASE: &str = "6.1.0-fallow";
/// What it really is.
pub const VERSION: &str = concat!("#1 SMP Fallow ", env!("CARGO_PKG_VERSION"));

/// A name.
pub type Name = ArrayString<64>;

const CLASS: LockClass = LockClass::new("names of the system", Rank::PIDS);
/// Host and domain; empty: as they were at boot.
static NAMES: IrqSpinLock<(Name, Name)> = IrqSpinLock::new(&CLASS, (Name::new_const(), Name::new_const()));

/// Host and domain.
pub fn get() -> (Name, Name) {
    let names = *NAMES.lock();
    let or = |name: Name, default: &str| {
        if name.is_empty() { Name::from(default).unwrap_or_default() } else { name }
    };
    (or(names.0, "fallow"), or(names.1, "(none)"))
}

fn name(bytes: &[u8]) -> Result<Name, Errno> {
    let text = core::str::from_utf8(bytes).map_err(|_| Errno::EINVAL)?;
    Name::from(text).map_err(|_| Errno::EINVAL)
}

/// `sethostname`
///
/// # Errors
/// EINVAL: too long, or no text.
pub fn set_host(bytes: &[u8]) -> Result<(), Errno> {
    NAMES.lock().0 = name(bytes)?;
    Ok(())
}

/// `setdomainname`
///
/// # Errors
/// The same.
pub fn set_domain(bytes: &[u8]) -> Result<(), Errno> {
    NAMES.lock().1 = name(bytes)?;
    Ok(())
}
