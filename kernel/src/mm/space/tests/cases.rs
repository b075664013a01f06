//! One thing each.

use super::super::*;
use super::{Bench, TestFile, WAYS, va};
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::mm::frame::Kind;
use crate::rcu;
use crate::sync::PreemptGuard;

const A: u64 = 0x1000_0000;

fn anonymous(mm: &Mm, ctx: &mut MaySleep, at: u64, len: u64, access: Access) {
    let request = MapRequest::anonymous(len, access).at(va(at));
    assert_eq!(mm.map(ctx, request), Ok(va(at)));
}

fn load(mm: &Mm, ctx: &mut MaySleep, at: u64) -> Result<u64, Errno> {
    mm.read_value(ctx, va(at))
}

fn store(mm: &Mm, ctx: &mut MaySleep, at: u64, value: u64) -> Result<(), Errno> {
    mm.write_value(ctx, va(at), &value)
}

fn each_way(test: impl Fn(&mut Bench, &MmRef)) {
    for way in WAYS {
        let mut bench = Bench::new(way);
        let mm = bench.mm();
        bench.activate(&mm);
        test(&mut bench, &mm);
        assert_eq!(mm.audit(&mut bench.ctx), Ok(()));
        mm.end_use(&mut bench.ctx);
        assert_eq!(mm.stats().total, 0);
        drop(mm);
        bench.nothing_is_left();
    }
}

#[test]
fn zeros_are_read_and_a_store_gets_a_page() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        anonymous(mm, ctx, A, 4 * page, Access::RW);
        assert_eq!(load(mm, ctx, A + page), Ok(0));
        assert_eq!((mm.stats().total, mm.stats().data, mm.stats().resident()), (4, 4, 0));
        assert_eq!(store(mm, ctx, A + page, 7), Ok(()));
        assert_eq!(load(mm, ctx, A + page), Ok(7));
        assert_eq!(load(mm, ctx, A + 2 * page - 8), Ok(0));
        assert_eq!(mm.stats().anon, 1);
        assert_eq!(load(mm, ctx, A + 4 * page), Err(Errno::EFAULT));
        assert_eq!(load(mm, ctx, A - 8), Err(Errno::EFAULT));
        // Across two pages.
        assert_eq!(store(mm, ctx, A + 3 * page - 4, 0x1122_3344_5566_7788), Ok(()));
        assert_eq!(load(mm, ctx, A + 3 * page - 4), Ok(0x1122_3344_5566_7788));
        assert_eq!(mm.stats().anon, 3);
    });
}

#[test]
fn what_may_not_be_done_is_not_done() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        anonymous(mm, ctx, A, 2 * page, Access::R);
        anonymous(mm, ctx, A + 4 * page, page, Access::NONE);
        assert_eq!(store(mm, ctx, A, 1), Err(Errno::EFAULT));
        assert_eq!(load(mm, ctx, A), Ok(0));
        assert_eq!(load(mm, ctx, A + 4 * page), Err(Errno::EFAULT));
        assert_eq!(mm.fault(ctx, va(A), AccessKind::Write), Err(MmFault::AccErr));
        assert_eq!(mm.fault(ctx, va(A), AccessKind::Execute), Err(MmFault::AccErr));
        assert_eq!(mm.fault(ctx, va(A + 3 * page), AccessKind::Read), Err(MmFault::MapErr));
        assert_eq!(mm.protect(ctx, va(A), 2 * page, Access::RW), Ok(()));
        assert_eq!(store(mm, ctx, A, 1), Ok(()));
        assert_eq!(mm.protect(ctx, va(A), page, Access::R), Ok(()));
        assert_eq!(store(mm, ctx, A, 2), Err(Errno::EFAULT));
        assert_eq!(mm.protect(ctx, va(A), page, Access::NONE), Ok(()));
        assert_eq!(load(mm, ctx, A), Err(Errno::EFAULT));
        assert_eq!(mm.protect(ctx, va(A), page, Access::RW), Ok(()));
        assert_eq!(load(mm, ctx, A), Ok(1));
        assert_eq!(mm.protect(ctx, va(A), 3 * page, Access::RW), Err(Errno::ENOMEM));
        assert_eq!(mm.protect(ctx, va(A + 1), page, Access::RW), Err(Errno::EINVAL));
    });
}

#[test]
fn neighbours_that_are_equal_are_one() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        let count = |mm: &Mm, ctx: &MaySleep| mm.vmas(&rcu::read_lock(ctx), va(0)).count();
        anonymous(mm, ctx, A, page, Access::RW);
        anonymous(mm, ctx, A + page, page, Access::RW);
        assert_eq!(count(mm, ctx), 1);
        mm.protect(ctx, va(A), page, Access::R).expect("mapped");
        assert_eq!(count(mm, ctx), 2);
        mm.protect(ctx, va(A), page, Access::RW).expect("mapped");
        assert_eq!(count(mm, ctx), 1);
        let file = TestFile::new(bench, 4, 100);
        let ctx = &mut bench.ctx;
        for part in 0..4 {
            let request = MapRequest::anonymous(page, Access::R).at(va(A + (8 + part) * page));
            mm.map(ctx, request.of(file.clone(), part * page)).expect("room");
        }
        assert_eq!(mm.vmas(&rcu::read_lock(ctx), va(0)).count(), 2);
        for part in 0..4 {
            assert_eq!(load(mm, ctx, A + (8 + part) * page), Ok(100 + part));
        }
        assert_eq!((mm.stats().file, mm.stats().anon), (4, 0));
        mm.unmap(ctx, va(A + 9 * page), page).expect("mapped");
        assert_eq!(mm.vmas(&rcu::read_lock(ctx), va(0)).count(), 3);
        assert_eq!(load(mm, ctx, A + 10 * page), Ok(102));
    });
}

#[test]
fn a_private_file_is_copied_when_it_is_written_and_a_shared_one_is_not() {
    each_way(|bench, mm| {
        let page = bench.page();
        let file = TestFile::new(bench, 3, 50);
        let ctx = &mut bench.ctx;
        let map = |ctx: &mut MaySleep, at: u64, flags| {
            let request = MapRequest::anonymous(4 * page, Access::RW).with(flags).of(file.clone(), 0);
            mm.map(ctx, request.at(va(at)).with(flags)).expect("room");
        };
        map(ctx, A, MapFlags::NONE);
        map(ctx, A + 16 * page, MapFlags::SHARED);
        assert_eq!(load(mm, ctx, A), Ok(50));
        store(mm, ctx, A, 1).expect("writable");
        store(mm, ctx, A + page, 2).expect("writable");
        assert_eq!((file.word(ctx, 0), file.word(ctx, 1)), (50, 51));
        store(mm, ctx, A + 17 * page, 3).expect("writable");
        assert_eq!((file.word(ctx, 1), load(mm, ctx, A + page)), (3, Ok(2)));
        assert_eq!(load(mm, ctx, A + 3 * page), Err(Errno::EFAULT));
        assert_eq!(mm.fault(ctx, va(A + 3 * page), AccessKind::Read), Err(MmFault::Bus));
        assert_eq!((mm.stats().anon, mm.stats().file), (2, 1));
        mm.advise(ctx, va(A), page, Advice::DontNeed).expect("mapped");
        assert_eq!(load(mm, ctx, A), Ok(50));
    });
}

#[test]
fn after_a_fork_each_has_its_own() {
    each_way(|bench, mm| {
        let page = bench.page();
        anonymous(mm, &mut bench.ctx, A, 8 * page, Access::RW);
        let shared = MapRequest::anonymous(2 * page, Access::RW).with(MapFlags::SHARED);
        let s = mm.map(&mut bench.ctx, shared).expect("room").get();
        let ctx = &mut bench.ctx;
        store(mm, ctx, A, 1).expect("writable");
        store(mm, ctx, A + page, 2).expect("writable");
        store(mm, ctx, s, 5).expect("writable");
        let child = mm.fork(ctx).expect("memory");
        assert_eq!(child.audit(ctx), Ok(()));
        assert_eq!(mm.audit(ctx), Ok(()));
        assert_eq!(child.stats().anon, mm.stats().anon);
        store(mm, ctx, A, 10).expect("writable");
        assert_eq!(load(mm, ctx, A), Ok(10));
        child.activate(&PreemptGuard::new());
        assert_eq!((load(&child, ctx, A), load(&child, ctx, A + page)), (Ok(1), Ok(2)));
        store(&child, ctx, A + page, 20).expect("writable");
        store(&child, ctx, s, 6).expect("writable");
        store(&child, ctx, s + page, 7).expect("writable");
        let mut word = [0; 8];
        mm.read_remote(ctx, va(A + page), &mut word).expect("mapped");
        assert_eq!(u64::from_ne_bytes(word), 2);
        mm.activate(&PreemptGuard::new());
        assert_eq!((load(mm, ctx, s), load(mm, ctx, s + page)), (Ok(6), Ok(7)));
        assert_eq!(mm.futex_key(ctx, va(s + 8), false), child.futex_key(ctx, va(s + 8), false));
        assert_ne!(mm.futex_key(ctx, va(A), false), child.futex_key(ctx, va(A), false));
        child.end_use(ctx);
        drop(child);
        // What the child had comes back after a grace period, and would be counted below.
        crate::rcu::barrier(ctx);
        crate::rcu::barrier(ctx);
        // Alone again: the page itself is used.
        let frames = bench.frames.counts().used[Kind::User as usize];
        store(mm, ctx, A + page, 3).expect("writable");
        assert_eq!(bench.frames.counts().used[Kind::User as usize], frames);
        assert_eq!(load(mm, ctx, A + page), Ok(3));
    });
}

#[test]
fn a_stack_grows_to_its_limit() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        let top = A + (64 << 20);
        let request = MapRequest::anonymous(page, Access::RW).with(MapFlags::GROWSDOWN);
        mm.map(ctx, request.at(va(top - page))).expect("room");
        store(mm, ctx, top - (1 << 20), 1).expect("it grows");
        assert_eq!(mm.stats().stack, (1 << 20) / page);
        assert_eq!(store(mm, ctx, top - (8 << 20) - page, 1), Err(Errno::EFAULT));
        store(mm, ctx, top - (8 << 20), 1).expect("it grows");
        // A mapping below keeps its distance.
        let other = A + (128 << 20);
        anonymous(mm, ctx, other - (5 << 20), 4 << 20, Access::RW);
        let request = MapRequest::anonymous(page, Access::RW).with(MapFlags::GROWSDOWN);
        mm.map(ctx, request.at(va(other + (1 << 20)))).expect("room");
        store(mm, ctx, other + 8, 1).expect("it grows");
        assert_eq!(store(mm, ctx, other - page, 1), Err(Errno::EFAULT));
    });
}

#[test]
fn a_mapping_moves_with_its_pages() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        anonymous(mm, ctx, A, 4 * page, Access::RW);
        for n in 0..4 {
            store(mm, ctx, A + n * page, n + 1).expect("writable");
        }
        let plain = RemapRequest {
            addr: va(A),
            old_len: 4 * page,
            new_len: 6 * page,
            may_move: false,
            to: None,
            keep_old: false,
        };
        // In place.
        assert_eq!(mm.remap(ctx, plain), Ok(va(A)));
        anonymous(mm, ctx, A + 6 * page, page, Access::R);
        let more = RemapRequest { old_len: 6 * page, new_len: 8 * page, ..plain };
        assert_eq!(mm.remap(ctx, more), Err(Errno::ENOMEM));
        let moved = mm.remap(ctx, RemapRequest { may_move: true, ..more }).expect("room").get();
        for n in 0..4 {
            assert_eq!(load(mm, ctx, moved + n * page), Ok(n + 1));
            assert_eq!(load(mm, ctx, A + n * page), Err(Errno::EFAULT));
        }
        assert_eq!((mm.stats().total, mm.stats().anon), (9, 4));
        // Onto something.
        let fixed = RemapRequest {
            addr: va(moved),
            old_len: 8 * page,
            new_len: 2 * page,
            may_move: true,
            to: Some(va(A + 6 * page)),
            keep_old: false,
        };
        assert_eq!(mm.remap(ctx, fixed), Ok(va(A + 6 * page)));
        assert_eq!((load(mm, ctx, A + 6 * page), load(mm, ctx, A + 7 * page)), (Ok(1), Ok(2)));
        assert_eq!((mm.stats().total, mm.stats().anon), (2, 2));
        assert_eq!(
            mm.remap(
                ctx,
                RemapRequest {
                    to: Some(va(A + 7 * page)),
                    addr: va(A + 6 * page),
                    old_len: 2 * page,
                    ..fixed
                }
            ),
            Err(Errno::EINVAL)
        );
        assert_eq!(mm.remap(ctx, RemapRequest { addr: va(A), to: None, ..fixed }), Err(Errno::EFAULT));
    });
}

#[test]
fn brk_goes_up_and_down() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        mm.set_marks(Marks { brk: (A + 8, A + 8), ..Marks::default() });
        assert_eq!(mm.set_brk(ctx, va(0)), va(A + 8));
        assert_eq!(mm.set_brk(ctx, va(A + 3 * page)), va(A + 3 * page));
        store(mm, ctx, A + page, 1).expect("writable");
        assert_eq!(mm.set_brk(ctx, va(A + 100)), va(A + 100));
        assert_eq!(load(mm, ctx, A + page), Err(Errno::EFAULT));
        assert_eq!(mm.stats().anon, 0);
        anonymous(mm, ctx, A + 4 * page, page, Access::R);
        assert_eq!(mm.set_brk(ctx, va(A + 5 * page)), va(A + 100));
        assert_eq!(mm.set_brk(ctx, va(A + 4 * page)), va(A + 4 * page));
    });
}

#[test]
fn places_are_found_and_refused() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        let first = mm.map(ctx, MapRequest::anonymous(2 * page, Access::RW)).expect("room");
        let second = mm.map(ctx, MapRequest::anonymous(page, Access::R)).expect("room");
        assert_eq!(second.get() + page, first.get());
        let wish = MapRequest { addr: va(A + 5), ..MapRequest::anonymous(page, Access::R) };
        assert_eq!(mm.map(ctx, wish), Ok(va(A)));
        let no_replace = |at| {
            let request = MapRequest::anonymous(page, Access::R).with(MapFlags::FIXED_NOREPLACE);
            MapRequest { addr: va(at), ..request }
        };
        assert_eq!(mm.map(ctx, no_replace(A)), Err(Errno::EEXIST));
        assert_eq!(mm.map(ctx, no_replace(A + page)), Ok(va(A + page)));
        let anywhere = |len| MapRequest::anonymous(len, Access::RW);
        assert_eq!(mm.map(ctx, anywhere(0)), Err(Errno::EINVAL));
        assert_eq!(mm.map(ctx, anywhere(u64::MAX - 5)), Err(Errno::ENOMEM));
        assert_eq!(mm.map(ctx, anywhere(1 << 40)), Err(Errno::ENOMEM), "more than there is");
        assert!(mm.map(ctx, MapRequest::anonymous(1 << 40, Access::NONE)).is_ok());
        assert_eq!(mm.map(ctx, anywhere(page).at(va(A + 1))), Err(Errno::EINVAL));
        assert_eq!(mm.map(ctx, anywhere(page).at(va(0))), Err(Errno::EPERM));
        assert_eq!(mm.unmap(ctx, va(A), 0), Err(Errno::EINVAL));
        assert_eq!(mm.unmap(ctx, va(A + 1), page), Err(Errno::EINVAL));
        assert_eq!(mm.unmap(ctx, va(A + 64 * page), page), Ok(()));
        let limits = Limits { address_space: 0, ..Limits::NONE };
        mm.set_limits(limits);
        assert_eq!(mm.map(ctx, anywhere(page)), Err(Errno::ENOMEM));
        mm.set_limits(Limits { locked: page, ..Limits::NONE });
        assert_eq!(mm.map(ctx, anywhere(2 * page).with(MapFlags::LOCKED)), Err(Errno::EAGAIN));
        assert_eq!(mm.lock(ctx, va(A), 2 * page, true, false), Err(Errno::ENOMEM));
        assert_eq!(mm.lock(ctx, va(A), page, true, false), Ok(()));
        assert_eq!(mm.stats().locked, 1);
        assert_eq!(mm.advise(ctx, va(A), page, Advice::DontNeed), Err(Errno::EINVAL));
        assert_eq!(mm.lock(ctx, va(A), page, false, false), Ok(()));
    });
}

#[test]
fn words_for_futexes() {
    each_way(|bench, mm| {
        let (page, ctx) = (bench.page(), &mut bench.ctx);
        anonymous(mm, ctx, A, 2 * page, Access::RW);
        assert_eq!(mm.load_u32(ctx, va(A + 4)), Ok(0));
        assert_eq!(mm.cmpxchg_u32(ctx, va(A + 4), 0, 9), Ok(0));
        assert_eq!(mm.cmpxchg_u32(ctx, va(A + 4), 0, 8), Ok(9));
        assert_eq!(mm.load_u32(ctx, va(A + 4)), Ok(9));
        assert_eq!(mm.load_u32(ctx, va(A + 5)), Err(Errno::EINVAL));
        assert_eq!(mm.load_u32(ctx, va(A + 2 * page)), Err(Errno::EFAULT));
        let mut text = [0; 20];
        mm.write_user(ctx, va(A + page - 3), b"a path\0").expect("mapped");
        assert_eq!(mm.read_str(ctx, va(A + page - 3), &mut text), Ok(6));
        assert_eq!(&text[..6], b"a path");
        assert_eq!(mm.read_str(ctx, va(A + page - 3), &mut text[..5]), Err(Errno::ENAMETOOLONG));
        let fill = vec![1; page as usize];
        mm.write_user(ctx, va(A + page), &fill).expect("mapped");
        assert_eq!(mm.read_str(ctx, va(A + 2 * page - 3), &mut text), Err(Errno::EFAULT));
        mm.zero_user(ctx, va(A + 100), 2 * page - 100).expect("mapped");
        assert_eq!(load(mm, ctx, A + 2 * page - 8), Ok(0));
        let mut seen = vec![];
        mm.mincore(ctx, va(A), 2 * page, &mut |present| seen.push(present)).expect("mapped");
        assert_eq!(seen, [true, true]);
        assert_eq!(mm.mincore(ctx, va(A), 3 * page, &mut |_| ()), Err(Errno::ENOMEM));
        assert_eq!(mm.sync(ctx, va(A), 2 * page), Ok(()));
        assert_eq!(mm.sync(ctx, va(A), 3 * page), Err(Errno::ENOMEM));
    });
}

/// Each allocation of each operation fails once; nothing has changed then.
#[test]
fn no_memory_changes_nothing() {
    for way in WAYS {
        let mut bench = Bench::new(way);
        let mm = bench.mm();
        bench.activate(&mm);
        let page = bench.page();
        for n in 0..40 {
            anonymous(&mm, &mut bench.ctx, A + 2 * n * page, page, Access::RW);
            store(&mm, &mut bench.ctx, A + 2 * n * page, n).expect("memory");
        }
        let list = |bench: &Bench| -> Vec<_> {
            mm.vmas(&rcu::read_lock(&bench.ctx), va(0)).map(|area| (area.range, area.flags)).collect()
        };
        type Operation = fn(&Mm, &mut MaySleep, u64) -> Result<(), Errno>;
        let operations: [Operation; 6] = [
            |mm, ctx, page| mm.unmap(ctx, va(A + page), 41 * page),
            |mm, ctx, page| mm.protect(ctx, va(A), page, Access::R),
            |mm, ctx, _| mm.fork(ctx).map(|child| child.end_use(ctx)),
            |mm, ctx, page| mm.map(ctx, MapRequest::anonymous(page, Access::R)).map(|_| ()),
            |mm, ctx, page| mm.advise(ctx, va(A), page, Advice::Random),
            |mm, ctx, page| {
                let to = Some(va(A + (200 << 20)));
                let request = RemapRequest {
                    addr: va(A + 60 * page),
                    old_len: page,
                    new_len: 3 * page,
                    may_move: true,
                    to,
                    keep_old: false,
                };
                mm.remap(ctx, request).map(|_| ())
            },
        ];
        for operation in operations {
            for nth in 1.. {
                assert!(nth < 200);
                let before = (list(&bench), mm.stats().anon);
                crate::mm::cache::for_each(|cache| {
                    if core::ptr::eq(cache.frames(), bench.frames) {
                        cache.shrink();
                    }
                });
                bench.frames.inject_failure(nth);
                let result = operation(&mm, &mut bench.ctx, page);
                bench.frames.inject_failure(0);
                assert_eq!(mm.audit(&mut bench.ctx), Ok(()));
                if result.is_ok() {
                    break;
                }
                assert_eq!(result, Err(Errno::ENOMEM));
                assert_eq!((list(&bench), mm.stats().anon), before);
            }
        }
        mm.end_use(&mut bench.ctx);
        drop(mm);
        bench.nothing_is_left();
    }
}

/// A file that becomes shorter takes its pages, and the copies of them, out of all tables.
#[test]
fn what_a_file_gives_up_is_gone_everywhere() {
    each_way(|bench, mm| {
        let page = bench.page();
        let file = TestFile::new(bench, 4, 10);
        let ctx = &mut bench.ctx;
        for (at, flags) in [(A, MapFlags::NONE), (A + 16 * page, MapFlags::SHARED)] {
            let request = MapRequest::anonymous(4 * page, Access::RW).with(flags).of(file.clone(), 0);
            mm.map(ctx, request.at(va(at)).with(flags)).expect("room");
        }
        for n in 0..4 {
            assert_eq!(load(mm, ctx, A + n * page), Ok(10 + n));
            assert_eq!(load(mm, ctx, A + (16 + n) * page), Ok(10 + n));
        }
        store(mm, ctx, A + 2 * page, 7).expect("writable");
        let child = mm.fork(ctx).expect("memory");
        file.shorten(ctx, 3);
        bench.ground.forget_pages(ctx, file.contents(), 3..u64::MAX, true);
        file.shorten(ctx, 1);
        // As if a hole had been made: private copies stay.
        bench.ground.forget_pages(ctx, file.contents(), 1..u64::MAX, false);
        for mm in [&**mm, &*child] {
            mm.activate(&PreemptGuard::new());
            assert_eq!((load(mm, ctx, A), load(mm, ctx, A + 16 * page)), (Ok(10), Ok(10)));
            assert_eq!(load(mm, ctx, A + 2 * page), Ok(7));
            for gone in [A + page, A + 3 * page, A + 17 * page, A + 18 * page, A + 19 * page] {
                assert_eq!(mm.fault(ctx, va(gone), AccessKind::Read), Err(MmFault::Bus), "{gone:#x}");
            }
            assert_eq!(mm.audit(ctx), Ok(()));
        }
        child.leave(&PreemptGuard::new());
        child.end_use(ctx);
        mm.activate(&PreemptGuard::new());
    });
}
