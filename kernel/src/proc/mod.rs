//! Threads of the kernel and who runs when; above them, processes.
//!
//! * [`thread`]: a kernel thread, its stack, its beginning and end.
//! * [`sched`]: one run queue for each CPU; switching, waking, the clock, CPUs that come and go.
//! * [`smp`]: the other CPUs: starting them, calling a function on them.
//! * [`elf`]: the files that programs come in.
//! * [`process`]: programs that run: threads with an address space, files and signals.

pub mod elf;
pub mod process;
pub mod sched;
pub mod smp;
pub mod thread;
