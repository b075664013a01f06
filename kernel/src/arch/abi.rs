//! What the machines' `abi` modules say.

/// Which argument of `clone` is which.
#[derive(Clone, Copy, Debug)]
pub struct CloneOrder {
    /// `CLONE_*`, and the exit signal.
    pub flags: usize,
    /// The stack pointer.
    pub stack: usize,
    /// CLONE_PARENT_SETTID
    pub parent_tid: usize,
    /// CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID
    pub child_tid: usize,
    /// CLONE_SETTLS
    pub tls: usize,
}

/// The number of a call that this machine's Linux does not have.
pub const ABSENT: u32 = u32::MAX;
