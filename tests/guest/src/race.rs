//! The race, as a figure: how much does a process that gives memory back feel of those who read its smaps?
//!
//! The writer holds [`TABLES`] page tables and [`MAPPINGS`] mappings of one page, and maps, touches and unmaps
//! one page far from everything else, over and over, on CPU 0: each round takes a page table and gives it
//! back. The readers, on the other CPUs, read its `smaps` for a while and rest for a while, in turn, so
//! that both rates are of one boot and of one time of the host. What is compared is their ratio.

use crate::clock::nanoseconds;
use crate::costs::smaps::{Reading, small_pages};
use crate::costs::{meminfo, span};
use crate::harness::child::fork;
use crate::harness::memory::{Map, page, poke};
use crate::harness::{Failure, Outcome, call, on_linux};
use crate::sys;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// What the writer holds while it loops.
const TABLES: usize = 512;
const MAPPINGS: usize = 128;

/// So long the readers read, then rest; and so long after a change nothing is counted, in milliseconds.
const TURN: u64 = 500;
const SETTLE: u64 = 30;

/// What a turn is.
const SETTLING: u64 = 0;
const ALONE: u64 = 1;
const READ: u64 = 2;
const OVER: u64 = 3;

/// Buckets of times: 32 for each power of two, 3 % apart.
const FINE: u32 = 5;
const BUCKETS: usize = 64 << FINE;

/// Times, counted.
#[repr(C)]
struct Times([AtomicU64; BUCKETS]);

impl Times {
    fn add(&self, time: u64) {
        let time = time.max(1 << FINE);
        let power = time.ilog2();
        let bucket = (power as usize) << FINE | (time >> (power - FINE)) as usize & ((1 << FINE) - 1);
        self.0[bucket].fetch_add(1, Relaxed);
    }

    /// The time that so many of a thousand stay below.
    fn quantile(&self, thousandths: u64) -> u64 {
        let all: u64 = self.0.iter().map(|bucket| bucket.load(Relaxed)).sum();
        let mut left = all * thousandths / 1000;
        for (bucket, count) in self.0.iter().enumerate() {
            let count = count.load(Relaxed);
            if left < count {
                let (power, part) = ((bucket >> FINE) as u32, (bucket & ((1 << FINE) - 1)) as u64);
                return (1 << FINE | part) << power >> FINE;
            }
            left -= count;
        }
        0
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|bucket| bucket.load(Relaxed)).sum()
    }
}

/// What the processes share. Zeros are its beginning.
#[repr(C)]
struct Board {
    turn: AtomicU64,
    ready: AtomicU64,
    reads: AtomicU64,
    failed_reads: AtomicU64,
    /// For the two kinds of turn: whole rounds, and the `munmap` in them.
    rounds: [Times; 2],
    unmaps: [Times; 2],
}

/// Plays for so many seconds; the result is the exit status.
pub fn run(seconds: u64, readers: usize) -> i32 {
    match play(seconds, readers) {
        Ok(()) => 0,
        Err(failure) => {
            println!("race: {failure:?}");
            1
        }
    }
}

fn play(seconds: u64, readers: usize) -> Outcome {
    let map = Map::shared(size_of::<Board>().div_ceil(page()))?;
    // SAFETY: aligned to a page, large enough, zeros are a `Board`, and it lives as long as the mapping.
    let board: &Board = unsafe { &*map.start.cast() };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    if cpus < 2 {
        return Err(Failure::Skipped("readers on other CPUs need two".into()));
    }
    let writer = fork(|| stay_on(0).and_then(|()| write(board)))?;
    wait_for(|| board.ready.load(Relaxed) > 0);
    let path = format!("/proc/{}/smaps", writer.0);
    let mut others = Vec::new();
    for number in 0..readers {
        let cpu = 1 + number % (cpus - 1);
        let path = path.clone();
        others.push(fork(|| stay_on(cpu).and_then(|()| read(board, &path)))?);
    }
    let figures = watch(board, seconds);
    board.turn.store(OVER, Relaxed);
    for child in others.into_iter().chain([writer]) {
        child.succeeds()?;
    }
    tell(board, readers, &figures?)
}

/// What only who watches knows.
#[derive(Default)]
struct Figures {
    /// Milliseconds counted, of the two kinds of turn.
    time: [u64; 2],
    /// The most memory, in kB, that was neither free nor there before, at the end of a turn.
    gone: [u64; 2],
    /// The most that waited for a grace period, by the kernel's own count.
    waiting: [u64; 2],
}

fn watch(board: &Board, seconds: u64) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let free = meminfo("MemFree")?;
    for turn in 0..(seconds * 1000 / TURN).max(2) {
        let kind = turn as usize % 2;
        board.turn.store(SETTLING | (ALONE + kind as u64) << 8, Relaxed);
        std::thread::sleep(Duration::from_millis(SETTLE));
        let began = nanoseconds();
        board.turn.store(ALONE + kind as u64, Relaxed);
        while nanoseconds() - began < (TURN - SETTLE) * 1_000_000 {
            std::thread::sleep(Duration::from_millis(50));
            figures.waiting[kind] = figures.waiting[kind].max(waiting());
        }
        figures.gone[kind] = figures.gone[kind].max(free.saturating_sub(meminfo("MemFree")?));
        figures.time[kind] += (nanoseconds() - began) / 1_000_000;
    }
    Ok(figures)
}

/// What waits for a grace period, in kB, where the kernel tells it.
fn waiting() -> u64 {
    let Ok(text) = std::fs::read_to_string("/sys/kernel/debug/pgtable/stats") else { return 0 };
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0)
    };
    value("frames_waiting_kB") + value("tables_waiting_kB")
}

/// The writer.
fn write(board: &Board) -> Outcome {
    const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
    const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let tables = small_pages(TABLES)?;
    (0..TABLES).for_each(|number| tables.set(number * span(), 1));
    let mappings = Map::private(2 * MAPPINGS)?;
    for number in 0..MAPPINGS {
        sys!(mprotect(mappings.page(2 * number).cast(), page(), libc::PROT_NONE));
        poke(mappings.page(2 * number + 1), 1);
    }
    // Far from everything else in every layout.
    let lonely = Map::new(0, 1 << 30, libc::PROT_NONE, FLAGS, -1, 0)?;
    let at = (lonely.start as usize + (1 << 29)) as *mut libc::c_void;
    drop(lonely);
    board.ready.store(1, Relaxed);
    loop {
        let turn = board.turn.load(Relaxed);
        if turn == OVER {
            return Ok(());
        }
        let began = nanoseconds();
        // SAFETY: where nothing is: there was room, and nothing was mapped since.
        let map = unsafe { libc::mmap(at, page(), RW, FLAGS | libc::MAP_FIXED, -1, 0) };
        call(map as i64, "mmap()")?;
        poke(map.cast(), 1);
        let touched = nanoseconds();
        sys!(munmap(map, page()));
        let ended = nanoseconds();
        if let Some(kind) = turn.checked_sub(ALONE).filter(|&kind| kind < 2) {
            board.rounds[kind as usize].add(ended - began);
            board.unmaps[kind as usize].add(ended - touched);
        }
    }
}

/// A reader.
fn read(board: &Board, path: &str) -> Outcome {
    let mut file = Reading::of(path);
    loop {
        match board.turn.load(Relaxed) {
            OVER => return Ok(()),
            turn if turn & 0xff == READ || turn >> 8 == READ => {
                // Shorter than this it cannot be: 26 lines for each mapping.
                if file.read()? < 2 * MAPPINGS * 600 {
                    board.failed_reads.fetch_add(1, Relaxed);
                }
                if turn == READ {
                    board.reads.fetch_add(1, Relaxed);
                }
            }
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn tell(board: &Board, readers: usize, figures: &Figures) -> Outcome {
    let rate = |kind: usize| board.rounds[kind].count() as f64 * 1000.0 / figures.time[kind].max(1) as f64;
    println!("race: readers: {readers}; alone, then with readers");
    let line = |name: &str, alone: f64, read: f64, unit: &str| {
        println!("race {name}: {alone:.1} {read:.1} {unit}, {:.2}", read / alone.max(1e-9));
    };
    line("rounds", rate(0), rate(1), "a second");
    for (name, times) in [("round", &board.rounds), ("munmap", &board.unmaps)] {
        for (part, thousandths) in [("median", 500), ("99th percentile", 990)] {
            let [alone, read] = [0, 1].map(|kind| times[kind].quantile(thousandths) as f64 / 1000.0);
            line(&format!("{name}, {part}"), alone, read, "us");
        }
    }
    println!(
        "race reads: {:.1} a second",
        board.reads.load(Relaxed) as f64 * 1000.0 / figures.time[1].max(1) as f64
    );
    println!("race memory not free that was: {} {} kB", figures.gone[0], figures.gone[1]);
    if !on_linux() {
        println!("race memory that waited: {} {} kB", figures.waiting[0], figures.waiting[1]);
    }
    match board.failed_reads.load(Relaxed) {
        0 => Ok(()),
        short => Err(Failure::new(format!("{short} reads were too short to be whole"))),
    }
}

fn stay_on(cpu: usize) -> Outcome {
    // SAFETY: zeros are an empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: a set of ours.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    sys!(sched_setaffinity(0, size_of_val(&set), &raw const set));
    Ok(())
}

fn wait_for(mut done: impl FnMut() -> bool) {
    while !done() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
