//! What the random model does not say: sizes, failures, who may see what, and when.
#![expect(clippy::expect_used, reason = "tests stop where the test is wrong")]

use super::scheme::{immediate::Immediate, ipi::Ipi, rcu::Rcu};
use super::testing::{Bench, nth};
use super::{Layout, PageTable};
use crate::addr::VirtAddr;
use crate::arch::current::space;
use crate::arch::paging::{self, Access, PagingFormat};
use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
use crate::arch::s390x_format::S390Dat;
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::sync::PreemptGuard;
use core::mem::ManuallyDrop;

fn pages_of_a_leaf<F: PagingFormat>() -> u64 {
    F::LEVELS[paging::last::<F>()].table_span() >> F::PAGE_SHIFT
}

fn map<F: PagingFormat>(bench: &mut Bench<F>, tables: &PageTable<F>, number: u64) {
    let page = bench.memory.page::<F>(Access::RW, number);
    tables.map(nth::<F>(number), page, &mut bench.ctx).expect("memory");
}

/// H7: an empty table is full of what its format calls empty.
fn a_new_space_is_empty<F: PagingFormat>() {
    let mut bench = Bench::<F>::new(16);
    // Not dropped if it is not empty: that would walk through garbage.
    let tables = ManuallyDrop::new(bench.tables(Layout::Frag, &Rcu));
    let reader = tables.reader(&bench.ctx);
    let root = tables.root(&reader);
    let absent = (0..root.entries()).filter(|&k| root.load(k) == paging::Entry::Absent).count();
    assert_eq!(absent, root.entries(), "a new table is not empty");
    drop(reader);
    drop(ManuallyDrop::into_inner(tables));
    bench.nothing_is_left();
}

#[test]
fn new_spaces_are_empty() {
    a_new_space_is_empty::<S390Dat>();
    a_new_space_is_empty::<Ppc64Radix4K>();
    a_new_space_is_empty::<Ppc64Radix64K>();
}

/// H34: wherever memory runs out, nothing has changed: no table more, none less.
fn a_failed_map_changes_nothing<F: PagingFormat>(layout: Layout) -> usize {
    let mut bench = Bench::<F>::new(16);
    let tables = bench.tables(layout, &Rcu);
    map(&mut bench, &tables, 0);
    let far = (paging::space_bytes::<F>() / 2) >> F::PAGE_SHIFT;
    let page = bench.memory.page::<F>(Access::R, 1);
    let before = (tables.table_bytes(), bench.memory.used());
    let mut failures = 0;
    for nth_allocation in 1.. {
        bench.memory.frames.inject_failure(nth_allocation);
        let result = tables.map(nth::<F>(far), page, &mut bench.ctx);
        bench.memory.frames.inject_failure(0);
        if result.is_ok() {
            break;
        }
        failures += 1;
        assert_eq!(result, Err(Errno::ENOMEM));
        assert_eq!((tables.table_bytes(), bench.memory.used()), before);
    }
    drop(tables);
    bench.nothing_is_left();
    failures
}

#[test]
fn a_failed_map_changes_nothing_in_any_layout() {
    for layout in Layout::ALL {
        // Segment table and leaf, a frame and a descriptor each; a half is at hand in `frag`.
        assert!(a_failed_map_changes_nothing::<S390Dat>(layout) >= 2);
        // Directories are at hand, and in `frag` leaves as well: nothing has to be allocated there.
        for failures in [
            a_failed_map_changes_nothing::<Ppc64Radix4K>(layout),
            a_failed_map_changes_nothing::<Ppc64Radix64K>(layout),
        ] {
            assert_eq!(failures > 0, layout != Layout::Frag);
        }
    }
}

/// H12, H14: a group stays while one page in it is mapped, whichever table that is in, and goes with
/// the last; refilled in between it stays.
fn a_group_goes_with_its_last_page<F: PagingFormat>() {
    let mut bench = Bench::<F>::new(32);
    let tables = bench.tables(Layout::Group, &Rcu);
    let leaf = pages_of_a_leaf::<F>();
    let count = (1_u64 << F::PAGE_SHIFT) / F::LEVELS[paging::last::<F>()].bytes() as u64;
    let empty = tables.table_bytes();
    for k in 0..count {
        map(&mut bench, &tables, k * leaf + k % leaf);
    }
    let full = tables.table_bytes();
    for k in 0..count - 1 {
        tables.unmap(nth::<F>(k * leaf)..nth::<F>((k + 1) * leaf), &bench.ctx);
        assert_eq!(tables.table_bytes(), full);
        bench.memory.turn();
    }
    let last = (count - 1) * leaf + (count - 1) % leaf;
    assert!(tables.lookup(nth::<F>(last), &bench.ctx).is_some());
    map(&mut bench, &tables, 0);
    tables.unmap(nth::<F>(last)..nth::<F>(last + 1), &bench.ctx);
    assert_eq!(tables.table_bytes(), full);
    tables.unmap(nth::<F>(0)..nth::<F>(1), &bench.ctx);
    assert_eq!(tables.table_bytes(), empty);
    drop(tables);
    bench.nothing_is_left();
}

#[test]
fn groups_go_with_their_last_page() {
    a_group_goes_with_its_last_page::<S390Dat>();
    a_group_goes_with_its_last_page::<Ppc64Radix4K>();
    a_group_goes_with_its_last_page::<Ppc64Radix64K>();
}

/// H2, H6: a reader parked in a leaf table that is unmapped under him finds it empty, as long as he
/// stays, however often the writer allocates. Without a grace period he finds poison.
#[test]
#[cfg(debug_assertions)]
fn a_parked_reader_sees_what_the_scheme_promises() {
    let poison = S390Dat::poison(2);
    for (scheme, freed_under_him) in [(&Rcu as &'static dyn super::scheme::Scheme, false), (&Immediate, true)]
    {
        let mut bench = Bench::<S390Dat>::new(16);
        let tables = bench.tables(Layout::Frag, scheme);
        // The twin keeps the page.
        map(&mut bench, &tables, 256);
        map(&mut bench, &tables, 0);
        // The reader is on this thread too; its token is another task's.
        // SAFETY: it stands for the other task's.
        let other = unsafe { crate::sync::MaySleep::mint() };
        let reader = tables.reader(&other);
        let parked = tables.leaf(&reader, nth::<S390Dat>(0)).expect("mapped").end().table;
        tables.unmap(nth::<S390Dat>(0)..nth::<S390Dat>(1), &bench.ctx);
        let seen = parked.raw(0);
        assert_eq!(seen == poison, freed_under_him, "{}: {seen:#x}", tables.scheme());
        assert!(freed_under_him || seen == S390Dat::empty(2));
        drop(reader);
        // After the grace period it is free, and is handed out again while its twin lives (H9).
        bench.memory.turn();
        let pages = bench.memory.pages.bytes();
        map(&mut bench, &tables, 512);
        assert_eq!(bench.memory.pages.bytes(), pages);
        drop(tables);
        bench.nothing_is_left();
    }
}

/// A reader of one scheme does not walk the tables of another: they would be freed under him.
#[test]
#[should_panic(expected = "a walk of tables of the scheme rcu by")]
fn a_reader_of_another_scheme_is_refused() {
    let mut bench = Bench::<S390Dat>::new(16);
    let (rcu, ipi) = (bench.tables(Layout::Frag, &Rcu), bench.tables(Layout::Frag, &Ipi));
    let reader = ipi.reader(&bench.ctx);
    assert_eq!(ipi.root(&reader).level(), 0);
    let _ = rcu.root(&reader);
}

/// H33: `ipi` asks the CPUs that ran the address space, and no other.
#[test]
fn ipi_interrupts_the_users_only() {
    let mut bench = Bench::<S390Dat>::new(16);
    let tables = bench.tables(Layout::Frag, &Ipi);
    bench.machine.enter(2);
    {
        let pin = PreemptGuard::new();
        // SAFETY: left two lines below.
        unsafe { tables.activate(&pin) };
        PageTable::<S390Dat>::deactivate(&pin);
    }
    bench.machine.enter(0);
    map(&mut bench, &tables, 0);
    tables.unmap(nth::<S390Dat>(0)..nth::<S390Dat>(1), &bench.ctx);
    let asked = bench.memory.interrupted.lock().expect("no panic").clone();
    assert_eq!(asked, [CpuSet::one(2)]);
    drop(tables);
    bench.nothing_is_left();
}

/// H29, H30: what the simulated CPUs remember without a flush is used: they are worth testing with.
#[test]
fn the_simulated_cpus_remember() {
    let mut bench = Bench::<S390Dat>::new(16);
    let tables = bench.tables(Layout::Frag, &Rcu);
    map(&mut bench, &tables, 7);
    let pin = PreemptGuard::new();
    // SAFETY: left below.
    unsafe { tables.activate(&pin) };
    let va = nth::<S390Dat>(7);
    assert_eq!(space::user_load(va).ok(), Some(7));
    let page = tables.lookup(va, &bench.ctx).expect("mapped");
    let reader = tables.reader(&bench.ctx);
    let at = tables.leaf(&reader, va).expect("mapped").end().table.addr();
    drop(reader);
    // Behind the back of everybody.
    let slot = super::testing::word(crate::addr::PhysAddr::new(at.get() + 8 * 7));
    slot.store(paging::to_memory(S390Dat::empty(2)), core::sync::atomic::Ordering::Relaxed);
    assert_eq!(space::user_load(va).ok(), Some(7), "the TLB forgot by itself");
    slot.store(paging::to_memory(S390Dat::page(page)), core::sync::atomic::Ordering::Relaxed);
    tables.unmap(va..nth::<S390Dat>(8), &bench.ctx);
    assert!(space::user_load(va).is_err());
    PageTable::<S390Dat>::deactivate(&pin);
    drop(tables);
    bench.nothing_is_left();
}

/// H27: a walk in small steps over a sparse address space shows every page once.
#[test]
fn a_walk_in_small_steps_misses_nothing() {
    let mut bench = Bench::<Ppc64Radix4K>::new(16);
    let tables = bench.tables(Layout::Group, &Rcu);
    let numbers = [0, 1, 31, 32, 511, 512, 0x4000, 0x100_0005, 0xf_ffff_ffff];
    numbers.iter().for_each(|&number| map(&mut bench, &tables, number));
    let mut found = vec![];
    let end = VirtAddr::new(paging::space_bytes::<Ppc64Radix4K>());
    let (mut at, mut sections) = (Some(VirtAddr::new(0)), 0);
    while let Some(from) = at {
        let reader = tables.reader(&bench.ctx);
        at = tables.walk_some(&reader, from..end, 1, &mut |va: VirtAddr, _| found.push(va.get() >> 16));
        assert!(at.is_none_or(|next| next > from), "no progress");
        sections += 1;
    }
    assert_eq!(found, numbers);
    assert!(sections > 100);
    drop(tables);
    bench.nothing_is_left();
}

#[test]
fn what_cannot_be_mapped_is_refused() {
    let mut bench = Bench::<S390Dat>::new(16);
    let tables = bench.tables(Layout::Frag, &Rcu);
    let page = bench.memory.page::<S390Dat>(Access::R, 0);
    for bad in [1, 1 << 42, !0xfff] {
        assert_eq!(tables.map(VirtAddr::new(bad), page, &mut bench.ctx), Err(Errno::EINVAL));
    }
    assert_eq!(tables.map(VirtAddr::new((1 << 42) - 4096), page, &mut bench.ctx), Ok(()));
    drop(tables);
    bench.nothing_is_left();
}

/// Several threads map, protect, move and unmap in the same few tables, others walk, with real
/// grace periods; the auditor and the poison watch, and at the end nothing is left.
fn storm<F: PagingFormat>(layout: Layout) {
    let memory = super::testing::TestMemory::with_rcu(32);
    let machine = crate::arch::current::space::Machine::new(super::testing::hardware::<F>(), 4);
    machine.enter(0);
    let tables = PageTable::<F>::new(memory, layout, &Rcu, None).expect("memory");
    let stop = core::sync::atomic::AtomicBool::new(false);
    // All begin together, or on a busy host the writers are done before the first walk.
    let begin = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u64)
            .map(|writer| {
                let (tables, machine, begin) = (&tables, &machine, &begin);
                scope.spawn(move || {
                    machine.enter(1 + writer as usize);
                    begin.wait();
                    // SAFETY: the thread's only token.
                    let mut ctx = unsafe { crate::sync::MaySleep::mint() };
                    let leaf = pages_of_a_leaf::<F>();
                    let mut dice = 88_172_645_463_325_252 + writer;
                    for _ in 0..1_000 {
                        dice ^= dice << 13;
                        dice ^= dice >> 7;
                        dice ^= dice << 17;
                        let at = (dice >> 8) % 4 * leaf + (dice >> 16) % 3;
                        match dice % 4 {
                            0 | 1 => {
                                let page = memory.page::<F>(Access::RW, at);
                                if tables.map(nth::<F>(at), page, &mut ctx).is_err() {
                                    super::Memory::free_data(memory, &[page.addr]);
                                }
                            }
                            2 => tables.unmap(nth::<F>(at)..nth::<F>(at + 1 + (dice >> 24) % leaf), &ctx),
                            _ => tables.protect(nth::<F>(at)..nth::<F>(at + 2), Access::R, &ctx),
                        }
                        if dice % 16 == 0 {
                            memory.turn();
                        }
                    }
                })
            })
            .collect();
        let walker = scope.spawn(|| {
            // SAFETY: the thread's only token.
            let ctx = unsafe { crate::sync::MaySleep::mint() };
            let mut walks = 0_u64;
            begin.wait();
            loop {
                let mut last = None;
                let end = VirtAddr::new(paging::space_bytes::<F>());
                tables.walk(&ctx, VirtAddr::new(0)..end, &mut |va, page: paging::Page| {
                    assert!(last < Some(va), "not ascending");
                    assert!(page.access.read && page.addr.is_aligned(4096), "garbage: {page:?}");
                    last = Some(va);
                });
                walks += 1;
                if stop.load(core::sync::atomic::Ordering::Relaxed) {
                    break;
                }
            }
            walks
        });
        writers.into_iter().for_each(|writer| writer.join().expect("no panic"));
        stop.store(true, core::sync::atomic::Ordering::Relaxed);
        assert!(walker.join().expect("no panic") > 0);
    });
    drop(tables);
    // SAFETY: this thread's only token.
    let mut ctx = unsafe { crate::sync::MaySleep::mint() };
    crate::rcu::barrier(&mut ctx);
    crate::rcu::barrier(&mut ctx);
    memory.turn();
    assert_eq!((memory.used(), memory.pages.bytes(), memory.frames.misuses()), (0, 0, 0));
}

#[test]
fn storms() {
    storm::<S390Dat>(Layout::Frag);
    storm::<S390Dat>(Layout::Group);
    storm::<Ppc64Radix4K>(Layout::Group);
    storm::<Ppc64Radix64K>(Layout::Frag);
}
