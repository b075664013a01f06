//! System calls: one table from Linux' numbers to functions, one file a topic.
//!
//! The numbers are the machine's own (crate `linux-raw-sys` for the target), so are the structures. A
//! topic's file ends in its `CALLS`, the rows it adds. A number that has no row is ENOSYS, and is
//! logged once. A bad pointer is EFAULT: user memory is reached through the address space's copies
//! only.
#![forbid(unsafe_code)]

mod process;

use crate::arch::current::TrapFrame;
use crate::error::Errno;
use crate::proc::process::{Current, current};
use crate::sync::MaySleep;
use core::sync::atomic::{AtomicU64, Ordering};

/// A system call on its way.
pub struct Call<'a> {
    /// It may sleep.
    pub ctx: &'a mut MaySleep,
    /// Who calls.
    pub task: Current,
    /// The program's registers. `set_result` is the dispatcher's business.
    pub frame: &'a mut TrapFrame,
    /// What it passes.
    pub args: [u64; 6],
}

/// What a call gives.
pub type Result = core::result::Result<u64, Errno>;

/// What serves it.
pub type Handler = fn(&mut Call<'_>) -> Result;

/// One row of the table: a number of `linux_raw_sys::general` (`__NR_read` ...) and what serves it.
pub type Row = (u32, Handler);

/// All numbers are below.
const NUMBERS: usize = 512;

type Table = [Option<Handler>; NUMBERS];

/// All topics.
static TABLE: Table = build(&[process::CALLS]);

const fn build(topics: &[&[Row]]) -> Table {
    let mut table = [None; NUMBERS];
    let mut topic = 0;
    while topic < topics.len() {
        let mut row = 0;
        while row < topics[topic].len() {
            let (number, handler) = topics[topic][row];
            assert!(table[number as usize].is_none(), "two rows for one number");
            table[number as usize] = Some(handler);
            row += 1;
        }
        topic += 1;
    }
    table
}

/// Serves the call that the frame holds.
pub fn serve(ctx: &mut MaySleep, frame: &mut TrapFrame) -> Result {
    let call = frame.syscall();
    match TABLE.get(call.number).copied().flatten() {
        Some(handler) => handler(&mut Call { ctx, task: current(), frame, args: call.args }),
        None => missing(call.number),
    }
}

/// No such call. The first program that wants it is named.
#[cold]
fn missing(number: usize) -> Result {
    static SEEN: [AtomicU64; NUMBERS / 64] = [const { AtomicU64::new(0) }; NUMBERS / 64];
    let bit = 1 << (number % 64);
    let seen = SEEN.get(number / 64).map_or(0, |word| word.fetch_or(bit, Ordering::Relaxed));
    if seen & bit == 0 {
        log::warn!(target: "syscall", "{:?} wants call {number}, which is not there", current().process());
    }
    Err(Errno::ENOSYS)
}
