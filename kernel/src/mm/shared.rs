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
//! The callback frees its whole list in one go, with preemption off and without a limit. With a limit
//! the rest would go back to RCU and wait for a grace period that it does not need.

use super::frame::{Frame, FrameAllocator, Misuse};
use crate::addr::Pfn;
use crate::arch::MAX_CPUS;
use crate::arch::current::cpu;
use crate::rcu::{self, Deferred, HasRcuHead, RcuHead};
use crate::sync::percpu::Slot;
use crate::sync::{IrqSpinLock, LockClass, PerCpu, Rank};
use core::mem::{offset_of, take};

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
/// While `flying` is not empty, the head belongs to RCU or to whoever filled `flying`, who queues it as
/// soon as he has dropped the lock; others only collect. While it is empty, nobody queued the head.
struct Dropped {
    collecting: List,
    flying: List,
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
        let mut dropped = self.dropped.lock();
        let over = take(&mut dropped.flying);
        dropped.flying = take(&mut dropped.collecting);
        let again = dropped.flying.frames > 0;
        let frames = dropped.frames;
        drop(dropped);
        if again {
            rcu::call(self);
        }
        let mut next = over.head;
        while let (Some(frame), Some(frames)) = (next, frames) {
            let Some(descriptor) = frames.descriptor(frame) else { break };
            next = unlink(descriptor.owner());
            // SAFETY: on the list, hence waiting, and on no list any more.
            drop(unsafe { frames.end_waiting(frame) });
        }
    }
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
                        Dropped { collecting: EMPTY, flying: EMPTY, frames: None },
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

    /// One more reference.
    ///
    /// # Safety
    /// The caller holds a reference to the frame, or the lock under which an entry that holds one
    /// stays as it is.
    pub unsafe fn get(&self, frame: Pfn) {
        if let Some(descriptor) = self.frames.descriptor(frame) {
            descriptor.get();
        }
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
        // Not pinned: should this task move in between, the frame waits on another CPU's list.
        let batch = self.cpus.of(cpu::id());
        let mut dropped = batch.dropped.lock();
        descriptor.set_owner(link(dropped.collecting.head));
        dropped.collecting.head = Some(frame);
        dropped.collecting.frames += 1;
        dropped.frames = Some(self.frames);
        let first = dropped.flying.frames == 0;
        if first {
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
            dropped.collecting.frames + dropped.flying.frames
        };
        self.cpus.iter().map(count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::frame::{Kind, Request};
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
