//! Beginning and ending; who is who.

use super::{Call, Result, Row};
use linux_raw_sys::general as nr;

/// `getpid`
fn getpid(call: &mut Call<'_>) -> Result {
    Ok(u64::from(call.task.process().pid()))
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[(nr::__NR_getpid, getpid)];
