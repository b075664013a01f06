//! `/proc`.
//!
//! * [`format`](mod@format): what each file looks like.

pub mod format;
