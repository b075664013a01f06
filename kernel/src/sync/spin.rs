//! Spin locks: the lock of crate `spin`, with a context and a rank around it.
//!
//! [`SpinLock`] turns preemption off while it is held, [`IrqSpinLock`] interrupts. Waiting uses the
//! machine's hint, so that the emulator runs another CPU meanwhile.
//!
//! The list of held locks is the task's, so a lock is not held over a context switch, but for the run
//! queue's, which changes hands there (`force_unlock`). Fair (ticket) locks
//! were rejected: under an emulator the next in line is often the CPU that the host does not run.
//!
//! In a build for loom the lock inside is loom's mutex: the model checker then sees who waits for
//! whom, and takes the algorithm of the crate as given.

use super::preempt::{IrqGuard, Pinned, PreemptGuard};
use super::rank::{Held, Kind, LockClass};
use core::fmt;
use core::ops::{Deref, DerefMut};

/// How a CPU waits for a lock: the machine's hint.
#[derive(Debug)]
pub struct Relax;

impl ::spin::RelaxStrategy for Relax {
    #[inline(always)]
    fn relax() {
        crate::arch::current::cpu::relax();
    }
}

#[cfg(not(loom))]
mod raw {
    pub(super) type Guard<'a, T> = ::spin::mutex::SpinMutexGuard<'a, T, super::Relax>;

    pub(super) struct Raw<T>(::spin::mutex::SpinMutex<T, super::Relax>);

    impl<T> Raw<T> {
        pub(super) const fn new(value: T) -> Self {
            Self(::spin::mutex::SpinMutex::new(value))
        }
        #[inline(always)]
        pub(super) fn lock(&self) -> Guard<'_, T> {
            self.0.lock()
        }
        pub(super) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock()
        }
        pub(super) fn as_mut_ptr(&self) -> *mut T {
            self.0.as_mut_ptr()
        }
        pub(super) unsafe fn force_unlock(&self) {
            // SAFETY: the caller's promise.
            unsafe { self.0.force_unlock() };
        }
        pub(super) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut()
        }
    }
}

#[cfg(loom)]
mod raw {
    pub(super) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

    pub(super) struct Raw<T>(loom::sync::Mutex<T>);

    #[expect(clippy::expect_used, reason = "a model check: it stops at the first panic anyhow")]
    impl<T> Raw<T> {
        pub(super) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }
        pub(super) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().expect("no thread panicked")
        }
        pub(super) fn try_lock(&self) -> Option<Guard<'_, T>> {
            self.0.try_lock().ok()
        }
        pub(super) fn as_mut_ptr(&self) -> *mut T {
            unreachable!("loom does not look behind its locks")
        }
        pub(super) unsafe fn force_unlock(&self) {
            unreachable!("loom does not switch kernel threads")
        }
        pub(super) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().expect("no thread panicked")
        }
    }
}

macro_rules! lock {
    ($(#[$doc:meta])* $name:ident, $(#[$guard_doc:meta])* $guard:ident, $pin:ident, $kind:expr) => {
        $(#[$doc])*
        pub struct $name<T> {
            class: &'static LockClass,
            raw: raw::Raw<T>,
        }

        impl<T> $name<T> {
            /// A free lock of the class around the value.
            #[cfg(not(loom))]
            pub const fn new(class: &'static LockClass, value: T) -> Self {
                Self { class, raw: raw::Raw::new(value) }
            }
            /// A free lock of the class around the value.
            #[cfg(loom)]
            pub fn new(class: &'static LockClass, value: T) -> Self {
                Self { class, raw: raw::Raw::new(value) }
            }
            /// Waits until the lock is free and takes it. A debug build panics where the rules of
            /// [`rank`](super::rank) forbid it.
            #[inline(always)]
            #[track_caller]
            pub fn lock(&self) -> $guard<'_, T> {
                let pin = $pin::new();
                let held = Held::acquire(self.class, $kind);
                $guard { data: self.raw.lock(), _held: held, pin }
            }
            /// Takes the lock as one of another class, of a higher rank: the second of a pair, whose
            /// order the caller knows.
            #[track_caller]
            pub fn lock_as(&self, class: &'static LockClass) -> $guard<'_, T> {
                let pin = $pin::new();
                let held = Held::acquire(class, $kind);
                $guard { data: self.raw.lock(), _held: held, pin }
            }
            /// Takes the lock if it is free. Any order is allowed, since nothing is waited for.
            pub fn try_lock(&self) -> Option<$guard<'_, T>> {
                let pin = $pin::new();
                let data = self.raw.try_lock()?;
                Some($guard { data, _held: Held::acquire_unchecked(self.class, $kind), pin })
            }
            /// The value, without the lock: for the last words of a panicking kernel.
            ///
            /// # Safety
            /// The pointer is used only while no other CPU runs, or for what cannot do harm.
            pub unsafe fn bypass(&self) -> *mut T {
                self.raw.as_mut_ptr()
            }
            /// The value: whoever has the lock exclusively needs not take it.
            pub fn get_mut(&mut self) -> &mut T {
                self.raw.get_mut()
            }
            /// The class it was made with.
            pub fn class(&self) -> &'static LockClass {
                self.class
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.class.name)
            }
        }

        $(#[$guard_doc])*
        // Fields are dropped in this order: unlock, off the list, then the context.
        #[must_use = "the lock is given back when the guard is dropped"]
        pub struct $guard<'a, T> {
            data: raw::Guard<'a, T>,
            _held: Held,
            pin: $pin,
        }

        // SAFETY: the guard inside keeps the CPU from changing, and makes this one not `Send`.
        unsafe impl<T> Pinned for $guard<'_, T> {}

        impl<T> $guard<'_, T> {
            /// What keeps the CPU from changing while the lock is held.
            pub fn pin(&self) -> &$pin {
                &self.pin
            }
        }

        impl<T> Deref for $guard<'_, T> {
            type Target = T;
            #[inline(always)]
            fn deref(&self) -> &T {
                &self.data
            }
        }

        impl<T> DerefMut for $guard<'_, T> {
            #[inline(always)]
            fn deref_mut(&mut self) -> &mut T {
                &mut self.data
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $guard<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&**self, f)
            }
        }
    };
}

lock! {
    /// A lock for what interrupt handlers never touch. Preemption is off while it is held.
    ///
    /// The guard stays on its CPU:
    /// ```compile_fail,E0277
    /// use fallow::sync::{LockClass, Rank, SpinLock};
    /// const CLASS: LockClass = LockClass::new("example", Rank::PROCESS);
    /// fn needs_send<T: Send>(_: T) {}
    /// let lock = SpinLock::new(&CLASS, 0);
    /// needs_send(lock.lock());
    /// ```
    SpinLock,
    /// A [`SpinLock`] is held.
    SpinGuard, PreemptGuard, Kind::Plain
}

lock! {
    /// A lock for what interrupt handlers touch as well. Interrupts are off while it is held.
    ///
    /// Guards of two such locks end in the reverse order of their creation, or interrupts come back
    /// too early: the inner one found them off and leaves them off.
    IrqSpinLock,
    /// An [`IrqSpinLock`] is held.
    IrqSpinGuard, IrqGuard, Kind::Irq
}

impl<T> IrqSpinLock<T> {
    /// Gives back the lock that this task inherited in a context switch: the one before it took it,
    /// forgot the guard, and switched. Interrupts stay off; each task restores its own.
    ///
    /// # Safety
    /// The lock is held, on this CPU, and its guard was forgotten. Interrupts are off.
    pub unsafe fn force_unlock(&self) {
        // SAFETY: held, and nobody has the guard (the caller).
        unsafe { self.raw.force_unlock() };
        Held::release_inherited(self.class);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::arch::current::cpu;
    use crate::sync::Rank;
    use crate::sync::context::current;

    const CLASS: LockClass = LockClass::new("test", Rank::new(1));

    #[test]
    fn contexts_last_as_long_as_the_guards() {
        static PLAIN: SpinLock<u32> = SpinLock::new(&CLASS, 0);
        static IRQ: IrqSpinLock<u32> = IrqSpinLock::new(&CLASS, 0);
        let guard = PLAIN.lock();
        assert_eq!((current().preempt_depth(), cpu::irqs_enabled()), (1, true));
        assert!(PLAIN.try_lock().is_none());
        assert_eq!(current().preempt_depth(), 1);
        drop(guard);
        let guard = IRQ.lock();
        assert!(!cpu::irqs_enabled());
        assert!(IRQ.try_lock().is_none());
        assert!(!cpu::irqs_enabled());
        drop(guard);
        assert_eq!((current().preempt_depth(), cpu::irqs_enabled()), (0, true));
    }

    #[test]
    fn a_lock_changes_hands_in_a_switch() {
        static LOCK: IrqSpinLock<()> = IrqSpinLock::new(&CLASS, ());
        let next = crate::sync::context::TaskContext::holding("next", &CLASS);
        let were_on = cpu::irq_save();
        core::mem::forget(LOCK.lock());
        // SAFETY: the thread is a CPU of its own; the context outlives its use.
        unsafe { cpu::set_current_task(core::ptr::from_ref(&next).cast()) };
        // SAFETY: held, its guard forgotten, interrupts off.
        unsafe { LOCK.force_unlock() };
        assert_eq!(current().held_locks().count(), 0);
        assert!(!cpu::irqs_enabled());
        drop(LOCK.lock());
        // SAFETY: as above: back to this thread's own context, and what `irq_save` gave.
        unsafe { (cpu::set_current_task(core::ptr::null()), cpu::irq_restore(were_on)) };
    }

    #[test]
    fn threads_exclude_each_other() {
        static SUM: IrqSpinLock<(u64, u64)> = IrqSpinLock::new(&CLASS, (0, 0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        let mut sum = SUM.lock();
                        sum.0 += 1;
                        sum.1 = sum.0 * 2;
                    }
                });
            }
        });
        assert_eq!(*SUM.lock(), (40_000, 80_000));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::sync::Rank;
    use crate::sync::context::current;
    use loom::sync::Arc;

    const OUTER: LockClass = LockClass::new("outer", Rank::new(1));
    const INNER: LockClass = LockClass::new("inner", Rank::new(2));

    /// Two threads, two nested locks, every interleaving: nothing is lost, each thread's counts are
    /// its own, and an order that could deadlock would be found as one.
    #[test]
    fn nested_locks_in_all_interleavings() {
        loom::model(|| {
            let shared = Arc::new((SpinLock::new(&OUTER, 0), IrqSpinLock::new(&INNER, 0)));
            let work = |shared: &(SpinLock<u32>, IrqSpinLock<u32>)| {
                let mut outer = shared.0.lock();
                let mut inner = shared.1.lock();
                assert_eq!(*outer, *inner);
                *outer += 1;
                *inner += 1;
                drop(inner);
                assert_eq!(current().preempt_depth(), 1);
            };
            let other = {
                let shared = Arc::clone(&shared);
                loom::thread::spawn(move || work(&shared))
            };
            work(&shared);
            other.join().expect("no panic");
            assert_eq!((*shared.0.lock(), *shared.1.lock()), (2, 2));
            assert_eq!(current().preempt_depth(), 0);
        });
    }
}
