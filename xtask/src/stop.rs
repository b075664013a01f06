//! Why the runner ends, as an exit status.
//!
//! The status is the verdict: scripts and CI read it, nobody greps the log. An `anyhow` error that
//! is not a [`Stop`] is something the runner did not foresee (a full disk, a pipe that broke), and
//! counts as a tool that is missing.

use std::fmt;

/// The guest did what it was asked to.
pub const PASS: u8 = 0;
/// A test failed, or the guest ended in a way that proves nothing.
pub const FAILED: u8 = 1;
/// The command line makes no sense, or a tool is missing.
pub const USAGE: u8 = 2;
/// The kernel panicked.
pub const PANIC: u8 = 3;
/// The guest stopped talking.
pub const SILENT: u8 = 124;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// An end with a status of its own and one line that says why.
#[derive(Debug)]
pub struct Stop {
    /// The exit status.
    pub status: u8,
    /// One line; empty if everything has been said.
    pub message: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Stop {}

/// The user's mistake, or a tool that is missing: status 2.
pub fn usage(message: impl Into<String>) -> anyhow::Error {
    with(USAGE, message)
}

/// Any other end.
pub fn with(status: u8, message: impl Into<String>) -> anyhow::Error {
    Stop { status, message: message.into() }.into()
}
