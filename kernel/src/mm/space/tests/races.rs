//! Threads at once: one changes, two fault and copy, one reads set and tables without a lock.

use super::super::*;
use super::{Bench, WAYS, va};
use crate::arch::paging::Access;
use crate::rcu;
use crate::sync::PreemptGuard;
use std::sync::atomic::{AtomicBool, Ordering};

const PAGES: u64 = 16;
const ROUNDS: u64 = 400;

/// Below a border of a leaf table, in all formats.
fn base(page: u64) -> u64 {
    (32 << 20) - PAGES / 2 * page
}

fn token(bench: &Bench, cpu: usize) -> MaySleep {
    bench.machine.enter(cpu);
    // SAFETY: a thread of the test, and its only token.
    unsafe { MaySleep::mint() }
}

/// Maps, unmaps, protects, moves, forks, in the upper half of the pages.
fn change(mm: &Mm, ctx: &mut MaySleep, page: u64) {
    let at = |n: u64| va(base(page) + (PAGES / 2 + n % (PAGES / 2)) * page);
    for n in 0..ROUNDS {
        mm.map(ctx, MapRequest::anonymous(page, Access::RW).at(at(n))).expect("memory");
        mm.protect(ctx, at(n), page, if n % 2 == 0 { Access::R } else { Access::RW }).expect("mapped");
        if n % 3 == 0 {
            let to = Some(va(base(page) + (1 << 30)));
            let (old_len, new_len) = (page, 2 * page);
            let request = RemapRequest { addr: at(n), old_len, new_len, may_move: true, to, keep_old: false };
            mm.remap(ctx, request).expect("mapped");
        }
        if n % 16 == 0 {
            let child = mm.fork(ctx).expect("memory");
            assert_eq!(child.audit(ctx), Ok(()));
            child.end_use(ctx);
        }
        mm.unmap(ctx, at(n + 3), 2 * page).expect("memory");
    }
}

/// Its own words of the lower half are what it wrote; the upper half may do as it likes.
fn touch(mm: &Mm, ctx: &mut MaySleep, page: u64, number: u64, stop: &AtomicBool) {
    mm.activate(&PreemptGuard::new());
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let own = va(base(page) + round % (PAGES / 2) * page + 8 * number);
        mm.write_value(ctx, own, &round).expect("always mapped");
        assert_eq!(mm.read_value::<u64>(ctx, own), Ok(round));
        let wild = va(base(page) + (PAGES / 2 + round % (PAGES / 2)) * page);
        let _ = mm.write_value(ctx, wild, &round);
        let _ = mm.read_value::<u64>(ctx, wild);
    }
    mm.leave(&PreemptGuard::new());
}

/// What is never unmapped is in every version, whole.
fn look(mm: &Mm, ctx: &MaySleep, page: u64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut found = 0;
        let mut at = va(0);
        loop {
            let section = rcu::read_lock(ctx);
            let mut areas = mm.vmas(&section, at);
            let Some(area) = areas.next() else { break };
            let end = area.range.end.min(base(page) + PAGES / 2 * page);
            found += end.saturating_sub(area.range.start.max(at.get()).max(base(page)));
            let (start, last) = (va(area.range.start.max(at.get())), va(area.range.end));
            let mut next = Some(start);
            while let Some(from) = next {
                next = mm.walk(ctx, from..last, &mut |_, page| {
                    let _ = mm.page_use(&page);
                });
            }
            at = last;
        }
        assert_eq!(found, PAGES / 2 * page);
    }
}

#[test]
fn changes_faults_and_readers_at_once() {
    for way in [WAYS[0], WAYS[3], WAYS[6]] {
        let mut bench = Bench::new(way);
        let mm = bench.mm();
        let page = bench.page();
        let all = MapRequest::anonymous(PAGES * page, Access::RW).at(va(base(page)));
        mm.map(&mut bench.ctx, all).expect("memory");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (bench, mm, stop) = (Shared(&bench), &mm, &stop);
            let changer = scope.spawn(move || change(mm, &mut token(bench.get(), 0), page));
            for number in 1..3 {
                scope.spawn(move || touch(mm, &mut token(bench.get(), number), page, number as u64, stop));
            }
            scope.spawn(move || look(mm, &token(bench.get(), 3), page, stop));
            let changed = changer.join();
            stop.store(true, Ordering::Relaxed);
            changed.expect("no panic");
        });
        bench.machine.enter(0);
        assert_eq!(mm.audit(&mut bench.ctx), Ok(()));
        mm.end_use(&mut bench.ctx);
        drop(mm);
        bench.nothing_is_left();
    }
}

/// A test's bench, of which other threads use the machine only.
#[derive(Clone, Copy)]
struct Shared<'a>(&'a Bench);
// SAFETY: threads use `machine`, which may be shared; the token in it stays with the test's thread.
unsafe impl Send for Shared<'_> {}
impl<'a> Shared<'a> {
    fn get(self) -> &'a Bench {
        self.0
    }
}
