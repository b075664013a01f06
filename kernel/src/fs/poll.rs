//! Waiting for one of several files.
//!
//! Who polls joins the lines of all queues *before* it looks at the files ([`PollTable::add`]), so
//! that a change after the look takes it out of a line, and it looks again. A file's `poll` therefore
//! adds its queue first and tells its state second.
//!
//! A queue that is given to a table is woken with `wake_all`: a poller that is woken may do nothing
//! about it, and a `wake_one` would be lost with it.

use crate::error::Errno;
use crate::proc::process::Interruptible;
use crate::sync::watch::{Watch, wait_for_any};
use crate::sync::{MaySleep, WaitQueue};
use alloc::sync::Arc;
use alloc::vec::Vec;

bitflags::bitflags! {
    /// What is the case with a file. The values are Linux'.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Events: u16 {
        /// Something can be read, or the end of the file.
        const IN = 0x1;
        /// Something urgent.
        const PRI = 0x2;
        /// Something can be written.
        const OUT = 0x4;
        /// An error; told whether or not it is asked for.
        const ERR = 0x8;
        /// The other end has gone; likewise.
        const HUP = 0x10;
        /// Not open; likewise.
        const NVAL = 0x20;
        /// As `IN`.
        const RDNORM = 0x40;
        /// As `PRI`.
        const RDBAND = 0x80;
        /// As `OUT`.
        const WRNORM = 0x100;
        /// Writing what is urgent.
        const WRBAND = 0x200;
        /// The other end writes no more.
        const RDHUP = 0x2000;
    }
}

impl Events {
    /// Readable, in both words for it.
    pub const READABLE: Self = Self::IN.union(Self::RDNORM);
    /// Writable, in both words for it.
    pub const WRITABLE: Self = Self::OUT.union(Self::WRNORM);
    /// What is told unasked.
    pub const ALWAYS: Self = Self::ERR.union(Self::HUP).union(Self::NVAL);
}

/// The queues that a poller stands in.
#[derive(Default)]
pub struct PollTable {
    watches: Vec<Watch>,
    /// The first look: files add their queues. Later they are in already.
    joining: bool,
    failed: bool,
}

impl PollTable {
    /// A table that joins no queue: for a look without waiting.
    pub fn looking() -> Self {
        Self::default()
    }

    /// Makes a wake-up of the queue end the wait. Called by a file's `poll` before it looks at its
    /// state.
    pub fn add(&mut self, queue: &Arc<WaitQueue>) {
        if !self.joining || self.failed {
            return;
        }
        self.failed = self.watches.try_reserve(1).is_err();
        if !self.failed {
            // SAFETY: the table is dropped in `poll_until`, its only maker, on the task's own stack.
            match unsafe { Watch::new(queue.clone()) } {
                Ok(watch) => self.watches.push(watch),
                Err(_) => self.failed = true,
            }
        }
    }
}

/// Looks, and sleeps between the looks, until `look` gives something, a signal is pending (EINTR), or
/// it is late (`Ok(None)`). A deadline of 0 looks once.
pub fn poll_until<R>(
    ctx: &mut MaySleep,
    deadline: Option<u64>,
    interrupted: impl Fn() -> bool,
    mut look: impl FnMut(&mut MaySleep, &mut PollTable) -> Result<Option<R>, Errno>,
) -> Result<Option<R>, Errno> {
    let mut table = PollTable { joining: deadline != Some(0), ..PollTable::default() };
    loop {
        table.watches.iter().for_each(Watch::join);
        if let Some(found) = look(ctx, &mut table)? {
            return Ok(Some(found));
        }
        if table.failed {
            return Err(Errno::ENOMEM);
        }
        if deadline == Some(0) {
            return Ok(None);
        }
        table.joining = false;
        if interrupted() {
            return Err(Errno::EINTR);
        }
        let waiting = Interruptible::begin();
        let woken = wait_for_any(ctx, &table.watches, deadline, &interrupted);
        drop(waiting);
        if !woken {
            // Late; what came meanwhile still counts.
            return look(ctx, &mut table);
        }
    }
}
