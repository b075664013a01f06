//! Memory by the frame.
//!
//! ```text
//!   alloc, Frame (freed on drop)
//!     |
//!   cache: small blocks, one for each CPU       table: a descriptor for each frame
//!     |  in batches
//!   buddy: free blocks of 2^order frames  ---- reserve: memory for the lists' own nodes
//! ```
//!
//! A free never allocates, sleeps, or panics (a debug build panics over misuse). It may happen in an
//! interrupt: RCU callbacks free page tables there. All locks here are interrupt-safe and
//! rank above nearly everything. Memory may be given back under any lock that comes before
//! `FRAME_CACHE`. It may be asked for under any that comes before `OBJECT_MAGAZINE` only: a request
//! may ask the object caches and the heap to shrink, which takes their locks.
//!
//! Out of memory is an error that the caller gets. Before that, the allocator empties the CPUs'
//! caches, asks the object caches for unused slabs, and, if the caller may sleep, asks RCU to end a
//! grace period: frames may be waiting for one (H38).

mod block;
mod buddy;
mod cache;
mod descriptor;
mod poison;
mod reclaim;
pub mod reserve;
mod table;
#[cfg(test)]
mod tests;

pub use block::Frame;
pub use buddy::ORDERS;
pub use descriptor::{Descriptor, Kind, Misuse, State, Word};
pub use poison::{OnFree, PATTERN as POISON};
pub use reclaim::{Reclaim, Shrink};

use crate::addr::{Pfn, PhysAddr};
use crate::arch::current::{cpu, mmu};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Once, PerCpu, Rank};
use buddy::Buddy;
use cache::{BATCH_ORDER, Cache};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use reserve::Reserve;
use table::Table;

const BUDDY: LockClass = LockClass::new("frame buddy lists", Rank::FRAME_BUDDY);
const CACHE: LockClass = LockClass::new("frame cache", Rank::FRAME_CACHE);

/// What is asked for: `Request::of(Kind::Stack).order(2).zeroed()`.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    order: u8,
    kind: Kind,
    zeroed: bool,
}

impl Request {
    /// One frame with whatever it contains.
    pub const fn of(kind: Kind) -> Self {
        Self { order: 0, kind, zeroed: false }
    }
    /// 2^order frames, aligned to their size.
    pub const fn order(self, order: u8) -> Self {
        Self { order, ..self }
    }
    /// All zeros.
    pub const fn zeroed(self) -> Self {
        Self { zeroed: true, ..self }
    }
}

/// Numbers of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// All that the allocator was given.
    pub managed: usize,
    /// In the buddy lists.
    pub free: usize,
    /// In the CPUs' caches: free as well.
    pub cached: usize,
    /// Allocated, by kind, in the order of [`Kind::ALL`].
    pub used: [usize; Kind::ALL.len()],
}

/// A frame allocator: the kernel has one, tests make their own.
pub struct FrameAllocator {
    table: Once<Table>,
    managed: AtomicUsize,
    buddy: IrqSpinLock<Buddy>,
    reserve: Reserve,
    caches: PerCpu<IrqSpinLock<Cache>>,
    poison: poison::Policy,
    reclaim: reclaim::Hooks,
    /// Requests that are draining the caches: meanwhile nothing is put into one.
    short: AtomicUsize,
    /// Counts down; the allocation that finds 1 fails. 0: none does.
    inject: AtomicU32,
    misuses: AtomicUsize,
}

impl FrameAllocator {
    /// Without memory: each request fails.
    pub const fn new() -> Self {
        Self {
            table: Once::new(),
            managed: AtomicUsize::new(0),
            buddy: IrqSpinLock::new(&BUDDY, Buddy::new()),
            reserve: Reserve::new(),
            caches: PerCpu::new(
                [const { Slot::new(IrqSpinLock::new(&CACHE, Cache::new())) }; crate::arch::MAX_CPUS],
            ),
            poison: poison::Policy::new(),
            reclaim: reclaim::Hooks::new(),
            short: AtomicUsize::new(0),
            inject: AtomicU32::new(0),
            misuses: AtomicUsize::new(0),
        }
    }

    /// Gives it the memory, once. The descriptors and the reserve take some of it.
    pub fn init(&'static self, early: EarlyFrames) -> Result<(), Errno> {
        if self.table.is_completed() {
            return Err(Errno::EEXIST);
        }
        let built = Table::build(early)?;
        let mut buddy = self.buddy.lock();
        // SAFETY: `build` took the memory for this, for so many frames and ranges; the lock is held.
        unsafe { self.reserve.init(built.reserve, built.frames, built.ranges.len()) };
        let entered = self.reserve.enter();
        for range in &built.ranges {
            buddy.add(Pfn::containing(range.start()), Pfn::containing(range.end()));
        }
        drop(entered);
        drop(buddy);
        self.managed.store(built.frames, Ordering::Relaxed);
        self.table.call_once(|| built.table);
        Ok(())
    }

    /// What freeing does to the contents, from now on.
    pub fn set_on_free(&self, on_free: OnFree) {
        self.poison.set(on_free);
    }

    /// A block as requested. ENOMEM if there is none; with the token, after waiting for what RCU
    /// still holds. EINVAL for an order that never exists.
    pub fn alloc(&'static self, request: Request, ctx: Option<&mut MaySleep>) -> Result<Frame, Errno> {
        if usize::from(request.order) >= ORDERS {
            return Err(Errno::EINVAL);
        }
        if cfg!(debug_assertions) && self.injected() {
            return Err(Errno::ENOMEM);
        }
        let start = match self.take(request) {
            Some(start) => start,
            None => self.take_slowly(request, ctx).ok_or(Errno::ENOMEM)?,
        };
        if cfg!(debug_assertions) || self.poison.get() == OnFree::Poison {
            self.check_poison(start, request.order);
        }
        self.descriptor_of_block(start).set(Word {
            state: State::Allocated,
            order: request.order,
            kind: request.kind,
            poisoned: false,
        });
        // SAFETY: just taken from the free blocks, with this order.
        let mut frame = unsafe { Frame::new(self, start, request.order) };
        if request.zeroed {
            frame.zero();
        }
        Ok(frame)
    }

    #[inline(always)]
    fn take(&self, request: Request) -> Option<Pfn> {
        // Not pinned: should this task move in between, it uses another CPU's cache, under its lock.
        let mut cache = self.caches.of(cpu::id()).lock();
        let start = match cache.pop(request.order) {
            Some(start) => start,
            None => self.refill(&mut cache, request.order)?,
        };
        cache.count(request.kind, 1 << request.order);
        Some(start)
    }

    /// A block from the lists. If the cache keeps blocks of that order a larger one is cut up, and the
    /// rest put into the cache, which has none and is locked; unless somebody looks for the last frames.
    #[cold]
    fn refill(&self, cache: &mut Cache, order: u8) -> Option<Pfn> {
        self.with_buddy(|buddy| {
            if Cache::keeps(order)
                && !self.is_short()
                && let Some(batch) = buddy.take(BATCH_ORDER)
            {
                // The lowest goes first; the empty list has room for the others.
                for piece in (1..1_u64 << (BATCH_ORDER - order)).rev() {
                    cache.push(order, Pfn::new(batch.get() + (piece << order)));
                }
                return Some(batch);
            }
            buddy.take(order)
        })
    }

    #[cold]
    fn take_slowly(&self, request: Request, mut ctx: Option<&mut MaySleep>) -> Option<Pfn> {
        loop {
            if let Some(start) = self.drain_and_take(request) {
                return Some(start);
            }
            if self.reclaim.shrink()
                && let Some(start) = self.drain_and_take(request)
            {
                return Some(start);
            }
            if !self.reclaim.wait(ctx.as_deref_mut()?) {
                // There is nothing to wait for any more, but what there was may have come since.
                return self.drain_and_take(request);
            }
        }
    }

    /// Finds a single frame if one is free. That the caches were drained is not enough: another CPU
    /// may fill its own again, with the last frames, before this one takes any.
    fn drain_and_take(&self, request: Request) -> Option<Pfn> {
        // Relaxed: `drain` takes each cache's lock; whoever has the lock after it sees this. That it
        // ends is seen no earlier than this CPU has the lock of the lists, in `take`.
        self.short.fetch_add(1, Ordering::Relaxed);
        self.drain();
        let start = self.take(request);
        self.short.fetch_sub(1, Ordering::Relaxed);
        start
    }

    /// Whether nothing is to be put into a cache; its lock is held.
    #[inline(always)]
    fn is_short(&self) -> bool {
        // Relaxed: see `drain_and_take`.
        self.short.load(Ordering::Relaxed) != 0
    }

    /// Frees the block. Misuse is reported, by name; then nothing is freed.
    pub(super) fn free(&self, start: Pfn, order: u8) {
        if let Err(misuse) = self.try_free(start, order) {
            self.report(start, misuse);
        }
    }

    /// Frees the block, or says why it is not one.
    fn try_free(&self, start: Pfn, order: u8) -> Result<(), Misuse> {
        let descriptor = self.descriptor(start).ok_or(Misuse::Foreign)?;
        let kind = descriptor.release(order)?;
        // From here on the block is this CPU's alone: it is neither allocated nor on a list.
        self.wipe(start, order);
        let mut cache = self.caches.of(cpu::id()).lock();
        cache.count(kind, -(1 << order));
        if !self.is_short() {
            if cache.push(order, start) {
                return Ok(());
            }
            if Cache::keeps(order) {
                self.with_buddy(|buddy| cache.give_back(order, |block| buddy.put(block, order)));
                cache.push(order, start);
                return Ok(());
            }
        }
        // The lock of the cache is held until the block is on the lists: see `drain_and_take`.
        self.with_buddy(|buddy| buddy.put(start, order));
        Ok(())
    }

    /// Puts all that is in the CPUs' caches back on the lists, so that it becomes large blocks again.
    pub fn drain(&self) {
        for cache in self.caches.iter() {
            let mut cache = cache.lock();
            if cache.frames() != 0 {
                self.with_buddy(|buddy| cache.drain(|block, order| buddy.put(block, order)));
            }
        }
    }

    fn with_buddy<R>(&self, work: impl FnOnce(&mut Buddy) -> R) -> R {
        let mut buddy = self.buddy.lock();
        let _entered = self.reserve.enter();
        work(&mut buddy)
    }

    /// Takes a block back that [`Frame::into_raw`] gave up.
    ///
    /// # Safety
    /// The block was given up and is taken back once.
    pub unsafe fn adopt(&'static self, start: Pfn) -> Result<Frame, Misuse> {
        let allocated = |word: &Word| word.state == State::Allocated;
        let word = match self.descriptor(start).map(Descriptor::word) {
            Some(word) => Some(word).filter(allocated).ok_or(Misuse::NotAllocated),
            None => Err(Misuse::Foreign),
        };
        match word {
            // SAFETY: allocated with this order; the caller is its owner.
            Ok(word) => Ok(unsafe { Frame::new(self, start, word.order) }),
            Err(misuse) => {
                self.report(start, misuse);
                Err(misuse)
            }
        }
    }

    /// Takes back a block whose last reference is gone, after its grace period.
    ///
    /// # Safety
    /// The block is `Waiting`, and the caller's alone.
    pub(super) unsafe fn end_waiting(&'static self, start: Pfn) -> Frame {
        let descriptor = self.descriptor_of_block(start);
        let word = descriptor.word();
        debug_assert!(word.state == State::Waiting, "{start:?}: {word:?}");
        descriptor.set(Word { state: State::Allocated, ..word });
        // SAFETY: allocated with this order; the caller's alone.
        unsafe { Frame::new(self, start, word.order) }
    }

    /// The frame's descriptor; `None` if no memory of this allocator lies there.
    #[inline(always)]
    pub fn descriptor(&self, frame: Pfn) -> Option<&'static Descriptor> {
        self.table.get()?.get(frame)
    }

    /// The descriptor of the frame that a pointer of the linear map points into.
    #[inline(always)]
    pub fn descriptor_of(&self, pointer: *const u8) -> Option<&'static Descriptor> {
        self.descriptor(Pfn::containing(mmu::linear_to_phys(pointer)))
    }

    /// As `descriptor`, for a frame that this allocator handed out.
    #[inline(always)]
    fn descriptor_of_block(&self, frame: Pfn) -> &'static Descriptor {
        // Outside the table only if the invariant of `Frame` is broken: a descriptor that refuses
        // everything is better than a panic on the free path.
        static NONE: Descriptor = Descriptor::new(Word::RESERVED);
        self.descriptor(frame).unwrap_or(&NONE)
    }

    pub(in crate::mm) fn report(&self, start: Pfn, misuse: Misuse) {
        self.misuses.fetch_add(1, Ordering::Relaxed);
        let addr: PhysAddr = start.start();
        super::misuse(format_args!("frame {addr}: {misuse}"));
    }

    /// How often something was freed that was not to be, or written after it was freed.
    pub fn misuses(&self) -> usize {
        self.misuses.load(Ordering::Relaxed)
    }

    /// Makes the `nth` allocation from now on fail (1: the next), in debug builds; 0 takes it back.
    pub fn inject_failure(&self, nth: u32) {
        self.inject.store(nth, Ordering::Relaxed);
    }

    fn injected(&self) -> bool {
        self.inject.load(Ordering::Relaxed) != 0
            && self.inject.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)) == Ok(1)
    }

    /// Asks `hook` before a request fails; see [`Reclaim`]. False if there are too many hooks.
    pub fn on_shortage(&self, hook: Reclaim) -> bool {
        self.reclaim.add(hook)
    }

    /// All frames that it was given.
    pub fn managed(&self) -> usize {
        self.managed.load(Ordering::Relaxed)
    }

    /// How many frames are where. Exact while nobody allocates or frees.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { managed: self.managed.load(Ordering::Relaxed), ..Counts::default() };
        let mut used = [0i64; Kind::ALL.len()];
        for cache in self.caches.iter() {
            let cache = cache.lock();
            counts.cached += cache.frames();
            for (sum, part) in used.iter_mut().zip(cache.used) {
                *sum += part;
            }
        }
        counts.free = self.buddy.lock().free();
        // A sum below 0 was read while frames moved from CPU to CPU.
        counts.used = used.map(|frames| usize::try_from(frames).unwrap_or(0));
        counts
    }

    /// The most nodes (leaves, inner nodes) of the buddy lists there have been.
    pub fn most_nodes(&self) -> [usize; 2] {
        let _buddy = self.buddy.lock();
        self.reserve.most_used()
    }
}

impl Default for FrameAllocator {
    fn default() -> Self {
        Self::new()
    }
}
