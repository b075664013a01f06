//! The directory of a process or a thread: what is in it, and who may look.

use super::{fds, maps, name_of, number, page_tables, pagemap, text};
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::Access;
use crate::fs::attr::{Attr, Kind};
use crate::fs::file::{self, FileOps, OpenFlags};
use crate::fs::inode::{Entry, FIRST_ENTRY, Inode, Target};
use crate::fs::pseudo::{OpenSequence, Sequence, Text};
use crate::proc::process::{self, Task, try_current};
use crate::sync::MaySleep;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

/// Whose directory: a process', by its first task, or one thread's.
#[derive(Clone)]
pub(super) struct Whose {
    pub task: Arc<Task>,
    /// The process: `/proc/PID`, not `/proc/PID/task/TID`.
    pub whole: bool,
}

/// Makes a file's text.
type Show = fn(&mut MaySleep, &Whose, &mut Text) -> Result<(), Errno>;
/// Takes what was written.
type Store = fn(&mut MaySleep, &Whose, &[u8]) -> Result<(), Errno>;

/// What has a name in such a directory.
enum What {
    File(Show),
    /// For its owner alone.
    Private(Show),
    Setting(Show, Store),
    /// A text that is made in pieces.
    Pieces(fn(&Whose) -> Result<Arc<dyn FileOps>, Errno>),
    /// The same, with that mode.
    Link(
        fn(&mut MaySleep, &Whose) -> Result<Target, Errno>,
        fn(&mut MaySleep, &Whose) -> Result<Vec<u8>, Errno>,
    ),
    Descriptors,
    DescriptorInfos,
    /// The threads; in a process' directory only.
    Threads,
}

static FILES: [(&str, What); 28] = [
    ("task", What::Threads),
    ("fd", What::Descriptors),
    ("fdinfo", What::DescriptorInfos),
    ("stat", What::File(text::stat)),
    ("status", What::File(text::status)),
    ("statm", What::File(text::statm)),
    ("comm", What::Setting(text::comm, text::set_comm)),
    ("cmdline", What::File(text::cmdline)),
    ("environ", What::Private(text::environ)),
    ("maps", What::Pieces(maps::open_maps)),
    ("smaps", What::Pieces(maps::open_smaps)),
    ("smaps_rollup", What::Pieces(maps::open_rollup)),
    ("pagemap", What::Pieces(pagemap::open)),
    ("page_tables", What::Pieces(page_tables::open)),
    ("limits", What::File(text::limits)),
    ("mounts", What::File(text::mounts)),
    ("mountinfo", What::File(text::mountinfo)),
    ("exe", What::Link(text::exe, text::exe_path)),
    ("cwd", What::Link(text::cwd, text::cwd_path)),
    ("root", What::Link(text::root, text::root_path)),
    ("oom_score", What::File(text::oom_score)),
    ("oom_score_adj", What::Setting(text::oom_score_adj, text::set_oom_score_adj)),
    ("oom_adj", What::File(text::oom_adj)),
    ("wchan", What::File(text::wchan)),
    ("cgroup", What::File(text::cgroup)),
    ("loginuid", What::File(text::no_user)),
    ("sessionid", What::File(text::no_user)),
    ("personality", What::Private(text::personality)),
];

/// Numbers of inodes: of a directory, then of its files.
const TASKS: u64 = 1 << 40;
const FILES_OF_ONE: u64 = 64;

/// The number of a process' or thread's directory.
pub(super) fn directory_number(tid: u32, whole: bool) -> u64 {
    TASKS + (u64::from(tid) * 2 + u64::from(whole)) * FILES_OF_ONE
}

impl Whose {
    /// ESRCH once it has ended and was waited for.
    pub fn alive(&self) -> Result<(), Errno> {
        let is_same = |found: Arc<Task>| Arc::ptr_eq(&found, &self.task);
        if process::find_task(self.task.tid()).is_some_and(is_same) { Ok(()) } else { Err(Errno::ESRCH) }
    }
    /// EACCES unless the running process may look into it: root's and its own user's may.
    pub fn may_look(&self) -> Result<(), Errno> {
        let Some(current) = try_current() else { return Ok(()) };
        let (mine, its) = (current.creds(), self.task.creds());
        let is_own = [its.uid, its.euid, its.suid].iter().all(|&uid| uid == mine.fsuid);
        if mine.is_root() || is_own { Ok(()) } else { Err(Errno::EACCES) }
    }
    pub fn number(&self) -> u64 {
        directory_number(self.task.tid(), self.whole)
    }
    pub fn attr(&self, ino: u64, kind: Kind, mode: u32) -> Attr {
        let creds = self.task.creds();
        Attr { uid: creds.euid, gid: creds.egid, ..Attr::plain(ino, kind, mode) }
    }
}

/// The directory.
pub(super) struct TaskDirectory(Whose);

impl TaskDirectory {
    pub fn new(whose: Whose) -> Self {
        Self(whose)
    }
    fn files(&self) -> &'static [(&'static str, What)] {
        // The first is the threads'.
        if self.0.whole { &FILES } else { &FILES[1..] }
    }
}

impl Inode for TaskDirectory {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.0.number()
    }
    fn kind(&self) -> Kind {
        Kind::Directory
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        self.0.alive()?;
        let threads = if self.0.whole { 1 } else { 0 };
        Ok(Attr { nlink: 4 + threads, ..self.0.attr(self.ino(), Kind::Directory, 0o555) })
    }
    fn lookup(&self, _ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        self.0.alive().map_err(|_| Errno::ENOENT)?;
        let found = self.files().iter().find(|(known, _)| known.as_bytes() == name);
        let (_, what) = found.ok_or(Errno::ENOENT)?;
        let whose = self.0.clone();
        match what {
            What::Threads => Ok(try_arc(Threads(whose))?),
            What::Descriptors => Ok(try_arc(fds::Descriptors { whose, info: false })?),
            What::DescriptorInfos => Ok(try_arc(fds::Descriptors { whose, info: true })?),
            what => Ok(try_arc(TaskFile { ino: file_number(&whose, what), whose, what })?),
        }
    }
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        if self.0.whole {
            return super::root();
        }
        let task = self.0.task.process().leader().ok_or(Errno::ESRCH)?;
        Ok(try_arc(Threads(Whose { task, whole: true }))?)
    }
    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        if self.0.alive().is_err() {
            return Ok(());
        }
        let first = usize::try_from(from - FIRST_ENTRY).unwrap_or(usize::MAX);
        for (index, (name, what)) in self.files().iter().enumerate().skip(first) {
            let kind = match what {
                What::Threads | What::Descriptors | What::DescriptorInfos => Kind::Directory,
                What::Link(..) => Kind::Link,
                _ => Kind::File,
            };
            let next = FIRST_ENTRY + index as u64 + 1;
            let ino = file_number(&self.0, what);
            if !visit(ctx, &Entry { name: name.as_bytes(), ino, kind, next }) {
                break;
            }
        }
        Ok(())
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        file::directory()
    }
}

/// The number of the file that the table has in that place.
fn file_number(whose: &Whose, what: &'static What) -> u64 {
    let index = FILES.iter().position(|(_, known)| core::ptr::eq(known, what)).unwrap_or(0);
    whose.number() + index as u64 + 1
}

/// The number of the directories of descriptors.
pub(super) fn descriptors_number(whose: &Whose, info: bool) -> u64 {
    whose.number() + if info { 3 } else { 2 }
}

const _: () = assert!((FILES.len() as u64) < FILES_OF_ONE - 1);

/// A file of it.
struct TaskFile {
    ino: u64,
    whose: Whose,
    what: &'static What,
}

/// Its text, when it is read.
struct Made {
    whose: Whose,
    show: Show,
    store: Option<Store>,
}

impl Sequence for Made {
    fn rewind(&mut self) {}
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        self.whose.alive()?;
        (self.show)(ctx, &self.whose, to).map(|()| false)
    }
    fn store(&mut self, ctx: &mut MaySleep, bytes: &[u8]) -> Result<(), Errno> {
        self.whose.alive()?;
        self.store.ok_or(Errno::EINVAL)?(ctx, &self.whose, bytes)
    }
}

impl Inode for TaskFile {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.ino
    }
    fn kind(&self) -> Kind {
        if matches!(self.what, What::Link(..)) { Kind::Link } else { Kind::File }
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        let mode = match self.what {
            What::Link(..) => 0o777,
            What::Private(_) => 0o400,
            What::Setting(..) => 0o644,
            _ => 0o444,
        };
        Ok(self.whose.attr(self.ino, self.kind(), mode))
    }
    /// `open` with O_TRUNC on a setting.
    fn truncate(&self, _ctx: &mut MaySleep, _size: u64) -> Result<(), Errno> {
        Ok(())
    }
    fn readlink(&self, ctx: &mut MaySleep) -> Result<Vec<u8>, Errno> {
        let What::Link(_, path) = self.what else { return Err(Errno::EINVAL) };
        self.whose.alive().map_err(|_| Errno::ENOENT)?;
        self.whose.may_look()?;
        path(ctx, &self.whose)
    }
    fn follow(&self, ctx: &mut MaySleep, _who: &Access<'_>) -> Result<Target, Errno> {
        let What::Link(target, _) = self.what else { return Err(Errno::EINVAL) };
        self.whose.alive().map_err(|_| Errno::ENOENT)?;
        self.whose.may_look()?;
        target(ctx, &self.whose)
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        self.whose.alive()?;
        let (show, store) = match self.what {
            What::File(show) => (*show, None),
            What::Private(show) => {
                self.whose.may_look()?;
                (*show, None)
            }
            What::Setting(show, store) => (*show, Some(*store)),
            What::Pieces(open) => {
                self.whose.may_look()?;
                return open(&self.whose);
            }
            _ => return Err(Errno::ELOOP),
        };
        OpenSequence::open(Made { whose: self.whose.clone(), show, store })
    }
}

/// `task`: the threads of a process.
struct Threads(Whose);

impl Inode for Threads {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn ino(&self) -> u64 {
        self.0.number() + 1
    }
    fn kind(&self) -> Kind {
        Kind::Directory
    }
    fn attr(&self, _ctx: &mut MaySleep) -> Result<Attr, Errno> {
        let threads = self.0.task.process().thread_count();
        Ok(Attr { nlink: 2 + threads, ..self.0.attr(self.ino(), Kind::Directory, 0o555) })
    }
    fn lookup(&self, _ctx: &mut MaySleep, name: &[u8]) -> Result<Arc<dyn Inode>, Errno> {
        let tid = number(name).ok_or(Errno::ENOENT)?;
        let task = process::find_task(tid).ok_or(Errno::ENOENT)?;
        if !Arc::ptr_eq(task.process(), self.0.task.process()) {
            return Err(Errno::ENOENT);
        }
        Ok(try_arc(TaskDirectory(Whose { task, whole: false }))?)
    }
    fn parent(&self, _ctx: &mut MaySleep) -> Result<Arc<dyn Inode>, Errno> {
        Ok(try_arc(TaskDirectory(self.0.clone()))?)
    }
    fn readdir(
        &self,
        ctx: &mut MaySleep,
        from: u64,
        visit: &mut dyn FnMut(&mut MaySleep, &Entry<'_>) -> bool,
    ) -> Result<(), Errno> {
        let mut last = (from - FIRST_ENTRY) as u32;
        while let Some(task) = self.0.task.process().next_thread(last) {
            last = task.tid();
            let name = name_of(last);
            let ino = directory_number(last, false);
            let next = FIRST_ENTRY + u64::from(last);
            if !visit(ctx, &Entry { name: name.as_bytes(), ino, kind: Kind::Directory, next }) {
                break;
            }
        }
        Ok(())
    }
    fn open(self: Arc<Self>, _ctx: &mut MaySleep, _flags: OpenFlags) -> Result<Arc<dyn FileOps>, Errno> {
        file::directory()
    }
}
