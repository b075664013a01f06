//! `/sys`: the CPUs, how page tables are freed, what became of them, what memory is in use, and the ring of
//! events.

mod memory;
mod pgtable;
mod tracing;

use super::attr::Kind;
use super::inode::Inode;
use super::mount::{self, FileSystem, FileSystemType, Usage};
use super::pseudo::node::entry;
use super::pseudo::{Entry, Node, StaticInode, Text, Up};
use crate::arch::{MAX_CPUS, try_arc};
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::proc::sched;
use crate::sync::{MaySleep, Once};
use alloc::sync::Arc;

/// `SYSFS_MAGIC`
const MAGIC: u32 = linux_raw_sys::general::SYSFS_MAGIC;

static TREE: Node = Node::Directory(&[
    entry(
        "devices",
        Node::Directory(&[entry("system", Node::Directory(&[entry("cpu", Node::Directory(&CPU))]))]),
    ),
    entry(
        "kernel",
        Node::Directory(&[
            entry("mm", Node::Directory(&[entry("pgtable", Node::Directory(&pgtable::CHOICE))])),
            entry("debug", Node::Directory(&DEBUG)),
            entry("tracing", Node::Directory(&tracing::FILES)),
        ]),
    ),
]);

static DEBUG: [Entry; 2] =
    [entry("memory", Node::File(memory::in_use)), entry("pgtable", Node::Directory(&pgtable::DEBUG))];

static CPU: [Entry; 4] = [
    entry("online", Node::File(|_, to| line(to, sched::online_cpus()))),
    entry("possible", Node::File(|_, to| line(to, CpuSet::ALL))),
    entry("present", Node::File(|_, to| line(to, sched::online_cpus()))),
    entry("kernel_max", Node::File(|_, to| line(to, MAX_CPUS - 1))),
];

fn line(to: &mut Text, value: impl core::fmt::Display) -> Result<(), Errno> {
    to.print(format_args!("{value}\n"));
    Ok(())
}

/// The one `/sys` there is.
struct SysFs(Arc<dyn Inode>);

/// Makes it known to `mount`.
struct SysType;

static ROOT: Once<Arc<StaticInode>> = Once::new();

fn root() -> Result<Arc<dyn Inode>, Errno> {
    if let Some(root) = ROOT.get() {
        return Ok(root.clone());
    }
    let root = try_arc(StaticInode::new(1, Up::Root(root), &TREE))?;
    Ok(ROOT.call_once(|| root).clone())
}

/// Makes the kind of file system known. Once, at boot.
pub fn register() -> Result<(), Errno> {
    mount::register(&SysType)
}

impl FileSystemType for SysType {
    fn name(&self) -> &'static str {
        "sysfs"
    }
    fn mount(
        &self,
        _ctx: &mut MaySleep,
        _source: &[u8],
        _options: &[u8],
    ) -> Result<Arc<dyn FileSystem>, Errno> {
        Ok(try_arc(SysFs(root()?))?)
    }
}

impl FileSystem for SysFs {
    fn name(&self) -> &'static str {
        "sysfs"
    }
    fn root(&self) -> Arc<dyn Inode> {
        self.0.clone()
    }
    fn usage(&self, _ctx: &mut MaySleep) -> Usage {
        Usage { magic: MAGIC, block_size: crate::arch::PAGE_SIZE as u32, ..Usage::default() }
    }
}

const _: () = assert!(matches!(TREE.kind(), Kind::Directory));
