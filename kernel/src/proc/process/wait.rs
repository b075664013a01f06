//! Waiting for children: `wait4` and `waitid`.

use super::signal::{Change, Ending};
use super::state::{Family, Process, Usage};
use super::{Current, current, table, tree};
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::sync::Arc;

/// Which children.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Any.
    Any,
    /// That one.
    Process(u32),
    /// Those of that group.
    Group(u32),
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// Of which children.
    pub which: Which,
    /// Their end.
    pub ended: bool,
    /// Their stop.
    pub stopped: bool,
    /// That they go on.
    pub continued: bool,
    /// Not to wait.
    pub no_hang: bool,
    /// It may be waited for again.
    pub keep: bool,
    /// Children whose exit signal is not SIGCHLD; `None`: all.
    pub clones: Option<bool>,
}

/// What has happened to a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It ended.
    Ended(Ending),
    /// It stopped, by this signal.
    Stopped(u32),
    /// It goes on.
    Continued,
}

/// A child, and what has happened to it.
#[derive(Clone, Copy, Debug)]
pub struct Waited {
    /// Its number.
    pub pid: u32,
    /// Its real user.
    pub uid: u32,
    /// What has happened.
    pub event: Event,
    /// What it and its waited-for children used.
    pub used: Usage,
}

/// A look at the children.
enum Look {
    /// None that could ever do.
    NoChild,
    /// Not yet.
    NotYet,
    /// This one.
    Found(Arc<Process>, Event),
}

/// Waits; `None` with `no_hang` if nothing has happened.
///
/// # Errors
/// ECHILD: there is no such child. ERESTARTSYS: a signal came.
pub fn wait(ctx: &mut MaySleep, wait: &Wait) -> Result<Option<Waited>, Errno> {
    let task = current();
    let mut found = Look::NotYet;
    let mut look = || {
        found = look_at_children(&task, wait);
        !matches!(found, Look::NotYet)
    };
    if wait.no_hang {
        look();
    } else {
        super::wait_interruptible(ctx, &task.process().child_changed, look)?;
    }
    match found {
        Look::NoChild => Err(Errno::ECHILD),
        Look::NotYet => Ok(None),
        Look::Found(child, event) => Ok(Some(take(&task, &child, event, wait.keep))),
    }
}

/// Whether it is one of those.
fn fits(wait: &Wait, child: &Process, group: u32, exit_signal: u32) -> bool {
    const SIGCHLD: u32 = super::Signal::SIGCHLD.number();
    wait.clones.is_none_or(|clones| clones == (exit_signal != SIGCHLD))
        && match wait.which {
            Which::Any => true,
            Which::Process(pid) => child.pid() == pid,
            Which::Group(number) => group == number,
        }
}

/// What has happened to it, of what is waited for. Taken, so that nobody else gets it.
fn event(wait: &Wait, child: &Process, family: &Family) -> Option<Event> {
    if let Some(ending) = family.zombie {
        // The last thread is through with it.
        return wait.ended.then_some(Event::Ended(ending));
    }
    if !wait.stopped && !wait.continued {
        return None;
    }
    let mut signals = child.signals.lock();
    let (event, wanted) = match signals.change? {
        Change::Stopped(signal) => (Event::Stopped(signal), wait.stopped),
        Change::Continued => (Event::Continued, wait.continued),
    };
    if wanted && !wait.keep {
        signals.change = None;
    }
    wanted.then_some(event)
}

fn look_at_children(task: &Current, wait: &Wait) -> Look {
    let mut tree = tree::lock();
    let process = task.process();
    let mut any = false;
    let mut place = process.family.get(&tree).children.front().clone_pointer();
    while let Some(child) = place {
        let family = child.family.get(&tree);
        if fits(wait, &child, family.group.id(), family.exit_signal) {
            any = true;
            if let Some(event) = event(wait, &child, family) {
                if matches!(event, Event::Ended(_)) && !wait.keep {
                    // Nobody else finds it from here on.
                    unlink(&mut tree, process, &child);
                }
                return Look::Found(child, event);
            }
        }
        let children = &process.family.get(&tree).children;
        // SAFETY: the child is in this list: the lock was not given back since it was found there.
        let mut cursor = unsafe { children.cursor_from_ptr(&raw const *child) };
        cursor.move_next();
        place = cursor.clone_pointer();
        // Not the last reference: the list has one.
        drop(child);
    }
    if any { Look::NotYet } else { Look::NoChild }
}

/// Takes a child out of its parent's list: nobody will find it to wait for.
pub(super) fn unlink(tree: &mut tree::Tree, parent: &Process, child: &Arc<Process>) {
    let children = &mut parent.family.get_mut(tree).children;
    // SAFETY: linked, and the only list it is ever in by this link is its parent's.
    let listed = unsafe { children.cursor_mut_from_ptr(&raw const **child) }.remove();
    // Not the last reference: the caller has one.
    drop(listed);
}

fn take(task: &Current, child: &Arc<Process>, event: Event, keep: bool) -> Waited {
    let uid = child.leader().map_or(0, |leader| leader.creds().uid);
    let mut used = child.usage();
    used.add(&child.children_usage());
    if matches!(event, Event::Ended(_)) && !keep {
        {
            let mut tree = tree::lock();
            task.process().family.get_mut(&mut tree).children_used.add(&used);
        }
        forget(child);
    }
    Waited { pid: child.pid(), uid, event, used }
}

/// The last of an ended process that is in no parent's list: it leaves its group, its number goes.
pub(super) fn forget(process: &Arc<Process>) {
    let mut tree = tree::lock();
    let leader = table::get(&tree, process.pid()).map(core::ptr::from_ref);
    // SAFETY: in the table, whose lock is held.
    let leader = leader.and_then(|leader| table::remove(&mut tree, unsafe { &*leader }));
    let group = Arc::clone(process.group(&tree));
    let member = process.member_link.is_linked().then(|| {
        // SAFETY: linked, and it is in no group's list but its own group's.
        unsafe { group.members.get_mut(&mut tree).cursor_mut_from_ptr(&raw const **process) }.remove()
    });
    let parent = process.family.get_mut(&mut tree).parent.take();
    process.note_parent(0);
    drop(tree);
    drop((leader, member, parent, group));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proc::process::signal::{Actions, Info, Signal, signal_process};
    use crate::proc::process::{Group, Limits, Session, pid::Pid, state};
    use crate::sync::context::TaskName;

    /// A process without tasks, the only one of its group.
    fn process(exit_signal: u32) -> Arc<Process> {
        let pid = Pid::new().expect("a number");
        let session = Session::new(Arc::clone(&pid)).expect("memory");
        let group = Group::new(Arc::clone(&pid), session).expect("memory");
        let parts = state::Parts {
            pid,
            name: TaskName::new("test"),
            limits: Limits::new(),
            executable: None,
            actions: Arc::new(Actions::new()),
            group,
            exit_signal,
        };
        Process::new(parts).expect("memory")
    }

    fn any() -> Wait {
        Wait {
            which: Which::Any,
            ended: true,
            stopped: false,
            continued: false,
            no_hang: false,
            keep: false,
            clones: Some(false),
        }
    }

    #[test]
    fn which_children_are_meant() {
        let child = process(Signal::SIGCHLD.number());
        let (pid, group) = (child.pid(), child.group_id());
        let is = |wait: Wait, signal: u32| fits(&wait, &child, group, signal);
        let chld = Signal::SIGCHLD.number();
        assert!(is(any(), chld));
        assert!(is(Wait { which: Which::Process(pid), ..any() }, chld));
        assert!(!is(Wait { which: Which::Process(pid + 1), ..any() }, chld));
        assert!(is(Wait { which: Which::Group(group), ..any() }, chld));
        assert!(!is(Wait { which: Which::Group(group + 1), ..any() }, chld));
        assert!(!is(any(), 0), "a clone's child");
        assert!(is(Wait { clones: Some(true), ..any() }, 0));
        assert!(is(Wait { clones: None, ..any() }, 0) && is(Wait { clones: None, ..any() }, chld));
    }

    #[test]
    fn a_change_is_told_once_and_an_end_until_it_is_taken() {
        let child = process(Signal::SIGCHLD.number());
        let mut tree = tree::lock();
        let event = |wait: &Wait, tree: &tree::Tree| event(wait, &child, child.family.get(tree));
        assert_eq!(event(&any(), &tree), None);
        child.signals.lock().change = Some(Change::Stopped(19));
        assert_eq!(event(&any(), &tree), None, "nobody asked for stops");
        let stops = Wait { stopped: true, ..any() };
        assert_eq!(event(&Wait { keep: true, ..stops }, &tree), Some(Event::Stopped(19)));
        assert_eq!(event(&stops, &tree), Some(Event::Stopped(19)));
        assert_eq!(event(&stops, &tree), None);
        child.family.get_mut(&mut tree).zombie = Some(Ending::Exit(3));
        assert_eq!(event(&stops, &tree), Some(Event::Ended(Ending::Exit(3))));
        let continues = Wait { ended: false, continued: true, ..any() };
        assert_eq!(event(&continues, &tree), None, "it will never continue");
        drop(tree);
    }

    #[test]
    fn a_stop_that_was_taken_back_is_not_told() {
        let child = process(Signal::SIGCHLD.number());
        let stops = Wait { stopped: true, continued: true, ..any() };
        let look = || {
            let tree = tree::lock();
            event(&stops, &child, child.family.get(&tree))
        };
        let stop = || {
            let mut signals = child.signals.lock();
            (signals.live, signals.stop, signals.parked) = (2, Some(Signal::SIGTSTP), 1);
            assert!(!signals.note_stopped(), "one of two");
            signals.parked = 2;
            assert!(signals.note_stopped());
            assert!(!signals.note_stopped(), "once");
        };
        let info = |signal| Info { signal, ..Info::kernel(signal) };
        stop();
        assert_eq!(look(), Some(Event::Stopped(Signal::SIGTSTP.number())));
        signal_process(&child, info(Signal::SIGCONT)).expect("a signal");
        assert_eq!(look(), Some(Event::Continued));
        stop();
        signal_process(&child, info(Signal::SIGCONT)).expect("a signal");
        assert_eq!(look(), Some(Event::Continued), "not the stop, which is over");
        stop();
        signal_process(&child, info(Signal::SIGKILL)).expect("a signal");
        assert_eq!(look(), None, "it ends, and has not yet");
    }
}
