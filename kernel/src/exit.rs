//! The end of a run.

use crate::arch::current::power;
use crate::log;

/// How it went; the value is the runner's exit status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// All that was asked for was done.
    Ok = 0,
    /// A test failed.
    TestFailed = 1,
    /// The kernel panicked.
    Panic = 3,
}

/// Says so in the run's last line and turns the machine off.
pub fn exit(status: Status) -> ! {
    log::raw(format_args!("fallow: exit status {}\n", status as u8));
    match status {
        Status::Ok => power::off(),
        Status::TestFailed | Status::Panic => power::fail(),
    }
}
