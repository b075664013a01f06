//! A process: what its threads share.

use super::group::{Group, Session};
use super::limits::Limits;
use super::pid::Pid;
use super::signal::{Actions, Ending, Signals};
use super::task::Task;
use super::tree::{self, Guarded, Tree};
use crate::arch::current::timer;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::File;
use crate::mm::space::{MmRef, MmStats};
use crate::sync::context::TaskName;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank, SpinLock, WaitQueue};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(pub(super) Children = Arc<Process>: Process { sibling_link => LinkedListAtomicLink });

const SIGNALS: LockClass = LockClass::new("signals of a process", Rank::SIGNALS);
const NAME: LockClass = LockClass::new("name of a process", Rank::PIDS);
const SPACE: LockClass = LockClass::new("address space of a process", Rank::new(38));

/// What was used of the machine: `rusage`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Nanoseconds in the program.
    pub user: u64,
    /// Nanoseconds in the kernel for it.
    pub system: u64,
    /// Faults that needed no file.
    pub faults: u64,
    /// Most resident memory, in bytes.
    pub most_resident: u64,
}

impl Usage {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.user += other.user;
        self.system += other.system;
        self.faults += other.faults;
        self.most_resident = self.most_resident.max(other.most_resident);
    }
}

/// Whose child it is and whose parent, under the tree's lock.
pub(super) struct Family {
    pub parent: Option<Arc<Process>>,
    pub children: LinkedList<Children>,
    pub group: Arc<Group>,
    /// How it ended, if it has and was not waited for.
    pub zombie: Option<Ending>,
    /// What its parent is sent at its end; 0: nothing.
    pub exit_signal: u32,
    /// It has executed a program since it was made: its group is its own business.
    pub has_execed: bool,
    /// What the children used that were waited for.
    pub children_used: Usage,
    /// It has no tasks any more: it takes no orphans.
    pub ends: bool,
    /// It takes the orphans of its descendants (`PR_SET_CHILD_SUBREAPER`).
    pub subreaper: bool,
}

/// A process: one or more tasks that share an address space, and that the rest of the system takes as
/// one. It is there until somebody has waited for it.
pub struct Process {
    pid: Arc<Pid>,
    name: IrqSpinLock<TaskName>,
    limits: Limits,
    /// When it began, as `timer::now`.
    started: u64,
    parent_pid: AtomicU32,
    death_signal: AtomicU32,
    /// Whose `Owned` cells its signal lock opens.
    key: usize,
    space: SpinLock<Option<MmRef>>,
    executable: SpinLock<Option<Arc<File>>>,
    /// Where `signal::TRAMPOLINE` is mapped.
    pub(super) trampoline: AtomicU64,
    /// -20 to 19.
    pub(super) nice: AtomicI32,
    /// `/proc/PID/oom_score_adj`
    pub(super) oom_score_adj: AtomicI32,
    /// `personality`
    pub(super) personality: AtomicU32,
    /// What its threads used that have ended.
    pub(super) used: IrqSpinLock<Usage>,
    pub(super) timers: super::timers::Timers,
    pub(super) family: Guarded<Family>,
    pub(super) signals: IrqSpinLock<Signals>,
    /// Who waits for a child.
    pub(super) child_changed: WaitQueue,
    /// Who waits for the other threads to end: `execve`.
    pub(super) thread_ended: WaitQueue,
    pub(super) sibling_link: LinkedListAtomicLink,
    pub(super) member_link: LinkedListAtomicLink,
    pub(super) timer_link: LinkedListAtomicLink,
}

/// What a new process gets from the one that makes it.
pub(super) struct Parts {
    pub pid: Arc<Pid>,
    pub name: TaskName,
    pub limits: Limits,
    pub executable: Option<Arc<File>>,
    pub actions: Arc<Actions>,
    pub group: Arc<Group>,
    pub exit_signal: u32,
}

impl Process {
    pub(super) fn new(parts: Parts) -> Result<Arc<Self>, Errno> {
        static KEYS: AtomicUsize = AtomicUsize::new(1);
        // Relaxed: only to be different.
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        try_arc(Self {
            pid: parts.pid,
            name: IrqSpinLock::new(&NAME, parts.name),
            limits: parts.limits,
            started: timer::now(),
            parent_pid: AtomicU32::new(0),
            death_signal: AtomicU32::new(0),
            key,
            space: SpinLock::new(&SPACE, None),
            executable: SpinLock::new(&SPACE, parts.executable),
            trampoline: AtomicU64::new(0),
            nice: AtomicI32::new(0),
            oom_score_adj: AtomicI32::new(0),
            personality: AtomicU32::new(0),
            used: IrqSpinLock::new(&NAME, Usage::default()),
            timers: super::timers::Timers::new(),
            family: Guarded::new(Family {
                parent: None,
                children: LinkedList::new(Children::NEW),
                group: parts.group,
                zombie: None,
                exit_signal: parts.exit_signal,
                has_execed: false,
                children_used: Usage::default(),
                ends: false,
                subreaper: false,
            }),
            signals: IrqSpinLock::new(&SIGNALS, Signals::new(key, parts.actions)),
            child_changed: WaitQueue::new(),
            thread_ended: WaitQueue::new(),
            sibling_link: LinkedListAtomicLink::new(),
            member_link: LinkedListAtomicLink::new(),
            timer_link: LinkedListAtomicLink::new(),
        })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid.number()
    }
    pub(super) fn number(&self) -> &Arc<Pid> {
        &self.pid
    }
    pub(super) fn key(&self) -> usize {
        self.key
    }
    /// What `/proc/PID/comm` shows.
    pub fn name(&self) -> TaskName {
        *self.name.lock()
    }
    /// Sets it: `execve`, `prctl`.
    pub fn set_name(&self, name: TaskName) {
        *self.name.lock() = name;
    }
    /// Its limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// When it began, in nanoseconds since boot.
    pub fn started(&self) -> u64 {
        self.started
    }
    /// Its address space, with a use of it that the caller ends (`Mm::end_use`); `None` once it has
    /// ended.
    pub fn space(&self) -> Option<MmRef> {
        self.space.lock().as_ref().filter(|space| space.try_add_user()).cloned()
    }
    pub(super) fn set_space(&self, space: Option<MmRef>) {
        let old = core::mem::replace(&mut *self.space.lock(), space);
        // Dropped without the lock.
        drop(old);
    }
    /// What it has in memory, without a use of its address space: a look. `None` once it has ended.
    pub fn memory_stats(&self) -> Option<MmStats> {
        let space = self.space.lock().clone()?;
        Some(space.stats())
    }
    /// The file that it executes.
    pub fn executable(&self) -> Option<Arc<File>> {
        self.executable.lock().clone()
    }
    pub(super) fn set_executable(&self, file: Option<Arc<File>>) {
        let old = core::mem::replace(&mut *self.executable.lock(), file);
        drop(old);
    }
    /// `/proc/PID/oom_score_adj`
    pub fn oom_score_adj(&self) -> i32 {
        self.oom_score_adj.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set_oom_score_adj(&self, value: i32) {
        self.oom_score_adj.store(value, Ordering::Relaxed);
    }
    /// Its nice value.
    pub fn nice(&self) -> i32 {
        self.nice.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set_nice(&self, nice: i32) {
        self.nice.store(nice, Ordering::Relaxed);
    }
    /// Whether it takes the orphans of its descendants.
    pub fn is_subreaper(&self) -> bool {
        self.family.get(&tree::lock()).subreaper
    }
    /// Says whether it does.
    pub fn set_subreaper(&self, on: bool) {
        let mut tree = tree::lock();
        self.family.get_mut(&mut tree).subreaper = on;
    }
    /// The signal that it gets when its parent ends; 0: none.
    pub fn death_signal(&self) -> u32 {
        self.death_signal.load(Ordering::Relaxed)
    }
    /// Sets it.
    pub fn set_death_signal(&self, number: u32) {
        self.death_signal.store(number, Ordering::Relaxed);
    }
    /// Its limits were changed: its address space keeps those that concern memory.
    pub fn limits_changed(&self, ctx: &mut MaySleep) {
        if let Some(space) = self.space() {
            space.set_limits(self.limits.of_memory());
            space.end_use(ctx);
        }
    }
    /// Its parent's number; 0: none. Without the tree's lock: programs ask for it.
    pub fn parent_pid(&self) -> u32 {
        self.parent_pid.load(Ordering::Relaxed)
    }
    /// Whenever `Family::parent` changes.
    pub(super) fn note_parent(&self, pid: u32) {
        self.parent_pid.store(pid, Ordering::Relaxed);
    }
    /// Its group's number.
    pub fn group_id(&self) -> u32 {
        self.group(&tree::lock()).id()
    }
    /// Its session.
    pub fn session(&self) -> Arc<Session> {
        Arc::clone(self.group(&tree::lock()).session())
    }
    /// Whether it has executed a program since it was made.
    pub fn has_execed(&self) -> bool {
        self.family.get(&tree::lock()).has_execed
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
    /// Its threads that have not ended, by number.
    pub fn thread_count(&self) -> u32 {
        self.signals.lock().live
    }
    /// The thread with the lowest number above that.
    pub fn next_thread(&self, tid: u32) -> Option<Arc<Task>> {
        let signals = self.signals.lock();
        let mut best = signals.threads.front();
        let mut place = signals.threads.front();
        while let Some(task) = place.get() {
            let better = best.get().is_none_or(|best| best.tid() <= tid || task.tid() < best.tid());
            if task.tid() > tid && better {
                best = place.clone();
            }
            place.move_next();
        }
        best.clone_pointer().filter(|task| task.tid() > tid)
    }
    /// Its first thread, which may have ended before the others.
    pub fn leader(&self) -> Option<Arc<Task>> {
        super::table::find_task(self.pid())
    }
    /// What it does, by the letter of `/proc/PID/stat`.
    pub fn state_letter(&self) -> char {
        if self.family.get(&tree::lock()).zombie.is_some() {
            return 'Z';
        }
        self.leader().map_or('X', |leader| leader.state_letter())
    }
    /// What it has used, its ended threads included.
    pub fn usage(&self) -> Usage {
        let signals = self.signals.lock();
        let mut sum = *self.used.lock();
        for task in signals.threads.iter() {
            sum.add(&task.usage());
        }
        sum
    }
    /// What its children used that were waited for.
    pub fn children_usage(&self) -> Usage {
        self.family.get(&tree::lock()).children_used
    }

    pub(super) fn parent<'a>(&'a self, tree: &'a Tree) -> Option<&'a Arc<Self>> {
        self.family.get(tree).parent.as_ref()
    }
    pub(super) fn group<'a>(&'a self, tree: &'a Tree) -> &'a Arc<Group> {
        &self.family.get(tree).group
    }
    pub(super) fn is_zombie(&self, tree: &Tree) -> bool {
        self.family.get(tree).zombie.is_some()
    }
}

impl Task {
    /// What it has used.
    pub fn usage(&self) -> Usage {
        let (user, system) = self.times();
        Usage { user, system, faults: self.faults.load(Ordering::Relaxed), most_resident: 0 }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name().as_str(), self.pid())
    }
}
