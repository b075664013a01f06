//! What a terminal asks about processes before it lets one use it: job control.

use super::current::Current;
use super::signal::{Info, SigSet, Signal, signal_group};
use super::task::Task;
use super::tree;
use super::{group::Group, table};
use crate::error::Errno;
use alloc::sync::Arc;

impl Current {
    /// Whether the running task would not notice the signal: it blocks it, or its process ignores it.
    pub fn is_deaf_to(&self, signal: Signal) -> bool {
        self.blocked().contains(signal) || self.process().signals.lock().actions.get(signal).ignores(signal)
    }

    /// The running process does in the background what only the foreground may: its group gets the
    /// signal, and the call is to be made again when it has been continued.
    ///
    /// # Errors
    /// ERESTARTSYS, always, unless nobody could continue it: EIO.
    pub fn stop_background(&self, signal: Signal) -> Errno {
        if self.process().is_orphaned() {
            return Errno::EIO;
        }
        signal_group(self.process().group_id(), Info::kernel(signal));
        Errno::ERESTARTSYS
    }
}

impl Task {
    /// For `/proc`: signals that are pending for the task, for its process; that are blocked, ignored,
    /// caught.
    pub fn signal_sets(&self) -> [u64; 5] {
        let signals = self.process().signals.lock();
        let (ignored, caught) = signals.actions.sets();
        let (own, shared) = (self.pending.get(&signals).set(), signals.shared.set());
        [own, shared, self.blocked(), ignored, caught].map(SigSet::bits)
    }
}

/// The session of the group with that number; `None` if there is no such group.
pub fn session_of_group(number: u32) -> Option<u32> {
    let tree = tree::lock();
    let mut found = None;
    table::for_each_in(&tree, |process| {
        let group: &Arc<Group> = process.group(&tree);
        if group.id() == number {
            found = Some(group.session().id());
        }
    });
    found
}
