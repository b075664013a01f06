//! Reading, writing and mapping a file of a tmpfs.

use super::contents::{Contents, MOST, Run};
use super::node::{Body, Node};
use super::page::PAGE;
use crate::addr::Pfn;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::buffer::{BOUNCE, Dest, Source};
use crate::fs::file::{File, FileOps, Seek, seek_by_size};
use crate::fs::inode::Inode;
use crate::fs::{mount, walk};
use crate::mm::object::{Identity, PageError, PageObject};
use crate::mm::space::forget_pages;
use crate::sync::{MaySleep, Mutex};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::fmt;

/// `fallocate`: the size stays.
const KEEP_SIZE: u32 = linux_raw_sys::general::FALLOC_FL_KEEP_SIZE;
/// `fallocate`: makes a hole.
const PUNCH_HOLE: u32 = linux_raw_sys::general::FALLOC_FL_PUNCH_HOLE;

impl Node {
    fn file(&self) -> Result<(&Mutex<()>, &Mutex<Contents>), Errno> {
        match &self.body {
            Body::File { whole, contents } => Ok((whole, contents)),
            Body::Directory(_) => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Makes these its bytes, if it has none.
    pub(in crate::fs) fn set_archived(&self, ctx: &mut MaySleep, bytes: &'static [u8]) -> Result<(), Errno> {
        let (_, contents) = self.file()?;
        let mut contents = contents.lock(ctx);
        if contents.size() == 0 {
            *contents = Contents::of_archive(bytes);
        }
        Ok(())
    }

    /// `truncate`.
    pub(super) fn resize(&self, ctx: &mut MaySleep, size: u64) -> Result<(), Errno> {
        let (whole, contents) = self.file()?;
        if size > MOST {
            return Err(Errno::EFBIG);
        }
        let _whole = whole.lock(ctx);
        contents.lock(ctx).resize(size, &self.fs.pages);
        let beyond = size.div_ceil(PAGE as u64)..u64::MAX;
        forget_pages(ctx, core::ptr::from_ref(self).cast(), beyond, true);
        self.touch();
        Ok(())
    }

    /// `fallocate`.
    pub(super) fn reserve(&self, ctx: &mut MaySleep, mode: u32, at: u64, len: u64) -> Result<(), Errno> {
        let (whole, contents) = self.file().map_err(|_| Errno::ENODEV)?;
        let end = at.checked_add(len).filter(|&end| end <= MOST).ok_or(Errno::EFBIG)?;
        let _whole = whole.lock(ctx);
        if mode == PUNCH_HOLE | KEEP_SIZE {
            let mut contents = contents.lock(ctx);
            let end = end.min(contents.size().next_multiple_of(PAGE as u64));
            if at < end {
                contents.punch(ctx, at, end, self.fs.memory, &self.fs.pages)?;
                drop(contents);
                let whole = at.div_ceil(PAGE as u64)..end / PAGE as u64;
                forget_pages(ctx, core::ptr::from_ref(self).cast(), whole, false);
            }
        } else if mode & !KEEP_SIZE == 0 {
            for index in at / PAGE as u64..end.div_ceil(PAGE as u64) {
                contents.lock(ctx).page(ctx, index, self.fs.memory, &self.fs.pages)?;
            }
            if mode & KEEP_SIZE == 0 {
                contents.lock(ctx).extend(end);
            }
        } else {
            return Err(Errno::EOPNOTSUPP);
        }
        self.touch();
        Ok(())
    }

    /// Writes what comes next: up to the end of its page, or what the buffer holds.
    fn write_run(
        &self,
        ctx: &mut MaySleep,
        contents: &Mutex<Contents>,
        at: u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        let offset = (at % PAGE as u64) as usize;
        let len = from.left().min(PAGE - offset);
        if at.saturating_add(len as u64) <= super::contents::SMALL as u64 {
            let mut buffer = [0; BOUNCE];
            let len = len.min(BOUNCE);
            let len = from.take(ctx, &mut buffer[..len])?;
            if contents.lock(ctx).write_small(at, &buffer[..len])? {
                return Ok(len);
            }
            // It has grown into frames; the bytes are taken already.
            let page = contents.lock(ctx).page(ctx, at / PAGE as u64, self.fs.memory, &self.fs.pages)?;
            page.fill(offset..offset + len, |to| to.copy_from_slice(&buffer[..len]));
            contents.lock(ctx).extend(at + len as u64);
            return Ok(len);
        }
        let page = contents.lock(ctx).page(ctx, at / PAGE as u64, self.fs.memory, &self.fs.pages)?;
        // The lock of the contents is not held: the program's memory may be this very file, and fault.
        let len = page.fill(offset..offset + len, |to| from.take(ctx, to))?;
        contents.lock(ctx).extend(at + len as u64);
        Ok(len)
    }
}

impl FileOps for Node {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn read(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        at: &mut u64,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        let (whole, contents) = self.file()?;
        let whole = whole.lock(ctx);
        let mut done = 0;
        let mut buffer = [0; BOUNCE];
        while into.room() > 0 {
            let Some(run) = contents.lock(ctx).run(*at, into.room(), &mut buffer) else { break };
            let (len, put) = match run {
                Run::Page(page, offset, len) => {
                    (len, page.show(offset..offset + len, |bytes| into.put(ctx, bytes)))
                }
                Run::Archive(bytes) => (bytes.len(), into.put(ctx, bytes)),
                Run::Copied(len) => (len, into.put(ctx, &buffer[..len])),
                Run::Hole(len) => (len, into.zero(ctx, len)),
            };
            match put {
                Ok(put) => {
                    done += put;
                    *at += put as u64;
                    if put < len {
                        break;
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        drop(whole);
        self.accessed();
        Ok(done)
    }

    fn write(
        &self,
        ctx: &mut MaySleep,
        file: &File,
        at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        let (whole, contents) = self.file()?;
        let _whole = whole.lock(ctx);
        if file.flags().append() {
            *at = contents.lock(ctx).size();
        }
        if from.left() > 0 && *at >= MOST {
            return Err(Errno::EFBIG);
        }
        let mut done = 0;
        while from.left() > 0 && *at < MOST {
            match self.write_run(ctx, contents, *at, from) {
                Ok(0) => break,
                Ok(step) => {
                    done += step;
                    *at += step as u64;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if done > 0 {
            self.touch();
        }
        Ok(done)
    }

    fn seek(&self, ctx: &mut MaySleep, _file: &File, now: u64, to: Seek) -> Result<u64, Errno> {
        let (_, contents) = self.file()?;
        let contents = contents.lock(ctx);
        match to {
            Seek::Data(at) | Seek::Hole(at) => {
                let at = u64::try_from(at).map_err(|_| Errno::ENXIO)?;
                contents.seek(at, matches!(to, Seek::Data(_))).ok_or(Errno::ENXIO)
            }
            _ => seek_by_size(now, contents.size(), to),
        }
    }

    fn readable_bytes(&self, ctx: &mut MaySleep, file: &File) -> Option<u64> {
        let at = file.position(ctx);
        let size = self.attr(ctx).ok()?.size;
        Some(size.saturating_sub(at))
    }

    fn page_object(&self, ctx: &mut MaySleep, file: &File) -> Result<Arc<dyn PageObject>, Errno> {
        let node = self.me().upgrade().ok_or(Errno::ENODEV)?;
        let root = mount::root().unwrap_or_else(|| file.place().mount.root());
        let device = u64::from(file.place().mount.device().encode());
        let mut path = walk::path_of_file(ctx, file, &root)?.unwrap_or_default();
        // It is said when it is looked at.
        if path.ends_with(walk::DELETED) && self.nlink() == 0 {
            path.truncate(path.len() - walk::DELETED.len());
        }
        Ok(try_arc(MappedFile { node, device, path })?)
    }
}

/// What a mapping of a file shows.
struct MappedFile {
    node: Arc<Node>,
    device: u64,
    /// As it was when it was mapped.
    path: Vec<u8>,
}

impl PageObject for MappedFile {
    fn page(&self, ctx: &mut MaySleep, index: u64, _write: bool) -> Result<Pfn, PageError> {
        let (_, contents) = self.node.file().map_err(|_| PageError::Io)?;
        let mut contents = contents.lock(ctx);
        if index >= contents.size().div_ceil(PAGE as u64) {
            return Err(PageError::Beyond);
        }
        match contents.page(ctx, index, self.node.fs.memory, &self.node.fs.pages) {
            Ok(page) => Ok(page.into_raw()),
            // The file system is full.
            Err(Errno::ENOSPC) => Err(PageError::Io),
            Err(_) => Err(PageError::NoMemory),
        }
    }

    fn identity(&self) -> Identity {
        Identity { device: self.device, inode: self.node.ino() }
    }

    fn contents(&self) -> *const () {
        Arc::as_ptr(&self.node).cast()
    }

    fn name(&self, to: &mut dyn fmt::Write) -> fmt::Result {
        for chunk in self.path.utf8_chunks() {
            to.write_str(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(to, "\\{byte:03o}")?;
            }
        }
        if self.node.nlink() == 0 { to.write_str(" (deleted)") } else { Ok(()) }
    }

    fn remove(&self, ctx: &mut MaySleep, first: u64, pages: u64) -> Result<(), Errno> {
        let bytes = |pages: u64| pages.checked_mul(PAGE as u64).ok_or(Errno::EINVAL);
        self.node.reserve(ctx, PUNCH_HOLE | KEEP_SIZE, bytes(first)?, bytes(pages)?)
    }

    fn is_memory(&self) -> bool {
        true
    }
}
