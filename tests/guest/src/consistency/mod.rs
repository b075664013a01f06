//! Readers of `/proc/PID/{smaps,maps,smaps_rollup,page_tables}` against a process that cuts, joins, moves,
//! grows and drops its mappings and forks, and against others that execute a program and end. Every read
//! is checked: what `docs/proc.md` says that a reader may see, and nothing else.
//!
//! * [`slots`]: what the watched process does, as a function of the number of its steps.
//! * [`check`]: what a read may then say. `faults`: reads that were made wrong; the checker must see each.
//! * [`watch`]: the processes. In the short run each reader reads so many files; how long that takes is
//!   the machine's affair.

mod check;
mod faults;
mod slots;
mod watch;

pub use watch::{Amount, run};

use crate::harness::{Failure, Outcome};

/// `guest-tests consistency SECONDS`; the result is the exit status.
pub fn main(seconds: u64) -> i32 {
    match run(Amount::Seconds(seconds)) {
        Ok(said) => {
            println!("consistency: {said}; each was true");
            0
        }
        Err(Failure::Failed(what) | Failure::Skipped(what)) => {
            println!("consistency: {what}");
            1
        }
    }
}

/// What was read is true, whatever happens meanwhile.
pub fn readers_against_changes() -> Outcome {
    run(Amount::Reads(48)).map(drop)
}

/// The checker sees what is wrong.
pub fn a_wrong_file_is_seen() -> Outcome {
    faults::each_is_seen()
}
