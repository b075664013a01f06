//! A torture of RCU in the manner of Linux' rcutorture.
//!
//! A writer publishes one element of a pool after another. A replaced element grows older by one
//! when it is unlinked and by one more with each grace period that RCU says has passed: by `call_rcu`
//! again and again from the callback, by the several kinds of waiting, by polling. So a reader that
//! holds an element may see it at age 0 (still published) or 1 (unlinked under the reader's eyes).
//! Age 2 would mean that a grace period ended while the reader was reading. After [`OLD`] steps an
//! element is spoiled and goes back to the pool: that it comes round again and again shows that
//! grace periods end at all, and a reader that finds spoiled content has seen a free one.
//!
//! Other writers ask for grace periods in every way at the same time, so that requests meet each
//! other. The threads are the caller's: std's on the host, the scheduler's on the machines.

use super::global;
use super::head::{Deferred, HasRcuHead, RcuHead};
use super::{read_lock, totals};
use crate::arch::current::{cpu, timer};
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank, hooks};
use arrayvec::ArrayVec;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// The age at which an element goes back to the pool.
pub const OLD: usize = 10;
/// Elements in the pool.
const POOL: usize = 64;
/// What a published element contains, and a free one.
const GOOD: usize = 0x900d;
const SPOILED: usize = 0xdead;

const CLASS: LockClass = LockClass::new("torture", Rank::new(58));

/// What is published and replaced.
struct Element {
    head: RcuHead,
    age: AtomicUsize,
    content: AtomicUsize,
    torture: AtomicPtr<Torture>,
}

// SAFETY: the offset is that of `head`.
unsafe impl HasRcuHead for Element {
    const HEAD: usize = core::mem::offset_of!(Element, head);
}

impl Deferred for Element {
    fn grace_over(&'static self) {
        // SAFETY: null before the element's first use, and then the `&'static Torture` it is in.
        let Some(torture) = (unsafe { self.torture.load(Ordering::Relaxed).as_ref() }) else { return };
        if torture.grow_older(self) {
            torture.put(self);
        } else {
            global::call(self);
        }
    }
}

/// Times of one kind of waiting.
#[derive(Debug)]
struct Latency {
    waits: AtomicU64,
    sum: AtomicU64,
    longest: AtomicU64,
}

impl Latency {
    const fn new() -> Self {
        Self { waits: AtomicU64::new(0), sum: AtomicU64::new(0), longest: AtomicU64::new(0) }
    }
    fn measure<R>(&self, wait: impl FnOnce() -> R) -> R {
        let began = timer::now();
        let result = wait();
        let took = timer::now() - began;
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(took, Ordering::Relaxed);
        self.longest.fetch_max(took, Ordering::Relaxed);
        result
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.waits.load(Ordering::Relaxed);
        let mean = self.sum.load(Ordering::Relaxed) / waits.max(1) / 1_000;
        write!(f, "{mean} us (longest {} us, of {waits})", self.longest.load(Ordering::Relaxed) / 1_000)
    }
}

/// A pool, what is published of it, and what readers saw.
pub struct Torture {
    pool: [Element; POOL],
    free: IrqSpinLock<ArrayVec<&'static Element, POOL>>,
    published: AtomicPtr<Element>,
    stop: AtomicBool,
    /// False: elements grow older without a grace period, to show that readers see it.
    waits: AtomicBool,
    /// How often readers saw an element of each age.
    seen: [AtomicU64; OLD + 1],
    spoiled: AtomicU64,
    updates: AtomicU64,
    returned: AtomicU64,
    normal: Latency,
    expedited: Latency,
    began: AtomicU64,
    first_grace: AtomicUsize,
}

/// Random numbers, xorshift; the seed is not 0.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

impl Torture {
    /// A pool that nobody uses yet.
    pub const fn new() -> Self {
        Self {
            pool: [const {
                Element {
                    head: RcuHead::new(),
                    age: AtomicUsize::new(0),
                    content: AtomicUsize::new(SPOILED),
                    torture: AtomicPtr::new(core::ptr::null_mut()),
                }
            }; POOL],
            free: IrqSpinLock::new(&CLASS, ArrayVec::new_const()),
            published: AtomicPtr::new(core::ptr::null_mut()),
            stop: AtomicBool::new(false),
            waits: AtomicBool::new(true),
            seen: [const { AtomicU64::new(0) }; OLD + 1],
            spoiled: AtomicU64::new(0),
            updates: AtomicU64::new(0),
            returned: AtomicU64::new(0),
            normal: Latency::new(),
            expedited: Latency::new(),
            began: AtomicU64::new(0),
            first_grace: AtomicUsize::new(0),
        }
    }

    /// Fills the pool. With `waits` false, elements grow older without grace periods.
    pub fn begin(&'static self, waits: bool) {
        self.waits.store(waits, Ordering::Relaxed);
        let mut free = self.free.lock();
        for element in &self.pool {
            element.torture.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
            // It fits: the pool is put into the empty list once.
            let _ = free.try_push(element);
        }
        self.began.store(timer::now(), Ordering::Relaxed);
        self.first_grace.store(global::grace_periods(), Ordering::Relaxed);
    }

    /// Makes all threads end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn take(&self) -> Option<&'static Element> {
        let element = self.free.lock().pop()?;
        element.age.store(0, Ordering::Relaxed);
        element.content.store(GOOD, Ordering::Relaxed);
        Some(element)
    }
    fn put(&self, element: &'static Element) {
        element.content.store(SPOILED, Ordering::Relaxed);
        self.returned.fetch_add(1, Ordering::Relaxed);
        // It fits: an element is in the list once.
        let _ = self.free.lock().try_push(element);
    }
    /// A grace period has passed for it. True: it is old.
    fn grow_older(&self, element: &Element) -> bool {
        element.age.fetch_add(1, Ordering::Relaxed) + 1 >= OLD
    }

    /// The body of a reader. It may be called by any number of threads.
    pub fn read(&self, ctx: &mut MaySleep, seed: u64) {
        let mut random = Random(seed | 1);
        while !self.stopped() {
            for _ in 0..1 + random.below(50) {
                self.read_once(ctx, &mut random);
            }
            match random.below(8) {
                0 => hooks::block(ctx, "torture", Some(timer::now() + 1_000_000)),
                _ => hooks::yield_now(ctx),
            }
        }
    }

    fn read_once(&self, ctx: &MaySleep, random: &mut Random) {
        let section = read_lock(ctx);
        // Acquire: pairs with the Release of the exchange in `write`: the content is there.
        let published = self.published.load(Ordering::Acquire);
        // SAFETY: null, or an element of a static pool.
        let Some(element) = (unsafe { published.as_ref() }) else { return };
        let nested = (random.below(4) == 0).then(|| read_lock(ctx));
        // Long enough, now and then, for a grace period to begin and want to end.
        let linger = match random.below(256) {
            0 => 1_000_000,
            1..8 => 50_000,
            _ => 0,
        };
        let until = timer::now() + linger;
        while timer::now() < until {
            cpu::relax();
        }
        drop(nested);
        let age = element.age.load(Ordering::Relaxed).min(OLD);
        if element.content.load(Ordering::Relaxed) != GOOD {
            self.spoiled.fetch_add(1, Ordering::Relaxed);
        }
        drop(section);
        self.seen[age].fetch_add(1, Ordering::Relaxed);
    }

    /// The body of the one writer.
    pub fn write(&'static self, ctx: &mut MaySleep, seed: u64) {
        let mut random = Random(seed | 1);
        let mut removed = ArrayVec::<&'static Element, POOL>::new();
        while !self.stopped() {
            let Some(element) = self.take() else {
                self.wait_somehow(ctx, &mut random);
                self.all_grow_older(&mut removed);
                continue;
            };
            // Release: pairs with the Acquire in `read_once`. Acquire: pairs with our own Release, of
            // the element that comes back.
            let new = core::ptr::from_ref(element).cast_mut();
            let old = self.published.swap(new, Ordering::AcqRel);
            self.updates.fetch_add(1, Ordering::Relaxed);
            // SAFETY: null, or an element of this pool, which is static.
            let Some(old) = (unsafe { old.as_ref::<'static>() }) else { continue };
            self.grow_older(old);
            if !self.waits.load(Ordering::Relaxed) {
                while !self.grow_older(old) {}
                self.put(old);
                hooks::yield_now(ctx);
            } else if random.below(2) == 0 {
                global::call(old);
            } else {
                // It fits: an element is removed once.
                let _ = removed.try_push(old);
                self.wait_somehow(ctx, &mut random);
                self.all_grow_older(&mut removed);
            }
        }
        while !removed.is_empty() {
            global::synchronize(ctx);
            self.all_grow_older(&mut removed);
        }
    }

    fn all_grow_older(&self, removed: &mut ArrayVec<&'static Element, POOL>) {
        removed.retain(|element| {
            let old = self.grow_older(element);
            if old {
                self.put(element);
            }
            !old
        });
    }

    /// The body of another writer, which only waits. Any number of threads may call it.
    pub fn write_nothing(&self, ctx: &mut MaySleep, seed: u64) {
        let mut random = Random(seed | 1);
        while !self.stopped() {
            if random.below(16) == 0 {
                global::barrier(ctx);
            } else {
                self.wait_somehow(ctx, &mut random);
            }
            if random.below(4) == 0 {
                hooks::block(ctx, "torture", Some(timer::now() + random.below(3_000_000)));
            }
        }
    }

    /// Waits for a grace period that begins after now, in one of the ways there are.
    fn wait_somehow(&self, ctx: &mut MaySleep, random: &mut Random) {
        match random.below(5) {
            0 => self.normal.measure(|| global::synchronize(ctx)),
            1 => self.expedited.measure(|| global::synchronize_expedited(ctx)),
            2 => {
                let cookie = global::start_poll();
                while !global::poll(cookie) && !self.stopped() {
                    hooks::block(ctx, "torture", Some(timer::now() + 1_000_000));
                }
                global::cond_synchronize(ctx, cookie);
            }
            3 => {
                let cookie = global::poll_state();
                hooks::yield_now(ctx);
                global::cond_synchronize(ctx, cookie);
            }
            _ => self.normal.measure(|| global::synchronize(ctx)),
        }
    }

    /// What came out. To be asked when the threads have ended and a barrier has passed [`OLD`] times.
    pub fn verdict(&'static self) -> Verdict {
        Verdict {
            torture: self,
            took: timer::now() - self.began.load(Ordering::Relaxed),
            grace_periods: global::grace_periods() - self.first_grace.load(Ordering::Relaxed),
            lost: POOL - 1 - self.free.lock().len(),
        }
    }
}

impl Default for Torture {
    fn default() -> Self {
        Self::new()
    }
}

/// What came out; it displays as the lines of a report.
#[derive(Clone, Copy)]
pub struct Verdict {
    torture: &'static Torture,
    took: u64,
    grace_periods: usize,
    /// Elements that did not come back.
    lost: usize,
}

impl Verdict {
    /// How often a reader saw what it must not see.
    pub fn errors(&self) -> u64 {
        let too_old: u64 = self.torture.seen[2..].iter().map(|seen| seen.load(Ordering::Relaxed)).sum();
        too_old + self.torture.spoiled.load(Ordering::Relaxed)
    }
    /// How often a reader saw an element that was unlinked under its eyes.
    pub fn close_calls(&self) -> u64 {
        self.torture.seen[1].load(Ordering::Relaxed)
    }
    /// Grace periods that were held.
    pub fn grace_periods(&self) -> usize {
        self.grace_periods
    }
    /// Elements that went round.
    pub fn returned(&self) -> u64 {
        self.torture.returned.load(Ordering::Relaxed)
    }
    /// Readers saw nothing wrong, and elements went round, and none is lost.
    pub fn is_success(&self) -> bool {
        self.errors() == 0 && self.lost == 0 && self.returned() > 0 && self.grace_periods > 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let torture = self.torture;
        let per_second = self.grace_periods as u64 * 1_000_000_000 / self.took.max(1);
        let verdict = if self.is_success() { "SUCCESS" } else { "FAILURE" };
        writeln!(
            f,
            "{} grace periods in {} ms: {per_second} a second; longest queue {} callbacks",
            self.grace_periods,
            self.took / 1_000_000,
            totals().most
        )?;
        writeln!(f, "grace period {}; expedited {}", torture.normal, torture.expedited)?;
        write!(
            f,
            "{} updates, {} elements went round, {} lost; ages seen:",
            torture.updates.load(Ordering::Relaxed),
            self.returned(),
            self.lost
        )?;
        for seen in &torture.seen {
            write!(f, " {}", seen.load(Ordering::Relaxed))?;
        }
        writeln!(f, "; spoiled: {}", torture.spoiled.load(Ordering::Relaxed))?;
        write!(f, "verdict: {verdict}, {} errors", self.errors())
    }
}
