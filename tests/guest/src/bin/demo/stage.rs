//! What the scenes are played on: memory, processes, what they share.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Bytes of a page.
pub fn page() -> usize {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

/// CPUs that are online.
pub fn cpus() -> usize {
    // SAFETY: no pointers.
    unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1) as usize
}

/// A mapping, gone when dropped.
#[derive(Debug)]
pub struct Map {
    start: *mut u8,
    bytes: usize,
}

impl Map {
    fn new(bytes: usize, flags: i32) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = flags | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at no address of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            Err(io::Error::last_os_error())
        } else {
            Ok(Self { start: start.cast(), bytes })
        }
    }

    /// Memory of this process.
    pub fn private(bytes: usize) -> io::Result<Self> {
        Self::new(bytes, libc::MAP_PRIVATE)
    }

    /// Its first address.
    pub fn start(&self) -> u64 {
        self.start as u64
    }

    /// The address behind it.
    pub fn end(&self) -> u64 {
        self.start() + self.bytes as u64
    }

    /// Stores to the byte, so that its page is there.
    pub fn touch(&self, offset: usize) {
        assert!(offset < self.bytes);
        // SAFETY: within the mapping, which is ours and writable.
        unsafe { self.start.add(offset).write_volatile(1) };
    }

    /// Takes access to the part away.
    pub fn forbid(&self, offset: usize, bytes: usize) -> io::Result<()> {
        assert!(offset + bytes <= self.bytes);
        // SAFETY: nobody uses the part.
        call(unsafe { libc::mprotect(self.start.add(offset).cast(), bytes, libc::PROT_NONE) }).map(drop)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody uses it any more.
        unsafe { libc::munmap(self.start.cast(), self.bytes) };
    }
}

/// What the processes of a scene share.
#[derive(Debug)]
#[repr(C)]
pub struct Board {
    /// 1: readers end, 2: the writer, too.
    pub stop: AtomicU32,
    /// The writer is ready.
    pub ready: AtomicU32,
    /// Where the anchors begin.
    pub anchors: AtomicU64,
    /// The writer's rounds.
    pub rounds: AtomicU64,
    /// The longest munmap, in nanoseconds.
    pub longest_unmap: AtomicU64,
    /// Files read.
    pub reads: AtomicU64,
    /// Records in them.
    pub records: AtomicU64,
    /// The longest read, in nanoseconds.
    pub longest_read: AtomicU64,
    /// Files in which something was wrong.
    pub wrong: AtomicU64,
}

impl Board {
    /// One that children will share.
    pub fn new() -> io::Result<&'static Self> {
        let map = Map::new(size_of::<Self>(), libc::MAP_SHARED)?;
        let board = map.start.cast::<Self>();
        std::mem::forget(map);
        // SAFETY: zeros are a `Board`; the mapping stays for good.
        Ok(unsafe { &*board })
    }

    /// Whether the scene is over.
    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) != 0
    }
}

/// The time a piece of work took, in nanoseconds.
pub fn time<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed().as_nanos() as u64)
}

/// A child process, killed if it still runs when this is dropped.
#[derive(Debug)]
pub struct Child(i32);

impl Child {
    /// Forks; the child does the work and ends with its status.
    pub fn play(work: impl FnOnce() -> i32) -> io::Result<Self> {
        // SAFETY: this process has one thread, so the child may do anything.
        match call(unsafe { libc::fork() })? {
            0 => {
                let status = work();
                // SAFETY: ends the child; the parent's buffers are not written twice.
                unsafe { libc::_exit(status) }
            }
            pid => Ok(Self(pid)),
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0 as u32
    }

    /// Waits for its end. `Err`: a signal ended it.
    pub fn wait(self) -> io::Result<i32> {
        let mut status = 0;
        // SAFETY: a pointer to our variable.
        call(unsafe { libc::waitpid(self.0, &raw mut status, 0) })?;
        std::mem::forget(self);
        if libc::WIFEXITED(status) {
            Ok(libc::WEXITSTATUS(status))
        } else {
            Err(io::Error::other(format!("a process was ended by signal {}", libc::WTERMSIG(status))))
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: our child, not waited for yet, so the number is its own.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        // SAFETY: no status is wanted.
        unsafe { libc::waitpid(self.0, std::ptr::null_mut(), 0) };
    }
}

/// This process runs on that CPU only, from now on.
pub fn stay_on(cpu: usize) -> io::Result<()> {
    // SAFETY: zeros are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a set of ours.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: likewise.
    call(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) }).map(drop)
}

/// The error of a call that gave -1.
pub fn call(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
