//! `RcuHead`: what makes an object deferrable, and the traits that say where it stands.
//!
//! The head is embedded in the object, so that nothing is allocated where things are freed. It is a
//! link and a function, 16 bytes. The function doubles as the mark "queued": it is set by an atomic
//! exchange when the object is deferred and cleared just before the callback runs. So deferring an
//! object twice is seen (H1), and a callback may defer its own object again (H39). A separate flag
//! would be clearer and would cost 8 bytes in every page-table page.

use crate::sync::atomic::{AtomicPtr, Ordering};
use crate::sync::cell::UnsafeCell;
use core::ptr::{self, NonNull};

/// What runs after the grace period: it gets the head it was deferred with. True: it has more to do and
/// is to be called again, without another grace period, when others had their turn; then the object is
/// still there, and its head on no list.
pub type Callback = unsafe fn(NonNull<RcuHead>) -> bool;

/// The part of an object that RCU uses while the object waits.
///
/// # Invariants
/// * `invoke` is null exactly when the head is on no list.
/// * `next` is accessed by whoever moved `invoke` from null, or under the lock of the list it is on.
#[derive(Debug)]
pub struct RcuHead {
    next: UnsafeCell<*const RcuHead>,
    invoke: AtomicPtr<()>,
}

// SAFETY: see the invariants: `next` has one user at a time, and the pointers are not followed here.
unsafe impl Send for RcuHead {}
// SAFETY: likewise.
unsafe impl Sync for RcuHead {}

impl RcuHead {
    /// A head on no list.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self { next: UnsafeCell::new(ptr::null()), invoke: AtomicPtr::new(ptr::null_mut()) }
    }
    /// A head on no list.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self { next: UnsafeCell::new(ptr::null()), invoke: AtomicPtr::new(ptr::null_mut()) }
    }
    /// Whether it is deferred and its callback has not begun. Old news by the time it is read.
    pub fn is_queued(&self) -> bool {
        // Relaxed: nothing of the object is looked at for it.
        !self.invoke.load(Ordering::Relaxed).is_null()
    }
    /// Takes the head for a list. False: it is on one already.
    pub(super) fn claim(&self, callback: Callback) -> bool {
        let raw = callback as *mut ();
        // Acquire: pairs with the Release in `release`, perhaps on another CPU: that CPU has read
        // `next` before we write it.
        self.invoke.compare_exchange(ptr::null_mut(), raw, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
    /// Gives the head back to its object and says what to call. `None`: it was not claimed.
    pub(super) fn release(&self) -> Option<Callback> {
        // Release: pairs with the Acquire in `claim`. What we see of the pointer was stored by
        // `claim` before the head came on the list, whose lock we held.
        let raw = self.invoke.swap(ptr::null_mut(), Ordering::Release);
        // SAFETY: null, or a `Callback` stored by `claim`; `Option` of a function is null for None.
        unsafe { core::mem::transmute::<*mut (), Option<Callback>>(raw) }
    }
    /// # Safety
    /// The head is claimed, and the lock of its list is held (or it is not on the list yet).
    pub(super) unsafe fn set_next(&self, next: *const RcuHead) {
        // SAFETY: nobody else reads or writes (the caller).
        self.next.with_mut(|cell| unsafe { *cell = next });
    }
    /// # Safety
    /// The head is claimed, and the lock of its list is held.
    pub(super) unsafe fn next(&self) -> *const RcuHead {
        // SAFETY: nobody writes (the caller).
        self.next.with(|cell| unsafe { *cell })
    }
}

impl Default for RcuHead {
    fn default() -> Self {
        Self::new()
    }
}

/// An object with an [`RcuHead`] in it.
///
/// # Safety
/// `HEAD` is the offset in bytes of a field of type [`RcuHead`]: `core::mem::offset_of!(Self, field)`.
pub unsafe trait HasRcuHead: Sized {
    /// Where it stands.
    const HEAD: usize;
}

/// An object that lives for ever (a descriptor) and wants to be told when a grace period is over.
pub trait Deferred: HasRcuHead + Sync + 'static {
    /// Called once for each time that the object was deferred, after a grace period that began after
    /// that. It runs in a kernel thread with preemption off: it may not sleep. It may defer the
    /// object again. The locks that it takes are taken with interrupts off everywhere (H24).
    fn grace_over(&'static self);

    /// Asked right after each [`grace_over`](Self::grace_over): whether there is more to do than should
    /// be done at once with preemption off. Then it is called again, after the CPU's other threads had
    /// a chance and before what was deferred later. An object that says so has not deferred itself.
    fn has_more(&'static self) -> bool {
        false
    }
}

/// The head in an object, with the right to reach the whole object from it.
pub(super) fn head_of<T: HasRcuHead>(object: NonNull<T>) -> NonNull<RcuHead> {
    // SAFETY: the offset of a field (the trait's promise) stays within the object.
    unsafe { object.byte_add(T::HEAD) }.cast()
}

/// The object around a head.
///
/// # Safety
/// The head came from [`head_of`] for an object of this type, which is still there.
pub(super) unsafe fn object_of<T: HasRcuHead>(head: NonNull<RcuHead>) -> NonNull<T> {
    // SAFETY: reverses `head_of` (the caller).
    unsafe { head.byte_sub(T::HEAD) }.cast()
}

/// The callback of a [`Deferred`] object.
///
/// # Safety
/// As for [`object_of`], and the object lives for ever.
pub(super) unsafe fn tell<T: Deferred>(head: NonNull<RcuHead>) -> bool {
    // SAFETY: the caller's promise.
    let object: &'static T = unsafe { object_of::<T>(head).as_ref() };
    object.grace_over();
    object.has_more()
}
