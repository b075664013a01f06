//! Arguments and environment on their way from the old program to the new one.

use crate::addr::VirtAddr;
use crate::error::Errno;
use crate::mm::space::Mm;
use crate::sync::MaySleep;
use alloc::vec::Vec;

/// The most bytes of one string, its NUL included: Linux' MAX_ARG_STRLEN with 4 KB pages.
const LONGEST: usize = 128 << 10;
/// The most bytes of all arguments, or of the whole environment: a quarter of Linux' usual stack.
const MOST: usize = 1 << 20;

/// Strings, each with its NUL.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// None.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }
    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }
    /// All, one after the other, each with its NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// Where each begins in `bytes`.
    pub fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        let ends = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).map(|(at, _)| at + 1);
        core::iter::once(0).chain(ends).take(self.count)
    }

    /// Appends one, which has no NUL.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn push(&mut self, string: &[u8]) -> Result<(), Errno> {
        if string.len() >= LONGEST || self.bytes.len() + string.len() + 1 > MOST {
            return Err(Errno::E2BIG);
        }
        self.bytes.try_reserve(string.len() + 1).map_err(|_| Errno::ENOMEM)?;
        self.bytes.extend_from_slice(string);
        self.bytes.push(0);
        self.count += 1;
        Ok(())
    }

    /// The first one, without its NUL.
    pub fn first(&self) -> &[u8] {
        self.bytes.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Those behind the first.
    pub fn rest(&self) -> Result<Self, Errno> {
        let mut rest = Self::new();
        for string in self.bytes.split(|byte| *byte == 0).take(self.count).skip(1) {
            rest.push(string)?;
        }
        Ok(rest)
    }

    /// Appends all of another.
    pub fn append(&mut self, other: &Self) -> Result<(), Errno> {
        other.bytes.split(|byte| *byte == 0).take(other.count).try_for_each(|string| self.push(string))
    }

    /// What a program passes: an array of pointers that ends with a null one. A null array is empty.
    ///
    /// # Errors
    /// EFAULT, E2BIG, ENOMEM.
    pub fn read(ctx: &mut MaySleep, mm: &Mm, array: u64) -> Result<Self, Errno> {
        let mut strings = Self::new();
        if array == 0 {
            return Ok(strings);
        }
        for index in 0.. {
            let at = array.checked_add(8 * index).ok_or(Errno::EFAULT)?;
            let pointer: u64 = mm.read_value(ctx, VirtAddr::new(at))?;
            if pointer == 0 {
                break;
            }
            strings.read_one(ctx, mm, pointer)?;
        }
        Ok(strings)
    }

    /// Piece by piece: most strings are short, and some are long.
    fn read_one(&mut self, ctx: &mut MaySleep, mm: &Mm, mut from: u64) -> Result<(), Errno> {
        const PIECE: usize = 256;
        let begin = self.bytes.len();
        loop {
            self.bytes.try_reserve(PIECE).map_err(|_| Errno::ENOMEM)?;
            let mut piece = [0; PIECE];
            match mm.read_str(ctx, VirtAddr::new(from), &mut piece) {
                Ok(len) => {
                    self.bytes.extend_from_slice(&piece[..len]);
                    self.bytes.push(0);
                    self.count += 1;
                    return if self.bytes.len() > MOST { Err(Errno::E2BIG) } else { Ok(()) };
                }
                // The whole piece, and no NUL in it.
                Err(Errno::ENAMETOOLONG) => {
                    self.bytes.extend_from_slice(&piece);
                    if self.bytes.len() - begin >= LONGEST || self.bytes.len() > MOST {
                        return Err(Errno::E2BIG);
                    }
                    from = from.checked_add(PIECE as u64).ok_or(Errno::EFAULT)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_lie_behind_each_other() {
        let mut strings = Strings::new();
        for string in [&b"sh"[..], b"", b"-c"] {
            strings.push(string).expect("fits");
        }
        assert_eq!(strings.bytes(), b"sh\0\0-c\0");
        assert_eq!(strings.offsets().collect::<Vec<_>>(), [0, 3, 4]);
        assert_eq!(strings.first(), b"sh");
        let rest = strings.rest().expect("fits");
        assert_eq!((rest.bytes(), rest.count()), (&b"\0-c\0"[..], 2));
        let mut all = Strings::new();
        all.push(b"x").expect("fits");
        all.append(&rest).expect("fits");
        assert_eq!(all.bytes(), b"x\0\0-c\0");
        assert_eq!(Strings::new().offsets().count(), 0);
    }

    #[test]
    fn too_long_is_refused() {
        let mut strings = Strings::new();
        assert_eq!(strings.push(&[b'x'; LONGEST]), Err(Errno::E2BIG));
        for _ in 0..MOST / LONGEST {
            strings.push(&[b'x'; LONGEST - 1]).expect("fits");
        }
        assert_eq!(strings.push(b""), Err(Errno::E2BIG));
    }
}
