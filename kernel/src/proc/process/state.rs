//! A process: what its threads share.

use super::group::{Group, Session};
use super::limits::Limits;
use super::pid::Pid;
use super::signal::Signals;
use super::tree::{self, Guarded, Tree};
use crate::sync::context::TaskName;
use crate::sync::{IrqSpinLock, LockClass, Rank, WaitQueue};
use alloc::sync::Arc;
use core::fmt;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(pub(super) Children = Arc<Process>: Process { sibling_link => LinkedListAtomicLink });

const SIGNALS: LockClass = LockClass::new("signals of a process", Rank::SIGNALS);
const NAME: LockClass = LockClass::new("name of a process", Rank::PIDS);

/// The letter by which `/proc/PID/stat` tells what a process does.
pub type StateLetter = char;

/// Whose child it is and whose parent, under the tree's lock.
pub(super) struct Family {
    pub parent: Option<Arc<Process>>,
    pub children: LinkedList<Children>,
    pub group: Arc<Group>,
    /// It has ended and was not waited for.
    pub zombie: bool,
}

/// A process: one or more tasks that share an address space, and that the rest of the system takes as
/// one. It is there until somebody has waited for it.
pub struct Process {
    pid: Arc<Pid>,
    name: IrqSpinLock<TaskName>,
    limits: Limits,
    pub(super) family: Guarded<Family>,
    pub(super) signals: IrqSpinLock<Signals>,
    /// Who waits for a child.
    pub(super) child_changed: WaitQueue,
    pub(super) sibling_link: LinkedListAtomicLink,
    pub(super) member_link: LinkedListAtomicLink,
}

impl Process {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid.number()
    }
    /// What `/proc/PID/comm` shows.
    pub fn name(&self) -> TaskName {
        *self.name.lock()
    }
    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// Its parent's number; 0: none.
    pub fn parent_pid(&self) -> u32 {
        self.parent(&tree::lock()).map_or(0, |parent| parent.pid())
    }
    /// Its group's number.
    pub fn group_id(&self) -> u32 {
        self.group(&tree::lock()).id()
    }
    /// Its session.
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(self.group(&tree::lock()).session())
    }
    /// Whether its session is named after it.
    pub fn is_session_leader(&self) -> bool {
        self.session().id() == self.pid()
    }
    /// Whether nobody outside its group but in its session could continue it: the terminal does not
    /// stop it then.
    pub fn is_orphaned(&self) -> bool {
        let tree = tree::lock();
        self.group(&tree).is_orphaned(&tree, None)
    }

    pub(super) fn parent<'a>(&'a self, tree: &'a Tree) -> Option<&'a Arc<Self>> {
        self.family.get(tree).parent.as_ref()
    }
    pub(super) fn group<'a>(&'a self, tree: &'a Tree) -> &'a Arc<Group> {
        &self.family.get(tree).group
    }
    pub(super) fn is_zombie(&self, tree: &Tree) -> bool {
        self.family.get(tree).zombie
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({}, {})", self.pid(), self.name().as_str())
    }
}
