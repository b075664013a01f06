//! Ways to free a page table that somebody may still read: what the writer does with it, what a
//! reader does around a walk.
//!
//! | `pgtable.free=` | reader | writer | who did this |
//! |---|---|---|---|
//! | [`immediate`] | nothing | frees at once after the flush | kernels without lock-free walkers |
//! | `ipi` | interrupts off | interrupts the CPUs that ran the address space | Linux' fast GUP on x86 |
//! | `rcu` | read section | hands over to a grace period, waits for nothing | the default |
//!
//! Only the last one is right for a reader who is not in the address space. The others are here to
//! be tried side by side: a further way is one file, and a line in `ALL`.

pub mod immediate;
#[cfg(not(loom))]
pub mod ipi;
#[cfg(not(loom))]
pub mod rcu;

use super::Memory;
use super::detach::DetachedTable;
use crate::addr::PhysAddr;
use crate::cpus::CpuSet;
use crate::sync::{IrqGuard, MaySleep};
use arrayvec::ArrayVec;
use core::marker::PhantomData;

/// A way to free page tables.
pub trait Scheme: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What a reader holds during a walk.
    fn enter<'ctx>(&self, ctx: &'ctx MaySleep) -> Section<'ctx>;
    /// What a writer does with tables and pages through which no CPU translates any more. `users`
    /// are the CPUs that ever had the address space. No lock is held. It does not allocate, sleep or
    /// panic.
    fn dispose(&self, memory: &'static dyn Memory, users: CpuSet, flushed: FlushedTables<'_>);
}

/// All schemes.
#[cfg(not(loom))]
pub const ALL: [&dyn Scheme; 3] = [&immediate::Immediate, &ipi::Ipi, &rcu::Rcu];

/// The scheme of that name.
#[cfg(not(loom))]
pub fn named(name: &str) -> Option<&'static dyn Scheme> {
    ALL.into_iter().find(|scheme| scheme.name() == name)
}

/// What a reader holds during a walk.
#[derive(Debug)]
pub enum Section<'ctx> {
    /// Nothing: whoever frees does not care.
    Nothing(PhantomData<&'ctx ()>),
    /// Interrupts are off on this CPU.
    Irqs(IrqGuard),
    /// A read section.
    #[cfg(not(loom))]
    Rcu(crate::rcu::RcuReadGuard<'ctx>),
    /// The lock of a CPU of the model.
    #[cfg(loom)]
    Model(loom::sync::MutexGuard<'static, ()>),
}

/// A reader of page tables. What it finds stays a table while it lives.
///
/// It is of one scheme, and [`PageTable::root`](super::PageTable::root) refuses that of another: a
/// reader with interrupts off would not keep a table that is freed after a grace period. A check
/// and not a type, since the scheme is chosen at boot. Tables of one scheme may share a reader.
///
/// It borrows the context, so sleeping meanwhile does not compile:
/// ```compile_fail,E0502
/// use fallow::{mm::pgtable::PageTable, arch::s390x_format::S390Dat, sync::{MaySleep, hooks}};
/// fn sleepy(tables: &PageTable<S390Dat>, ctx: &mut MaySleep) {
///     let reader = tables.reader(ctx);
///     hooks::block(ctx, "example", None);
///     drop(reader);
/// }
/// ```
/// Nor does taking it to another CPU:
/// ```compile_fail,E0277
/// use fallow::{mm::pgtable::PageTable, arch::s390x_format::S390Dat, sync::MaySleep};
/// fn needs_send<T: Send>(_: T) {}
/// fn moved(tables: &PageTable<S390Dat>, ctx: &MaySleep) {
///     needs_send(tables.reader(ctx));
/// }
/// ```
#[derive(Debug)]
#[must_use = "the walk is over when the reader is dropped"]
pub struct Reader<'ctx> {
    _section: Section<'ctx>,
    /// Whose it is; `None`: the one who has the address space to himself.
    scheme: Option<&'static str>,
    _not_send: PhantomData<*mut ()>,
}

impl<'ctx> Reader<'ctx> {
    /// Begins a walk as the scheme wants it.
    pub(super) fn new(scheme: &dyn Scheme, ctx: &'ctx MaySleep) -> Self {
        Self { _section: scheme.enter(ctx), scheme: Some(scheme.name()), _not_send: PhantomData }
    }

    /// For whoever has the address space to himself, at its end: no table goes that he did not free.
    pub(super) fn exclusive() -> Self {
        Self { _section: Section::Nothing(PhantomData), scheme: None, _not_send: PhantomData }
    }

    /// Whether it keeps the tables of that scheme.
    pub(super) fn is_of(&self, scheme: &dyn Scheme) -> bool {
        self.scheme.is_none_or(|own| same(own, scheme.name()))
    }
}

/// Whether the names are equal; that of one scheme lies at one address, as a rule.
fn same(a: &str, b: &str) -> bool {
    core::ptr::eq(a, b) || a == b
}

/// The most tables of one batch.
pub const BATCH_TABLES: usize = 16;
/// The most pages of one batch.
pub const BATCH_PAGES: usize = 32;

/// Tables and pages that no CPU translates through any more; walkers may still read the tables.
///
/// They come from the gather only, after the flush; it lends its lists, which are empty afterwards:
/// ```compile_fail,E0451
/// use fallow::mm::pgtable::scheme::FlushedTables;
/// let flushed = FlushedTables { tables: todo!(), pages: todo!() };
/// ```
/// A table that was not flushed is not one of them:
/// ```compile_fail,E0308
/// use fallow::{mm::pgtable::{Memory, detach::DetachedTable, scheme::Scheme}, cpus::CpuSet};
/// fn unflushed(scheme: &dyn Scheme, memory: &'static dyn Memory, table: DetachedTable) {
///     scheme.dispose(memory, CpuSet::NONE, table);
/// }
/// ```
/// And they are given to a scheme once:
/// ```compile_fail,E0382
/// use fallow::{mm::pgtable::{Memory, scheme::{FlushedTables, Scheme}}, cpus::CpuSet};
/// fn twice(scheme: &dyn Scheme, memory: &'static dyn Memory, flushed: FlushedTables<'_>) {
///     scheme.dispose(memory, CpuSet::NONE, flushed);
///     scheme.dispose(memory, CpuSet::NONE, flushed);
/// }
/// ```
#[derive(Debug)]
#[must_use = "flushed tables are given to the scheme"]
pub struct FlushedTables<'gather> {
    pub(in crate::mm) tables: &'gather mut ArrayVec<DetachedTable, BATCH_TABLES>,
    pub(in crate::mm) pages: &'gather mut ArrayVec<PhysAddr, BATCH_PAGES>,
}

impl FlushedTables<'_> {
    /// Frees all after a grace period, without waiting for it.
    pub fn free_after_grace_period(self, memory: &'static dyn Memory) {
        memory.free_data_later(self.pages);
        self.pages.clear();
        for table in self.tables.drain(..).map(DetachedTable::flushed) {
            table.retire();
        }
    }

    /// Frees all at once. Right only if no reader can be left.
    pub fn free_at_once(self, memory: &'static dyn Memory) {
        memory.free_data(self.pages);
        self.pages.clear();
        for table in self.tables.drain(..).map(DetachedTable::flushed) {
            table.release();
        }
    }
}
