//! Frames that page-table entries refer to, and their way back.
//!
//! An entry holds one reference to its frame, counted in the descriptor. When the last is gone the
//! frame takes the road that the page tables take: it waits for a grace period, because a walker
//! without a lock may have read the entry just before (it reads no data behind it, H28, but what it
//! reports must have been true), and is freed then.
//!
//! A frame waits on the list of the CPU that dropped it, linked through its descriptor's owner field,
//! which belongs to nobody any more; one RCU callback for each CPU serves the whole list. The frame's
//! own memory is not written (H6), and link and RCU head are different fields (H5). Frames dropped
//! while the callback is in flight are collected and go with the next: two grace periods at most. A
//! head in each descriptor would double the table of descriptors, to 0.8 % of memory.
//!
//! The callback frees a few frames and says that it has more: a process that ends may drop all of
//! memory, and callbacks run with preemption off. The rest waits for its turn, not for another grace
//! period.

use super::frame::{Descriptor, Frame, FrameAllocator, Kind, Misuse};
use crate::addr::Pfn;
use crate::arch::current::cpu;
use crate::arch::{MAX_CPUS, PAGE_SIZE};
use crate::rcu::{self, Deferred, HasRcuHead, RcuHead};
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, PerCpu, Rank};
use core::mem::{offset_of, take};

/// Frames that one call of the callback frees.
const BATCH: usize = 64;

const WAITING: LockClass = LockClass::new("frames that wait for a grace period", Rank::FRAMES_WAITING);

/// Frames linked through their descriptors, newest first.
///
/// # Invariants
/// Each is `Waiting`, and on this list alone.
#[derive(Default)]
struct List {
    head: Option<Pfn>,
    frames: usize,
}

/// What one CPU dropped.
///
/// # Invariants
/// While `busy`, the head belongs to RCU, to the callback, or to whoever set `busy`, who queues it as
/// soon as he has dropped the lock; others only collect. `flying` and `over` are empty otherwise.
struct Dropped {
    collecting: List,
    /// They wait for the grace period that the head waits for.
    flying: List,
    /// Their grace period is over.
    over: List,
    busy: bool,
    /// Whose frames they are; set with the first.
    frames: Option<&'static FrameAllocator>,
}

struct Batch {
    head: RcuHead,
    dropped: IrqSpinLock<Dropped>,
}

// SAFETY: the offset of the head.
unsafe impl HasRcuHead for Batch {
    const HEAD: usize = offset_of!(Self, head);
}

impl Deferred for Batch {
    fn grace_over(&'static self) {
        let (mut over, frames) = {
            let mut dropped = self.dropped.lock();
            if dropped.over.frames == 0 {
                dropped.over = take(&mut dropped.flying);
            }
            (take(&mut dropped.over), dropped.frames)
        };
        let mut bytes = 0;
        for _ in 0..BATCH {
            let (Some(frame), Some(frames)) = (over.head, frames) else { break };
            let Some(descriptor) = frames.descriptor(frame) else { break };
            bytes += bytes_of(descriptor);
            over = List { head: unlink(descriptor.owner()), frames: over.frames - 1 };
            // SAFETY: on the list, hence waiting, and on no list any more.
            drop(unsafe { frames.end_waiting(frame) });
        }
        rcu::let_go(bytes);
        let again = {
            let mut dropped = self.dropped.lock();
            dropped.over = over;
            if dropped.over.frames == 0 {
                dropped.flying = take(&mut dropped.collecting);
                dropped.busy = dropped.flying.frames > 0;
            }
            dropped.flying.frames > 0
        };
        if again {
            rcu::call(self);
        }
    }

    fn has_more(&'static self) -> bool {
        self.dropped.lock().over.frames > 0
    }
}

/// Bytes of the block that begins with that frame.
fn bytes_of(descriptor: &Descriptor) -> usize {
    (PAGE_SIZE as usize) << descriptor.word().order
}

const EMPTY: List = List { head: None, frames: 0 };

// A link is the frame's number plus one, so that null is the end.
fn link(next: Option<Pfn>) -> *mut () {
    core::ptr::without_provenance_mut(next.map_or(0, |frame| frame.get() as usize + 1))
}

fn unlink(link: *mut ()) -> Option<Pfn> {
    link.addr().checked_sub(1).map(|number| Pfn::new(number as u64))
}

/// The frames of one allocator that are shared by counting.
pub struct SharedFrames {
    frames: &'static FrameAllocator,
    cpus: PerCpu<Batch>,
}

impl SharedFrames {
    /// For the frames of that allocator.
    pub const fn new(frames: &'static FrameAllocator) -> Self {
        let cpus = PerCpu::new(
            [const {
                Slot::new(Batch {
                    head: RcuHead::new(),
                    dropped: IrqSpinLock::new(
                        &WAITING,
                        Dropped { collecting: EMPTY, flying: EMPTY, over: EMPTY, busy: false, frames: None },
                    ),
                })
            }; MAX_CPUS],
        );
        Self { frames, cpus }
    }

    /// Makes the block one that is counted, with one reference: the caller's, to be written into an
    /// entry. To be dropped with [`put`](Self::put).
    pub fn share(&self, frame: Frame) -> Pfn {
        frame.descriptor().begin_sharing();
        frame.into_raw()
    }

    /// One more reference; tells what the frame is used for.
    ///
    /// # Safety
    /// The caller holds a reference to the frame, or the lock under which an entry that holds one
    /// stays as it is.
    #[inline]
    pub unsafe fn get(&self, frame: Pfn) -> Kind {
        self.frames.descriptor(frame).map_or(Kind::Kernel, |descriptor| {
            descriptor.get();
            descriptor.kind()
        })
    }

    /// Drops a reference. After the last, the frame waits for a grace period and is freed. In any
    /// context; nothing is allocated.
    ///
    /// # Safety
    /// The caller holds the reference, and does not use it any more.
    pub unsafe fn put(&'static self, frame: Pfn) {
        let Some(descriptor) = self.frames.descriptor(frame) else {
            return super::misuse(format_args!("frame {}: {}", frame.start(), Misuse::Foreign));
        };
        match descriptor.put() {
            Ok(0) => {}
            Ok(_) => return,
            Err(misuse) => return super::misuse(format_args!("frame {}: {misuse}", frame.start())),
        }
        // Before it is queued: its callback takes it off the sum.
        rcu::hold(bytes_of(descriptor));
        // Not pinned: should this task move in between, the frame waits on another CPU's list.
        let batch = self.cpus.of(cpu::id());
        let mut dropped = batch.dropped.lock();
        descriptor.set_owner(link(dropped.collecting.head));
        dropped.collecting.head = Some(frame);
        dropped.collecting.frames += 1;
        dropped.frames = Some(self.frames);
        let first = !dropped.busy;
        if first {
            dropped.busy = true;
            dropped.flying = take(&mut dropped.collecting);
        }
        drop(dropped);
        if first {
            rcu::call(batch);
        }
    }

    /// Frames that wait for a grace period.
    pub fn waiting(&self) -> usize {
        let count = |batch: &Batch| {
            let dropped = batch.dropped.lock();
            dropped.collecting.frames + dropped.flying.frames + dropped.over.frames
        };
        self.cpus.iter().map(count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::frame::Request;
    use crate::mm::testing::frames;
    use crate::sync::MaySleep;

    /// A thread that holds grace periods, for the whole test process.
    fn with_rcu() {
        static STARTED: std::sync::Once = std::sync::Once::new();
        STARTED.call_once(|| {
            std::thread::spawn(|| {
                // SAFETY: the thread's only token.
                rcu::kernel::hosted_main(&mut unsafe { MaySleep::mint() });
            });
        });
        while !rcu::global::RCU.is_driven() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_last_reference_frees_after_a_grace_period() {
        with_rcu();
        let frames = frames(256);
        let shared: &'static SharedFrames = Box::leak(Box::new(SharedFrames::new(frames)));
        // SAFETY: this thread's only token.
        let mut ctx = unsafe { MaySleep::mint() };
        let request = Request::of(Kind::User);
        let numbers: Vec<Pfn> =
            (0..100).map(|_| shared.share(frames.alloc(request, None).expect("memory"))).collect();
        for &frame in &numbers {
            // SAFETY: the reference of `share` is ours still.
            unsafe { shared.get(frame) };
            // SAFETY: one of the two references that we hold.
            unsafe { shared.put(frame) };
        }
        assert_eq!((shared.waiting(), frames.counts().used[Kind::User as usize]), (0, 100));
        let section = rcu::read_lock(&ctx);
        for &frame in &numbers {
            // SAFETY: the last reference.
            unsafe { shared.put(frame) };
        }
        // No grace period ends while this section is open.
        assert_eq!((shared.waiting(), frames.counts().used[Kind::User as usize]), (100, 100));
        drop(section);
        rcu::barrier(&mut ctx);
        rcu::barrier(&mut ctx);
        assert_eq!((shared.waiting(), frames.counts().used[Kind::User as usize]), (0, 0));
        assert_eq!(frames.misuses(), 0);
    }

    /// Far more frames than one call frees, and more while those are freed: one barrier waits for all
    /// of the first list, and a second for what was dropped meanwhile.
    #[test]
    fn a_long_list_is_freed_in_parts() {
        with_rcu();
        let frames = frames(4096);
        let shared: &'static SharedFrames = Box::leak(Box::new(SharedFrames::new(frames)));
        // SAFETY: this thread's only token.
        let mut ctx = unsafe { MaySleep::mint() };
        let take = |count: usize| -> Vec<Pfn> {
            let request = Request::of(Kind::User);
            (0..count).map(|_| shared.share(frames.alloc(request, None).expect("memory"))).collect()
        };
        // SAFETY: the only reference to each.
        let drop_all = |numbers: Vec<Pfn>| numbers.into_iter().for_each(|n| unsafe { shared.put(n) });
        for round in 0..20 {
            let (first, second) = (take(20 * BATCH + round), take(round));
            let section = rcu::read_lock(&ctx);
            drop_all(first);
            assert_eq!(shared.waiting(), 20 * BATCH + round);
            drop(section);
            rcu::barrier(&mut ctx);
            drop_all(second);
            rcu::barrier(&mut ctx);
            rcu::barrier(&mut ctx);
            assert_eq!((shared.waiting(), frames.counts().used[Kind::User as usize]), (0, 0));
        }
        assert_eq!(frames.misuses(), 0);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "reference dropped that nobody held")]
    fn a_reference_too_many_stops_a_debug_build() {
        let frames = frames(256);
        let shared: &'static SharedFrames = Box::leak(Box::new(SharedFrames::new(frames)));
        let frame = shared.share(frames.alloc(Request::of(Kind::User), None).expect("memory"));
        // SAFETY: the second is wrong on purpose; it is refused.
        unsafe { (shared.put(frame), shared.put(frame)) };
    }
}
