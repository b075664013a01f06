//! The parameter area behind the entry, which QEMU fills in (the layout of Linux' head.S).
//!
//! Pure, compiled and tested on every host: what comes from outside is checked here.

use crate::addr::{PhysAddr, PhysRange};

/// The command line: up to the first NUL.
pub fn cmdline(area: &[u8]) -> &[u8] {
    area.split(|&byte| byte == 0).next().unwrap_or(area)
}

/// The initial RAM disk: `None` if there is none, an error if it does not lie where it may.
/// `taken` is low memory and the kernel.
pub fn initrd(
    start: u64,
    size: u64,
    memory: PhysRange,
    taken: PhysRange,
) -> Result<Option<PhysRange>, &'static str> {
    if size == 0 {
        return Ok(None);
    }
    let range = PhysRange::sized(PhysAddr::new(start), size)
        .filter(|range| range.start() >= memory.start() && range.end() <= memory.end())
        .ok_or("initrd: does not lie in memory, ignored")?;
    if range.overlaps(taken) {
        return Err("initrd: overlaps the kernel, ignored");
    }
    Ok(Some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> PhysRange {
        PhysRange::new(PhysAddr::new(start), PhysAddr::new(end)).unwrap()
    }

    #[test]
    fn the_command_line_ends_at_the_first_nul() {
        assert_eq!(cmdline(b"a b\0c\0\0"), b"a b");
        assert_eq!(cmdline(b"\0a"), b"");
        assert_eq!(cmdline(b"no end"), b"no end");
        assert_eq!(cmdline(b"\xff\xfe\0"), b"\xff\xfe");
    }

    #[test]
    fn where_an_initrd_may_lie() {
        let (memory, taken) = (range(0, 64 << 20), range(0, 2 << 20));
        let check = |start, size| initrd(start, size, memory, taken);
        assert_eq!(check(0x80_0000, 0), Ok(None));
        assert_eq!(check(0x80_0000, 0x1234), Ok(Some(range(0x80_0000, 0x80_1234))));
        assert_eq!(check((64 << 20) - 1, 1), Ok(Some(range((64 << 20) - 1, 64 << 20))));
        assert!(check((64 << 20) - 1, 2).is_err(), "beyond the end");
        assert!(check(u64::MAX, 2).is_err(), "wraps");
        assert!(check((2 << 20) - 1, 2).is_err(), "in the kernel");
        assert!(check(0, 1).is_err(), "in low core");
        assert_eq!(check(2 << 20, 1), Ok(Some(range(2 << 20, (2 << 20) + 1))));
    }
}
