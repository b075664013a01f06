//! A file's bytes.
//!
//! ```text
//! page is in `pages`       its bytes are there
//! else, within `base`      its bytes are there still: in the initial archive, or on the heap
//! else                     zeros: a hole
//! ```
//!
//! A frame is 64 KB on one of the machines, and most files of a system are far smaller. So a file
//! begins without frames: those of the initial archive show its bytes, where they lie, until a page of
//! them is written to or mapped; others keep up to [`SMALL`] bytes on the heap. What is mapped gets
//! frames, page by page. (A page of the archive that is aligned could be mapped in its place. Its frame
//! would have to be counted as one that is never freed; and an archive aligns to 4 bytes.)
//!
//! Pages are found by number in a hash table: a sparse file costs what it holds, and adding one can
//! fail, which a tree of the standard library cannot.
//!
//! Two locks (see [`super::super::locks`]): the file's own, held over a whole read, write or cut, keeps
//! those apart and makes each a whole; the one around this structure is held for a page at a time, and
//! by page faults, which come in the middle of a copy and must not wait for it.

use super::page::{Memory, PAGE, Page};
use super::usage::Quota;
use crate::error::Errno;
use crate::sync::MaySleep;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Bytes that a file keeps on the heap at most: what a heap's class serves without waste.
pub const SMALL: usize = if PAGE / 4 < 4096 { PAGE / 4 } else { 4096 };

/// The largest file: Linux' `MAX_LFS_FILESIZE`.
pub const MOST: u64 = i64::MAX as u64;

enum Base {
    Nothing,
    Archive(&'static [u8]),
    Small(Vec<u8>),
}

/// A file's bytes. The invariant of all: bytes behind `size` are zeros, or will be before they are
/// seen, except in a page that a program has mapped and writes to.
pub struct Contents {
    size: u64,
    base: Base,
    pages: HashTable<(u64, Page)>,
    hasher: DefaultHashBuilder,
}

/// Bytes of a file that lie together.
pub enum Run {
    /// In a page, from there on.
    Page(Page, usize, usize),
    /// For good.
    Archive(&'static [u8]),
    /// So many were copied to the buffer.
    Copied(usize),
    /// So many zeros.
    Hole(usize),
}

impl Contents {
    /// Empty.
    pub fn new() -> Self {
        Self::of_archive(&[])
    }

    /// Those bytes, where they lie.
    pub fn of_archive(bytes: &'static [u8]) -> Self {
        let base = if bytes.is_empty() { Base::Nothing } else { Base::Archive(bytes) };
        Self {
            size: bytes.len() as u64,
            base,
            pages: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// Frames.
    pub fn frames(&self) -> usize {
        self.pages.len()
    }

    fn base(&self) -> &[u8] {
        match &self.base {
            Base::Nothing => &[],
            Base::Archive(bytes) => bytes,
            Base::Small(bytes) => bytes,
        }
    }

    fn get(&self, index: u64) -> Option<&Page> {
        self.pages.find(self.hasher.hash_one(index), |page| page.0 == index).map(|page| &page.1)
    }

    /// Whether the page has a frame.
    pub fn has(&self, index: u64) -> bool {
        self.get(index).is_some()
    }

    /// The bytes from `at` on, `most` at most; `None` at the end. Bytes on the heap are copied to the
    /// buffer.
    pub fn run(&self, at: u64, most: usize, buffer: &mut [u8]) -> Option<Run> {
        let left = self.size.checked_sub(at).filter(|&left| left > 0)?;
        let offset = (at % PAGE as u64) as usize;
        let len = most.min(PAGE - offset).min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(page) = self.get(at / PAGE as u64) {
            return Some(Run::Page(page.clone(), offset, len));
        }
        let start = usize::try_from(at).unwrap_or(usize::MAX);
        Some(match self.base().get(start..) {
            None | Some([]) => Run::Hole(len),
            Some(rest) => match &self.base {
                Base::Archive(bytes) => Run::Archive(&bytes[start..start + len.min(rest.len())]),
                _ => {
                    let len = len.min(rest.len()).min(buffer.len());
                    buffer[..len].copy_from_slice(&rest[..len]);
                    Run::Copied(len)
                }
            },
        })
    }

    /// The page, to be mapped or written: made if it is not there. Beyond the end as well: what the
    /// caller allows is his business.
    pub fn page(
        &mut self,
        ctx: &mut MaySleep,
        index: u64,
        memory: Memory,
        quota: &Quota,
    ) -> Result<Page, Errno> {
        if let Some(page) = self.get(index) {
            return Ok(page.clone());
        }
        let hasher = &self.hasher;
        self.pages.try_reserve(1, |page| hasher.hash_one(page.0)).map_err(|_| Errno::ENOMEM)?;
        quota.take(1)?;
        let page = match Page::zeroed(memory, ctx) {
            Ok(page) => page,
            Err(error) => {
                quota.give(1);
                return Err(error);
            }
        };
        if let Some(start) = usize::try_from(index).ok().and_then(|index| index.checked_mul(PAGE))
            && let Some(rest) = self.base().get(start..)
        {
            let bytes = &rest[..rest.len().min(PAGE)];
            page.fill(0..bytes.len(), |to| to.copy_from_slice(bytes));
        }
        if matches!(self.base, Base::Small(_)) && index == 0 {
            // It fits a page: nothing is left of it.
            self.base = Base::Nothing;
        }
        self.pages.insert_unique(self.hasher.hash_one(index), (index, page.clone()), |page| {
            hasher.hash_one(page.0)
        });
        Ok(page)
    }

    /// Writes bytes on the heap, if the file is that small. False: they go to pages.
    pub fn write_small(&mut self, at: u64, bytes: &[u8]) -> Result<bool, Errno> {
        let end = at.saturating_add(bytes.len() as u64);
        let small = matches!(self.base, Base::Nothing | Base::Small(_)) && self.pages.is_empty();
        if !small || end > SMALL as u64 || self.size > SMALL as u64 {
            return Ok(false);
        }
        let (start, end) = (at as usize, end as usize);
        if matches!(self.base, Base::Nothing) {
            self.base = Base::Small(Vec::new());
        }
        let Base::Small(small) = &mut self.base else { return Ok(false) };
        if end > small.len() {
            small.try_reserve(end - small.len()).map_err(|_| Errno::ENOMEM)?;
            small.resize(end, 0);
        }
        small[start..end].copy_from_slice(bytes);
        self.extend(end as u64);
        Ok(true)
    }

    /// Bytes up to there were written.
    pub fn extend(&mut self, size: u64) {
        self.size = self.size.max(size);
    }

    /// Cuts or extends to that size. What is cut off is zeros if the file is extended again.
    pub fn resize(&mut self, size: u64, quota: &Quota) {
        if size < self.size {
            let kept = size.div_ceil(PAGE as u64);
            let before = self.pages.len();
            self.pages.retain(|page| page.0 < kept);
            quota.give(before - self.pages.len());
            let tail = (size % PAGE as u64) as usize;
            if tail != 0
                && let Some(page) = self.get(size / PAGE as u64)
            {
                page.fill(tail..PAGE, |rest| rest.fill(0));
            }
            let short = usize::try_from(size).unwrap_or(usize::MAX);
            match &mut self.base {
                Base::Nothing => {}
                Base::Archive(bytes) => *bytes = &bytes[..bytes.len().min(short)],
                Base::Small(bytes) => bytes.truncate(short),
            }
            if size == 0 {
                self.base = Base::Nothing;
            }
        }
        self.size = size;
    }

    /// Makes a hole: the bytes there are zeros, the frames that lie in it whole are given back.
    pub fn punch(
        &mut self,
        ctx: &mut MaySleep,
        from: u64,
        to: u64,
        memory: Memory,
        quota: &Quota,
    ) -> Result<(), Errno> {
        let (first, last) = (from / PAGE as u64, to.div_ceil(PAGE as u64));
        let whole = |index: u64| index * PAGE as u64 >= from && (index + 1) * PAGE as u64 <= to;
        // What lies in the base needs a page of its own before parts of it can be zeros.
        let base = (self.base().len() as u64).div_ceil(PAGE as u64);
        for index in first..last.min(base) {
            self.page(ctx, index, memory, quota)?;
        }
        let archived = matches!(self.base, Base::Archive(_));
        let before = self.pages.len();
        self.pages.retain(|page| !whole(page.0) || archived && page.0 < base);
        quota.give(before - self.pages.len());
        for (index, page) in self.pages.iter() {
            let start = index * PAGE as u64;
            let range = from.max(start)..to.min(start + PAGE as u64);
            if range.start < range.end {
                page.fill((range.start - start) as usize..(range.end - start) as usize, |rest| rest.fill(0));
            }
        }
        Ok(())
    }

    /// The first byte at or behind `at`, before the end, that is there (`data`), or that is not.
    pub fn seek(&self, at: u64, data: bool) -> Option<u64> {
        if at >= self.size {
            return None;
        }
        let base = (self.base().len() as u64).div_ceil(PAGE as u64);
        let first = at / PAGE as u64;
        let next = if data {
            let paged = self.pages.iter().map(|page| page.0).filter(|&index| index >= first).min();
            let based = (first < base).then_some(first);
            based.or(paged)?
        } else {
            let mut index = first.max(base.min(self.size.div_ceil(PAGE as u64)));
            while self.has(index) {
                index += 1;
            }
            index
        };
        let found = (next * PAGE as u64).max(at);
        if data { Some(found).filter(|&found| found < self.size) } else { Some(found.min(self.size)) }
    }

    /// Gives the quota back what the pages took: the file ends.
    pub fn release(&mut self, quota: &Quota) {
        quota.give(self.pages.len());
    }
}

impl Default for Contents {
    fn default() -> Self {
        Self::new()
    }
}
