//! Figures: what tables cost, in each layout. Each test prints a line and checks its bound.
#![expect(clippy::expect_used, reason = "tests stop where the test is wrong")]

use super::scheme::rcu::Rcu;
use super::testing::{Bench, TestMemory, nth};
use super::{Layout, PageTable};
use crate::arch::paging::{self, Access, PagingFormat};
use crate::arch::ppc64_format::{Ppc64Radix4K, Ppc64Radix64K};
use crate::arch::s390x_format::S390Dat;
use core::sync::atomic::Ordering;

/// Memory for 1024 leaf tables, one page mapped in each, `apart` bytes from each other. The minimum
/// is what the entries need: each table that is touched at its own size, upper levels included.
fn spread<F: PagingFormat>(memory: &'static TestMemory, layout: Layout, apart: u64) -> (usize, usize) {
    let mut bench = Bench::<F>::on(memory);
    let tables = bench.tables(layout, &Rcu);
    // One frame serves all: the figures are about tables.
    let page = bench.memory.page::<F>(Access::R, 0);
    for k in 0..1024 {
        tables.map(nth::<F>((k * apart) >> F::PAGE_SHIFT), page, &mut bench.ctx).expect("memory");
    }
    let minimum = (0..F::LEVELS.len())
        .map(|level| {
            let covered = F::LEVELS[level].table_span();
            let mut seen: Vec<u64> = (0..1024).map(|k| k * apart / covered).collect();
            seen.dedup();
            seen.len() * F::LEVELS[level].bytes()
        })
        .sum();
    let used = bench.memory.pages.bytes();
    drop(tables);
    memory.turn();
    memory.turn();
    assert_eq!(memory.pages.bytes(), 0);
    (used, minimum)
}

#[test]
fn memory_for_1024_tables() {
    println!("KB for 1024 tables (minimum)      1 MB apart      2 MB apart     32 MB apart");
    let memory = TestMemory::new(160);
    memory.keep_pages.store(true, Ordering::Relaxed);
    for layout in Layout::ALL {
        line::<S390Dat>(memory, layout);
        line::<Ppc64Radix4K>(memory, layout);
        line::<Ppc64Radix64K>(memory, layout);
    }
}

fn line<F: PagingFormat>(memory: &'static TestMemory, layout: Layout) {
    let cells: Vec<_> = [1 << 20, 2 << 20, 32 << 20]
        .map(|apart| {
            let (used, minimum) = spread::<F>(memory, layout, apart);
            assert!(used >= minimum);
            format!("{:7} ({:5})", used >> 10, minimum >> 10)
        })
        .into();
    println!("{:24} {:5} {}", F::NAME, layout.name(), cells.join(" "));
}

/// H8, H9: pairs of tables in a page; one of each pair lives, the other comes and goes. A grace
/// period now and then. Memory stays what the living need, and a little.
fn churn<F: PagingFormat>(layout: Layout, tables_made: u64, every: u64) -> (usize, usize) {
    let mut bench = Bench::<F>::new(64);
    let tables = bench.tables(layout, &Rcu);
    let leaf = F::LEVELS[paging::last::<F>()].table_span() >> F::PAGE_SHIFT;
    // The living: eight tables, each with room beside it.
    for k in 0..8 {
        let page = bench.memory.page::<F>(Access::R, k);
        tables.map(nth::<F>(2 * k * leaf), page, &mut bench.ctx).expect("memory");
    }
    let living = bench.memory.pages.bytes();
    let mut most = living;
    for made in 0..tables_made {
        let number = (2 * (made % 8) + 1) * leaf;
        let page = bench.memory.page::<F>(Access::R, made);
        tables.map(nth::<F>(number), page, &mut bench.ctx).expect("memory");
        tables.unmap(nth::<F>(number)..nth::<F>(number + 1), &bench.ctx);
        if made % every == 0 {
            bench.memory.turn();
        }
        most = most.max(bench.memory.pages.bytes());
    }
    drop(tables);
    bench.nothing_is_left();
    (living, most)
}

fn churned<F: PagingFormat>(layout: Layout, tables_made: u64) {
    let every = 8;
    let (living, most) = churn::<F>(layout, tables_made, every);
    println!(
        "{} {}: {tables_made} tables made, {} KB for the living, {} KB at most",
        F::NAME,
        layout.name(),
        living >> 10,
        most >> 10
    );
    let packing = super::layout::Packing::of::<F>(layout, paging::last::<F>());
    // Two grace periods' worth of tables that wait, and the page in hand.
    let waiting = (2 * every as usize).div_ceil(usize::from(packing.fragments)) + 1;
    assert!(most <= living + waiting * packing.page_bytes, "memory grows");
}

#[test]
fn churn_beside_living_neighbours() {
    churned::<S390Dat>(Layout::Frag, 20_000);
    churned::<Ppc64Radix4K>(Layout::Frag, 2_000);
    churned::<Ppc64Radix64K>(Layout::Frag, 2_000);
}

#[test]
#[ignore = "a minute; `run-qemu.sh test --long` runs it"]
fn churn_of_a_million_tables() {
    churned::<S390Dat>(Layout::Frag, 1_000_000);
    churned::<Ppc64Radix64K>(Layout::Frag, 1_000_000);
}

#[test]
fn bytes_of_a_descriptor() {
    // Without the auditor's notes, which a release build does not have.
    let notes = size_of::<super::audit::Audit<1>>();
    let small = size_of::<super::frag::PtPage<1>>() - notes;
    let large = size_of::<super::frag::PtPage<4>>() - size_of::<super::audit::Audit<4>>();
    println!("descriptor of a page-table page: {small} B for up to 64 tables, {large} B for up to 256");
    assert!(small <= 168 && large <= 216);
    assert!(size_of::<PageTable<S390Dat>>() <= 256);
}
