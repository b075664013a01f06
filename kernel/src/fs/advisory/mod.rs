//! Advisory locks of files: `flock`, and those of `fcntl` on ranges of bytes. Nobody but who asks for
//! them is kept from anything.
//!
//! Three kinds, which differ in whose a lock is. That decides when it goes:
//!
//! * `flock`: the open file's. It goes when the last descriptor for it does.
//! * `F_SETLK`, POSIX': the process', which here is its table of descriptors. All that it has of a file go
//!   as soon as it closes *any* descriptor for it: what POSIX says, and what everybody regrets.
//! * `F_OFD_SETLK`: ranges as POSIX', the open file's as `flock`'s.
//!
//! A holder is known by its address, and gives its locks back before it goes ([`file_ends`],
//! [`descriptors_end`]); so is the inode, which the holder has open. (A file of `/proc` is another inode
//! each time that it is opened: nobody meets there.)
//!
//! Who waits looks again whenever any lock was given back: one queue for all, as there is one list.
//! POSIX wants a circle of waiting processes to be refused: each that waits says for whom, and the next
//! follows the chain before he joins it.

mod set;

pub use set::{Hold, Lock, Owner, Place, Range};

use super::locks;
use super::{FdTable, File};
use crate::error::Errno;
use crate::proc::process::wait_interruptible;
use crate::sync::{MaySleep, SpinLock, WaitQueue};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use set::{Refused, Set};

static HELD: SpinLock<Held> = SpinLock::new(&locks::ADVISORY, Held { set: Set::new(), waits: Vec::new() });
/// How many locks there are: who closes a file looks here, and at nothing else if there are none.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// How often locks were given back.
static GIVEN_BACK: AtomicUsize = AtomicUsize::new(0);
static WAITING: WaitQueue = WaitQueue::new();

struct Held {
    set: Set,
    /// Who waits for whom.
    waits: Vec<(Owner, Owner)>,
}

impl Held {
    /// Whether whoever has `at` waits, over others, for `owner`. Each step is another one who waits.
    fn leads_to(&self, mut at: Owner, owner: Owner) -> bool {
        for _ in 0..=self.waits.len() {
            if at == owner {
                return true;
            }
            match self.waits.iter().find(|(waits, _)| *waits == at) {
                Some(&(_, next)) => at = next,
                None => return false,
            }
        }
        false
    }
}

/// Does something with the locks; who waits is woken if it says that some were given back.
fn change<R>(work: impl FnOnce(&mut Held) -> (R, bool)) -> R {
    let mut held = HELD.lock();
    let (result, given_back) = work(&mut held);
    if held.set.count() == 0 {
        // Most of the time there are none: no memory is kept for them.
        held.set = Set::new();
    }
    COUNT.store(held.set.count(), Ordering::Relaxed);
    if given_back {
        // Release: pairs with the Acquire in `lock`. Who read the older count looked at the locks
        // before, and will not sleep.
        GIVEN_BACK.fetch_add(1, Ordering::Release);
    }
    drop(held);
    if given_back {
        WAITING.wake_all();
    }
    result
}

/// Takes the lock; with `wait`, as soon as it is to be had.
///
/// # Errors
/// EAGAIN: somebody has it. EDEADLK: it would be waited for in a circle. ERESTARTSYS: a signal. ENOLCK:
/// no memory.
pub fn lock(ctx: &mut MaySleep, wanted: Lock, wait: bool) -> Result<(), Errno> {
    loop {
        let seen = GIVEN_BACK.load(Ordering::Acquire);
        let held_by = match change(|held| attempt(held, &wanted, wait)) {
            Ok(()) => return Ok(()),
            Err(Attempt::Wait(other)) => other,
            Err(Attempt::Refused(error)) => return Err(error),
        };
        let waited = wait_interruptible(ctx, &WAITING, || GIVEN_BACK.load(Ordering::Acquire) != seen);
        let mut held = HELD.lock();
        if let Some(at) = held.waits.iter().position(|&wait| wait == (wanted.owner, held_by)) {
            held.waits.swap_remove(at);
        }
        if held.waits.is_empty() {
            held.waits = Vec::new();
        }
        drop(held);
        waited?;
    }
}

enum Attempt {
    Wait(Owner),
    Refused(Errno),
}

fn attempt(held: &mut Held, wanted: &Lock, wait: bool) -> (Result<(), Attempt>, bool) {
    let mut given_back = false;
    if wanted.place.whole {
        // `flock` gives back what it has before it takes another kind: so POSIX' neighbours do it.
        given_back = held.set.forget(|lock| {
            lock.place == wanted.place && lock.owner == wanted.owner && lock.hold != wanted.hold
        });
    }
    // An open file may be several processes': it may wait for one of its own.
    let is_process = matches!(wanted.owner, Owner::Descriptors(_));
    let refused = match held.set.add(*wanted) {
        // An exclusive lock that became a shared one lets others in.
        Ok(()) => return (Ok(()), given_back || wanted.hold == Hold::Shared),
        Err(Refused::Memory) => Attempt::Refused(Errno::ENOLCK),
        Err(Refused::Held(_)) if !wait => Attempt::Refused(Errno::EAGAIN),
        Err(Refused::Held(lock)) if is_process && held.leads_to(lock.owner, wanted.owner) => {
            Attempt::Refused(Errno::EDEADLK)
        }
        Err(Refused::Held(lock)) => match held.waits.try_reserve(1) {
            Ok(()) => {
                held.waits.push((wanted.owner, lock.owner));
                Attempt::Wait(lock.owner)
            }
            Err(_) => Attempt::Refused(Errno::ENOLCK),
        },
    };
    (Err(refused), given_back)
}

/// Gives back what the owner has of these bytes.
///
/// # Errors
/// ENOLCK: no memory for what is left.
pub fn unlock(place: Place, owner: Owner, range: Range) -> Result<(), Errno> {
    change(|held| (held.set.remove(place, owner, range), true))
}

/// Somebody else's lock that keeps this one from being taken.
pub fn conflict(wanted: &Lock) -> Option<Lock> {
    HELD.lock().set.conflict(wanted)
}

fn forget(which: impl Fn(&Lock) -> bool) {
    // Relaxed: who took a lock did it before he closed the file, or shares its table and is checked again
    // (`syscall`).
    if COUNT.load(Ordering::Relaxed) > 0 {
        change(|held| ((), held.set.forget(which)));
    }
}

/// An inode, as locks know it.
pub fn inode_of(file: &File) -> usize {
    Arc::as_ptr(file.inode()).addr()
}
/// Whoever has that open file.
pub fn owner_file(file: &File) -> Owner {
    Owner::OpenFile(core::ptr::from_ref(file).addr())
}
/// Whoever has those descriptors.
pub fn owner_descriptors(table: &FdTable) -> Owner {
    Owner::Descriptors(core::ptr::from_ref(table).addr())
}

/// A descriptor for that file is closed.
pub(super) fn descriptor_closes(table: &FdTable, file: &File) {
    let (owner, inode) = (owner_descriptors(table), inode_of(file));
    forget(|lock| lock.owner == owner && lock.place.inode == inode);
}
/// Nobody has these descriptors any more.
pub(super) fn descriptors_end(table: &FdTable) {
    let owner = owner_descriptors(table);
    forget(|lock| lock.owner == owner);
}
/// Nobody has the file open any more.
pub(super) fn file_ends(file: &File) {
    let owner = owner_file(file);
    forget(|lock| lock.owner == owner);
}
