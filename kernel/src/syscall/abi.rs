//! Calls that only one of the machines has, or whose arguments are in another order there.

use super::{Call, Result, Row, process, signal};
use crate::arch::current::abi;

/// `clone`: the machines pass its arguments in different orders.
pub(super) fn clone(call: &mut Call<'_>) -> Result {
    let order = abi::CLONE;
    let args = call.args;
    process::clone_with(
        call,
        args[order.flags],
        args[order.stack],
        args[order.parent_tid],
        args[order.child_tid],
        args[order.tls],
    )
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[(abi::SIGRETURN, signal::sigreturn)];
