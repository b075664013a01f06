//! Processes: programs that run.
//!
//! * [`state`]: [`Process`], what the threads of a program share; [`task`]: [`Task`], one of them.
//! * [`current`]: the running task, and waiting that a signal ends.
//! * [`tree`]: the lock over families and groups; [`table`]: all tasks by number; [`pid`]: the numbers.
//! * [`group`]: process groups and sessions; [`job`]: what a terminal asks about them.
//! * [`creds`], [`limits`]: what a process may.
//! * [`signal`]: signals. [`futex`], [`timers`], [`wait`]: what their names say.
//!
//! # Who keeps what alive
//! A process is kept by its tasks, by the list of its parent's children until it has been waited for,
//! and by its children as long as they have it for a parent. A task is kept by its thread and by the
//! table of numbers; the first task of a process stays in the table until the process has been waited
//! for, the others leave it when they end.
//!
//! # Order of locks
//! tree ([`Rank::PROCESS_TREE`](crate::sync::Rank::PROCESS_TREE)), one process's signals, actions of
//! signals, then the small ones. Signals of two processes are never locked together.

pub mod clock;
pub mod creds;
pub mod current;
mod enter;
mod exec;
mod exit;
mod fork;
pub mod futex;
pub mod group;
mod init;
pub mod job;
pub mod limits;
pub mod membership;
pub mod names;
mod oom;
pub mod pid;
pub mod signal;
pub mod state;
mod stop;
pub mod table;
pub mod task;
pub mod timers;
mod tree;
pub mod wait;

pub use creds::Creds;
pub use current::{
    Current, Interruptible, broken_pipe, current, signal_pending, try_current, wait_interruptible,
    wait_interruptible_until,
};
pub use enter::{enter, finish_call, memory_fault, program_fault, tick, user_return};
pub use exec::{Program, Strings, exec};
pub use exit::{exit_group, exit_thread};
pub use fork::{Clone, clone};
pub use group::{Group, Session, Terminal};
pub use init::start_init;
pub use limits::{Limit, Limits, Resource};
pub use signal::{Ending, Info, SigSet, Signal, Source, signal_group, signal_process, signal_task};
pub use state::{Process, Usage};
pub use table::{find, find_task, for_each, next_after};
pub use task::Task;

/// Ticks of the clock that programs see in a second: `sysconf(_SC_CLK_TCK)`.
pub const CLOCK_TICKS: u64 = 100;
