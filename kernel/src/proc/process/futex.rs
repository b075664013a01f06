//! Futexes: waiting at a word of user memory.
//!
//! A waiter stands in a list by the word's key, then looks at the word: whoever changes the word wakes
//! after that, so either the waiter sees the change or the waker sees the waiter. (Linux looks under the
//! list's lock, which needs reads that do not fault.) A waiter that finds the word changed and was woken
//! meanwhile took a wake-up that another might need, and passes it on.

use super::task::Resume;
use super::{Current, current, signal_pending};
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::mm::space::{FutexKey, Mm};
use crate::sync::context::TaskContext;
use crate::sync::{LockClass, MaySleep, Rank, SpinLock, context, hooks};
use core::cell::Cell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use intrusive_collections::{LinkedList, LinkedListAtomicLink, UnsafeRef, intrusive_adapter};

const CLASS: LockClass = LockClass::new("futexes", Rank::new(39));
const SECOND: LockClass = LockClass::new("futexes, the second list", Rank::new(40));

/// All wakers count.
pub const ANY: u32 = u32::MAX;

/// A task that waits.
///
/// # Invariants
/// It does not move and does not end while it is linked. `list` names the list that it is in and
/// changes, as `key` does, under the locks of both lists.
struct Waiter {
    link: LinkedListAtomicLink,
    task: NonNull<TaskContext>,
    key: Cell<FutexKey>,
    list: AtomicU32,
    bits: u32,
    woken: AtomicBool,
}

// SAFETY: the task's context is shared by design; all else changes under the lists' locks.
unsafe impl Send for Waiter {}
// SAFETY: likewise.
unsafe impl Sync for Waiter {}

intrusive_adapter!(InList = UnsafeRef<Waiter>: Waiter { link => LinkedListAtomicLink });

type List = LinkedList<InList>;

/// A power of two.
const LISTS: usize = 256;
static WAITERS: [SpinLock<List>; LISTS] =
    [const { SpinLock::new(&CLASS, LinkedList::new(InList::NEW)) }; LISTS];

/// The list for a key.
fn index(key: &FutexKey) -> usize {
    let (a, b) = match key {
        FutexKey::Private { mm, addr } => (*mm, *addr),
        FutexKey::Shared { object, offset } => (object.device ^ object.inode.rotate_left(16), *offset),
    };
    // Fibonacci hashing; the low two bits of an address say nothing.
    let mixed = (a ^ (b >> 2)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % LISTS
}

/// Takes those with the key out and wakes them, `most` at most.
fn wake_in(list: &mut List, key: &FutexKey, most: u32, bits: u32) -> u32 {
    let mut count = 0;
    let mut place = list.front_mut();
    while count < most {
        let Some(waiter) = place.get() else { break };
        if waiter.key.get() != *key || waiter.bits & bits == 0 {
            place.move_next();
            continue;
        }
        let Some(waiter) = place.remove() else { break };
        let task = waiter.task;
        // Release: pairs with the Acquire of the waiter, which may end then.
        waiter.woken.store(true, Ordering::Release);
        // SAFETY: the task cannot leave before it gets the lock that is held.
        unsafe { hooks::wake(task) };
        count += 1;
    }
    count
}

/// Wakes at most that many who wait there, for wakers with these bits. Says how many.
///
/// # Errors
/// EFAULT, EINVAL: no such word.
pub fn wake(
    ctx: &mut MaySleep,
    mm: &Mm,
    addr: u64,
    private: bool,
    most: u32,
    bits: u32,
) -> Result<u32, Errno> {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(ctx, mm, addr, private)?;
    Ok(wake_key(&key, most, bits))
}

fn wake_key(key: &FutexKey, most: u32, bits: u32) -> u32 {
    wake_in(&mut WAITERS[index(key)].lock(), key, most, bits)
}

fn key(ctx: &mut MaySleep, mm: &Mm, addr: u64, private: bool) -> Result<FutexKey, Errno> {
    if !addr.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    mm.futex_key(ctx, VirtAddr::new(addr), private)
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The word.
    pub addr: u64,
    /// What it must hold.
    pub value: u32,
    /// Whether no other process shares it.
    pub private: bool,
    /// Which wakers count.
    pub bits: u32,
    /// Not beyond that time, as `timer::now`.
    pub deadline: Option<u64>,
}

/// Waits until it is woken.
///
/// # Errors
/// EAGAIN: the word holds something else. ETIMEDOUT. EINVAL, EFAULT. ERESTARTSYS, or, if there is a time
/// limit, ERESTARTBLOCK: a signal came.
pub fn wait(ctx: &mut MaySleep, wait: &Wait) -> Result<(), Errno> {
    if wait.bits == 0 {
        return Err(Errno::EINVAL);
    }
    let task = current();
    let key = key(ctx, task.mm(), wait.addr, wait.private)?;
    let list = index(&key);
    let waiter = Waiter {
        link: LinkedListAtomicLink::new(),
        task: NonNull::from(&*context::current()),
        key: Cell::new(key),
        list: AtomicU32::new(list as u32),
        bits: wait.bits,
        woken: AtomicBool::new(false),
    };
    // SAFETY: `leave` below takes it out before this function ends.
    WAITERS[list].lock().push_back(unsafe { UnsafeRef::from_raw(&raw const waiter) });
    let value = task.mm().load_u32(ctx, VirtAddr::new(wait.addr));
    if value != Ok(wait.value) {
        if leave(&waiter) {
            wake_key(&key, 1, wait.bits);
        }
        return Err(value.err().unwrap_or(Errno::EAGAIN));
    }
    sleep(ctx, &task, &waiter, wait)
}

fn sleep(ctx: &mut MaySleep, task: &Current, waiter: &Waiter, wait: &Wait) -> Result<(), Errno> {
    let late = || wait.deadline.is_some_and(|deadline| crate::arch::current::timer::now() >= deadline);
    task.interruptible.store(true, Ordering::Relaxed);
    let over = |waiter: &Waiter| waiter.woken.load(Ordering::Acquire) || signal_pending() || late();
    loop {
        hooks::prepare_to_block(ctx);
        if over(waiter) {
            hooks::cancel_block(ctx);
            break;
        }
        hooks::block(ctx, "futex", wait.deadline);
    }
    task.interruptible.store(false, Ordering::Relaxed);
    if leave(waiter) {
        return Ok(());
    }
    if !signal_pending() {
        return Err(Errno::ETIMEDOUT);
    }
    let Some(until) = wait.deadline else { return Err(Errno::ERESTARTSYS) };
    let Wait { addr, value, private, bits, .. } = *wait;
    *task.resume.lock() = Resume::Futex { addr, value, until, bits, private };
    Err(Errno::ERESTARTBLOCK)
}

/// Leaves its list. Says whether it had been woken.
fn leave(waiter: &Waiter) -> bool {
    loop {
        // It may be requeued meanwhile: then it is in another list.
        let index = waiter.list.load(Ordering::Relaxed);
        let mut list = WAITERS[index as usize].lock();
        if waiter.list.load(Ordering::Relaxed) != index {
            continue;
        }
        if waiter.link.is_linked() {
            // SAFETY: linked, and in the list that it names, whose lock is held.
            unsafe { list.cursor_mut_from_ptr(waiter) }.remove();
        }
        return waiter.woken.load(Ordering::Relaxed);
    }
}

/// Wakes `wake` waiters and moves `requeue` more to another word. Says how many that were: both together,
/// or with `compare` (FUTEX_CMP_REQUEUE) the same.
///
/// # Errors
/// EAGAIN: the word does not hold `compare`. EFAULT, EINVAL.
#[expect(clippy::too_many_arguments, reason = "the call's own")]
pub fn requeue(
    ctx: &mut MaySleep,
    mm: &Mm,
    from: u64,
    to: u64,
    private: bool,
    wake: u32,
    requeue: u32,
    compare: Option<u32>,
) -> Result<u32, Errno> {
    let (from_key, to_key) = (key(ctx, mm, from, private)?, key(ctx, mm, to, private)?);
    if let Some(compare) = compare
        && mm.load_u32(ctx, VirtAddr::new(from))? != compare
    {
        return Err(Errno::EAGAIN);
    }
    let (first, second) = (index(&from_key), index(&to_key));
    if first == second {
        let mut list = WAITERS[first].lock();
        let mut count = wake_in(&mut list, &from_key, wake, ANY);
        let mut place = list.front_mut();
        while let Some(waiter) = place.get() {
            if count >= wake.saturating_add(requeue) {
                break;
            }
            if waiter.key.get() == from_key {
                waiter.key.set(to_key);
                count += 1;
            }
            place.move_next();
        }
        return Ok(count);
    }
    // In the order of their numbers.
    let (low, high) = (first.min(second), first.max(second));
    let mut low_list = WAITERS[low].lock();
    let mut high_list = WAITERS[high].lock_as(&SECOND);
    let (source, target) =
        if first < second { (&mut *low_list, &mut *high_list) } else { (&mut *high_list, &mut *low_list) };
    let mut count = wake_in(source, &from_key, wake, ANY);
    let mut place = source.front_mut();
    while count < wake.saturating_add(requeue) {
        let Some(waiter) = place.get() else { break };
        if waiter.key.get() != from_key {
            place.move_next();
            continue;
        }
        let Some(waiter) = place.remove() else { break };
        waiter.key.set(to_key);
        waiter.list.store(second as u32, Ordering::Relaxed);
        target.push_back(waiter);
        count += 1;
    }
    Ok(count)
}

/// `FUTEX_WAKE_OP`: changes the second word, wakes at the first, and at the second if what it held
/// compares so.
///
/// # Errors
/// EFAULT, EINVAL, ENOSYS: no such operation.
#[expect(clippy::too_many_arguments, reason = "the call's own")]
pub fn wake_op(
    ctx: &mut MaySleep,
    mm: &Mm,
    first: u64,
    second: u64,
    private: bool,
    wake_first: u32,
    wake_second: u32,
    operation: u32,
) -> Result<u32, Errno> {
    let (first_key, second_key) = (key(ctx, mm, first, private)?, key(ctx, mm, second, private)?);
    let operation = Operation::decode(operation)?;
    let mut old = mm.load_u32(ctx, VirtAddr::new(second))?;
    loop {
        let found = mm.cmpxchg_u32(ctx, VirtAddr::new(second), old, operation.apply(old))?;
        if found == old {
            break;
        }
        old = found;
    }
    let mut count = wake_key(&first_key, wake_first, ANY);
    if operation.compare(old) {
        count += wake_key(&second_key, wake_second, ANY);
    }
    Ok(count)
}

/// The encoded operation of `FUTEX_WAKE_OP`.
#[derive(Clone, Copy, Debug)]
struct Operation {
    kind: u32,
    argument: u32,
    comparison: u32,
    against: u32,
}

impl Operation {
    fn decode(encoded: u32) -> Result<Self, Errno> {
        // Arguments are signed numbers of 12 bits.
        let signed = |bits: u32| ((bits << 20) as i32 >> 20) as u32;
        let mut argument = signed(encoded >> 12 & 0xfff);
        let kind = encoded >> 28;
        if kind & 8 != 0 {
            argument = 1_u32.wrapping_shl(argument & 31);
        }
        let decoded = Self {
            kind: kind & 7,
            argument,
            comparison: encoded >> 24 & 15,
            against: signed(encoded & 0xfff),
        };
        if decoded.kind <= 4 && decoded.comparison <= 5 { Ok(decoded) } else { Err(Errno::ENOSYS) }
    }
    fn apply(self, old: u32) -> u32 {
        match self.kind {
            0 => self.argument,
            1 => old.wrapping_add(self.argument),
            2 => old | self.argument,
            3 => old & !self.argument,
            _ => old ^ self.argument,
        }
    }
    fn compare(self, old: u32) -> bool {
        let (old, against) = (old as i32, self.against as i32);
        match self.comparison {
            0 => old == against,
            1 => old != against,
            2 => old < against,
            3 => old <= against,
            4 => old > against,
            _ => old >= against,
        }
    }
}

/// A task ends: who waits for its number, or for a lock that it holds, goes on.
pub(super) fn task_ends(ctx: &mut MaySleep, task: &Current) {
    leave_robust_list(ctx, task);
    let clear = task.clear_tid.swap(0, Ordering::Relaxed);
    // Nobody else sees it otherwise.
    if clear != 0 && task.mm().users() > 1 {
        // A bad address is the program's own problem.
        let _ = task.mm().write_value(ctx, VirtAddr::new(clear), &0_u32);
        let _ = wake(ctx, task.mm(), clear, false, 1, ANY);
    }
}

const WAITERS_BIT: u32 = 0x8000_0000;
const OWNER_DIED: u32 = 0x4000_0000;
const TID_MASK: u32 = 0x3fff_ffff;
/// A list that is a circle ends somewhere.
const MOST_ROBUST: u32 = 2048;

/// Marks the locks of the task's robust list as left by a dead owner.
pub(super) fn leave_robust_list(ctx: &mut MaySleep, task: &Current) {
    let head = task.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        // What cannot be read is the program's own problem.
        let _ = walk_robust_list(ctx, task, head);
    }
}

fn walk_robust_list(ctx: &mut MaySleep, task: &Current, head: u64) -> Result<(), Errno> {
    let mm = task.mm();
    let [first, offset, pending]: [u64; 3] = mm.read_value(ctx, VirtAddr::new(head))?;
    let mut entry = first;
    for _ in 0..MOST_ROBUST {
        // Bit 0 says that it is a lock with priority inheritance, which there is none of.
        let at = entry & !1;
        if at == head {
            break;
        }
        let next = mm.read_value(ctx, VirtAddr::new(at));
        if at != pending & !1 {
            leave_lock(ctx, task, at.wrapping_add(offset))?;
        }
        entry = next?;
    }
    if pending != 0 {
        leave_lock(ctx, task, (pending & !1).wrapping_add(offset))?;
    }
    Ok(())
}

fn leave_lock(ctx: &mut MaySleep, task: &Current, word: u64) -> Result<(), Errno> {
    if !word.is_multiple_of(4) {
        return Err(Errno::EINVAL);
    }
    let mm = task.mm();
    let mut old = mm.load_u32(ctx, VirtAddr::new(word))?;
    while old & TID_MASK == task.tid() {
        let new = old & WAITERS_BIT | OWNER_DIED;
        let found = mm.cmpxchg_u32(ctx, VirtAddr::new(word), old, new)?;
        if found == old {
            if old & WAITERS_BIT != 0 {
                wake(ctx, mm, word, false, 1, ANY)?;
            }
            break;
        }
        old = found;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations() {
        let op = |kind: u32, comparison: u32, argument: u32, against: u32| {
            Operation::decode(kind << 28 | comparison << 24 | argument << 12 | against)
        };
        let set = op(0, 0, 5, 3).expect("known");
        assert_eq!((set.apply(9), set.compare(3), set.compare(4)), (5, true, false));
        assert_eq!(op(1, 2, 0xfff, 0).expect("known").apply(9), 8, "-1 is added");
        assert!(op(1, 2, 0, 0).expect("known").compare(u32::MAX), "-1 is less than 0");
        assert_eq!(op(8 + 2, 0, 4, 0).expect("known").apply(1), 17, "the argument is a shift");
        assert_eq!(op(3, 0, 3, 0).expect("known").apply(7), 4);
        assert_eq!(op(4, 0, 3, 0).expect("known").apply(1), 2);
        assert!(op(5, 0, 0, 0).is_err() && op(0, 6, 0, 0).is_err());
    }

    #[test]
    fn keys_spread_over_the_lists() {
        let mut used = std::collections::BTreeSet::new();
        for mm in 0..8 {
            for addr in (0..64).map(|word| 0x1000 + 64 * word) {
                used.insert(index(&FutexKey::Private { mm, addr }));
            }
        }
        assert!(used.len() > LISTS / 2, "{} lists for 512 words", used.len());
    }
}
