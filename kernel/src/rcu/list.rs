//! One CPU's callbacks, in three segments: those queued since the last grace period began (`next`),
//! those that the running one will release (`wait`), and those that it is over for (`done`).
//!
//! A callback enters `next` and moves one segment at the begin and one at the end of a grace period,
//! both done by the grace-period thread under the list's lock. That lock is all the order there is
//! between `call_rcu` and the begin of a grace period: what was removed before the object was queued
//! was removed before the grace period began, and a callback queued later stays in `next` (H35).
//! Linux keeps a fourth segment and a grace-period number for each, so that a CPU can advance its
//! own list without being visited; with 16 CPUs the visit is cheaper than the argument.

use super::head::{Callback, RcuHead};
use core::ptr::{self, NonNull};

/// A queue of claimed heads.
///
/// # Invariants
/// `first` and `last` are null together, and exactly when `len` is 0.
#[derive(Debug)]
struct Segment {
    first: *const RcuHead,
    last: *const RcuHead,
    len: usize,
}

impl Segment {
    const fn new() -> Self {
        Self { first: ptr::null(), last: ptr::null(), len: 0 }
    }

    /// # Safety
    /// The head is claimed, on no list, and stays where it is until it is popped.
    unsafe fn push(&mut self, head: NonNull<RcuHead>) {
        let new = head.as_ptr().cast_const();
        // SAFETY: claimed and on no list (the caller).
        unsafe { head.as_ref().set_next(ptr::null()) };
        // SAFETY: null, or a head on this list, which stays until it is popped.
        match unsafe { self.last.as_ref() } {
            // SAFETY: it is on this list, and `&mut self` stands for the lock.
            Some(last) => unsafe { last.set_next(new) },
            None => self.first = new,
        }
        self.last = new;
        self.len += 1;
    }

    /// # Safety
    /// As for [`push`](Self::push).
    unsafe fn push_front(&mut self, head: NonNull<RcuHead>) {
        let new = head.as_ptr().cast_const();
        // SAFETY: claimed and on no list (the caller).
        unsafe { head.as_ref().set_next(self.first) };
        if self.last.is_null() {
            self.last = new;
        }
        self.first = new;
        self.len += 1;
    }

    fn pop(&mut self) -> Option<NonNull<RcuHead>> {
        let head = NonNull::new(self.first.cast_mut())?;
        // SAFETY: it is on this list, and `&mut self` stands for the lock.
        self.first = unsafe { head.as_ref().next() };
        if self.first.is_null() {
            self.last = ptr::null();
        }
        self.len -= 1;
        Some(head)
    }

    /// Puts all of `other` behind what is here.
    fn append(&mut self, other: &mut Self) {
        let other = core::mem::replace(other, Self::new());
        // SAFETY: null, or a head on this list.
        match unsafe { self.last.as_ref() } {
            _ if other.len == 0 => return,
            // SAFETY: it is on this list, and `&mut self` stands for the lock.
            Some(last) => unsafe { last.set_next(other.first) },
            None => self.first = other.first,
        }
        self.last = other.last;
        self.len += other.len;
    }
}

/// How many callbacks are in each segment, and the most that there ever were in all.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Lengths {
    /// Their grace period is over.
    pub done: usize,
    /// The running grace period is theirs.
    pub wait: usize,
    /// They wait for the next one.
    pub next: usize,
    /// The most that were queued at one time since boot.
    pub most: usize,
    /// Callbacks invoked since boot.
    pub invoked: u64,
}

impl Lengths {
    /// All that are queued.
    pub const fn queued(&self) -> usize {
        self.done + self.wait + self.next
    }
    /// Adds those of another CPU; `most` is the most of any.
    pub(super) fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.wait += other.wait;
        self.next += other.next;
        self.most = self.most.max(other.most);
        self.invoked += other.invoked;
    }
}

/// What a callback found when it was queued.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queued {
    /// It is the first that the next grace period is for.
    pub(super) first: bool,
    /// How many are queued with it.
    pub(super) len: usize,
}

/// One CPU's callbacks; the caller holds its lock.
#[derive(Debug)]
pub(super) struct CallbackList {
    done: Segment,
    wait: Segment,
    next: Segment,
    most: usize,
    invoked: u64,
}

// SAFETY: the heads belong to whoever holds the list (`Segment`'s and `RcuHead`'s invariants).
unsafe impl Send for CallbackList {}

impl CallbackList {
    pub(super) const fn new() -> Self {
        Self { done: Segment::new(), wait: Segment::new(), next: Segment::new(), most: 0, invoked: 0 }
    }

    /// Queues a callback for the next grace period.
    ///
    /// # Safety
    /// The head is claimed, on no list, and stays where it is until its callback is invoked.
    pub(super) unsafe fn queue(&mut self, head: NonNull<RcuHead>) -> Queued {
        // SAFETY: the caller's promise.
        unsafe { self.next.push(head) };
        let len = self.len();
        self.most = self.most.max(len);
        Queued { first: self.next.len == 1, len }
    }

    /// Puts a callback behind all that are queued now, without waiting for a grace period of its
    /// own.
    ///
    /// # Safety
    /// As for [`queue`](Self::queue).
    pub(super) unsafe fn queue_behind_all(&mut self, head: NonNull<RcuHead>) {
        let segment = if self.next.len > 0 {
            &mut self.next
        } else if self.wait.len > 0 {
            &mut self.wait
        } else {
            &mut self.done
        };
        // SAFETY: the caller's promise.
        unsafe { segment.push(head) };
    }

    /// Puts a callback back that has more to do: before all others, so that a barrier's mark which
    /// was behind it still is.
    ///
    /// # Safety
    /// As for [`queue`](Self::queue).
    pub(super) unsafe fn queue_rest(&mut self, head: NonNull<RcuHead>) {
        // SAFETY: the caller's promise.
        unsafe { self.done.push_front(head) };
    }

    /// A grace period begins: it is for all that are queued now.
    pub(super) fn grace_begins(&mut self) {
        self.wait.append(&mut self.next);
    }

    /// It is over. True: there is something to invoke.
    pub(super) fn grace_is_over(&mut self) -> bool {
        self.done.append(&mut self.wait);
        self.done.len > 0
    }

    /// Takes the next callback that is to be invoked, and gives its head back to its object.
    pub(super) fn take(&mut self) -> Option<(NonNull<RcuHead>, Callback)> {
        let head = self.done.pop()?;
        self.invoked += 1;
        // SAFETY: it was on the list until now; its object stays until the callback is invoked.
        let callback = unsafe { head.as_ref() }.release()?;
        Some((head, callback))
    }

    /// All callbacks, for another list to adopt.
    pub(super) fn take_all(&mut self) -> Self {
        let mut all = Self::new();
        all.adopt(self);
        all
    }

    /// Takes over all of another CPU's callbacks, each in its segment and behind those here.
    pub(super) fn adopt(&mut self, other: &mut Self) {
        self.done.append(&mut other.done);
        self.wait.append(&mut other.wait);
        self.next.append(&mut other.next);
        self.most = self.most.max(self.len());
    }

    pub(super) fn len(&self) -> usize {
        self.done.len + self.wait.len + self.next.len
    }
    pub(super) fn has_done(&self) -> bool {
        self.done.len > 0
    }
    /// Whether a grace period would move something.
    pub(super) fn wants_grace(&self) -> bool {
        self.wait.len + self.next.len > 0
    }
    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            done: self.done.len,
            wait: self.wait.len,
            next: self.next.len,
            most: self.most,
            invoked: self.invoked,
        }
    }
}
