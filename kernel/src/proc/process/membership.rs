//! Groups and sessions: who changes his group, and who begins a session.

use super::state::Process;
use super::task::Task;
use super::{Group, Session, find, table, tree};
use crate::error::Errno;
use alloc::sync::Arc;

/// The process of that number; 0: the task's own.
///
/// # Errors
/// ESRCH.
pub fn process(task: &Task, pid: i32) -> Result<Arc<Process>, Errno> {
    match pid {
        0 => Ok(Arc::clone(task.process())),
        1.. => find(pid.unsigned_abs()).ok_or(Errno::ESRCH),
        _ => Err(Errno::ESRCH),
    }
}

fn find_group(tree: &tree::Tree, number: u32) -> Option<Arc<Group>> {
    let mut found = None;
    table::for_each_in(tree, |process| {
        let group = process.group(tree);
        if group.id() == number && found.is_none() {
            found = Some(Arc::clone(group));
        }
    });
    found
}

/// `setpgid`
///
/// # Errors
/// EINVAL: a negative number. ESRCH: neither the caller nor a child of his. EACCES: the child has
/// executed a program since. EPERM: another session's, a session's leader, or no such group.
pub fn set_group(task: &Task, pid: i32, group: i32) -> Result<(), Errno> {
    if group < 0 {
        return Err(Errno::EINVAL);
    }
    let caller = task.process();
    let process = process(task, pid)?;
    let number = if group == 0 { process.pid() } else { group.unsigned_abs() };
    let session = process.session();
    // Made before the lock, in case it is needed.
    let new = if number == process.pid() {
        Some(Group::new(Arc::clone(process.number()), Arc::clone(&session))?)
    } else {
        None
    };
    let mut tree = tree::lock();
    if !Arc::ptr_eq(&process, caller) {
        let family = process.family.get(&tree);
        let child = family.parent.as_ref().is_some_and(|parent| Arc::ptr_eq(parent, caller));
        if !child || family.zombie.is_some() {
            return Err(Errno::ESRCH);
        }
        if family.group.session().id() != caller.group(&tree).session().id() {
            return Err(Errno::EPERM);
        }
        if family.has_execed {
            return Err(Errno::EACCES);
        }
    }
    if session.id() == process.pid() {
        return Err(Errno::EPERM);
    }
    let target = match find_group(&tree, number) {
        Some(group) => group,
        None => new.clone().ok_or(Errno::EPERM)?,
    };
    if target.session().id() != session.id() {
        return Err(Errno::EPERM);
    }
    let old = move_to(&mut tree, &process, target);
    drop(tree);
    drop((old, new));
    Ok(())
}

/// Moves a process to another group; gives back what is to be dropped without the lock.
fn move_to(
    tree: &mut tree::Tree,
    process: &Arc<Process>,
    target: Arc<Group>,
) -> (Arc<Group>, Option<Arc<Process>>) {
    let old = Arc::clone(process.group(tree));
    // SAFETY: a process that has not been waited for is in its group's list, and in no other.
    let member = process
        .member_link
        .is_linked()
        .then(|| unsafe { old.members.get_mut(tree).cursor_mut_from_ptr(&raw const **process) }.remove())
        .flatten();
    target.members.get_mut(tree).push_back(Arc::clone(process));
    // Not the last reference: `old` is one.
    process.family.get_mut(tree).group = target;
    (old, member)
}

/// `setsid`: gives its number.
///
/// # Errors
/// EPERM: a group has the process's number.
pub fn new_session(task: &Task) -> Result<u32, Errno> {
    let process = task.process();
    let session = Session::new(Arc::clone(process.number()))?;
    let group = Group::new(Arc::clone(process.number()), session)?;
    let mut tree = tree::lock();
    if find_group(&tree, process.pid()).is_some() {
        drop(tree);
        return Err(Errno::EPERM);
    }
    let old = move_to(&mut tree, process, group);
    drop(tree);
    drop(old);
    Ok(process.pid())
}
