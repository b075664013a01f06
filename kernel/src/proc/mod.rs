//! Threads of the kernel and who runs when.
//!
//! * [`thread`]: a kernel thread, its stack, its beginning and end.
//! * [`sched`]: one run queue for each CPU; switching, waking, the clock, CPUs that come and go.
//! * [`smp`]: the other CPUs: starting them, calling a function on them.

pub mod sched;
pub mod smp;
pub mod thread;
