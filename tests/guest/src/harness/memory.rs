//! Mappings of tests.

use super::{Failure, call};
use libc::{MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE};

/// The kernel's page size.
pub fn page() -> usize {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// A mapping, gone when dropped.
#[derive(Debug)]
pub struct Map {
    /// Where it begins.
    pub start: *mut u8,
    /// Its length in bytes.
    pub len: usize,
}

impl Map {
    /// `mmap`.
    #[track_caller]
    pub fn new(
        at: usize,
        len: usize,
        protection: i32,
        flags: i32,
        file: i32,
        offset: i64,
    ) -> Result<Self, Failure> {
        // SAFETY: a new mapping; only tests of MAP_FIXED name an address.
        let start = unsafe { libc::mmap(at as *mut _, len, protection, flags, file, offset) };
        call(start as i64, "mmap()")?;
        Ok(Self { start: start.cast(), len })
    }

    /// Pages of zeros, our own.
    #[track_caller]
    pub fn private(pages: usize) -> Result<Self, Failure> {
        Self::new(0, pages * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    }

    /// Pages of zeros that children share.
    #[track_caller]
    pub fn shared(pages: usize) -> Result<Self, Failure> {
        Self::new(0, pages * page(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)
    }

    /// The address of a byte.
    pub fn at(&self, offset: usize) -> *mut u8 {
        self.start.wrapping_add(offset)
    }

    /// The address of a page.
    pub fn page(&self, number: usize) -> *mut u8 {
        self.at(number * page())
    }

    /// Reads a byte, whatever that does.
    pub fn get(&self, offset: usize) -> u8 {
        peek(self.at(offset))
    }

    /// Writes a byte, whatever that does.
    pub fn set(&self, offset: usize, value: u8) {
        poke(self.at(offset), value);
    }

    /// A word that several processes or threads use.
    pub fn word(&self, number: usize) -> &std::sync::atomic::AtomicU32 {
        // SAFETY: aligned, inside the mapping, which lives as long as the reference.
        unsafe { &*self.at(number * 4).cast() }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: our own mapping; tests that have unmapped it have mapped nothing else there.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// Reads a byte; the test may want it to fault.
pub fn peek(at: *const u8) -> u8 {
    // SAFETY: a byte read by this process from its own memory, or a fault that is wanted.
    unsafe { at.read_volatile() }
}

/// Reads a byte and forgets it: for faults.
pub fn touch(at: *const u8) {
    peek(at);
}

/// Writes a byte; the test may want it to fault.
pub fn poke(at: *mut u8, value: u8) {
    // SAFETY: as `peek`, to memory that is the test's.
    unsafe { at.write_volatile(value) };
}
