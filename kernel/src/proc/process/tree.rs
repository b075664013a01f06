//! The one lock over who is whose child and in which group: [`lock`].
//!
//! What it protects stands in each process and group, in a [`Guarded`] cell that opens only with the
//! lock's guard, so a look without the lock does not compile. One lock and not many: fork, exit, wait
//! and job control each touch several processes at once, for a few dozen instructions.
//!
//! It is an interrupt-safe lock, since ^C is typed in an interrupt. Under it nothing is allocated, and
//! the last reference to a process is not dropped.

use crate::sync::spin::IrqSpinGuard;
use crate::sync::{IrqSpinLock, LockClass, Rank};
use core::cell::UnsafeCell;
use core::fmt;

const CLASS: LockClass = LockClass::new("tree of processes", Rank::PROCESS_TREE);

/// Evidence that the lock is held. There is one value of this type.
pub struct Tree(());

static TREE: IrqSpinLock<Tree> = IrqSpinLock::new(&CLASS, Tree(()));

/// Takes the lock.
#[track_caller]
pub fn lock() -> IrqSpinGuard<'static, Tree> {
    TREE.lock()
}

/// A value that may be used only while the tree is locked.
pub struct Guarded<T>(UnsafeCell<T>);

// SAFETY: used by who holds the lock only.
unsafe impl<T: Send> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    /// That value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }
    /// To look at.
    pub fn get<'a>(&'a self, _tree: &'a Tree) -> &'a T {
        // SAFETY: the lock is held, and a reference to change any such value borrows `Tree`
        // exclusively, so there is none.
        unsafe { &*self.0.get() }
    }
    /// To change.
    pub fn get_mut<'a>(&'a self, _tree: &'a mut Tree) -> &'a mut T {
        // SAFETY: the lock is held, and no other reference to any such value lives: it would borrow
        // `Tree`, which is borrowed exclusively.
        unsafe { &mut *self.0.get() }
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guarded")
    }
}
