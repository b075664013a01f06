//! Signals: numbers, actions, what is pending, sending, delivering.
//!
//! # Locks
//! Each process has one lock, [`Signals`], over what is pending for it and each of its tasks, over the
//! list of its tasks, and over stopping and ending as a whole. What it protects in a task stands in an
//! [`Owned`] cell, which opens with that process's guard only. It is interrupt-safe: ^C and timers send
//! signals from interrupts. A task's blocked signals are changed by the task alone, under the lock.
//!
//! # How a program notices
//! A sender makes the signal pending, sets [`attention`](crate::proc::thread::User) of a task that does
//! not block it, and wakes it (if it waits) or interrupts its CPU (if it runs there). The task looks at
//! `attention` before each return to its program, interrupts off, and whenever it waits interruptibly.

pub mod action;
pub mod deliver;
pub mod info;
pub mod masks;
pub mod number;
pub mod pending;
mod send;
pub mod send_by;
mod state;
pub mod trampoline;

pub use action::{Action, Actions};
pub use info::{Info, Source};
pub use number::{Default, SigSet, Signal};
pub use pending::Pending;
pub use send::{force, signal_group, signal_process, signal_task};
pub use state::{Change, Ending};
pub(super) use state::{Owned, Signals};
