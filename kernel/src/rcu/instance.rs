//! One RCU: its counter, its CPUs, its callbacks, and the ways to ask for a grace period.
//!
//! Everything is in a value, generic over the number of CPUs and over the kernel around it, so that
//! the model checker, the stress test on the host and both machines run this very code. The kernel's
//! own instance is in [`global`](super::global).

use super::barrier::Barrier;
use super::head::{Callback, Deferred, HasRcuHead, RcuHead, head_of, object_of, tell};
use super::list::{CallbackList, Lengths};
use super::quiescent::Watch;
use super::seq::Seq;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, Rank};
use alloc::boxed::Box;
use core::ptr::NonNull;

const TOPOLOGY: LockClass = LockClass::new("rcu_topology", Rank::RCU_TOPOLOGY);
const LIST: LockClass = LockClass::new("rcu_list", Rank::RCU_LIST);

/// How many callbacks a CPU invokes before it lets others run.
pub const BATCH: usize = 32;

/// With more callbacks than this queued on a CPU, the batch has no limit and grace periods hurry
/// (H38). Each may hold a page: 64 MB on ppc64.
pub const FLOOD: usize = 1_024;

/// With more memory than this waiting for grace periods, in bytes, they hurry as well. A callback is an
/// object of any size, or stands for a list of frames: their number alone tells little (H38). Half of the
/// megabyte that shall wait at most: the other half is for what is given back until the grace period, which
/// costs two switches of threads and an interrupt of each CPU that reads, is over.
pub const HEAVY: usize = 512 << 10;

/// What RCU asks of the kernel around it. No lock of RCU is held at any of these calls; interrupts
/// may be off, and the caller of RCU may hold locks of a lower rank.
pub trait Environment: Sync {
    /// Somebody wants a grace period, or the last CPU that one waited for has reported: the
    /// grace-period thread looks again.
    fn wake_driver(&self);
    /// Callbacks of that CPU are ready to be invoked.
    fn wake_invoker(&self, cpu: usize);
    /// A grace period has ended, or a barrier is complete: those who sleep look again.
    fn wake_waiters(&self);
    /// That CPU is asked to interrupt what it does and to report, if it is in no read section.
    fn interrupt(&self, cpu: usize);
    /// Somebody broke a rule; what he asked for was not done.
    fn misuse(&self, what: &'static str);
}

/// What one CPU has to itself.
pub(super) struct PerCpu {
    pub(super) watch: Watch,
    pub(super) list: IrqSpinLock<CallbackList>,
    /// A callback taken off the list runs. Set under the list's lock, cleared when it has returned.
    pub(super) invoking: AtomicBool,
}

impl PerCpu {
    #[cfg(not(loom))]
    const fn new() -> Self {
        let list = IrqSpinLock::new(&LIST, CallbackList::new());
        Self { watch: Watch::new(), list, invoking: AtomicBool::new(false) }
    }
    #[cfg(loom)]
    fn new() -> Self {
        let list = IrqSpinLock::new(&LIST, CallbackList::new());
        Self { watch: Watch::new(), list, invoking: AtomicBool::new(false) }
    }
    /// Whether a callback taken off the list runs. To be asked under the list's lock: then none
    /// begins meanwhile.
    pub(super) fn is_invoking(&self) -> bool {
        // Acquire: pairs with the Release in `invoke_one`: a callback that has returned has done so
        // for us.
        self.invoking.load(Ordering::Acquire)
    }
}

/// A value to ask later whether a grace period has passed since it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "a cookie is asked or waited for"]
pub struct Cookie(Seq);

/// One RCU for `N` CPUs.
///
/// # Invariants
/// * `seq`, and the bits of `pending` being set, are written by the one [`Driver`](super::Driver).
/// * A bit of `pending` is cleared by its own CPU outside all read sections, or by the driver when
///   that CPU has been unwatched since the grace period began.
/// * A callback is on one list, in one segment.
pub struct Rcu<E, const N: usize> {
    pub(super) env: E,
    /// The counter of grace periods.
    pub(super) seq: AtomicUsize,
    /// A bit for each CPU that the running grace period still waits for.
    pub(super) pending: AtomicUsize,
    /// The furthest counter value that somebody waits for.
    wanted: AtomicUsize,
    /// Until the counter is there, grace periods hurry. (Both goals: see [`advance`].)
    hurried: AtomicUsize,
    /// Bytes that wait for a grace period, as far as their owners tell.
    held: AtomicUsize,
    /// Held while callbacks move between segments of all CPUs or between CPUs, and by a barrier
    /// while it looks at all lists: so none of them sees a callback that is between two lists.
    pub(super) topology: IrqSpinLock<()>,
    pub(super) cpus: [Slot<PerCpu>; N],
    pub(super) barrier: Barrier<N>,
    pub(super) has_driver: AtomicBool,
}

impl<E: Environment, const N: usize> Rcu<E, N> {
    const MASK_FITS: () = assert!(N >= 1 && N <= usize::BITS as usize);

    /// An RCU whose CPUs are all unwatched, as CPUs that are not online yet are.
    #[cfg(not(loom))]
    pub const fn new(env: E) -> Self {
        const { Self::MASK_FITS };
        let start = Seq::START.raw();
        Self {
            env,
            seq: AtomicUsize::new(start),
            pending: AtomicUsize::new(0),
            wanted: AtomicUsize::new(start),
            hurried: AtomicUsize::new(start),
            held: AtomicUsize::new(0),
            topology: IrqSpinLock::new(&TOPOLOGY, ()),
            cpus: [const { Slot::new(PerCpu::new()) }; N],
            barrier: Barrier::new(),
            has_driver: AtomicBool::new(false),
        }
    }

    /// An RCU whose CPUs are all unwatched, as CPUs that are not online yet are.
    #[cfg(loom)]
    pub fn new(env: E) -> Self {
        const { Self::MASK_FITS };
        let start = Seq::START.raw();
        Self {
            env,
            seq: AtomicUsize::new(start),
            pending: AtomicUsize::new(0),
            wanted: AtomicUsize::new(start),
            hurried: AtomicUsize::new(start),
            held: AtomicUsize::new(0),
            topology: IrqSpinLock::new(&TOPOLOGY, ()),
            cpus: core::array::from_fn(|_| Slot::new(PerCpu::new())),
            barrier: Barrier::new(),
            has_driver: AtomicBool::new(false),
        }
    }

    /// The kernel around it.
    pub fn env(&self) -> &E {
        &self.env
    }

    /// Queues a callback on this CPU: `callback(head)` runs once, in a kernel thread, after a grace
    /// period that begins after this call. Never on the spot, even if nobody reads. Interrupts may be
    /// off, locks of a lower rank may be held. A head that is queued already is refused and reported
    /// (H1).
    ///
    /// # Safety
    /// `cpu` is this CPU and stays it. The object around the head lives, and does not move, until its
    /// callback runs; the callback may be called with it.
    pub unsafe fn call_raw(&self, cpu: usize, head: NonNull<RcuHead>, callback: Callback) {
        // SAFETY: the object lives (the caller).
        if !unsafe { head.as_ref() }.claim(callback) {
            return self.env.misuse("call_rcu: the object is queued already");
        }
        // SAFETY: claimed just now; it stays until its callback runs (the caller).
        let queued = unsafe { self.cpus[cpu].list.lock().queue(head) };
        if queued.len == FLOOD + 1 {
            // The driver sees it by itself at its next look; now it looks at once.
            self.hurry(self.poll_state());
        } else if queued.first {
            self.env.wake_driver();
        }
    }

    /// Queues an object that lives for ever; its [`Deferred::grace_over`] is the callback.
    pub fn call<T: Deferred>(&self, cpu: usize, object: &'static T) {
        let head = head_of(NonNull::from_ref(object));
        // SAFETY: the object is `'static` and shared, and `tell` is the callback for heads that
        // `head_of` gave. A wrong CPU number costs locality, no soundness: the list has a lock.
        unsafe { self.call_raw(cpu, head, tell::<T>) };
    }

    /// Drops a box after a grace period.
    pub fn call_drop<T: HasRcuHead + Send + 'static>(&self, cpu: usize, object: Box<T>) {
        /// # Safety
        /// The head came from `head_of` for a box that nobody else has.
        unsafe fn drop_box<T: HasRcuHead>(head: NonNull<RcuHead>) -> bool {
            // SAFETY: the box that `call_drop` took apart; its callback runs once.
            drop(unsafe { Box::from_raw(object_of::<T>(head).as_ptr()) });
            false
        }
        let head = head_of(NonNull::from(Box::leak(object)));
        // SAFETY: the box is ours until `drop_box`, which may run on another thread (`Send`).
        unsafe { self.call_raw(cpu, head, drop_box::<T>) };
    }

    /// Invokes one callback of that CPU whose grace period is over. False: there was none.
    ///
    /// To be called with preemption off, by one thread for each CPU: then a barrier's mark is reached
    /// after those before it have returned, and who waits for a callback to return waits a moment.
    pub fn invoke_one(&self, cpu: usize) -> bool {
        let mine = &self.cpus[cpu];
        let taken = {
            let mut list = mine.list.lock();
            let taken = list.take();
            // Relaxed: the lock orders it for whoever asks.
            mine.invoking.store(taken.is_some(), Ordering::Relaxed);
            taken
        };
        // The lock is not held over the callback, which may queue its object again (H39).
        let Some((head, callback)) = taken else { return false };
        // SAFETY: `call_raw`'s caller promised that it may be called, once: it was on the list.
        if unsafe { callback(head) } {
            self.queue_rest(mine, head, callback);
        }
        // Release: pairs with the Acquire in `is_invoking`.
        mine.invoking.store(false, Ordering::Release);
        true
    }

    /// The callback has more to do. It counts as running until it is on the list again, so neither a
    /// barrier nor a move of the list passes it.
    fn queue_rest(&self, mine: &PerCpu, head: NonNull<RcuHead>, callback: Callback) {
        // SAFETY: a callback that has more to do leaves its object where it is.
        if !unsafe { head.as_ref() }.claim(callback) {
            return self.env.misuse("a callback with more to do has queued its object");
        }
        // SAFETY: claimed just now; it stays until its callback runs again.
        unsafe { mine.list.lock().queue_rest(head) };
    }

    /// How many callbacks that CPU invokes before it lets others run.
    pub fn batch(&self, cpu: usize) -> usize {
        if self.cpus[cpu].list.lock().len() > FLOOD { usize::MAX } else { BATCH }
    }

    /// Whether that CPU has callbacks to invoke.
    pub fn has_ready(&self, cpu: usize) -> bool {
        self.cpus[cpu].list.lock().has_done()
    }

    /// How many callbacks that CPU has.
    pub fn lengths(&self, cpu: usize) -> Lengths {
        self.cpus[cpu].list.lock().lengths()
    }

    /// A cookie for a grace period that begins after now. Asks for none: see [`request`](Self::request).
    pub fn poll_state(&self) -> Cookie {
        // What the caller removed comes before the fence, the counter after it. Pairs with the fence
        // in `Driver::begin`, which comes after the counter is odd: if we read the counter as it was
        // before, that grace period's reading of the CPUs comes after what was removed.
        fence(Ordering::SeqCst);
        Cookie(Seq::from_raw(self.seq.load(Ordering::Relaxed)).after_a_full_one())
    }

    /// A cookie for a grace period that begins after now, which will be held.
    pub fn request(&self) -> Cookie {
        let cookie = self.poll_state();
        advance(&self.wanted, cookie.0);
        self.env.wake_driver();
        cookie
    }

    /// Makes grace periods interrupt the CPUs that they wait for until the cookie's is over.
    pub fn hurry(&self, cookie: Cookie) {
        advance(&self.wanted, cookie.0);
        advance(&self.hurried, cookie.0);
        self.env.wake_driver();
    }

    /// Whether the cookie's grace period is over: then no reader is left that had begun when the
    /// cookie was given.
    pub fn is_over(&self, cookie: Cookie) -> bool {
        // Acquire: pairs with the Release in `GracePeriod::try_end`, which comes after the reports.
        Seq::from_raw(self.seq.load(Ordering::Acquire)).has_reached(cookie.0)
    }

    /// So many bytes wait from now on: their callback was queued, or will be at the end of one that was.
    /// No lock of RCU is held.
    #[inline]
    pub fn hold(&self, bytes: usize) {
        // Relaxed: a quantity, which orders nothing.
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before <= HEAVY && before + bytes > HEAVY {
            // The driver may sleep to gather callbacks.
            self.env.wake_driver();
        }
    }

    /// They are free.
    #[inline]
    pub fn let_go(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that wait for a grace period, as far as their owners tell.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether grace periods hurry: somebody asked, a CPU is flooded with callbacks, or much memory waits.
    pub fn is_hurried(&self) -> bool {
        !self.current().has_reached(Seq::from_raw(self.hurried.load(Ordering::Relaxed)))
            || self.held() > HEAVY
            || self.cpus.iter().any(|cpu| cpu.list.lock().len() > FLOOD)
    }

    /// Whether somebody waits for a grace period.
    pub fn is_waited_for(&self) -> bool {
        !self.current().has_reached(Seq::from_raw(self.wanted.load(Ordering::Relaxed)))
    }

    /// Whether a grace period is asked for: by who waits, or by a callback.
    pub fn is_wanted(&self) -> bool {
        self.is_waited_for() || self.cpus.iter().any(|cpu| cpu.list.lock().wants_grace())
    }

    /// Whether somebody drives it.
    pub fn is_driven(&self) -> bool {
        // Relaxed: as in `driver`.
        self.has_driver.load(Ordering::Relaxed)
    }

    /// The counter, for reports and for its driver.
    pub fn current(&self) -> Seq {
        // Relaxed: the driver alone writes it; others conclude nothing from it.
        Seq::from_raw(self.seq.load(Ordering::Relaxed))
    }
}

/// Moves a goal forward, never back.
fn advance(goal: &AtomicUsize, to: Seq) {
    // Relaxed: a goal carries no data. Whoever sets one wakes the driver afterwards, and the wake-up
    // orders it.
    let mut now = goal.load(Ordering::Relaxed);
    while !Seq::from_raw(now).has_reached(to) {
        match goal.compare_exchange(now, to.raw(), Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return,
            Err(other) => now = other,
        }
    }
}
