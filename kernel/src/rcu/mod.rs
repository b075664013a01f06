//! Read-copy-update: who may still read what was removed, and when it may be freed.
//!
//! A reader opens a *read section*, follows pointers, and closes it. It writes nothing that another
//! CPU writes, takes no lock, and leaves interrupts on. Who removes something waits until every
//! section that was open then is closed: a *grace period*. It ends when each CPU has been seen once
//! outside all sections: in a *quiescent state*. Then the thing is freed.
//!
//! RCU knows nothing of page tables: it frees whatever carries an [`RcuHead`].
//!
//! * [`section`]: the reader's side, [`read_lock`].
//! * [`head`], [`list`]: what an object carries, and the segmented list of a CPU's callbacks.
//! * [`instance`]: one instance: queueing, invoking, cookies.
//! * [`quiescent`]: reports, idle and offline CPUs.
//! * [`gp`], [`drive`]: the grace period, and the thread that holds it.
//! * [`barrier`], [`stall`], [`seq`]: what their names say.
//! * [`kernel`], [`global`]: the kernel's instance, its threads, and the functions that others call.
//! * [`torture`]: threads that do their worst.
//!
//! All but the last three and the sections run under the model checker as they are
//! (`tests/loom_rcu.rs`), because they are values and not statics.

pub mod drive;
pub mod gp;
pub mod head;
pub mod instance;
pub mod list;
pub mod quiescent;
pub mod seq;
pub mod stall;

mod barrier;

#[cfg(not(loom))]
pub mod global;
#[cfg(not(loom))]
pub mod kernel;
#[cfg(not(loom))]
pub mod section;
#[cfg(not(loom))]
pub mod torture;

pub use gp::{Driver, GracePeriod};
pub use head::{Deferred, HasRcuHead, RcuHead};
pub use instance::{Cookie, Environment, Rcu};
pub use list::Lengths;

#[cfg(not(loom))]
pub use global::{
    barrier, call, call_drop, call_raw, cond_synchronize, grace_periods, held, hold, let_go, poll,
    poll_state, reclaim, start_poll, synchronize, synchronize_expedited, totals,
};
#[cfg(not(loom))]
pub use kernel::{
    cpu_offline, cpu_online, driver_main, idle_enter, idle_exit, interrupted, invoker_main, irq_enter,
    note_context_switch,
};
#[cfg(not(loom))]
pub use section::{RcuReadGuard, read_lock};
