//! System calls: one table from Linux' numbers to functions, one file a topic.
//!
//! The numbers are the machine's own (crate `linux-raw-sys` for the target), so are the structures. A
//! topic's file ends in its `CALLS`, the rows it adds. A number that has no row is ENOSYS, and is
//! logged once. A bad pointer is EFAULT: user memory is reached through the address space's copies
//! only.
//!
//! What differs between the machines beside numbers is in `arch::current::abi`.
#![forbid(unsafe_code)]

mod abi;
mod attr;
mod creds;
mod dir;
mod files;
mod futex;
mod io;
mod lock;
mod memory;
mod misc;
mod mount;
mod open;
mod poll;
mod process;
mod sched;
mod signal;
mod stat;
mod syslog;
mod time;

use crate::addr::VirtAddr;
use crate::arch::abi::ABSENT;
use crate::arch::current::TrapFrame;
use crate::error::Errno;
use crate::mm::space::Plain;
use crate::proc::process::{Current, current, finish_call};
use crate::sync::MaySleep;
use core::sync::atomic::{AtomicU64, Ordering};

/// A system call on its way.
pub struct Call<'a> {
    /// It may sleep.
    pub ctx: &'a mut MaySleep,
    /// Who calls.
    pub task: Current,
    /// The program's registers. Their result is the dispatcher's business, unless `keep_frame`.
    pub frame: &'a mut TrapFrame,
    /// What it passes.
    pub args: [u64; 6],
    /// The frame is as it is to be: `execve` and `sigreturn` have no result.
    pub keep_frame: bool,
}

impl Call<'_> {
    /// An `int` or `unsigned int`: the upper half of the register means nothing.
    pub fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }
    /// The same, unsigned.
    pub fn uint(&self, index: usize) -> u32 {
        self.args[index] as u32
    }
    /// A value that an argument points to.
    ///
    /// # Errors
    /// EFAULT.
    pub fn read<T: Plain>(&mut self, at: u64) -> core::result::Result<T, Errno> {
        self.task.mm().read_value(self.ctx, VirtAddr::new(at))
    }
    /// Writes it where an argument points.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write<T: Plain>(&mut self, at: u64, value: &T) -> core::result::Result<(), Errno> {
        self.task.mm().write_value(self.ctx, VirtAddr::new(at), value)
    }
    /// The same, if it points anywhere.
    ///
    /// # Errors
    /// EFAULT.
    pub fn write_if<T: Plain>(&mut self, at: u64, value: &T) -> core::result::Result<(), Errno> {
        if at == 0 { Ok(()) } else { self.write(at, value) }
    }
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
static TABLE: Table = build(&[
    abi::CALLS,
    attr::CALLS,
    dir::CALLS,
    io::CALLS,
    lock::CALLS,
    mount::CALLS,
    open::CALLS,
    poll::CALLS,
    stat::CALLS,
    creds::CALLS,
    futex::CALLS,
    memory::CALLS,
    syslog::CALLS,
    misc::CALLS,
    process::CALLS,
    sched::CALLS,
    signal::CALLS,
    time::CALLS,
]);

const fn build(topics: &[&[Row]]) -> Table {
    let mut table = [None; NUMBERS];
    let mut topic = 0;
    while topic < topics.len() {
        let mut row = 0;
        while row < topics[topic].len() {
            let (number, handler) = topics[topic][row];
            row += 1;
            if number == ABSENT {
                continue;
            }
            assert!(table[number as usize].is_none(), "two rows for one number");
            table[number as usize] = Some(handler);
        }
        topic += 1;
    }
    table
}

/// Serves the call that the frame holds.
#[inline]
pub fn serve(ctx: &mut MaySleep, task: Current, frame: &mut TrapFrame) {
    let syscall = frame.syscall();
    let Some(handler) = TABLE.get(syscall.number).copied().flatten() else {
        return frame.set_result(Err(missing(syscall.number)));
    };
    let mut call = Call { ctx, task, frame, args: syscall.args, keep_frame: false };
    let result = handler(&mut call);
    if !(call.keep_frame && result.is_ok()) {
        finish_call(frame, result);
    }
}

/// No such call. The first program that wants it is named.
#[cold]
fn missing(number: usize) -> Errno {
    static SEEN: [AtomicU64; NUMBERS / 64] = [const { AtomicU64::new(0) }; NUMBERS / 64];
    let bit = 1 << (number % 64);
    let seen = SEEN.get(number / 64).map_or(0, |word| word.fetch_or(bit, Ordering::Relaxed));
    if seen & bit == 0 {
        log::warn!(target: "syscall", "{:?} wants call {number}, which is not there", current().process());
    }
    Errno::ENOSYS
}
