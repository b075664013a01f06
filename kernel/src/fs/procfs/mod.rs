//! `/proc`: processes as directories, and the system's numbers as files.
//!
//! * [`format`](mod@format): what each file looks like, as pure functions.
//! * `system`: files about the whole system. `task`: the directory of a process or thread; `text` what
//!   its files say; `fds` its descriptors; `maps` and `pagemap` its mappings; `page_tables` what
//!   the hardware reads.
//!
//! Nothing is kept: an inode is made when its name is looked up. The inode of a process holds it, but
//! not its memory; when the process has been waited for, its files answer ESRCH.

mod fds;
pub mod format;
mod maps;
mod page_tables;
mod pagemap;
mod system;
mod task;
mod text;

use super::attr::{Attr, Kind};
use super::file::{self, FileOps, OpenFlags};
use super::inode::{Entry, FIRST_ENTRY, Inode};
use super::mount::{self, FileSystem, FileSystemType, Usage};
use super::pseudo::node;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::proc::process::{self, Process};
use crate::sync::{MaySleep, Once};
use alloc::sync::Arc;
use core::any::Any;
use task::{TaskDirectory, Whose};

/// `PROC_SUPER_MAGIC`
const MAGIC: u32 = linux_raw_sys::general::PROC_SUPER_MAGIC;
/// The root's inode number.
const ROOT: u64 = 1;
/// Positions of processes in the root's listing begin here.
const FIRST_PROCESS: u64 = 256;

/// The root directory.
struct Root;

/// The one `/proc` there is, however often it is mounted.
struct ProcFs;

/// Makes it known to `mount`.
struct ProcType;

static THE_ROOT: Once<Arc<Root>> = Once::new();

fn root() -> Result<Arc<dyn Inode>, Errno> {
    if let Some(root) = THE_ROOT.get() {
        return Ok(root.clone());
    }
    let root = try_arc(Root)?;
    Ok(THE_ROOT.call_once(|| root).clone())
}

/// Makes the kind of file system known. Once, at boot.
pub fn register() -> Result<(), Errno> {
    mount::register(&ProcType)
}

impl FileSystemType for ProcType {
    fn name(&self) -> &'static str {
        "proc"
    }
    fn mount(
        &self,
        _ctx: &mut MaySleep,
        _source: &[u8],
        _options: &[u8],
    ) -> Result<Arc<dyn FileSystem>, Errno> {
        root()?;
        Ok(try_arc(ProcFs)?)
    }
}

impl FileSystem for ProcFs {
    fn name(&self) -> &'static str {
        "proc"
    }
    fn root(&self) -> Arc<dyn Inode> {
        // It was made before this file system was.
        THE_ROOT.call_once(|| Arc::new(Root)).clone()
    }
    fn usage(&self, _ctx: &mut MaySleep) -> Usage {
        Usage { magic: MAGIC, block_size: crate::arch::PAGE_SIZE as u32, ..Usage::default() }
    }
}

/// A number as a name: decimal, without a sign or zeros in front.
fn number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// A number as a name.
fn name_of(number: u32) -> arrayvec::ArrayString<10> {
    let mut name = arrayvec::ArrayString::new();
    // Ten digits fit.
    let _ = core::fmt::Write::write_fmt(&mut name, format_args!("{number}"));
    name
}

impl Inode for Root {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        ROOT
    }
    fn kind(&self) -> Kind {
        Kind::Directory
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        Ok(Attr::plain(ROOT, Kind::Directory, 0o555))
    }
    fn lookup(&self, _ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        if let Some(pid) = number(name) {
            // A thread's number is not listed, but found, as in Linux.
            let task = process::find_task(pid).ok_or(Errno::ENOENT)?;
            return Ok(try_arc(TaskDirectory::new(Whose { task, whole: true }))?);
        }
        node::lookup(&system::FILES, ROOT, root, name)
    }
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        root()
    }
    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        if from < FIRST_PROCESS && !node::visit(ctx, &system::FILES, ROOT, from, visit) {
            return Ok(());
        }
        let mut last = from.saturating_sub(FIRST_PROCESS) as u32;
        while let Some(process) = process::next_after(last) {
            last = process.pid();
            if !visit(ctx, &entry_of(&process, name_of(last).as_bytes())) {
                break;
            }
        }
        Ok(())
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        file::directory()
    }
}

fn entry_of<'a>(process: &Process, name: &'a [u8]) -> Entry<'a> {
    let pid = process.pid();
    Entry {
        name,
        ino: task::directory_number(pid, true),
        kind: Kind::Directory,
        // The position is the number before: reading goes on with the next one.
        next: FIRST_PROCESS + u64::from(pid),
    }
}

const _: () = assert!(system::FILES.len() as u64 + FIRST_ENTRY < FIRST_PROCESS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_names() {
        assert_eq!(number(b"17"), Some(17));
        assert_eq!(name_of(4_294_967_295).as_str(), "4294967295");
        for bad in [b"".as_slice(), b"0", b"017", b"+1", b"1a", b"4294967296", b"\xff"] {
            assert_eq!(number(bad), None);
        }
    }
}
