//! munmap against readers of smaps.

use super::kernel::{Stats, choice};
use super::smaps::{self, Anchor};
use super::stage::{Board, Child, Map, cpus, page, stay_on, time};
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Mappings that stay, and of which readers know how much is there.
const ANCHORS: usize = 16;
/// Page tables that come and go in a round.
const TABLES: usize = 64;
/// Far enough apart for a table of its own, on every machine, in every layout.
const STRIDE: usize = 32 << 20;

/// Anchor number `n` has `2 * n + 2` pages, of which every other one is touched. Before it and behind the
/// last lies a page that nobody may use, so that no anchor has a neighbour to grow together with.
fn pages(n: usize) -> usize {
    2 * n + 2
}

fn anchors_of(start: u64) -> Vec<Anchor> {
    let mut at = start + page() as u64;
    (0..ANCHORS)
        .map(|n| {
            let end = at + (pages(n) * page()) as u64;
            let anchor = Anchor { range: at..end, rss: ((n + 1) * page() / 1024) as u64 };
            at = end + page() as u64;
            anchor
        })
        .collect()
}

/// Plays for so many seconds (0: 10) with so many readers (0: one for each CPU but one).
pub fn run(seconds: u64, readers: u64) -> io::Result<i32> {
    let seconds = if seconds == 0 { 10 } else { seconds };
    let readers = if readers == 0 { cpus().saturating_sub(1).max(1) } else { readers as usize };
    let (free, layout) = (choice("free")?, choice("layout")?);
    let board = Board::new()?;
    let before = Stats::now()?;
    println!("race: {seconds} s, {} CPUs, readers: {readers}, free={free} layout={layout}", cpus());
    io::stdout().flush()?;
    let writer = Child::play(|| report(write(board)))?;
    while board.ready.load(Relaxed) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = writer.pid();
    let anchors = anchors_of(board.anchors.load(Relaxed));
    let mut others = Vec::new();
    for number in 0..readers {
        let cpu = (number + 1) % cpus();
        others.push(Child::play(|| report(stay_on(cpu).and_then(|()| read(board, pid, &anchors, number))))?);
    }
    let peak = watch(board, seconds)?;
    // The readers first: until the last of them is done, all is there that they look for.
    board.stop.store(1, Relaxed);
    let mut status = 0;
    for child in others {
        status |= child.wait()?;
    }
    board.stop.store(2, Relaxed);
    status |= writer.wait()?;
    let wrong = summary(board, &before, seconds, peak)?;
    Ok(if wrong > 0 { 1 } else { status })
}

fn report(result: io::Result<()>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("demo: {error}");
            1
        }
    }
}

/// The process that gives memory back.
fn write(board: &Board) -> io::Result<()> {
    stay_on(0)?;
    let total: usize = (0..ANCHORS).map(|n| (pages(n) + 1) * page()).sum();
    let memory = Map::private(total + page())?;
    memory.forbid(0, page())?;
    let mut at = page();
    for n in 0..ANCHORS {
        (0..pages(n)).step_by(2).for_each(|k| memory.touch(at + k * page()));
        at += pages(n) * page();
        memory.forbid(at, page())?;
        at += page();
    }
    board.anchors.store(memory.start(), Relaxed);
    board.ready.store(1, Relaxed);
    while board.stop.load(Relaxed) < 2 {
        let map = Map::private(TABLES * STRIDE)?;
        (0..TABLES).for_each(|n| map.touch(n * STRIDE));
        let ((), length) = time(|| drop(map));
        board.longest_unmap.fetch_max(length, Relaxed);
        board.rounds.fetch_add(1, Relaxed);
    }
    Ok(())
}

/// A reader. Reads in pieces of different sizes: what it gets must not depend on them.
fn read(board: &Board, pid: u32, anchors: &[Anchor], number: usize) -> io::Result<()> {
    const PIECES: [usize; 4] = [64 << 10, 4096, 1000, 16 << 10];
    let mut turn = number;
    while !board.is_over() {
        let (text, length) = time(|| smaps::read(pid, PIECES[turn % PIECES.len()]));
        turn += 1;
        let complaint = match smaps::parse(&text?) {
            Ok(records) => {
                board.records.fetch_add(records.len() as u64, Relaxed);
                smaps::complaint(&records, anchors)
            }
            Err(line) => Some(format!("a line that does not belong there: {line}")),
        };
        board.longest_read.fetch_max(length, Relaxed);
        board.reads.fetch_add(1, Relaxed);
        if let Some(complaint) = complaint
            && board.wrong.fetch_add(1, Relaxed) < 5
        {
            eprintln!("\nwrong: {complaint}");
        }
    }
    Ok(())
}

/// Waits, with a live line if somebody looks. Gives the most memory that waited for a grace period, in kB.
fn watch(board: &Board, seconds: u64) -> io::Result<u64> {
    let live = io::stdout().is_terminal();
    let start = Instant::now();
    let mut peak = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_millis(200));
        let waiting = Stats::now()?.get("memory_waiting_kB");
        peak = peak.max(waiting);
        if live {
            print!(
                "\r{:4.1} s: {} rounds, {} reads, {} wrong, {waiting} kB wait   ",
                start.elapsed().as_secs_f64(),
                board.rounds.load(Relaxed),
                board.reads.load(Relaxed),
                board.wrong.load(Relaxed)
            );
            io::stdout().flush()?;
        }
    }
    if live {
        println!();
    }
    Ok(peak)
}

fn summary(board: &Board, before: &Stats, seconds: u64, peak: u64) -> io::Result<u64> {
    let after = Stats::now()?;
    let get = |name| after.since(before, name);
    let (rounds, reads) = (board.rounds.load(Relaxed), board.reads.load(Relaxed));
    let milliseconds = |ns: u64| ns as f64 / 1e6;
    println!(
        "writer:  {rounds} rounds of {TABLES} tables: {} a second; longest munmap {:.3} ms",
        rounds / seconds,
        milliseconds(board.longest_unmap.load(Relaxed))
    );
    let handed_out = get("handed_out").max(1);
    println!(
        "tables:  {} freed, {} handed out, {} of them reused ({} %); at most {peak} kB waited",
        get("retired") + get("released"),
        handed_out,
        get("reused"),
        100 * get("reused") / handed_out
    );
    println!(
        "kernel:  {} grace periods, {} interrupts to free tables",
        get("grace_periods"),
        get("interrupts_sent")
    );
    println!(
        "readers: {reads} reads: {} a second; {} records; longest read {:.3} ms",
        reads / seconds,
        board.records.load(Relaxed),
        milliseconds(board.longest_read.load(Relaxed))
    );
    let (wrong, touched) = (board.wrong.load(Relaxed), get("touched_after_free"));
    let looked = if after.get("poison") == 0 { " (not looked for: boot with page_poison=1)" } else { "" };
    println!("wrong:   {wrong} reads; tables touched after free: {touched}{looked}");
    Ok(wrong + touched)
}
