//! The processes: one that is watched, one that breeds processes which execute and end, and the readers.

use super::check::{self, Counts};
use super::slots::{self, SLOTS, Slot};
use crate::harness::child::{Child, fork, fork_status};
use crate::harness::memory::Map;
use crate::harness::{Failure, Outcome};
use crate::{smaps, sys};
use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How much is read.
#[derive(Clone, Copy, Debug)]
pub enum Amount {
    /// So many files, by each reader.
    Reads(u64),
    /// For so many seconds.
    Seconds(u64),
}

/// Words that all processes share.
pub struct Board(Map);

enum Word {
    /// The readers are done.
    Over = 0,
    /// The slots are made.
    Ready = 1,
    /// The first slot's first address.
    First = 2,
    /// The process that is bred at the moment.
    Bred = 3,
    Reads = 4,
    /// Reads during which some slot changed.
    Beside = 5,
    /// From here on: how often each slot was changed.
    Counts = 8,
}

impl Board {
    fn word(&self, number: usize) -> &AtomicU64 {
        // SAFETY: aligned, inside the mapping, which lives as long as the reference.
        unsafe { &*self.0.at(number * 8).cast() }
    }
    fn get(&self, word: Word) -> u64 {
        self.word(word as usize).load(SeqCst)
    }
    fn set(&self, word: Word, value: u64) {
        self.word(word as usize).store(value, SeqCst);
    }
    fn add(&self, word: Word) {
        self.word(word as usize).fetch_add(1, SeqCst);
    }
    fn counts(&self) -> Counts {
        (0..SLOTS.len()).map(|n| self.word(Word::Counts as usize + n).load(SeqCst)).collect()
    }
    fn slots(&self) -> Vec<Slot> {
        let start = |n: usize| self.get(Word::First) + (n * slots::STRIDE) as u64;
        SLOTS.into_iter().enumerate().map(|(n, kind)| Slot { kind, start: start(n) }).collect()
    }
}

/// Plays it; the result says how much was read.
pub fn run(amount: Amount) -> Result<String, Failure> {
    let board = Board(Map::shared(1)?);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let watched = fork(|| stay_on(0).and_then(|()| change(&board)))?;
    while board.get(Word::Ready) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let breeder = fork(|| breed(&board))?;
    let mut readers = Vec::new();
    for number in 0..(cpus - 1).max(1) {
        let cpu = (number + 1) % cpus;
        readers.push(fork(|| stay_on(cpu).and_then(|()| read(&board, watched, number, amount)))?);
    }
    let results: Vec<Outcome> = readers.into_iter().map(Child::succeeds).collect();
    board.set(Word::Over, 1);
    breeder.succeeds()?;
    watched.succeeds()?;
    results.into_iter().collect::<Outcome>()?;
    let (reads, beside) = (board.get(Word::Reads), board.get(Word::Beside));
    let steps = board.counts().iter().sum::<u64>() / 2;
    crate::check!(steps > 0 && reads > 0);
    Ok(format!("{reads} reads, {beside} of them beside changes; {steps} changes"))
}

fn stay_on(cpu: usize) -> Outcome {
    // SAFETY: the set is plain data of this function.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        sys!(sched_setaffinity(0, size_of_val(&set), &set));
    }
    Ok(())
}

/// The watched process.
fn change(board: &Board) -> Outcome {
    let slots = slots::make()?;
    board.set(Word::First, slots[0].start);
    board.set(Word::Ready, 1);
    let mut child = None;
    // A number that no pattern of the readers goes with.
    let mut random = 1_u64;
    while board.get(Word::Over) == 0 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = (random >> 33) as usize % slots.len();
        let count = board.word(Word::Counts as usize + number);
        let steps = count.fetch_add(1, SeqCst) / 2;
        slots[number].step(steps, &mut child)?;
        count.fetch_add(1, SeqCst);
    }
    child.map_or(Ok(()), slots::Partner::end)
}

/// Mappings of a process that is bred.
const MAPPINGS: usize = 40;

/// Makes one process after the other that executes busybox, or just ends.
fn breed(board: &Board) -> Outcome {
    // Mappings for several steps of a reader, all of them below the board; no two are one.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let rights = |n: usize| if n.is_multiple_of(2) { libc::PROT_READ } else { libc::PROT_NONE };
    let many = (0..MAPPINGS).map(|n| Map::new(0, crate::harness::memory::page(), rights(n), flags, -1, 0));
    let _many: Vec<Map> = many.collect::<Result<_, _>>()?;
    let mut number = 0;
    while board.get(Word::Over) == 0 {
        number += 1;
        let child = fork_status(|| {
            if number % 3 != 0 {
                let words = [c"busybox".as_ptr(), c"true".as_ptr(), std::ptr::null()];
                // SAFETY: the words end with a null.
                unsafe { libc::execv(c"/bin/busybox".as_ptr(), words.as_ptr()) };
                return 1;
            }
            0
        })?;
        board.set(Word::Bred, child.0 as u64);
        child.succeeds()?;
    }
    Ok(())
}

/// Sizes of the buffers that files are read with.
const PIECES: [usize; 6] = [64 << 10, 4096, 1000, 17, 16 << 10, 100];
/// Every so many reads, bytes are read one by one.
const BYTEWISE: u64 = 23;

/// Reads the whole of a file of that process, in pieces of that size.
pub fn whole(pid: i32, name: &str, piece: usize) -> std::io::Result<String> {
    let mut file = std::fs::File::open(format!("/proc/{pid}/{name}"))?;
    let (mut text, mut buffer) = (Vec::new(), vec![0; piece]);
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return String::from_utf8(text).map_err(|_| std::io::Error::other("it is no text"));
        }
        text.extend_from_slice(&buffer[..length]);
    }
}

/// A reader.
fn read(board: &Board, watched: Child, number: usize, amount: Amount) -> Outcome {
    let slots = board.slots();
    let since = Instant::now();
    let mut turn = number as u64;
    loop {
        let done = turn - number as u64;
        match amount {
            Amount::Reads(most) if done >= most => return Ok(()),
            Amount::Seconds(most) if since.elapsed() >= Duration::from_secs(most) => return Ok(()),
            _ => {}
        }
        let piece = if turn % BYTEWISE == 5 { 1 } else { PIECES[turn as usize % PIECES.len()] };
        let names = ["smaps", "maps", "smaps", "smaps_rollup", "smaps", "page_tables", "smaps", "bred"];
        let name = names[(turn / 2) as usize % names.len()];
        let before = board.counts();
        let complaint = match name {
            "bred" => ending(board, piece)?,
            "page_tables" if crate::harness::on_linux() => None,
            name => {
                let text = whole(watched.0, name, piece)?;
                let after = board.counts();
                if before != after {
                    board.add(Word::Beside);
                }
                judge(name, &text, &slots, &before, &after).map(|what| format!("{what}\n{text}"))
            }
        };
        board.add(Word::Reads);
        turn += 1;
        if let Some(complaint) = complaint {
            let text = format!("a read of {name}, {piece} bytes at a time: {complaint}");
            eprintln!("# {text}");
            return Err(Failure::new(text.lines().next().unwrap_or_default()));
        }
    }
}

/// What is wrong with what was read of the watched process.
pub fn judge(name: &str, text: &str, slots: &[Slot], before: &Counts, after: &Counts) -> Option<String> {
    if name == "page_tables" {
        return check::page_tables(text, slots);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        return Some("the last line is cut".into());
    }
    let records = match smaps::parse(text) {
        Ok(records) => records,
        Err(line) => return Some(format!("a line that does not belong there: {line}")),
    };
    match name {
        "smaps_rollup" => check::rollup(&records),
        name => check::complaint(&records, slots, before, after, name == "smaps"),
    }
}

/// Reads smaps of a process that may execute another program or end at any moment. It ends where it ends,
/// but at the end of a record, and what it shows is of one program.
fn ending(board: &Board, piece: usize) -> Result<Option<String>, Failure> {
    let pid = board.get(Word::Bred) as i32;
    let text = match whole(pid, "smaps", piece) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let records = match smaps::parse(&text) {
        Ok(records) => records,
        Err(line) => return Ok(Some(format!("a line that does not belong there: {line}"))),
    };
    // The first program has this process' board, at the same place; the other has nothing there. What is
    // behind it is shown only if it was.
    let of = |name: &str| records.iter().any(|record| record.name == name);
    let place = board.0.start as u64;
    let behind = records.last().is_some_and(|record| record.range.start > place);
    let whole = records.iter().any(|record| record.range.contains(&place));
    if of(crate::harness::SELF) && (of("/bin/busybox") || behind && !whole) {
        return Ok(Some(format!("of two programs:\n{text}")));
    }
    let sorted = records.is_sorted_by(|a, b| a.range.end <= b.range.start);
    let complaint = records.iter().find_map(smaps::Record::complaint);
    Ok(complaint.or((!sorted).then(|| "out of order".into())).map(|what| format!("{what}\n{text}")))
}

/// A process with the slots in their first state, which does nothing more; and its slots.
pub fn still() -> Result<(Child, Vec<Slot>), Failure> {
    let board = Board(Map::shared(1)?);
    let child = fork(|| {
        let slots = slots::make()?;
        board.set(Word::First, slots[0].start);
        board.set(Word::Ready, 1);
        loop {
            sys!(pause());
        }
    })?;
    while board.get(Word::Ready) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok((child, board.slots()))
}
