//! A reader that is parked by name, and what the ring of events says of his table afterwards.

use crate::addr::VirtAddr;
use crate::arch::current::{FragFormat, timer};
use crate::arch::paging::{Access, Page, PagingFormat};
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Suite, Test, failed};
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::mm::pgtable::inject::{self, Parked};
use crate::mm::pgtable::scheme::{self, Scheme};
use crate::mm::pgtable::{Layout, PageTable, kernel};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::sync::MaySleep;
use crate::sync::context::current;
use crate::trace::{self, Group, Groups};
use crate::{check, check_eq, rcu};
use alloc::format;
use alloc::sync::Arc;

/// The suite.
pub const SUITE: Suite = Suite {
    name: "inject",
    tests: &[
        Test::new("immediate_is_a_use_after_free", |case| verdict(case, &scheme::immediate::Immediate, true))
            .min_cpus(2),
        Test::new("ipi_is_a_use_after_free_elsewhere", |case| verdict(case, &scheme::ipi::Ipi, true))
            .min_cpus(2),
        Test::new("rcu_is_safe", |case| verdict(case, &scheme::rcu::Rcu, false)).min_cpus(2),
        Test::new("nobody_lets_go", nobody_lets_go),
    ],
};

const READER: u32 = 4711;

fn tables(
    scheme: &'static dyn Scheme,
    ctx: &mut MaySleep,
) -> Result<PageTable<FragFormat>, crate::ktest::Stop> {
    let tables = PageTable::new(kernel::memory(), Layout::Frag, scheme, None)
        .map_err(|error| failed(format_args!("no address space: {error:?}")))?;
    let frame = mm::frames()
        .alloc(Request::of(Kind::User), None)
        .map_err(|error| failed(format_args!("no frame: {error:?}")))?;
    let page = Page { addr: mm::shared_frames().share(frame).start(), access: Access::R, soft: 0 };
    tables.map(VirtAddr::new(0), page, ctx).map_err(|error| failed(format_args!("map: {error:?}")))?;
    Ok(tables)
}

const PAGE: VirtAddr = VirtAddr::new(1 << FragFormat::PAGE_SHIFT);

/// A reader who walks the page, as task `READER`. Gives how many pages he saw.
fn walk(tables: &PageTable<FragFormat>, ctx: &MaySleep) -> usize {
    current().set_id(READER);
    let mut pages = 0;
    tables.walk(ctx, VirtAddr::new(0)..PAGE, &mut |_: VirtAddr, _: Page| pages += 1);
    pages
}

/// The reader is parked on CPU 1, this CPU unmaps, the reader goes on.
fn verdict(case: &mut Case<'_>, scheme: &'static dyn Scheme, freed: bool) -> Outcome {
    let before = trace::groups();
    trace::set_groups(Groups::NONE.with(Group::PgTable));
    let outcome = parked_while_unmapped(case.ctx, scheme).and_then(|(parked, pages)| {
        check_eq!(parked.freed().is_some(), freed, "{parked}");
        check_eq!(pages, 0, "{parked}");
        let text = format!("{parked}");
        let word = if freed { "verdict: use after free: " } else { "verdict: safe: " };
        check!(text.contains(word), "{parked}");
        check!(text.contains("reader: walker-4711 on CPU 1, "), "{parked}");
        // It was handed out, linked and unlinked, at least.
        check!(parked.history().count() >= 3, "{parked}");
        Ok(())
    });
    trace::set_groups(before);
    outcome
}

fn parked_while_unmapped(
    ctx: &mut MaySleep,
    scheme: &'static dyn Scheme,
) -> Result<(Parked, usize), crate::ktest::Stop> {
    let tables = Arc::new(tables(scheme, ctx)?);
    let seen = Arc::new(core::sync::atomic::AtomicUsize::new(usize::MAX));
    inject::park(READER, VirtAddr::new(0), 2_000_000_000);
    let reader = {
        let (tables, seen) = (tables.clone(), seen.clone());
        let body = move |ctx: &mut MaySleep| {
            seen.store(walk(&tables, ctx), core::sync::atomic::Ordering::Relaxed);
        };
        Spawn::new("walker")
            .on(CpuSet::one(1))
            .spawn(body)
            .map_err(|error| failed(format_args!("no thread: {error:?}")))?
    };
    while inject::parked().is_none() {
        sched::yield_now(ctx);
    }
    tables.unmap(VirtAddr::new(0)..PAGE, ctx);
    inject::let_go();
    reader.join(ctx);
    drop(tables);
    rcu::barrier(ctx);
    rcu::barrier(ctx);
    let parked = inject::parked().ok_or_else(|| failed(format_args!("nobody was parked")))?;
    Ok((parked, seen.load(core::sync::atomic::Ordering::Relaxed)))
}

/// The time that was asked for ends it; other tasks are not stopped.
fn nobody_lets_go(case: &mut Case<'_>) -> Outcome {
    let tables = tables(&scheme::rcu::Rcu, case.ctx)?;
    let id = current().id();
    inject::park(READER + 1, VirtAddr::new(0), u64::MAX);
    check_eq!(walk(&tables, case.ctx), 1);
    check!(inject::parked().is_none(), "another task was parked");
    inject::park(READER, PAGE, 5_000_000);
    check_eq!(walk(&tables, case.ctx), 1);
    check!(inject::parked().is_none(), "parked before the address");
    inject::park(READER, VirtAddr::new(0), 5_000_000);
    let start = timer::now();
    check_eq!(walk(&tables, case.ctx), 1, "the table is still there");
    check!(timer::now() - start >= 5_000_000);
    check!(inject::parked().is_some_and(|parked| parked.until.is_some()));
    current().set_id(id);
    Ok(())
}
