//! Process groups and sessions.
//!
//! A group is there as long as a process is in it; its number is in use as long ([`Pid`]). It is found
//! by walking its members, or all processes: who asks for a group by number is a shell or a terminal,
//! not a fast path.

use super::pid::Pid;
use super::state::Process;
use super::tree::{Guarded, Tree};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::sync::{IrqSpinLock, LockClass, Rank};
use alloc::sync::Arc;
use core::fmt;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(pub(super) Members = Arc<Process>: Process { member_link => LinkedListAtomicLink });

const TERMINAL: LockClass = LockClass::new("terminal of a session", Rank::PIDS);

/// A terminal, as sessions know it.
pub trait Terminal: Send + Sync {
    /// `st_rdev`, as `/proc/PID/stat` shows it.
    fn device(&self) -> u32;
    /// The foreground group's number; 0: none.
    fn foreground(&self) -> u32;
    /// The session's leader ended: the terminal is nobody's.
    fn leader_ended(&self, session: u32);
}

/// Groups that share a terminal.
pub struct Session {
    id: Arc<Pid>,
    terminal: IrqSpinLock<Option<Arc<dyn Terminal>>>,
}

impl Session {
    /// A session without a terminal, named after its leader.
    pub(super) fn new(id: Arc<Pid>) -> Result<Arc<Self>, Errno> {
        try_arc(Self { id, terminal: IrqSpinLock::new(&TERMINAL, None) })
    }
    /// Its number: its leader's.
    pub fn id(&self) -> u32 {
        self.id.number()
    }
    /// Its controlling terminal.
    pub fn terminal(&self) -> Option<Arc<dyn Terminal>> {
        self.terminal.lock().clone()
    }
    /// Replaces that.
    pub fn set_terminal(&self, terminal: Option<Arc<dyn Terminal>>) {
        let old = core::mem::replace(&mut *self.terminal.lock(), terminal);
        // Dropped without the lock.
        drop(old);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.id())
    }
}

/// Processes that a terminal and `kill` take as one.
pub struct Group {
    id: Arc<Pid>,
    session: Arc<Session>,
    pub(super) members: Guarded<LinkedList<Members>>,
}

impl Group {
    /// A group without members.
    pub(super) fn new(id: Arc<Pid>, session: Arc<Session>) -> Result<Arc<Self>, Errno> {
        try_arc(Self { id, session, members: Guarded::new(LinkedList::new(Members::NEW)) })
    }
    /// Its number: its first member's.
    pub fn id(&self) -> u32 {
        self.id.number()
    }
    /// The session it belongs to, for good.
    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }
    /// Whether no member has a parent in another group of the session, who could continue it: then
    /// its members are not stopped by the terminal.
    pub(super) fn is_orphaned(&self, tree: &Tree, but: Option<&Process>) -> bool {
        !self.members.get(tree).iter().any(|member| {
            if but.is_some_and(|but| core::ptr::eq(but, member)) || member.is_zombie(tree) {
                return false;
            }
            member.parent(tree).is_some_and(|parent| {
                let group = parent.group(tree);
                parent.pid() != 1 && group.id() != self.id() && group.session().id() == self.session.id()
            })
        })
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({} of session {})", self.id(), self.session.id())
    }
}
