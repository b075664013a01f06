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
const NO_READERS: u64 = 3;
const OVER: u64 = 4;

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
    // The readers first: the last of them shall find the writer.
    for (turn, children) in [(NO_READERS, others), (OVER, vec![writer])] {
        board.turn.store(turn, Relaxed);
        children.into_iter().try_for_each(|child| child.succeeds())?;
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
    /// What waited for a grace period after each 50 ms, in kB, by the kernel's own count.
    waiting: [Vec<u64>; 2],
    /// Grace periods.
    grace_periods: [u64; 2],
}

fn watch(board: &Board, seconds: u64) -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let free = meminfo("MemFree")?;
    for turn in 0..(seconds * 1000 / TURN).max(2) {
        let kind = turn as usize % 2;
        board.turn.store(SETTLING | (ALONE + kind as u64) << 8, Relaxed);
        std::thread::sleep(Duration::from_millis(SETTLE));
        let (began, idle, rounds) = (nanoseconds(), idle()?, board.rounds[kind].count());
        // The runner looks what its host has given to the CPU by now.
        println!("turn begins");
        let grace_periods = kernel_count("grace_periods");
        board.turn.store(ALONE + kind as u64, Relaxed);
        while nanoseconds() - began < (TURN - SETTLE) * 1_000_000 {
            std::thread::sleep(Duration::from_millis(50));
            figures.waiting[kind].push(kernel_count("memory_waiting_kB"));
        }
        board.turn.store(SETTLING, Relaxed);
        figures.grace_periods[kind] += kernel_count("grace_periods") - grace_periods;
        let (rounds, idle) = (board.rounds[kind].count() - rounds, self::idle()? - idle);
        println!("turn {kind} ends: {rounds} rounds, {idle} ms idle");
        figures.gone[kind] = figures.gone[kind].max(free.saturating_sub(meminfo("MemFree")?));
        figures.time[kind] += (nanoseconds() - began) / 1_000_000;
    }
    Ok(figures)
}

/// Milliseconds that the writer's CPU was idle.
fn idle() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu0 "));
    // In hundredths of a second: user, nice, system, idle.
    line.and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok())
        .map(|hundredths| hundredths * 10)
        .ok_or_else(|| Failure::new("/proc/stat says nothing of cpu0"))
}

/// A count of what the kernel does with page tables; 0 where it tells none.
fn kernel_count(name: &str) -> u64 {
    let Ok(text) = std::fs::read_to_string("/sys/kernel/debug/pgtable/stats") else { return 0 };
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
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
            NO_READERS | OVER => return Ok(()),
            turn if turn & 0xff == READ || turn >> 8 == READ => {
                // Shorter than this it cannot be: 26 lines for each mapping.
                if file.read()? < 2 * MAPPINGS * 600 {
                    board.failed_reads.fetch_add(1, Relaxed);
                }
                if turn == READ {
                    board.reads.fetch_add(1, Relaxed);
                }
            }
            _ => std::thread::sleep(Duration::from_millis(SETTLE / 2)),
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
        for (name, thousandths) in [("median", 500), ("most", 999)] {
            let [alone, read] = [0, 1].map(|kind| {
                let mut all = figures.waiting[kind].clone();
                all.sort_unstable();
                all.get(all.len() * thousandths / 1000).copied().unwrap_or(0)
            });
            println!("race memory that waited, {name}: {alone} {read} kB");
        }
        let [alone, read] =
            [0, 1].map(|kind| figures.grace_periods[kind] as f64 * 1000.0 / figures.time[kind].max(1) as f64);
        line("grace periods", alone, read, "a second");
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
