//! What code on several CPUs shares, and the contexts in which it runs.
//!
//! * [`context`]: what the running task counts (preemption, interrupts, RCU, locks held).
//! * [`token`]: [`MaySleep`] and [`InIrq`], contexts as values.
//! * [`preempt`]: [`PreemptGuard`] and [`IrqGuard`]; while one lives the CPU does not change.
//! * [`spin`]: [`SpinLock`] and [`IrqSpinLock`], checked against the order of [`rank`].
//! * [`wait`]: [`WaitQueue`] and [`Completion`]; [`mutex`]: the sleeping [`Mutex`].
//! * [`watch`]: a place in several queues at a time.
//! * [`percpu`]: one value for each CPU.
//! * [`hooks`]: the few calls upwards, into the scheduler.
//! * [`atomic`], [`cell`]: core's, or loom's in a model-checked build.
//!
//! Which lock? Data that an interrupt handler (or an RCU callback, which runs in one) touches needs
//! an [`IrqSpinLock`]; all else that is held for a few dozen instructions a [`SpinLock`]; what is
//! held while one sleeps, a mutex.

pub mod atomic;
pub mod cell;
pub mod context;
pub mod hooks;
pub mod latency;
#[cfg(all(test, loom))]
mod loom;
pub mod mutex;
pub mod percpu;
pub mod preempt;
pub mod rank;
pub mod spin;
pub mod token;
pub mod wait;
mod waiters;
#[cfg(not(loom))]
pub mod watch;

pub use mutex::Mutex;
pub use percpu::PerCpu;
pub use preempt::{IrqGuard, Pinned, PreemptGuard};
pub use rank::{LockClass, Rank};
pub use spin::{IrqSpinLock, SpinLock};
pub use token::{InIrq, MaySleep};
pub use wait::{Completion, WaitQueue};

/// A value that is set once and then read without a lock.
pub type Once<T> = ::spin::once::Once<T, spin::Relax>;
