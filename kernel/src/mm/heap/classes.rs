//! The sizes for which the heap has a cache.

use crate::arch::PAGE_SIZE;
use crate::mm::cache::RawCache;
use crate::mm::frame::FrameAllocator;
use core::alloc::Layout;
use core::mem::{ManuallyDrop, MaybeUninit};

/// The largest: four objects in a frame, or nearly; 1 KB with 4 KB frames, 8 KB with 64 KB frames.
const LARGEST: usize = if PAGE_SIZE / 4 < 8192 { PAGE_SIZE as usize / 4 } else { 8192 };

const ALL: [(&str, usize); 16] = [
    ("heap-16", 16),
    ("heap-32", 32),
    ("heap-48", 48),
    ("heap-64", 64),
    ("heap-96", 96),
    ("heap-128", 128),
    ("heap-192", 192),
    ("heap-256", 256),
    ("heap-384", 384),
    ("heap-512", 512),
    ("heap-768", 768),
    ("heap-1k", 1024),
    ("heap-1536", 1536),
    ("heap-2k", 2048),
    ("heap-4k", 4096),
    ("heap-8k", 8192),
];

const COUNT: usize = {
    let mut count = 0;
    while count < ALL.len() && ALL[count].1 <= LARGEST {
        count += 1;
    }
    count
};

/// Names and sizes, ascending.
pub(super) static CLASSES: [(&str, usize); COUNT] = {
    let mut classes = [("", 0); COUNT];
    let mut i = 0;
    while i < COUNT {
        classes[i] = ALL[i];
        i += 1;
    }
    classes
};

/// For each multiple of 16 bytes, the class that fits.
static BY_SIZE: [u8; LARGEST / 16 + 1] = {
    let mut table = [0; LARGEST / 16 + 1];
    let mut units = 0;
    let mut class = 0;
    while units < table.len() {
        if units * 16 > ALL[class].1 {
            class += 1;
        }
        table[units] = class as u8;
        units += 1;
    }
    table
};

/// The class for the layout; `None` if it is too large.
#[inline(always)]
pub(super) fn class_of(layout: Layout) -> Option<usize> {
    let mut size = layout.size();
    if layout.align() > 16 {
        // Powers of two are classes, and their objects are aligned to their size.
        size = size.max(layout.align()).checked_next_power_of_two()?;
    }
    BY_SIZE.get(size.div_ceil(16)).map(|&class| usize::from(class))
}

/// One cache for each class. Objects are aligned to the largest power of two that divides their size.
pub(super) const fn caches(frames: &'static FrameAllocator) -> [RawCache; COUNT] {
    // An array of what is not `Copy` is not filled in a constant without this detour.
    let mut caches = [const { MaybeUninit::<RawCache>::uninit() }; COUNT];
    let mut i = 0;
    while i < COUNT {
        let (name, size) = ALL[i];
        caches[i].write(RawCache::new(name, size, size & size.wrapping_neg(), frames));
        i += 1;
    }
    // SAFETY: all elements were written; an array of `MaybeUninit<T>` has the layout of one of `T`.
    unsafe { core::mem::transmute_copy(&ManuallyDrop::new(caches)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layout_fits_its_class() {
        for align in [1, 8, 16, 32, 64, 256, 1024] {
            for size in 1..=LARGEST + 1 {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                match class_of(layout) {
                    Some(class) => {
                        let (_, bytes) = CLASSES[class];
                        assert!(bytes >= size && bytes % align == 0, "{layout:?} in {bytes}");
                        assert!(align > 16 || class == 0 || CLASSES[class - 1].1 < size, "{layout:?}");
                    }
                    None => assert!(size > LARGEST || align > 16, "{layout:?}"),
                }
            }
        }
    }
}
