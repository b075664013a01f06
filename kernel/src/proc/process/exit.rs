//! The end of a task, and of a process with its last task.
//!
//! A task gives up what it has while it still is one and may sleep: its memory, its files. Then, under
//! the locks, it leaves the lists; the last one makes the process a zombie, hands its children over and
//! tells its parent. What is left is a kernel thread without a program, which ends.

use super::signal::info::{CLD_EXITED, CLD_KILLED};
use super::signal::{Ending, Info, Signal, Source, action, signal_group, signal_process};
use super::state::Process;
use super::task::Task;
use super::{Current, Group, current, futex, stop, table, timers, tree, wait};
use crate::mm::space::Mm;
use crate::proc::sched;
use crate::proc::thread::Thread;
use crate::sync::spin::IrqSpinGuard;
use crate::sync::{MaySleep, Once};
use alloc::sync::Arc;

/// The process that everything descends from.
static INIT: Once<Arc<Process>> = Once::new();

/// Says which process is init.
pub(super) fn set_init(process: &Arc<Process>) {
    INIT.call_once(|| Arc::clone(process));
}

/// `exit_group`: ends the running process.
pub fn exit_group(ctx: &mut MaySleep, status: u8) -> ! {
    let task = current();
    let ending = Ending::Exit(status);
    task.process().signals.lock().end(ending);
    exit_thread(ctx, ending)
}

/// `exit`: ends the running task; `ending` is how the process ends if this is its first task and it does
/// not end as a whole.
pub fn exit_thread(ctx: &mut MaySleep, ending: Ending) -> ! {
    let task = current();
    give_up(ctx, &task);
    leave(&task, ending);
    let own = Thread::current().user().cast::<Task>();
    Thread::leave_user();
    // SAFETY: the thread's own reference, which `begin` gave it. It is no program's thread any more, so
    // nobody finds the task by it.
    drop(unsafe { Arc::from_raw(own) });
    sched::exit()
}

/// The memory and the files of a task that ends.
fn give_up(ctx: &mut MaySleep, task: &Current) {
    if task.process().pid() == 1 && task.process().thread_count() == 1 {
        let signals = task.process().signals.lock();
        let ending = signals.ending.unwrap_or(signals.leader_ending);
        drop(signals);
        panic!("Attempted to kill init! exitcode=0x{:08x}", ending.wait_status());
    }
    futex::task_ends(ctx, task);
    leave_space(ctx, task);
    // SAFETY: the running task, which uses neither from here on.
    let (files, fs) = unsafe { (task.files.replace(None), task.fs.replace(None)) };
    // The last one closes what is open.
    drop((files, fs));
}

/// The task is in no address space any more.
pub(super) fn leave_space(ctx: &mut MaySleep, task: &Current) {
    // SAFETY: the running task; references into its space are gone with what it was doing.
    let space = unsafe { task.user().set_space(None) };
    if task.process().signals.lock().live == 1 {
        if let Some(space) = &space {
            note_most_resident(task.process(), space);
        }
        task.process().set_space(None);
    }
    let waits = task.released.lock().take();
    if let Some(space) = space {
        space.end_use(ctx);
    }
    if let Some(waits) = waits {
        waits.tell();
    }
}

/// `getrusage` wants to know.
pub(super) fn note_most_resident(process: &Process, space: &Mm) {
    let stats = space.stats();
    let most = stats.most_resident * stats.page_bytes;
    let mut used = process.used.lock();
    used.most_resident = used.most_resident.max(most);
}

/// Leaves all lists.
fn leave(task: &Current, ending: Ending) {
    let process = Arc::clone(task.process());
    let mut tree = tree::lock();
    let mut signals = process.signals.lock();
    *task.thread.get_mut(&mut signals) = None;
    if task.is_leader() {
        signals.leader_ending = ending;
    }
    signals.live -= 1;
    let last = signals.live == 0;
    // SAFETY: a task that has not ended is in the list of its process.
    let listed = unsafe { signals.threads.cursor_mut_from_ptr(&raw const **task) }.remove();
    // With the lock still held: who adds all up counts it here or there.
    process.used.lock().add(&task.usage());
    // What it would have taken is for others.
    let shared = signals.shared.set();
    if !last && !shared.is_empty() {
        signals.threads.iter().for_each(|other| {
            if !(shared & other.wanted()).is_empty() {
                other.poke(&signals, super::task::attention::SIGNAL);
            }
        });
    }
    drop(signals);
    let unlisted = if task.is_leader() { None } else { table::remove(&mut tree, task) };
    drop(tree);
    drop((listed, unlisted));
    if last {
        end_process(&process);
    } else {
        stop::task_ended(&process);
        process.thread_ended.wake_all();
    }
}

/// The last task has ended.
fn end_process(process: &Arc<Process>) {
    timers::cancel(process);
    process.set_executable(None);
    end_session(process);
    orphan_children(process);
    let group = Arc::clone(process.group(&tree::lock()));
    hang_up_if_orphaned(&group, process);
    let how = {
        let signals = process.signals.lock();
        signals.ending.unwrap_or(signals.leader_ending)
    };
    let mut tree = tree::lock();
    process.family.get_mut(&mut tree).zombie = Some(how);
    tell_parent(tree, process, how);
}

/// A leader takes its session's terminal along.
fn end_session(process: &Arc<Process>) {
    let session = process.session();
    if session.id() != process.pid() {
        return;
    }
    if let Some(terminal) = session.terminal() {
        session.set_terminal(None);
        let foreground = terminal.foreground();
        terminal.leader_ended(session.id());
        if foreground != 0 {
            signal_group(foreground, Info::kernel(Signal::SIGHUP));
            signal_group(foreground, Info::kernel(Signal::SIGCONT));
        }
    }
}

/// A group that nobody can continue any more, and that has stopped, is told so.
fn hang_up_if_orphaned(group: &Arc<Group>, ended: &Process) {
    let tell = {
        let tree = tree::lock();
        let stopped = group.members.get(&tree).iter().any(|member| member.signals.lock().stopped);
        stopped && group.is_orphaned(&tree, Some(ended))
    };
    if tell {
        signal_group(group.id(), Info::kernel(Signal::SIGHUP));
        signal_group(group.id(), Info::kernel(Signal::SIGCONT));
    }
}

/// Gives the children to whoever takes orphans.
fn orphan_children(process: &Arc<Process>) {
    loop {
        let mut tree = tree::lock();
        process.family.get_mut(&mut tree).ends = true;
        let heir = heir(&tree, process);
        let Some(child) = process.family.get_mut(&mut tree).children.pop_front() else { return };
        let family = child.family.get_mut(&mut tree);
        let old = family.parent.replace(Arc::clone(&heir));
        child.note_parent(heir.pid());
        // Whatever it was to send: init wants SIGCHLD.
        family.exit_signal = Signal::SIGCHLD.number();
        let (zombie, group) = (family.zombie, Arc::clone(&family.group));
        heir.family.get_mut(&mut tree).children.push_back(Arc::clone(&child));
        // Not the last reference: the caller has one.
        drop(old);
        match zombie {
            Some(how) => tell_parent(tree, &child, how),
            None => {
                drop(tree);
                if let Some(signal) = Signal::new(child.death_signal()) {
                    // The kernel's own is not refused.
                    let _ = signal_process(&child, Info::kernel(signal));
                }
                hang_up_if_orphaned(&group, process);
            }
        }
    }
}

/// Who takes the orphans: the nearest ancestor that wants them and lives, or init.
fn heir(tree: &tree::Tree, process: &Arc<Process>) -> Arc<Process> {
    let mut ancestor = process.parent(tree);
    while let Some(candidate) = ancestor {
        let family = candidate.family.get(tree);
        if family.subreaper && !family.ends {
            return Arc::clone(candidate);
        }
        ancestor = family.parent.as_ref();
    }
    match INIT.get() {
        Some(init) => Arc::clone(init),
        // Init itself has ended: the kernel panics before it comes here.
        None => Arc::clone(process),
    }
}

/// What a `siginfo_t` of SIGCHLD says of a child.
pub(super) fn child_source(tree: &tree::Tree, process: &Process, status: i32) -> Source {
    const TICK: u64 = 1_000_000_000 / super::CLOCK_TICKS;
    let uid = table::get(tree, process.pid()).map_or(0, |leader| leader.creds().uid);
    let used = process.usage();
    Source::Child { pid: process.pid(), uid, status, utime: used.user / TICK, stime: used.system / TICK }
}

/// Sends the parent of a zombie its signal and wakes it; if it does not care for its children, buries
/// the child.
///
/// All that the parent may see it sees at once: when its `wait` gives the child's number its signal has
/// arrived, and of a child that it does not care for it finds only that there is none.
fn tell_parent(mut tree: IrqSpinGuard<'_, tree::Tree>, process: &Arc<Process>, how: Ending) {
    let Some(parent) = process.parent(&tree).map(Arc::clone) else { return };
    let mut careless = false;
    if let Some(chld) = Signal::new(process.family.get(&tree).exit_signal) {
        let action = parent.signals.lock().actions.get(chld);
        careless = chld == Signal::SIGCHLD
            && (action.handler == action::SIG_IGN || action.flags & action::flags::SA_NOCLDWAIT != 0);
        if action.handler != action::SIG_IGN {
            let (code, status) = match how {
                Ending::Exit(status) => (CLD_EXITED, i32::from(status)),
                Ending::Signal(number) => (CLD_KILLED, number as i32),
            };
            let info = Info { signal: chld, code, source: child_source(&tree, process, status) };
            // A signal of the kernel's own is not refused.
            let _ = signal_process(&parent, info);
        }
    }
    if careless {
        wait::unlink(&mut tree, &parent, process);
    }
    drop(tree);
    if careless {
        wait::forget(process);
    }
    parent.child_changed.wake_all();
}
