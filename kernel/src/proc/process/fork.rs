//! New tasks and processes: `clone` and its relatives, and init.
//!
//! All that can fail comes first, and is undone by dropping it. Then, under the locks, the new one is
//! put into all lists at once; from there on it exists.

use super::limits::{INFINITY, Resource};
use super::signal::{Actions, SigSet, Signal};
use super::state::{self, Process};
use super::task::{self, Released, Task};
use super::{Creds, Current, Group, Limits, Session, current, exit, pid::Pid, table, tree};
use crate::addr::VirtAddr;
use crate::arch::current::user::{self, UserState};
use crate::arch::current::{TrapFrame, cpu};
use crate::arch::signals::AltStack;
use crate::arch::try_arc;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::fs::{FdTable, File, FsContext};
use crate::mm::space::MmRef;
use crate::proc::thread::{NewThread, Spawn, Thread, User};
use crate::sync::MaySleep;
use crate::sync::context::TaskName;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as linux;

/// What a new task shares with its maker and how it begins: `clone3`'s arguments.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clone {
    /// `CLONE_*`
    pub flags: u64,
    /// The stack pointer; 0: as the maker's.
    pub stack: u64,
    /// Where the maker wants the number (CLONE_PARENT_SETTID).
    pub parent_tid: u64,
    /// Where the child wants it, and wants it cleared (CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID).
    pub child_tid: u64,
    /// The thread pointer (CLONE_SETTLS).
    pub tls: u64,
    /// What its end sends the parent.
    pub exit_signal: u32,
}

impl Clone {
    fn has(&self, flag: u32) -> bool {
        self.flags & u64::from(flag) != 0
    }

    /// EINVAL for what makes no sense, or is not here (namespaces).
    fn check(&self) -> Result<(), Errno> {
        const KNOWN: u32 = linux::CLONE_VM
            | linux::CLONE_FS
            | linux::CLONE_FILES
            | linux::CLONE_SIGHAND
            | linux::CLONE_VFORK
            | linux::CLONE_PARENT
            | linux::CLONE_THREAD
            | linux::CLONE_SYSVSEM
            | linux::CLONE_SETTLS
            | linux::CLONE_PARENT_SETTID
            | linux::CLONE_CHILD_CLEARTID
            | linux::CLONE_DETACHED
            | linux::CLONE_CHILD_SETTID
            | linux::CLONE_UNTRACED
            | linux::CLONE_IO;
        let needs = |flag: u32, other: u32| !self.has(flag) || self.has(other);
        // CLONE_CLEAR_SIGHAND, which is above them, is `clone3`'s.
        let known = u64::from(KNOWN) | CLEAR_SIGHAND;
        let sense = self.flags & !known == 0
            && needs(linux::CLONE_SIGHAND, linux::CLONE_VM)
            && needs(linux::CLONE_THREAD, linux::CLONE_SIGHAND)
            && (self.flags & CLEAR_SIGHAND == 0 || !self.has(linux::CLONE_SIGHAND))
            && (self.exit_signal == 0 || Signal::new(self.exit_signal).is_some());
        if sense { Ok(()) } else { Err(Errno::EINVAL) }
    }
}

const CLEAR_SIGHAND: u64 = 1 << 32;

/// `clone`: gives the new task's number.
///
/// # Errors
/// EINVAL: flags that make no sense. EAGAIN: no number is free. ENOMEM. ERESTARTNOINTR: a signal came
/// first.
pub fn clone(ctx: &mut MaySleep, frame: &TrapFrame, how: &Clone) -> Result<u32, Errno> {
    how.check()?;
    let maker = current();
    // A signal to the group reaches the child by way of the maker, or finds it in the group.
    if maker.signal_pending() {
        return Err(Errno::ERESTARTNOINTR);
    }
    may_make_more(&maker)?;
    let number = Pid::new()?;
    let tid = number.number();
    // SAFETY: the running task's own registers.
    let mut state = unsafe { maker.user().registers() };
    let mut frame = frame.clone();
    frame.set_result(Ok(0));
    if how.stack != 0 {
        frame.set_sp(VirtAddr::new(how.stack));
    }
    if how.has(linux::CLONE_SETTLS) {
        user::set_tls(&mut frame, &mut state, how.tls);
    }
    let task = make(&maker, how, number, state)?;
    let released = if how.has(linux::CLONE_VFORK) {
        let released = try_arc(Released::new())?;
        *task.released.lock() = Some(Arc::clone(&released));
        Some(released)
    } else {
        None
    };
    if how.has(linux::CLONE_CHILD_CLEARTID) {
        task.clear_tid.store(how.child_tid, Ordering::Relaxed);
    }
    let set_tid = if how.has(linux::CLONE_CHILD_SETTID) { how.child_tid } else { 0 };
    let thread = prepare(ctx, &task, frame, set_tid)?;
    if how.has(linux::CLONE_PARENT_SETTID) {
        maker.mm().write_value(ctx, VirtAddr::new(how.parent_tid), &tid)?;
    }
    give_space(ctx, &maker, &task, how)?;
    if let Err(error) = publish(&maker, &task, how, &thread) {
        drop(thread);
        take_space_back(ctx, &task);
        return Err(error);
    }
    drop(thread.start());
    if let Some(released) = released {
        let process = maker.process();
        released
            .queue
            .wait(ctx, || released.done.load(Ordering::Acquire) || process.signals.lock().ending.is_some());
    }
    Ok(tid)
}

/// RLIMIT_NPROC, which root need not care about. Who has such a limit pays for the count.
fn may_make_more(maker: &Task) -> Result<(), Errno> {
    let limit = maker.process().limits().soft(Resource::Processes);
    if limit == INFINITY {
        return Ok(());
    }
    let creds = maker.creds();
    if creds.is_root() || (table::count_of_user(creds.uid) as u64) < limit {
        Ok(())
    } else {
        Err(Errno::EAGAIN)
    }
}

/// The task, and its process if it is the first of one: nobody knows them yet.
fn make(maker: &Current, how: &Clone, number: Arc<Pid>, state: UserState) -> Result<Arc<Task>, Errno> {
    let files = maker.files.copy().ok_or(Errno::ESRCH)?;
    let files = if how.has(linux::CLONE_FILES) { files } else { try_arc(files.duplicate()?)? };
    let fs = maker.fs.copy().ok_or(Errno::ESRCH)?;
    let fs = if how.has(linux::CLONE_FS) { fs } else { try_arc(fs.duplicate())? };
    let process = if how.has(linux::CLONE_THREAD) {
        Arc::clone(maker.process())
    } else {
        make_process(maker.process(), how, Arc::clone(&number))?
    };
    // A copy of the program stands on the same stack; a thread of it does not.
    let shares_space = how.has(linux::CLONE_VM) && !how.has(linux::CLONE_VFORK);
    let alt_stack = if shares_space { NO_STACK } else { maker.alt_stack() };
    Task::new(task::Parts {
        process,
        pid: number,
        state,
        creds: maker.creds(),
        files,
        fs,
        blocked: maker.blocked(),
        alt_stack,
    })
}

/// `SS_DISABLE`
const NO_STACK: AltStack = AltStack { sp: 0, flags: 2, size: 0 };

fn make_process(maker: &Arc<Process>, how: &Clone, number: Arc<Pid>) -> Result<Arc<Process>, Errno> {
    let actions = Arc::clone(&maker.signals.lock().actions);
    let actions = if how.has(linux::CLONE_SIGHAND) {
        actions
    } else {
        let copy = actions.copy();
        if how.flags & CLEAR_SIGHAND != 0 {
            copy.reset_handlers();
        }
        try_arc(copy)?
    };
    let group = Arc::clone(maker.group(&tree::lock()));
    let process = Process::new(state::Parts {
        pid: number,
        name: maker.name(),
        limits: maker.limits().clone(),
        executable: maker.executable(),
        actions,
        group,
        exit_signal: how.exit_signal,
    })?;
    let copy = |to: &core::sync::atomic::AtomicI32, from: &core::sync::atomic::AtomicI32| {
        to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
    };
    copy(&process.nice, &maker.nice);
    copy(&process.oom_score_adj, &maker.oom_score_adj);
    process.personality.store(maker.personality.load(Ordering::Relaxed), Ordering::Relaxed);
    process.trampoline.store(maker.trampoline.load(Ordering::Relaxed), Ordering::Relaxed);
    Ok(process)
}

/// The new task's address space: a copy, or the same.
fn give_space(ctx: &mut MaySleep, maker: &Current, task: &Task, how: &Clone) -> Result<(), Errno> {
    let space = if how.has(linux::CLONE_VM) {
        maker.mm().add_user();
        MmRef::clone(maker.mm())
    } else {
        maker.mm().fork(ctx)?
    };
    if !how.has(linux::CLONE_THREAD) {
        task.process().set_space(Some(space.clone()));
    }
    // SAFETY: its thread has not begun.
    unsafe { task.user().give_space(Some(space)) };
    Ok(())
}

fn take_space_back(ctx: &mut MaySleep, task: &Task) {
    // SAFETY: its thread never began.
    if let Some(space) = unsafe { task.user().give_space(None) } {
        space.end_use(ctx);
    }
}

/// Its thread.
fn prepare(ctx: &mut MaySleep, task: &Arc<Task>, frame: TrapFrame, set_tid: u64) -> Result<NewThread, Errno> {
    let name = task.process().name();
    let owned = Arc::clone(task);
    let spawn = Spawn::new(name.as_str()).on(current_cpus());
    // The whole task's pointer: `current` makes a task of it again, and `exit_thread` the reference.
    let user = Arc::as_ptr(task).cast::<User>();
    // SAFETY: `owned` is the thread's, which lives until it has called `leave_user`.
    let spawn = unsafe { spawn.user(user) };
    spawn.prepare_waiting(ctx, move |ctx| begin(ctx, owned, frame, set_tid))
}

/// The CPUs that the maker may run on; init may run on all.
fn current_cpus() -> CpuSet {
    super::try_current().map_or(CpuSet::ALL, |_| Thread::current().allowed())
}

/// A new task's thread begins: it goes on as its program.
fn begin(ctx: &mut MaySleep, task: Arc<Task>, mut frame: TrapFrame, set_tid: u64) {
    crate::sync::context::current().set_id(task.tid());
    // The thread's own reference; `exit_thread` takes it back.
    let task = Arc::into_raw(task);
    if set_tid != 0 {
        let task = current();
        // As Linux: a bad address is the program's own problem.
        let _ = task.mm().write_value(ctx, VirtAddr::new(set_tid), &task.tid());
    }
    debug_assert!(core::ptr::eq(task, &*current()));
    cpu::irq_save();
    super::user_return(current(), &mut frame);
    // SAFETY: interrupts are off, and nothing on this stack is needed any more.
    unsafe { user::enter(&frame) }
}

/// Puts the task into all lists; from here on it exists.
fn publish(maker: &Task, task: &Arc<Task>, how: &Clone, thread: &NewThread) -> Result<(), Errno> {
    let process = task.process();
    let mut tree = tree::lock();
    let mut signals = process.signals.lock();
    if how.has(linux::CLONE_THREAD) && (signals.ending.is_some() || signals.execs.is_some())
        || maker.signal_pending()
    {
        return Err(Errno::ERESTARTNOINTR);
    }
    *task.thread.get_mut(&mut signals) = Some(thread.thread());
    signals.threads.push_back(Arc::clone(task));
    signals.live += 1;
    if signals.stop.is_some() {
        task.user().ask(task::attention::PROCESS);
    }
    task.look(&signals);
    drop(signals);
    table::insert(&mut tree, Arc::clone(task));
    if !how.has(linux::CLONE_THREAD) {
        let parent = if how.has(linux::CLONE_PARENT) {
            maker.process().parent(&tree).map_or_else(|| Arc::clone(maker.process()), Arc::clone)
        } else {
            Arc::clone(maker.process())
        };
        // The group may have changed since the process was made.
        let group = Arc::clone(maker.process().group(&tree));
        adopt(&mut tree, process, &parent, group);
    }
    Ok(())
}

/// Makes the process a child of that one, in that group.
fn adopt(tree: &mut tree::Tree, process: &Arc<Process>, parent: &Arc<Process>, group: Arc<Group>) {
    group.members.get_mut(tree).push_back(Arc::clone(process));
    parent.family.get_mut(tree).children.push_back(Arc::clone(process));
    let family = process.family.get_mut(tree);
    family.parent = Some(Arc::clone(parent));
    process.note_parent(parent.pid());
    // The same one, as a rule: the maker has another reference in any case.
    family.group = group;
}

/// Makes process 1, in an address space that `exec` filled, and starts it.
///
/// # Errors
/// ENOMEM.
pub(super) fn start_first(ctx: &mut MaySleep, what: Init) -> Result<(), Errno> {
    let number = Pid::new()?;
    let session = Session::new(Arc::clone(&number))?;
    let group = Group::new(Arc::clone(&number), session)?;
    let process = Process::new(state::Parts {
        pid: Arc::clone(&number),
        name: what.name,
        limits: Limits::new(),
        executable: what.executable,
        actions: try_arc(Actions::new())?,
        group: Arc::clone(&group),
        exit_signal: Signal::SIGCHLD.number(),
    })?;
    process.trampoline.store(what.trampoline, Ordering::Relaxed);
    let task = Task::new(task::Parts {
        process: Arc::clone(&process),
        pid: number,
        state: UserState::new(),
        creds: try_arc(Creds::ROOT)?,
        files: what.files,
        fs: what.fs,
        blocked: SigSet::NONE,
        alt_stack: NO_STACK,
    })?;
    let thread = prepare(ctx, &task, what.frame, 0)?;
    process.set_space(Some(what.space.clone()));
    // SAFETY: its thread has not begun.
    unsafe { task.user().give_space(Some(what.space)) };
    exit::set_init(&process);
    {
        let mut tree = tree::lock();
        let mut signals = process.signals.lock();
        *task.thread.get_mut(&mut signals) = Some(thread.thread());
        signals.threads.push_back(Arc::clone(&task));
        signals.live = 1;
        drop(signals);
        table::insert(&mut tree, Arc::clone(&task));
        group.members.get_mut(&mut tree).push_back(Arc::clone(&process));
    }
    drop(thread.start());
    Ok(())
}

/// What init begins with.
pub struct Init {
    /// Its name.
    pub name: TaskName,
    /// What it executes.
    pub executable: Option<Arc<File>>,
    /// Where.
    pub space: MmRef,
    /// Its first state.
    pub frame: TrapFrame,
    /// Where the trampoline is.
    pub trampoline: u64,
    /// Its files.
    pub files: Arc<FdTable>,
    /// Its root.
    pub fs: Arc<FsContext>,
}
