//! `/proc/PID/pagemap`: eight bytes for each page of the address space, by its place.
//!
//! ```text
//!  63 present   61 a page of a file, or shared   56 mapped here alone   0-54 the frame, for root
//! ```
//! There is no swap (62) and no soft-dirty bit (55). The reader takes no lock: see
//! [`maps`](super::maps).

use super::task::Whose;
use super::text::with_space;
use crate::addr::VirtAddr;
use crate::arch::current::user::SPACE_END;
use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::Dest;
use crate::fs::file::{File, FileOps, Seek, seek_by_size};
use crate::mm::frame::Kind;
use crate::mm::space::Mm;
use crate::proc::process::try_current;
use crate::rcu;
use crate::sync::MaySleep;
use alloc::sync::Arc;
use core::any::Any;

/// Bytes of an entry.
const ENTRY: u64 = 8;
/// Entries that are made at once.
const BATCH: usize = 64;

const PRESENT: u64 = 1 << 63;
const FILE_OR_SHARED: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

struct OpenPagemap {
    whose: Whose,
    /// Whether frames are told.
    is_root: bool,
}

pub(super) fn open(whose: &Whose) -> Result<Arc<dyn FileOps>, Errno> {
    let is_root = try_current().is_none_or(|task| task.creds().is_root());
    Ok(try_arc(OpenPagemap { whose: whose.clone(), is_root })?)
}

/// The entries of the pages from that address on; those of pages that are not there stay 0.
fn fill(ctx: &MaySleep, space: &Mm, start: u64, frames: bool, entries: &mut [u64]) {
    let bytes = space.page_bytes();
    let end = VirtAddr::new(start + bytes * entries.len() as u64);
    let mut next = Some(VirtAddr::new(start));
    while let Some(at) = next.filter(|&at| at < end) {
        // Around the walk's own: descriptors are true inside.
        let _section = rcu::read_lock(ctx);
        next = space.walk(ctx, at..end, &mut |va, page| {
            let Some(entry) = entries.get_mut(((va.get() - start) / bytes) as usize) else { return };
            // The page of zeros is everybody's.
            let seen = space.page_use(&page);
            let (kind, mappers) =
                seen.map_or((Kind::Kernel, u32::MAX), |(kind, count)| (kind, Mm::mappers(kind, count)));
            *entry = PRESENT;
            if matches!(kind, Kind::File | Kind::Shmem) {
                *entry |= FILE_OR_SHARED;
            }
            if mappers == 1 {
                *entry |= EXCLUSIVE;
            }
            if frames {
                *entry |= page.addr.get() / bytes;
            }
        });
    }
}

impl FileOps for OpenPagemap {
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
        if !at.is_multiple_of(ENTRY) || !(into.room() as u64).is_multiple_of(ENTRY) {
            return Err(Errno::EINVAL);
        }
        let mut done = 0;
        while into.room() > 0 {
            let mut entries = [0; BATCH];
            let wanted = BATCH.min(into.room() / ENTRY as usize);
            let made = with_space(ctx, &self.whose, |ctx, space| {
                let bytes = space.page_bytes();
                let left = (SPACE_END.get() / bytes).saturating_sub(*at / ENTRY);
                let count = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
                if count > 0 {
                    fill(ctx, space, *at / ENTRY * bytes, self.is_root, &mut entries[..count]);
                }
                count
            });
            // Gone, or at the end.
            let count = made.unwrap_or(0);
            if count == 0 {
                break;
            }
            let mut bytes = [0; BATCH * ENTRY as usize];
            for (chunk, entry) in bytes.chunks_exact_mut(ENTRY as usize).zip(&entries[..count]) {
                chunk.copy_from_slice(&entry.to_ne_bytes());
            }
            match into.put(ctx, &bytes[..count * ENTRY as usize]) {
                Ok(put) => {
                    done += put;
                    *at += put as u64;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
    fn seek(&self, _ctx: &mut MaySleep, _file: &File, now: u64, to: Seek) -> Result<u64, Errno> {
        match to {
            Seek::Set(_) | Seek::Current(_) => seek_by_size(now, 0, to),
            _ => Err(Errno::EINVAL),
        }
    }
}
