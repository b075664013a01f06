//! Memory from all CPUs at once, and together with RCU.

use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Suite, Test, failed};
use crate::mm::cache::{Object, ObjectCache};
use crate::mm::frame::{Frame, Kind, Request};
use crate::mm::{self, frames, shared_frames};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::sync::{IrqSpinLock, LockClass, MaySleep, Rank};
use crate::{check, check_eq, rcu};
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The suite.
pub const SUITE: Suite = Suite {
    name: "mm_smp",
    tests: &[
        Test::new("frame_storm", frame_storm),
        Test::new("object_storm", object_storm),
        Test::new("heap_storm", heap_storm),
        Test::new("shared_storm", shared_storm),
        Test::new("reclaim_waits", reclaim_waits),
    ],
};

/// Steps of each CPU. A step is one allocation or one free.
const STEPS: usize = 4000;
/// What went wrong on any CPU.
static WRONG: AtomicUsize = AtomicUsize::new(0);

fn wrong_unless(right: bool) {
    if !right {
        WRONG.fetch_add(1, Ordering::Relaxed);
    }
}

/// A generator that is good enough to mix sizes: the multiplier is Knuth's.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }
}

/// Runs the work in a thread on each CPU and waits for all.
fn on_all(ctx: &mut MaySleep, work: fn(&mut MaySleep, usize)) -> Outcome {
    WRONG.store(0, Ordering::Relaxed);
    let mut threads = Vec::new();
    for cpu in sched::online_cpus().iter() {
        let spawned = Spawn::new("storm").on(CpuSet::one(cpu)).spawn(move |ctx| work(ctx, cpu));
        threads.push(spawned.map_err(|error| failed(format_args!("no thread: {error:?}")))?);
    }
    for thread in threads {
        thread.join(ctx);
    }
    check_eq!(WRONG.load(Ordering::Relaxed), 0);
    Ok(())
}

const EXCHANGE: LockClass = LockClass::new("test exchange", Rank::SLEEPING);

/// Where CPUs leave things for others to free.
type Exchange<T> = IrqSpinLock<ArrayVec<T, 64>>;

/// Puts the thing among the others; a random one comes back if there are many.
fn exchange<T>(place: &Exchange<T>, thing: T, random: &mut Random) -> Option<T> {
    let mut all = place.lock();
    let out = if all.is_full() { Some(all.swap_remove(random.below(64))) } else { None };
    all.push(thing);
    out
}

fn stamp(frame: &Frame) -> *mut [u64; 2] {
    frame.as_ptr().cast().as_ptr()
}

static FRAMES: Exchange<Frame> = IrqSpinLock::new(&EXCHANGE, ArrayVec::new_const());

/// Frames of mixed orders, stamped with their own number, freed by other CPUs than those that took
/// them: no frame has two owners.
fn frame_storm(case: &mut Case<'_>) -> Outcome {
    fn work(_ctx: &mut MaySleep, cpu: usize) {
        let mut random = Random(cpu as u64 + 1);
        for _ in 0..STEPS {
            let order = random.below(16).saturating_sub(12) as u8;
            let Ok(frame) = frames().alloc(Request::of(Kind::Kernel).order(order), None) else { continue };
            // SAFETY: the frame is ours.
            unsafe { stamp(&frame).write([frame.pfn().get(), u64::from(order)]) };
            if let Some(other) = exchange(&FRAMES, frame, &mut random) {
                // SAFETY: the frame is ours, stamped by who took it.
                let found = unsafe { stamp(&other).read() };
                wrong_unless(found == [other.pfn().get(), u64::from(other.order())]);
            }
        }
    }
    let outcome = on_all(case.ctx, work);
    let rest = core::mem::take(&mut *FRAMES.lock());
    drop(rest);
    outcome?;
    let counts = frames().counts();
    check_eq!(counts.free + counts.cached + counts.used.iter().sum::<usize>(), counts.managed);
    check_eq!(frames().misuses(), 0);
    Ok(())
}

static NINES: ObjectCache<[usize; 9]> = ObjectCache::new("test nines", mm::frames());
static OBJECTS: Exchange<Object<[usize; 9]>> = IrqSpinLock::new(&EXCHANGE, ArrayVec::new_const());

/// The same with objects of a cache.
fn object_storm(case: &mut Case<'_>) -> Outcome {
    fn work(_ctx: &mut MaySleep, cpu: usize) {
        let mut random = Random(cpu as u64 + 1);
        for step in 0..STEPS {
            let Ok(object) = NINES.alloc([cpu ^ step << 8; 9], None) else { continue };
            if let Some(other) = exchange(&OBJECTS, object, &mut random) {
                wrong_unless(other.iter().all(|&word| word == other[0]));
            }
            if step % 1000 == cpu * 61 {
                mm::cache::shrink_all();
            }
        }
    }
    let outcome = on_all(case.ctx, work);
    let rest = core::mem::take(&mut *OBJECTS.lock());
    drop(rest);
    outcome?;
    check_eq!((NINES.raw().counts().0, NINES.raw().misuses()), (0, 0));
    Ok(())
}

/// Vectors of all sizes that the heap tells apart, growing.
fn heap_storm(case: &mut Case<'_>) -> Outcome {
    fn work(ctx: &mut MaySleep, cpu: usize) {
        let mut random = Random(cpu as u64 + 1);
        let mut own: Vec<Vec<u8>> = Vec::new();
        for step in 0..STEPS / 4 {
            let mut bytes = Vec::new();
            let shift = 1 + random.below(14);
            let size = 1 + random.below(1 << shift);
            if bytes.try_reserve_exact(size).is_ok() {
                bytes.resize(size, cpu as u8);
                own.push(bytes);
            }
            if own.len() > 30 {
                let bytes = own.swap_remove(random.below(30));
                wrong_unless(bytes.iter().all(|&byte| byte == cpu as u8));
            }
            if step % 500 == 499 {
                sched::yield_now(ctx);
            }
        }
        wrong_unless(own.iter().flatten().all(|&byte| byte == cpu as u8));
    }
    on_all(case.ctx, work)
}

/// Frames that are shared by counting: each CPU adds and drops references, the last is dropped while
/// others do the same. After two barriers none is left.
fn shared_storm(case: &mut Case<'_>) -> Outcome {
    fn work(ctx: &mut MaySleep, cpu: usize) {
        let mut random = Random(cpu as u64 + 1);
        for step in 0..STEPS / 8 {
            let Ok(frame) = frames().alloc(Request::of(Kind::User), Some(ctx)) else {
                wrong_unless(false);
                continue;
            };
            let frame = shared_frames().share(frame);
            let more = random.below(4);
            for _ in 0..more {
                // SAFETY: we hold a reference.
                unsafe { shared_frames().get(frame) };
            }
            for _ in 0..=more {
                // SAFETY: one of the references that we hold.
                unsafe { shared_frames().put(frame) };
            }
            if step % 100 == 99 {
                sched::yield_now(ctx);
            }
        }
    }
    let before = frames().counts().used[Kind::User as usize];
    on_all(case.ctx, work)?;
    rcu::barrier(case.ctx);
    rcu::barrier(case.ctx);
    check_eq!(shared_frames().waiting(), 0);
    check_eq!(frames().counts().used[Kind::User as usize], before);
    Ok(())
}

/// All memory is taken, some of it waits for a grace period: a request that may sleep waits for it
/// instead of failing (H38).
fn reclaim_waits(case: &mut Case<'_>) -> Outcome {
    const WAITING: usize = 40;
    let mut last = 0u64;
    let mut waiting: ArrayVec<_, WAITING> = ArrayVec::new();
    while let Ok(frame) = frames().alloc(Request::of(Kind::User), None) {
        if waiting.is_full() {
            // Chained through their own first words: a list of them would need memory.
            // SAFETY: the frame is ours.
            unsafe { frame.as_ptr().cast::<u64>().write(last) };
            last = frame.into_raw().get();
        } else {
            waiting.push(shared_frames().share(frame));
        }
    }
    let section = rcu::read_lock(&*case.ctx);
    for frame in waiting {
        // SAFETY: the only reference.
        unsafe { shared_frames().put(frame) };
    }
    let refused = frames().alloc(Request::of(Kind::User), None).is_err();
    drop(section);
    let granted = frames().alloc(Request::of(Kind::User), Some(case.ctx)).is_ok();
    while last != 0 {
        // SAFETY: given up above, once.
        let Ok(frame) = (unsafe { frames().adopt(crate::addr::Pfn::new(last)) }) else { break };
        // SAFETY: ours, written above.
        last = unsafe { frame.as_ptr().cast::<u64>().read() };
    }
    check!(refused, "a frame was had before its grace period was over");
    check!(granted, "ENOMEM although frames were waiting");
    Ok(())
}
