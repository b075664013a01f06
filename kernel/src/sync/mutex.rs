//! The sleeping mutex.
//!
//! Who finds it taken sleeps, so it may be held across anything that sleeps, and `lock` asks for
//! the token. The owner's guard does not borrow the token: with the mutex held one may sleep again.
//!
//! Giving back wakes the first who waits, but does not hand the mutex over: whoever comes first
//! takes it. Handing over is fair, and makes every contended use wait for a context switch.

use super::atomic::{AtomicBool, Ordering};
use super::rank::{Held, Kind, LockClass, Rank};
use super::token::MaySleep;
use super::wait::WaitQueue;
use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};

const WAIT_CLASS: LockClass = LockClass::new("mutex wait list", Rank::MUTEX_WAIT);

/// A value that one task at a time may use; the others sleep.
pub struct Mutex<T> {
    class: &'static LockClass,
    locked: AtomicBool,
    waiters: WaitQueue,
    value: UnsafeCell<T>,
}

// SAFETY: the guard alone gives access to the value, and there is one at a time.
unsafe impl<T: Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex of the class (its rank is checked like a spin lock's) around the value.
    #[cfg(not(loom))]
    pub const fn new(class: &'static LockClass, value: T) -> Self {
        Self {
            class,
            locked: AtomicBool::new(false),
            waiters: WaitQueue::with_class(&WAIT_CLASS),
            value: UnsafeCell::new(value),
        }
    }
    /// A free mutex of the class around the value.
    #[cfg(loom)]
    pub fn new(class: &'static LockClass, value: T) -> Self {
        Self {
            class,
            locked: AtomicBool::new(false),
            waiters: WaitQueue::with_class(&WAIT_CLASS),
            value: UnsafeCell::new(value),
        }
    }

    fn acquire(&self) -> bool {
        // Acquire: pairs with the Release in the guard's drop.
        self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Sleeps until the mutex is free and takes it.
    #[track_caller]
    pub fn lock(&self, ctx: &mut MaySleep) -> MutexGuard<'_, T> {
        self.lock_as(ctx, self.class)
    }

    /// The same, for the second of two mutexes of one class whose order follows from something else:
    /// it is held under another class.
    #[track_caller]
    pub fn lock_as(&self, ctx: &mut MaySleep, class: &'static LockClass) -> MutexGuard<'_, T> {
        super::context::assert_may_sleep("mutex");
        let held = Held::acquire(class, Kind::Mutex);
        self.waiters.wait(ctx, || self.acquire());
        MutexGuard { mutex: self, _held: held }
    }

    /// Takes the mutex if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.acquire()
            .then(|| MutexGuard { mutex: self, _held: Held::acquire_unchecked(self.class, Kind::Mutex) })
    }

    /// The value: whoever has the mutex exclusively need not take it.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mutex({})", self.class.name)
    }
}

/// A [`Mutex`] is held. It is given back by the task that took it: not `Send`.
#[must_use = "the mutex is given back when the guard is dropped"]
pub struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    _held: Held,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: the mutex is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the mutex is held, and the guard is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `acquire`.
        self.mutex.locked.store(false, Ordering::Release);
        self.mutex.waiters.wake_one();
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::sync::{IrqGuard, PreemptGuard};

    const CLASS: LockClass = LockClass::new("test", Rank::SLEEPING);

    fn token() -> MaySleep {
        // SAFETY: a thread of the host's tests may sleep; one token per use.
        unsafe { MaySleep::mint() }
    }

    #[test]
    fn threads_exclude_each_other() {
        let mutex = Mutex::new(&CLASS, (0_u64, 0_u64));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let mut value = mutex.lock(&mut token());
                        value.0 += 1;
                        value.1 = value.0 * 2;
                    }
                });
            }
        });
        let value = mutex.try_lock().expect("free");
        assert_eq!(*value, (8_000, 16_000));
        assert!(mutex.try_lock().is_none());
    }

    #[test]
    #[should_panic(expected = "mutex may sleep, and was called with preemption off")]
    fn not_with_preemption_off() {
        let mutex = Mutex::new(&CLASS, ());
        let _pin = PreemptGuard::new();
        let _guard = mutex.lock(&mut token());
    }

    #[test]
    #[should_panic(expected = "mutex may sleep, and was called with interrupts off")]
    fn not_with_interrupts_off_even_if_it_is_free() {
        let mutex = Mutex::new(&CLASS, ());
        let _irqs = IrqGuard::new();
        let _guard = mutex.lock(&mut token());
    }
}
