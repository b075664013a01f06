//! Frames, object caches and the heap on the real machine.

use crate::arch::PAGE_SIZE;
use crate::arch::current::timer;
use crate::ktest::{Case, Outcome, Suite, Test};
use crate::mm::cache::ObjectCache;
use crate::mm::frame::{Kind, ORDERS, Request, State};
use crate::mm::{self, frames};
use crate::{check, check_eq, log};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The suite.
pub const SUITE: Suite = Suite {
    name: "mm",
    tests: &[
        Test::new("frames", frames_are_distinct),
        Test::new("all_memory", all_memory),
        Test::new("orders", orders),
        Test::new("objects", objects),
        Test::new("heap", heap),
        Test::new("cost", cost),
    ],
};

const ONE: Request = Request::of(Kind::Kernel);

/// Frames do not overlap, are zero when asked for, and their descriptors say who has them.
fn frames_are_distinct(_case: &mut Case<'_>) -> Outcome {
    let mut all = Vec::new();
    for stamp in 0..200u64 {
        let frame =
            frames().alloc(ONE.zeroed(), None).map_err(|e| crate::ktest::failed(format_args!("{e:?}")))?;
        let word = frame.descriptor().word();
        check_eq!((word.state, word.order, word.kind), (State::Allocated, 0, Kind::Kernel));
        let words = frame.as_ptr().cast::<u64>();
        for at in (0..PAGE_SIZE as usize / 8).step_by(61) {
            // SAFETY: within the frame, which is ours and zeroed.
            check_eq!(unsafe { words.add(at).read() }, 0);
        }
        // SAFETY: as above.
        unsafe { words.write(stamp) };
        all.push(frame);
    }
    for (stamp, frame) in all.iter().enumerate() {
        // SAFETY: ours, written above.
        check_eq!(unsafe { frame.as_ptr().cast::<u64>().read() }, stamp as u64);
    }
    Ok(())
}

/// Every free frame can be had, then ENOMEM is an error and not a panic, and all come back. They are
/// chained through their own first words: a list of them would need memory.
fn all_memory(_case: &mut Case<'_>) -> Outcome {
    let before = frames().counts();
    let mut last = 0u64;
    let mut count = 0;
    while let Ok(frame) = frames().alloc(ONE, None) {
        // SAFETY: the frame is ours.
        unsafe { frame.as_ptr().cast::<u64>().write(last) };
        last = frame.into_raw().get();
        count += 1;
    }
    let empty = frames().counts();
    let heap_refuses = Vec::<u8>::new().try_reserve_exact(4 * PAGE_SIZE as usize).is_err();
    while last != 0 {
        // SAFETY: given up above, once.
        let Ok(frame) = (unsafe { frames().adopt(crate::addr::Pfn::new(last)) }) else { break };
        // SAFETY: ours, written above.
        last = unsafe { frame.as_ptr().cast::<u64>().read() };
    }
    check_eq!((empty.free, empty.cached), (0, 0));
    check!(heap_refuses, "the heap found memory where there was none");
    check!(count >= before.free + before.cached, "{count} of {} frames", before.free + before.cached);
    let after = frames().counts();
    check_eq!(after.free + after.cached + after.used.iter().sum::<usize>(), after.managed);
    Ok(())
}

/// Blocks of every order that there is memory for: aligned to their size.
fn orders(_case: &mut Case<'_>) -> Outcome {
    frames().drain();
    let mut largest = None;
    for order in 0..ORDERS as u8 {
        let Ok(block) = frames().alloc(ONE.order(order), None) else { break };
        check!(block.addr().is_aligned(PAGE_SIZE << order), "{block:?}");
        largest = Some(order);
    }
    // A quarter of the memory lies in one piece, whatever the firmware left where.
    let quarter = frames().counts().managed / 4;
    check!(largest.is_some_and(|order| 2 << order > quarter), "the largest block has order {largest:?}");
    check_eq!(frames().alloc(ONE.order(ORDERS as u8), None).err(), Some(crate::error::Errno::EINVAL));
    Ok(())
}

static FIVES: ObjectCache<[u64; 5]> = ObjectCache::new("test fives", mm::frames());

/// Objects of a cache are apart, and keep their values.
fn objects(_case: &mut Case<'_>) -> Outcome {
    let mut all = Vec::new();
    for value in 0..2000u64 {
        all.push(FIVES.alloc([value; 5], None).map_err(|e| crate::ktest::failed(format_args!("{e:?}")))?);
    }
    check!(all.iter().zip(0..).all(|(object, value)| **object == [value; 5]));
    check_eq!(FIVES.raw().counts().0, 2000);
    all.truncate(3);
    check_eq!(FIVES.raw().counts().0, 3);
    Ok(())
}

/// The collections of `alloc`, sizes from all of the heap's sources.
fn heap(_case: &mut Case<'_>) -> Outcome {
    let before = mm::kernel_heap().used();
    let map: BTreeMap<u64, Box<u64>> = (0..500).map(|n| (n * 7919 % 500, Box::new(n))).collect();
    check!(map.iter().all(|(key, value)| **value * 7919 % 500 == *key));
    let mut bytes: Vec<u8> = Vec::new();
    for n in 0..3 * PAGE_SIZE as usize {
        bytes.push(n as u8);
    }
    check!(bytes.iter().enumerate().all(|(n, &byte)| byte == n as u8));
    check!(mm::kernel_heap().used() > before);
    drop((map, bytes));
    check_eq!(mm::kernel_heap().used(), before);
    Ok(())
}

/// What a pair of allocation and free takes of the machine's clock; with `-icount shift=0` on s390x a
/// nanosecond is an instruction.
fn cost(_case: &mut Case<'_>) -> Outcome {
    const PAIRS: u64 = 1000;
    let time = |pair: &dyn Fn() -> bool| {
        let mut good = pair();
        let start = timer::now();
        for _ in 0..PAIRS {
            good &= pair();
        }
        (good, (timer::now() - start) / PAIRS)
    };
    let frame = time(&|| frames().alloc(ONE, None).is_ok());
    let block = time(&|| frames().alloc(ONE.order(2), None).is_ok());
    let object = time(&|| FIVES.alloc([0; 5], None).is_ok());
    let boxed = time(&|| *core::hint::black_box(Box::new(1u64)) == 1);
    let vector = time(&|| Vec::<u8>::new().try_reserve_exact(PAGE_SIZE as usize).is_ok());
    log::raw(format_args!(
        "# mm: ns for a pair: frame {}, order 2 {}, object {}, box {}, {PAGE_SIZE} bytes {}\n",
        frame.1, block.1, object.1, boxed.1, vector.1
    ));
    check!(frame.0 && block.0 && object.0 && boxed.0 && vector.0);
    Ok(())
}
