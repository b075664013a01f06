//! Broken programs: a real one, with one field at a time of its headers replaced by nonsense. It runs
//! all the same, is refused, or dies; the kernel goes on.

use super::attacks::random;
use crate::harness::child::fork_status;
use crate::harness::{Folder, Outcome};
use crate::{check, sys, tests};
use std::os::unix::fs::FileExt;

tests![fields_of_the_file, fields_of_the_segments, bytes_at_random, cut_short, interpreters];

/// Fields of the ELF header: offset and size.
const FILE: [(u64, usize); 20] = [
    (0, 4),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 8),
    (16, 2),
    (18, 2),
    (20, 4),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 4),
    (52, 2),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
    (62, 2),
    (0, 2),
];
/// Fields of a program header: type, flags, offset, addresses, sizes, alignment.
const SEGMENT: [(u64, usize); 8] = [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)];

/// Values that are wrong nearly everywhere.
const VALUES: [u64; 7] = [0, 1, u64::MAX, i64::MAX as u64, 0x8000_8000_8000_8000, 0x1000, 0x7fff_ffff_f000];

/// Milliseconds that a broken program may run: some loop.
const PATIENCE: i64 = 500;

struct Broken {
    folder: Folder,
    original: Vec<u8>,
    tried: u32,
    ran: u32,
}

impl Broken {
    fn new(name: &str) -> Result<Self, crate::harness::Failure> {
        let folder = Folder::new(name)?;
        let original = std::fs::read("/bin/busybox")?;
        std::fs::write(folder.path("f"), &original)?;
        sys!(chmod(folder.c("f").as_ptr(), 0o755));
        Ok(Self { folder, original, tried: 0, ran: 0 })
    }

    /// Writes bytes into the program, runs it, and repairs it.
    fn with(&mut self, offset: u64, bytes: &[u8]) -> Outcome {
        let file = std::fs::OpenOptions::new().write(true).open(self.folder.path("f"))?;
        file.write_all_at(bytes, offset)?;
        drop(file);
        self.run(PATIENCE)?;
        let file = std::fs::OpenOptions::new().write(true).open(self.folder.path("f"))?;
        let start = offset as usize;
        file.write_all_at(&self.original[start..start + bytes.len()], offset)?;
        Ok(())
    }

    /// Runs it, for so many milliseconds at most.
    fn run(&mut self, patience: i64) -> Outcome {
        self.tried += 1;
        let path = self.folder.c("f");
        let child = fork_status(|| {
            let words = [c"busybox".as_ptr(), c"true".as_ptr(), std::ptr::null()];
            let time = libc::timeval { tv_sec: patience / 1000, tv_usec: patience % 1000 * 1000 };
            let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
            let timer = libc::itimerval { it_interval: none, it_value: time };
            // SAFETY: the words end with a null; a program that loops is ended by the timer.
            unsafe {
                libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
                libc::execv(path.as_ptr(), words.as_ptr());
            }
            100
        })?;
        if child.wait()? == crate::harness::child::Status::Exited(0) {
            self.ran += 1;
        }
        Ok(())
    }

    /// The original runs still; so many were tried.
    fn finish(mut self, least: u32) -> Outcome {
        check!(self.tried >= least, "{} tried", self.tried);
        let before = self.ran;
        self.run(60_000)?;
        check!(self.ran == before + 1, "the repaired program does not run");
        Ok(())
    }
}

/// A value in so many of the machine's bytes.
fn bytes(value: u64, size: usize) -> Vec<u8> {
    if cfg!(target_endian = "big") {
        value.to_be_bytes()[8 - size..].to_vec()
    } else {
        value.to_le_bytes()[..size].to_vec()
    }
}

fn fields_of_the_file() -> Outcome {
    let mut broken = Broken::new("elf-file")?;
    for (offset, size) in FILE {
        for value in VALUES {
            broken.with(offset, &bytes(value, size))?;
        }
    }
    broken.finish(100)
}

fn fields_of_the_segments() -> Outcome {
    let mut broken = Broken::new("elf-segments")?;
    let count = broken.original[if cfg!(target_endian = "big") { 57 } else { 56 }];
    check!((2..20).contains(&count), "{count} segments");
    for segment in 0..u64::from(count) {
        for (offset, size) in SEGMENT {
            for value in &VALUES[..5] {
                broken.with(64 + 56 * segment + offset, &bytes(*value, size))?;
            }
        }
    }
    broken.finish(100)
}

fn bytes_at_random() -> Outcome {
    let mut broken = Broken::new("elf-random")?;
    let mut seed = 99;
    for _ in 0..60 {
        let offset = random(&mut seed) % 512;
        let value = random(&mut seed).to_ne_bytes();
        let size = 1 + (random(&mut seed) % 8) as usize;
        broken.with(offset, &value[..size])?;
    }
    broken.finish(60)
}

fn cut_short() -> Outcome {
    let mut broken = Broken::new("elf-short")?;
    let whole = broken.original.len();
    for size in [0, 1, 3, 4, 16, 63, 64, 100, 120, 300, 4096, 5000, 0x1_0000, whole / 2, whole - 1] {
        let original = broken.original.clone();
        std::fs::write(broken.folder.path("f"), &original[..size])?;
        broken.run(PATIENCE)?;
    }
    let original = broken.original.clone();
    std::fs::write(broken.folder.path("f"), &original)?;
    broken.finish(15)
}

fn interpreters() -> Outcome {
    // The last header becomes PT_INTERP: a path of an interpreter, at various places.
    let mut broken = Broken::new("elf-interpreter")?;
    let count = u64::from(broken.original[if cfg!(target_endian = "big") { 57 } else { 56 }]);
    let header = 64 + 56 * (count - 1);
    for (offset, size) in [(0, 0), (0, 1), (0, 4096), (0, 5000), (u64::MAX, 10), (1 << 40, 10), (8, u64::MAX)]
    {
        let mut text = bytes(3, 4);
        text.extend(bytes(4, 4));
        text.extend(bytes(offset, 8));
        text.extend([0; 16]);
        text.extend(bytes(size, 8));
        broken.with(header, &text)?;
    }
    broken.finish(7)
}
