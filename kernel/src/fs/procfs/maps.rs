//! `/proc/PID/maps`, `smaps` and `smaps_rollup`: a reader that takes no lock of the address space.
//!
//! **How it reads.** A few mappings are copied out of one version of the set in a read section of RCU
//! (names are counted references, so nothing is formatted inside), and the section ends. Then, for
//! smaps, the tables below each mapping are walked in bounded sections, each of which looks at no more
//! entries than [`STEPS`](crate::mm::pgtable::walk::STEPS); the pages' descriptors are looked at inside,
//! the pages never. Nothing is copied to a program before the record is complete. Interrupts stay on
//! throughout, and munmap waits for nobody.
//!
//! **What it may say.** The next mapping is looked for behind the end of the last one that was shown. So
//! a mapping that was there before the reading began and after it ended, unchanged, is shown once; one
//! that came or went meanwhile is shown or not; one that was cut, merged or moved is shown as it was at
//! some moment, and never overlaps the one before it. A record's sums are of pages that were in the
//! tables while it was made: at most what fits into it. A process that executes another program, or
//! ends, has no more mappings: the file ends there.
//!
//! **Dirty and referenced.** Nothing here is written to a disk, so what is anonymous or shared memory
//! counts as dirty (as Linux counts a page of its tmpfs once it is written), and a file's page where its
//! mapping may write. The hardware's bits of use are not looked at: a page is in the tables because
//! somebody used it.

use super::format::maps::{Header, PageUse, Usage, record, rollup};
use super::task::Whose;
use super::text::with_space;
use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::fs::DevNo;
use crate::fs::file::FileOps;
use crate::fs::pseudo::{OpenSequence, Sequence, Text};
use crate::mm::frame::Kind;
use crate::mm::space::{Marks, Mm, PageObject, VmFlags};
use crate::rcu;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use arrayvec::ArrayVec;
use core::ops::Range;

/// Mappings that are copied in one section.
const BATCH: usize = 8;

/// A mapping, copied.
struct Area {
    range: Range<u64>,
    flags: VmFlags,
    /// What is mapped, and from which byte of it on.
    object: Option<(Arc<dyn PageObject>, u64)>,
}

/// What is shown of each mapping.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    Line,
    Record,
    /// One record for all.
    Sum,
}

/// The mappings of a process, from the lowest on.
struct Areas {
    whose: Whose,
    detail: Detail,
    /// Which address space; 0: none was seen yet.
    space: u64,
    /// Mappings below are through.
    from: u64,
}

pub(super) fn open_maps(whose: &Whose) -> Result<Arc<dyn FileOps>, Errno> {
    Areas::open(whose, Detail::Line)
}

pub(super) fn open_smaps(whose: &Whose) -> Result<Arc<dyn FileOps>, Errno> {
    Areas::open(whose, Detail::Record)
}

pub(super) fn open_rollup(whose: &Whose) -> Result<Arc<dyn FileOps>, Errno> {
    Areas::open(whose, Detail::Sum)
}

impl Areas {
    fn open(whose: &Whose, detail: Detail) -> Result<Arc<dyn FileOps>, Errno> {
        OpenSequence::open(Self { whose: whose.clone(), detail, space: 0, from: 0 })
    }

    /// Shows the next few. False: there are no more.
    fn some(&mut self, ctx: &mut MaySleep, space: &Mm, to: &mut Text) -> bool {
        if self.space == 0 {
            self.space = space.id();
        }
        if self.space != space.id() {
            return false;
        }
        let areas = snapshot(ctx, space, self.from);
        let Some(last) = areas.last() else { return false };
        self.from = last.range.end;
        let marks = space.marks();
        for area in &areas {
            area.print(to, &marks);
            if self.detail == Detail::Record {
                let usage = usage(ctx, space, area);
                let bytes = space.page_bytes();
                record(
                    to,
                    area.range.end - area.range.start,
                    (bytes, space.entry_bytes()),
                    &usage,
                    area.flags,
                );
            }
        }
        areas.len() == BATCH
    }

    /// The sums of all.
    fn sum(&mut self, ctx: &mut MaySleep, space: &Mm, to: &mut Text) {
        let mut all = Usage::default();
        let mut first = None;
        loop {
            let areas = snapshot(ctx, space, self.from);
            let Some(last) = areas.last() else { break };
            self.from = last.range.end;
            first = first.or(areas.first().map(|area| area.range.start));
            areas.iter().for_each(|area| all.add_all(&usage(ctx, space, area)));
        }
        if let Some(first) = first {
            rollup(to, first..self.from, &all);
        }
    }
}

impl Sequence for Areas {
    fn rewind(&mut self) {
        (self.space, self.from) = (0, 0);
    }
    fn next(&mut self, ctx: &mut MaySleep, to: &mut Text) -> Result<bool, Errno> {
        self.whose.alive()?;
        let whose = self.whose.clone();
        let more = with_space(ctx, &whose, |ctx, space| match self.detail {
            Detail::Sum => {
                self.sum(ctx, space, to);
                false
            }
            _ => self.some(ctx, space, to),
        });
        if more.is_none() && self.detail == Detail::Sum {
            return Err(Errno::ESRCH);
        }
        Ok(more.unwrap_or(false))
    }
}

/// The mappings from that address on, as many as one section copies.
fn snapshot(ctx: &MaySleep, space: &Mm, from: u64) -> ArrayVec<Area, BATCH> {
    let section = rcu::read_lock(ctx);
    let mut areas = ArrayVec::new();
    for vma in space.vmas(&section, VirtAddr::new(from)).take(BATCH) {
        // One that grew together with what was shown already is shown from there on.
        let (start, skipped) = (vma.range.start.max(from), from.saturating_sub(vma.range.start));
        let object = vma.object.map(|(object, offset)| (object.clone(), offset.wrapping_add(skipped)));
        areas.push(Area { range: start..vma.range.end, flags: vma.flags, object });
    }
    areas
}

/// What decides how a page counts: what it is, the references to it, whether this mapping may write.
type Alike = (Kind, u32, bool);

/// What a mapping has in memory. Most pages are like the one before: a run of them is added up at once.
fn usage(ctx: &MaySleep, space: &Mm, area: &Area) -> Usage {
    let mut usage = Usage::default();
    let (mut last, mut count): (Alike, u64) = ((Kind::User, 1, true), 0);
    let mut next = Some(VirtAddr::new(area.range.start));
    let end = VirtAddr::new(area.range.end);
    while let Some(at) = next {
        // Around the walk's own: descriptors are true inside.
        let _section = rcu::read_lock(ctx);
        next = space.walk(ctx, at..end, &mut |_, page| {
            let Some((kind, references)) = space.page_use(&page) else { return };
            let alike = (kind, references, page.access.write);
            if alike != last {
                add(&mut usage, space, area, last, count);
                (last, count) = (alike, 0);
            }
            count += 1;
        });
    }
    if count > 0 {
        add(&mut usage, space, area, last, count);
    }
    usage
}

/// Adds a run of pages. Not a part of the loop over the pages, which is short without it.
#[inline(never)]
fn add(usage: &mut Usage, space: &Mm, area: &Area, (kind, references, write): Alike, count: u64) {
    let part = match kind {
        Kind::File => 1,
        Kind::Shmem => 2,
        _ => 0,
    };
    let page = PageUse {
        bytes: space.page_bytes(),
        mappers: u64::from(Mm::mappers(kind, references)),
        dirty: part != 1 || area.flags.has(VmFlags::SHARED) && write,
        referenced: true,
        part,
        locked: area.flags.has(VmFlags::LOCKED),
    };
    usage.add(&page, count);
}

impl Area {
    fn print(&self, to: &mut Text, marks: &Marks) {
        let mut path = Text::new();
        let mut name: Option<&[u8]> = None;
        let (mut offset, mut device, mut inode) = (0, DevNo::default(), 0);
        match &self.object {
            Some((object, from)) => {
                let identity = object.identity();
                (offset, inode) = (*from, identity.inode);
                device = DevNo::decode(identity.device as u32);
                // A want of memory leaves it without a name.
                let _ = object.name(&mut path);
                name = path.bytes().ok().filter(|path| !path.is_empty());
            }
            None => {
                let Range { start, end } = self.range.clone();
                if start <= marks.brk.1 && end > marks.brk.0 && marks.brk.0 < marks.brk.1 {
                    name = Some(b"[heap]");
                } else if (start..end).contains(&marks.stack) {
                    name = Some(b"[stack]");
                }
            }
        }
        // What has no inode (the kernel's own page) has no place in a file.
        if inode == 0 {
            (offset, device) = (0, DevNo::default());
        }
        Header { range: self.range.clone(), flags: self.flags, offset, device, inode, name }.print(to);
    }
}
