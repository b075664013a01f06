//! `execve`: the running program is replaced.
//!
//! The new address space is built, stack and all, while the old program could still go on: whatever
//! fails there is an error that `execve` returns, and nothing has changed. Then the other threads are
//! ended, and only then is the old program given up. Linux gives it up first and kills what cannot go
//! on; it saves the memory of two address spaces at a time, which here are a few pages.

mod load;
mod stack;
mod strings;

pub use load::{Loaded, load};
pub use strings::Strings;

use super::signal::Signal;
use super::task::{Task, attention};
use super::{Creds, Current, current, table, tree};
use crate::arch::current::TrapFrame;
use crate::arch::current::user::UserState;
use crate::arch::signals::AltStack;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::File;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

/// What is to be executed.
pub struct Program<'a> {
    /// The file, which may be executed.
    pub file: Arc<File>,
    /// The path by which it was named.
    pub path: &'a [u8],
    /// Its arguments.
    pub args: Strings,
    /// Its environment.
    pub env: Strings,
}

/// Executes the program in the place of the running one. On success the frame is the new program's.
/// Called by `execve` alone: nothing that the caller has from the task's address space or files is used
/// afterwards.
///
/// # Errors
/// As the table of `execve` says; nothing has changed then. EAGAIN: another thread was first.
pub fn exec(ctx: &mut MaySleep, frame: &mut TrapFrame, program: Program<'_>) -> Result<(), Errno> {
    let task = current();
    let loaded = load(ctx, program, task.fs(), &task.creds(), task.process().limits())?;
    match replace(ctx, &task, frame, &loaded) {
        Ok(()) => Ok(()),
        Err(error) => {
            loaded.space.end_use(ctx);
            Err(error)
        }
    }
}

fn replace(ctx: &mut MaySleep, task: &Current, frame: &mut TrapFrame, loaded: &Loaded) -> Result<(), Errno> {
    // All that may fail.
    let process = task.process();
    let actions = try_arc(process.signals.lock().actions.copy())?;
    actions.reset_handlers();
    let creds = match &loaded.creds {
        Some(creds) => Some(try_arc(Creds::clone(creds))?),
        None => None,
    };
    let files = task.files.copy().ok_or(Errno::ESRCH)?;
    // This one and the task's own.
    let files = if Arc::strong_count(&files) > 2 { Some(try_arc(files.duplicate()?)?) } else { None };
    end_other_threads(ctx, task)?;

    // The old program is gone from here on.
    if let Some(files) = files {
        // SAFETY: the running task; it has no reference to its files now.
        drop(unsafe { task.files.replace(Some(files)) });
    }
    task.files().close_on_exec();
    super::futex::leave_robust_list(ctx, task);
    let old_actions = core::mem::replace(&mut process.signals.lock().actions, actions);
    drop(old_actions);
    if let Some(creds) = creds {
        task.set_creds(creds);
    }
    process.set_name(loaded.name);
    crate::sync::context::current().set_name(loaded.name);
    process.set_executable(Some(Arc::clone(&loaded.file)));
    process.trampoline.store(loaded.trampoline, Ordering::Relaxed);
    process.set_space(Some(loaded.space.clone()));
    task.set_alt_stack(AltStack { sp: 0, flags: 2, size: 0 });
    task.clear_tid.store(0, Ordering::Relaxed);
    task.user().answered(attention::RESTORE_MASK | attention::RESTART);
    {
        let mut tree = tree::lock();
        let family = process.family.get_mut(&mut tree);
        family.has_execed = true;
        family.exit_signal = Signal::SIGCHLD.number();
    }
    // SAFETY: the running task; nobody uses a reference into the old space any more (see `exec`).
    let old = unsafe { task.user().set_space(Some(loaded.space.clone())) };
    let released = task.released.lock().take();
    if let Some(old) = old {
        super::exit::note_most_resident(process, &old);
        old.end_use(ctx);
    }
    if let Some(released) = released {
        released.tell();
    }
    // SAFETY: the running task's own registers.
    unsafe { task.user().set_registers(&UserState::new()) };
    *frame = loaded.frame.clone();
    Ok(())
}

/// Makes the running task the only one of its process, and its first.
fn end_other_threads(ctx: &mut MaySleep, task: &Current) -> Result<(), Errno> {
    let process = Arc::clone(task.process());
    {
        let mut signals = process.signals.lock();
        if signals.live == 1 && task.is_leader() {
            return Ok(());
        }
        if signals.ending.is_some() || signals.execs.is_some() {
            return Err(Errno::EAGAIN);
        }
        signals.execs = Some(task.tid());
        signals.end_stop();
        signals.poke_all(attention::PROCESS);
    }
    let mut killed = false;
    process.thread_ended.wait(ctx, || {
        let signals = process.signals.lock();
        killed = signals.ending.is_some();
        killed || signals.live == 1
    });
    process.signals.lock().execs = None;
    if killed {
        return Err(Errno::EAGAIN);
    }
    if !task.is_leader() {
        become_leader(task);
    }
    Ok(())
}

/// Takes the number of the process, whose first thread has ended.
fn become_leader(task: &Task) {
    let process = task.process();
    let mut tree = tree::lock();
    let old = table::get(&tree, process.pid()).map(core::ptr::from_ref::<Task>);
    // SAFETY: in the table, whose lock is held.
    let old = old.and_then(|old| table::remove(&mut tree, unsafe { &*old }));
    let this = table::remove(&mut tree, task);
    let number = task.set_pid(Arc::clone(process.number()));
    if let Some(this) = this {
        table::insert(&mut tree, this);
    }
    drop(tree);
    drop((old, number));
}
