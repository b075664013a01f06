//! All tasks, by number.

use super::pid;
use super::state::Process;
use super::task::Task;
use super::tree::{self, Guarded, Tree};
use alloc::sync::Arc;
use intrusive_collections::{LinkedList, LinkedListAtomicLink, intrusive_adapter};

intrusive_adapter!(InTable = Arc<Task>: Task { table_link => LinkedListAtomicLink });

/// A power of two.
const BUCKETS: usize = 256;

static TABLE: Guarded<[LinkedList<InTable>; BUCKETS]> =
    Guarded::new([const { LinkedList::new(InTable::NEW) }; BUCKETS]);

fn bucket(tid: u32) -> usize {
    tid as usize % BUCKETS
}

/// Makes it known under its number.
pub(super) fn insert(tree: &mut Tree, task: Arc<Task>) {
    TABLE.get_mut(tree)[bucket(task.tid())].push_back(task);
}

/// Takes it out; `None` if it is not in. The last reference is not dropped under the lock: the caller
/// has another, or drops this one later.
pub(super) fn remove(tree: &mut Tree, task: &Task) -> Option<Arc<Task>> {
    if !task.table_link.is_linked() {
        return None;
    }
    let list = &mut TABLE.get_mut(tree)[bucket(task.tid())];
    // SAFETY: it is linked, which it only ever is into the table, under its number: who changes the
    // number takes it out first.
    unsafe { list.cursor_mut_from_ptr(task) }.remove()
}

/// The task of that number.
pub(super) fn get(tree: &Tree, tid: u32) -> Option<&Task> {
    TABLE.get(tree)[bucket(tid)].iter().find(|task| task.tid() == tid)
}

/// The task of that number, if it has not been waited for.
pub fn find_task(tid: u32) -> Option<Arc<Task>> {
    let tree = tree::lock();
    let bucket = &TABLE.get(&tree)[bucket(tid)];
    let mut place = bucket.front();
    while place.get().is_some_and(|task| task.tid() != tid) {
        place.move_next();
    }
    place.clone_pointer()
}

/// The process of that number, if it has not been waited for.
pub fn find(pid: u32) -> Option<Arc<Process>> {
    let tree = tree::lock();
    let process = get(&tree, pid)?.process();
    (process.pid() == pid).then(|| Arc::clone(process))
}

/// The process with the lowest number above that: how `/proc` lists them, with no lock held between
/// two.
pub fn next_after(pid: u32) -> Option<Arc<Process>> {
    let mut number = pid;
    loop {
        number = pid::next_in_use(number)?;
        if let Some(process) = find(number) {
            return Some(process);
        }
    }
}

/// Calls with each process, by number, with no lock held.
pub fn for_each(mut visit: impl FnMut(&Arc<Process>)) {
    let mut last = 0;
    while let Some(process) = next_after(last) {
        last = process.pid();
        visit(&process);
    }
}

/// How many tasks that user has.
pub(super) fn count_of_user(uid: u32) -> usize {
    let tree = tree::lock();
    TABLE.get(&tree).iter().flat_map(LinkedList::iter).filter(|task| task.creds().uid == uid).count()
}

/// Calls with each process, the tree locked. For what must be one look.
pub(super) fn for_each_in<'a>(tree: &'a Tree, mut visit: impl FnMut(&'a Arc<Process>)) {
    for task in TABLE.get(tree).iter().flat_map(LinkedList::iter) {
        if task.tid() == task.process().pid() {
            visit(task.process());
        }
    }
}
