//! The order in which locks are taken, and its check in debug builds.
//!
//! Every lock belongs to a class with a name and a rank. A task takes locks in ascending rank: two
//! tasks that both do so cannot wait for each other. The list below *is* the documentation of the
//! order. A debug build remembers what each task holds and panics, naming both locks, at the first
//! lock taken out of order, whether or not another CPU happens to make it a deadlock today.
//!
//! Interrupt handlers count on the task that they interrupt: a lock that a handler takes must rank
//! above everything that can be held with interrupts on.
//!
//! Two more rules that ranks alone do not show. A lock that is ever taken in an interrupt is an
//! `IrqSpinLock`, so a plain one is refused there (H24). And a plain one is not taken under an
//! `IrqSpinLock`: a third CPU may hold the plain one, be interrupted, and wait for the other in its
//! handler.

#[cfg(debug_assertions)]
use super::context::current;
use core::sync::atomic::{AtomicBool, Ordering};

/// A place in the order; outer locks have the lower rank. There is room between any two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank(u8);

impl Rank {
    /// Sleeping locks of processes and files.
    pub const PROCESS: Self = Self(10);
    /// The lock of an address space.
    pub const MM: Self = Self(20);
    /// Any other sleeping lock that is held while memory is allocated.
    pub const SLEEPING: Self = Self(30);
    /// A page-table page's lock.
    pub const PAGE_TABLE: Self = Self(40);
    /// The second of two page-table locks; the first is the one at the lower address.
    pub const PAGE_TABLE_SECOND: Self = Self(41);
    /// The list of page-table pages with free fragments.
    pub const FRAGMENTS: Self = Self(50);
    /// The auditor of page-table pages.
    pub const AUDIT: Self = Self(54);
    /// One CPU's frames that wait for a grace period.
    pub const FRAMES_WAITING: Self = Self(56);
    /// Which CPUs a grace period waits for.
    pub const RCU_TOPOLOGY: Self = Self(60);
    /// One CPU's callback lists.
    pub const RCU_LIST: Self = Self(62);
    /// Who is whose child, in which group and session.
    pub const PROCESS_TREE: Self = Self(63);
    /// A process's signals and threads.
    pub const SIGNALS: Self = Self(64);
    /// What a process does about signals.
    pub const SIGNAL_ACTIONS: Self = Self(65);
    /// Numbers of processes that are in use.
    pub const PIDS: Self = Self(66);
    /// The waiting list of a mutex.
    pub const MUTEX_WAIT: Self = Self(68);
    /// Who waits for something.
    pub const WAIT_QUEUE: Self = Self(70);
    /// The list of all threads.
    pub const THREADS: Self = Self(74);
    /// One CPU's run queue.
    pub const RUN_QUEUE: Self = Self(80);
    /// The second of two run queues; the first is the one of the lower CPU.
    pub const RUN_QUEUE_SECOND: Self = Self(81);
    /// One CPU's timers.
    pub const TIMER: Self = Self(84);
    /// One CPU's magazine of objects.
    pub const OBJECT_MAGAZINE: Self = Self(90);
    /// The slabs of one object cache.
    pub const OBJECT_SLABS: Self = Self(92);
    /// The holes of the heap.
    pub const HEAP: Self = Self(94);
    /// Who is asked when memory is short.
    pub const RECLAIM_HOOKS: Self = Self(95);
    /// One CPU's cache of frames.
    pub const FRAME_CACHE: Self = Self(96);
    /// The buddy lists of frames.
    pub const FRAME_BUDDY: Self = Self(98);
    /// The reader that is parked on purpose.
    pub const PARKED_READER: Self = Self(100);
    /// What was typed and nobody has read yet.
    pub const CONSOLE_INPUT: Self = Self(240);
    /// The console: one may log under any lock.
    pub const CONSOLE: Self = Self(250);

    /// A rank between those listed.
    pub const fn new(rank: u8) -> Self {
        Self(rank)
    }
}

/// What all locks of one kind share.
#[derive(Debug)]
pub struct LockClass {
    /// What a message calls it.
    pub name: &'static str,
    /// Its place in the order.
    pub rank: Rank,
}

impl LockClass {
    /// A class. Made as a `const` and given to the lock by reference.
    pub const fn new(name: &'static str, rank: Rank) -> Self {
        Self { name, rank }
    }
}

static OFF: AtomicBool = AtomicBool::new(false);

/// Turns the checks off for good: a panicking kernel still takes locks (with `try_lock`), and must
/// not panic over their order.
pub fn stop_checking() {
    OFF.store(true, Ordering::Relaxed);
}

/// Whether [`stop_checking`] has not been called.
pub fn checks_are_on() -> bool {
    !OFF.load(Ordering::Relaxed)
}

/// How a lock is held, for the rules about interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// With interrupts on.
    Plain,
    /// With interrupts off.
    Irq,
    /// Sleeping.
    Mutex,
}

/// Evidence that a lock is on its task's list of held locks. It leaves the list when dropped, in
/// whatever order; it must be dropped by the task that made it. Empty in builds without the check.
#[derive(Debug)]
#[must_use]
pub struct Held {
    #[cfg(debug_assertions)]
    class: &'static LockClass,
    _not_send: core::marker::PhantomData<*mut ()>,
}

impl Held {
    /// Checks the rules and puts the lock on the list; before it is waited for.
    #[inline(always)]
    #[track_caller]
    pub fn acquire(class: &'static LockClass, kind: Kind) -> Self {
        #[cfg(debug_assertions)]
        list::check(class, kind);
        Self::acquire_unchecked(class, kind)
    }

    /// Puts the lock on the list without the check: it was got without waiting, so it closes no
    /// circle of waiters.
    #[inline(always)]
    #[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "no list in this build"))]
    pub fn acquire_unchecked(class: &'static LockClass, kind: Kind) -> Self {
        #[cfg(debug_assertions)]
        {
            current().held.push(class, kind);
            Self { class, _not_send: core::marker::PhantomData }
        }
        #[cfg(not(debug_assertions))]
        Self { _not_send: core::marker::PhantomData }
    }
}

impl Held {
    /// Takes a lock off the running task's list that another task's `Held` put on its own: a lock
    /// that changes hands in a context switch. That task forgot its guard.
    pub(super) fn release_inherited(class: &'static LockClass) {
        #[cfg(debug_assertions)]
        current().held.remove(class);
        #[cfg(not(debug_assertions))]
        let _ = class;
    }
}

#[cfg(debug_assertions)]
impl Drop for Held {
    fn drop(&mut self) {
        current().held.remove(self.class);
    }
}

#[cfg(debug_assertions)]
pub use list::HeldLocks;

/// The locks a task holds: not recorded in this build.
#[cfg(not(debug_assertions))]
#[derive(Debug)]
pub struct HeldLocks(());

#[cfg(not(debug_assertions))]
impl HeldLocks {
    pub(super) const fn new() -> Self {
        Self(())
    }
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        core::iter::empty()
    }
    pub(super) fn begin_with(&self, _class: &'static LockClass) {}
}

#[cfg(debug_assertions)]
mod list {
    use super::{Kind, LockClass, checks_are_on, current};
    use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

    /// More than any path needs; what does not fit is not recorded, and counts as a failed check.
    const MOST: usize = 12;

    /// The locks a task holds, in the order in which it took them.
    ///
    /// # Invariants
    /// The first `len` entries are not null and come from `&'static LockClass`. Written by the task
    /// and its interrupts only, with interrupts off.
    #[derive(Debug)]
    pub struct HeldLocks {
        classes: [AtomicPtr<LockClass>; MOST],
        /// Bit i: entry i is held with interrupts off.
        irq: AtomicU32,
        len: AtomicU32,
    }

    impl HeldLocks {
        pub(in crate::sync) const fn new() -> Self {
            Self {
                classes: [const { AtomicPtr::new(core::ptr::null_mut()) }; MOST],
                irq: AtomicU32::new(0),
                len: AtomicU32::new(0),
            }
        }

        /// The first entry of a list that no task uses yet.
        pub(in crate::sync) fn begin_with(&self, class: &'static LockClass) {
            self.push(class, Kind::Irq);
        }

        fn len(&self) -> usize {
            (self.len.load(Ordering::Relaxed) as usize).min(MOST)
        }

        fn get(&self, index: usize) -> Option<&'static LockClass> {
            // SAFETY: null or from a `&'static LockClass` (invariant).
            unsafe { self.classes[index].load(Ordering::Relaxed).as_ref() }
        }

        pub(super) fn iter(&self) -> impl Iterator<Item = (&'static LockClass, bool)> + '_ {
            let irq = self.irq.load(Ordering::Relaxed);
            (0..self.len()).filter_map(move |i| self.get(i).map(|class| (class, irq & 1 << i != 0)))
        }

        pub(in crate::sync) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
            self.iter().map(|(class, _)| class.name)
        }

        // Interrupts are off for these few stores: a handler's own entry would come in between.
        pub(super) fn push(&self, class: &'static LockClass, kind: Kind) {
            let on = crate::arch::current::cpu::irq_save();
            let len = self.len();
            let fits = len < MOST;
            if fits {
                self.classes[len].store(core::ptr::from_ref(class).cast_mut(), Ordering::Relaxed);
                let bit = 1 << len;
                let irq = self.irq.load(Ordering::Relaxed) & !bit;
                self.irq.store(if kind == Kind::Irq { irq | bit } else { irq }, Ordering::Relaxed);
                self.len.store(len as u32 + 1, Ordering::Relaxed);
            }
            // SAFETY: what `irq_save` gave.
            unsafe { crate::arch::current::cpu::irq_restore(on) };
            if !fits && checks_are_on() {
                panic!("{} is one lock too many: {MOST} are held", class.name);
            }
        }

        /// Removes the innermost entry of the class.
        pub(super) fn remove(&self, class: &'static LockClass) {
            let on = crate::arch::current::cpu::irq_save();
            let len = self.len();
            let found = (0..len).rev().find(|&i| self.get(i).is_some_and(|c| core::ptr::eq(c, class)));
            if let Some(at) = found {
                for i in at + 1..len {
                    self.classes[i - 1].store(self.classes[i].load(Ordering::Relaxed), Ordering::Relaxed);
                }
                let irq = self.irq.load(Ordering::Relaxed);
                let below = irq & ((1 << at) - 1);
                self.irq.store(below | irq >> 1 & !((1 << at) - 1), Ordering::Relaxed);
                self.len.store(len as u32 - 1, Ordering::Relaxed);
            }
            // SAFETY: what `irq_save` gave.
            unsafe { crate::arch::current::cpu::irq_restore(on) };
            // No panic twice: guards are dropped while a failed test unwinds.
            if found.is_none() && checks_are_on() {
                panic!("{} is given back by a task that does not hold it", class.name);
            }
        }
    }

    /// Panics if the running task may not take a lock of the class.
    #[track_caller]
    pub(super) fn check(class: &'static LockClass, kind: Kind) {
        if !checks_are_on() {
            return;
        }
        let task = current();
        if kind == Kind::Plain && task.irq_depth() != 0 {
            panic!("{} is taken in an interrupt and is not an interrupt-safe lock", class.name);
        }
        for (held, irq) in task.held.iter() {
            if held.rank >= class.rank {
                panic!(
                    "lock order: {} (rank {}) is taken under {} (rank {}) by {}",
                    class.name,
                    class.rank.0,
                    held.name,
                    held.rank.0,
                    task.name()
                );
            }
            if irq && kind != Kind::Irq {
                panic!("{} is not an interrupt-safe lock and is taken under {}", class.name, held.name);
            }
        }
    }
}

#[cfg(all(test, debug_assertions, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{IrqGuard, IrqSpinLock, SpinLock, token};

    const OUTER: LockClass = LockClass::new("outer", Rank::new(1));
    const INNER: LockClass = LockClass::new("inner", Rank::new(2));
    const SAME: LockClass = LockClass::new("same", Rank::new(2));

    #[test]
    fn ascending_order_is_allowed_and_any_order_of_release() {
        let (a, b) = (SpinLock::new(&OUTER, ()), SpinLock::new(&INNER, ()));
        for _ in 0..2 {
            let first = a.lock();
            let second = b.lock();
            assert!(current().held_locks().eq(["outer", "inner"]));
            drop(first);
            assert!(current().held_locks().eq(["inner"]));
            drop(second);
            assert_eq!(current().held_locks().count(), 0);
        }
    }

    #[test]
    #[should_panic(expected = "lock order: outer (rank 1) is taken under inner (rank 2)")]
    fn descending_order_panics_naming_both() {
        let (a, b) = (SpinLock::new(&OUTER, ()), SpinLock::new(&INNER, ()));
        let _inner = b.lock();
        let _outer = a.lock();
    }

    #[test]
    #[should_panic(expected = "lock order: same (rank 2) is taken under inner (rank 2)")]
    fn equal_rank_panics() {
        let (a, b) = (SpinLock::new(&INNER, ()), SpinLock::new(&SAME, ()));
        let _first = a.lock();
        let _second = b.lock();
    }

    #[test]
    #[should_panic(expected = "lock order: inner (rank 2) is taken under inner (rank 2)")]
    fn the_same_lock_twice_panics_instead_of_hanging() {
        let lock = IrqSpinLock::new(&INNER, ());
        let _first = lock.lock();
        let _second = lock.lock();
    }

    #[test]
    #[should_panic(expected = "outer is taken in an interrupt and is not an interrupt-safe lock")]
    fn a_plain_lock_in_an_interrupt_panics() {
        let lock = SpinLock::new(&OUTER, ());
        let _off = IrqGuard::new();
        token::interrupt(|_| drop(lock.lock()));
    }

    #[test]
    fn an_irq_lock_in_an_interrupt_is_fine() {
        let lock = IrqSpinLock::new(&OUTER, ());
        let _off = IrqGuard::new();
        token::interrupt(|_| drop(lock.lock()));
    }

    #[test]
    #[should_panic(expected = "inner is not an interrupt-safe lock and is taken under outer")]
    fn a_plain_lock_under_an_irq_lock_panics() {
        let (a, b) = (IrqSpinLock::new(&OUTER, ()), SpinLock::new(&INNER, ()));
        let _outer = a.lock();
        let _inner = b.lock();
    }

    #[test]
    fn irq_marks_follow_their_entries() {
        let (a, b) = (SpinLock::new(&OUTER, ()), IrqSpinLock::new(&INNER, ()));
        let first = a.lock();
        let second = b.lock();
        drop(first);
        assert!(current().held.iter().eq_by_names(&[("inner", true)]));
        drop(second);
    }

    trait EqByNames {
        fn eq_by_names(self, expected: &[(&str, bool)]) -> bool;
    }
    impl<I: Iterator<Item = (&'static LockClass, bool)>> EqByNames for I {
        fn eq_by_names(self, expected: &[(&str, bool)]) -> bool {
            self.map(|(class, irq)| (class.name, irq)).eq(expected.iter().copied())
        }
    }

    #[test]
    fn what_is_got_by_trying_is_listed() {
        let (a, b) = (SpinLock::new(&OUTER, ()), SpinLock::new(&INNER, ()));
        let inner = b.lock();
        let outer = a.try_lock().expect("free");
        assert!(current().held_locks().eq(["inner", "outer"]));
        drop((inner, outer));
        assert_eq!(current().held_locks().count(), 0);
    }
}
