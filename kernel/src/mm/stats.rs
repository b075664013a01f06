//! How much memory is where: for the log, and for the check that a test leaves nothing behind.

use super::cache;
use super::frame::{Counts, FrameAllocator, Kind};
use super::heap::Heap;
use crate::arch::PAGE_SIZE;
use arrayvec::ArrayVec;
use core::fmt;

/// Caches that a snapshot tells apart; more are added to the last.
const CACHES: usize = 48;

/// Memory in use, as its users see it: what is free but kept at hand counts as free.
///
/// Two snapshots are equal if nothing was left behind in between. Frames of slabs and arenas are not
/// compared: one long-lived object keeps a whole frame, and not for the test that happened to come
/// first. Their contents are compared: objects by cache, bytes of the heap.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Allocated frames by kind, in the order of [`Kind::ALL`]; 0 for slabs and the heap.
    frames: [usize; Kind::ALL.len()],
    /// Objects in use by cache, sorted by name.
    objects: ArrayVec<(&'static str, usize), CACHES>,
    heap: usize,
    misuses: usize,
}

/// What the kernel uses now. Gives back what is kept at hand; exact while nobody else allocates.
pub fn snapshot() -> Snapshot {
    Snapshot::of(super::frames(), super::kernel_heap())
}

impl Snapshot {
    /// What is in use of those frames and that heap.
    pub fn of(frames: &FrameAllocator, heap: &Heap) -> Self {
        let mut used = frames.counts().used;
        used[Kind::Slab as usize] = 0;
        used[Kind::Heap as usize] = 0;
        let mut objects: ArrayVec<(&'static str, usize), CACHES> = ArrayVec::new();
        let mut misuses = frames.misuses();
        cache::for_each(|cache| {
            if !core::ptr::eq(cache.frames(), frames) {
                return;
            }
            misuses += cache.misuses();
            let (live, _) = cache.counts();
            // The heap's classes are counted in bytes; a cache without objects may be new.
            if live == 0 || cache.name().starts_with("heap-") {
                return;
            }
            let at = objects.partition_point(|(name, _)| *name < cache.name());
            if objects.try_insert(at, (cache.name(), live)).is_err()
                && let Some(last) = objects.last_mut()
            {
                last.1 += live;
            }
        });
        Self { frames: used, objects, heap: heap.used(), misuses }
    }

    /// Calls with each number and what it counts.
    pub fn for_each(&self, mut visit: impl FnMut(fmt::Arguments<'_>, usize)) {
        for (kind, &frames) in Kind::ALL.iter().zip(&self.frames) {
            if !matches!(kind, Kind::Slab | Kind::Heap) {
                visit(format_args!("{} frames", kind.name()), frames);
            }
        }
        for &(name, count) in &self.objects {
            visit(format_args!("objects of {name}"), count);
        }
        visit(format_args!("bytes of the heap"), self.heap);
        visit(format_args!("misuses of memory"), self.misuses);
    }

    /// What is more in `self` than in `earlier`, one line each; nothing if they are equal.
    pub fn report_changes(&self, earlier: &Self, mut line: impl FnMut(fmt::Arguments<'_>)) {
        for (index, kind) in Kind::ALL.iter().enumerate() {
            let (now, before) = (self.frames[index], earlier.frames[index]);
            if now != before {
                line(format_args!("{} frames: {before} before, {now} after", kind.name()));
            }
        }
        let count = |of: &Self, wanted: &str| {
            of.objects.iter().find(|(name, _)| *name == wanted).map_or(0, |(_, count)| *count)
        };
        let new = self.objects.iter().filter(|(name, _)| count(earlier, name) == 0);
        for (name, _) in earlier.objects.iter().chain(new) {
            let (now, before) = (count(self, name), count(earlier, name));
            if now != before {
                line(format_args!("objects of {name}: {before} before, {now} after"));
            }
        }
        if self.heap != earlier.heap {
            line(format_args!("heap: {} bytes before, {} after", earlier.heap, self.heap));
        }
        if self.misuses != earlier.misuses {
            line(format_args!("misuses of memory: {} before, {} after", earlier.misuses, self.misuses));
        }
    }
}

/// Frames, as kB.
pub const fn kb(frames: usize) -> u64 {
    frames as u64 * (PAGE_SIZE / 1024)
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB, {} kB free", kb(self.managed), kb(self.free + self.cached))?;
        for (kind, frames) in Kind::ALL.iter().zip(self.used) {
            if frames > 0 {
                write!(f, ", {} kB {}", kb(frames), kind.name())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mm::cache::ObjectCache;
    use crate::mm::frame::Request;
    use crate::mm::testing::frames;

    #[test]
    fn what_is_left_behind_is_named() {
        let frames = frames(256);
        let heap: &'static Heap = Box::leak(Box::new(Heap::new(frames)));
        let cache: &'static ObjectCache<[u64; 5]> = Box::leak(Box::new(ObjectCache::new("fives", frames)));
        let before = Snapshot::of(frames, heap);
        let frame = frames.alloc(Request::of(Kind::Stack).order(1), None);
        let object = cache.alloc([5; 5], None);
        let layout = core::alloc::Layout::new::<[u64; 8]>();
        let memory = heap.alloc(layout, false);
        let mut lines = vec![];
        Snapshot::of(frames, heap).report_changes(&before, |line| lines.push(line.to_string()));
        let expected = [
            "stack frames: 0 before, 2 after",
            "objects of fives: 0 before, 1 after",
            "heap: 0 bytes before, 64 after",
        ];
        assert_eq!(lines, expected);
        let mut rows = vec![];
        Snapshot::of(frames, heap).for_each(|name, count| rows.push(format!("{name}: {count}")));
        for row in ["stack frames: 2", "objects of fives: 1", "bytes of the heap: 64", "misuses of memory: 0"]
        {
            assert!(rows.iter().any(|found| found == row), "no {row} in {rows:?}");
        }
        assert!(!rows.iter().any(|row| row.starts_with("slab frames")), "they are kept at hand");
        drop((frame, object));
        // SAFETY: allocated above.
        unsafe { heap.dealloc(memory, layout) };
        assert_eq!(Snapshot::of(frames, heap), before);
    }

    #[test]
    fn counts_are_printed_in_kb() {
        let mut counts = Counts { managed: 100, free: 60, cached: 10, ..Counts::default() };
        counts.used[Kind::Stack as usize] = 30;
        let page = PAGE_SIZE / 1024;
        let expected = format!("{} kB, {} kB free, {} kB stack", 100 * page, 70 * page, 30 * page);
        assert_eq!(counts.to_string(), expected);
    }
}
