//! What tests execute: small programs that look at what they were given.

use crate::harness::child::{fork, fork_status};
use crate::harness::memory::{Map, page, poke, touch};
use crate::harness::{Outcome, SELF, c};
use crate::sys;
use std::sync::atomic::Ordering::SeqCst;

/// Plays a part; the result is the exit status.
pub fn play(name: &str, words: &[&str]) -> i32 {
    match name {
        "open-descriptors" => open_descriptors(words),
        "arguments" => {
            words.iter().for_each(|word| println!("{word}"));
            0
        }
        "environment" => {
            std::env::vars().for_each(|(name, value)| println!("{name}={value}"));
            0
        }
        "dwell" => status_of(dwell()),
        "dweller" => status_of(dweller()),
        "signals" => signals(words),
        "status" => words.first().and_then(|word| word.parse().ok()).unwrap_or(1),
        "stack" => {
            println!("{}", stack(100));
            0
        }
        _ => 2,
    }
}

fn status_of(outcome: Outcome) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(failure) => {
            println!("{failure:?}");
            1
        }
    }
}

/// Words that a dweller is started with.
const WORDS: [&str; 3] = ["one", "two words", ""];
/// Pages of its own, pages of a file, pages that it shares with its child.
const DWELLERS: [usize; 3] = [64, 16, 32];
/// Its threads.
const THREADS: usize = 4;

/// Starts a dweller, and waits.
fn dwell() -> Outcome {
    let path = c(SELF);
    let words: Vec<_> = ["guest-tests", "role", "dweller"].into_iter().chain(WORDS).map(c).collect();
    let mut pointers: Vec<_> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    fork_status(|| {
        // SAFETY: the words end with a null.
        unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
        1
    })?;
    rest()
}

fn rest() -> Outcome {
    loop {
        // SAFETY: no arguments.
        unsafe { libc::pause() };
    }
}

/// A process whose numbers are known: prints them as facts, and waits. Who reads `/proc` must find them.
fn dweller() -> Outcome {
    let [own, file, shared] = DWELLERS;
    let common = Map::shared(shared)?;
    (0..shared).for_each(|n| poke(common.page(n), 1));
    let child = fork(|| {
        (0..shared).for_each(|n| poke(common.page(n), 2));
        common.word(0).store(77, SeqCst);
        rest()
    })?;
    while common.word(0).load(SeqCst) != 77 {
        std::thread::yield_now();
    }
    // What follows is its own alone.
    let anonymous = Map::private(own)?;
    (0..own).for_each(|n| poke(anonymous.page(n), 1));
    std::fs::write("/tmp/dwelling", vec![7; file * page()])?;
    let dwelling = sys!(open(c"/tmp/dwelling".as_ptr(), libc::O_RDONLY)) as i32;
    let text = Map::new(0, file * page(), libc::PROT_READ, libc::MAP_PRIVATE, dwelling, 0)?;
    (0..file).for_each(|n| touch(text.page(n)));
    for _ in 1..THREADS {
        std::thread::spawn(rest);
    }
    // SAFETY: plain data of this function.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    while seconds(usage.ru_utime) + seconds(usage.ru_stime) < 0.25 {
        sys!(getrusage(libc::RUSAGE_SELF, &mut usage));
    }
    let facts = [
        ("pid", u64::from(std::process::id())),
        ("parent", sys!(getppid()) as u64),
        ("child", child.0 as u64),
        ("threads", THREADS as u64),
        ("page", page() as u64),
        ("anonymous_at", anonymous.start as u64),
        ("anonymous_pages", own as u64),
        ("file_at", text.start as u64),
        ("file_pages", file as u64),
        ("shared_at", common.start as u64),
        ("shared_pages", shared as u64),
        ("descriptors", std::fs::read_dir("/proc/self/fd")?.count() as u64 - 1),
    ];
    let mut lines: String = facts.iter().map(|(name, value)| format!("fact {name} {value}\n")).collect();
    lines += &format!("fact cpu_seconds {}\n", seconds(usage.ru_utime) + seconds(usage.ru_stime));
    // For whoever waits for them; whole.
    std::fs::write("/tmp/facts.new", lines)?;
    std::fs::rename("/tmp/facts.new", "/tmp/facts")?;
    rest()
}

/// `3` must be open, `!4` must not.
fn open_descriptors(words: &[&str]) -> i32 {
    let wrong = words.iter().filter(|word| {
        let (open, number) = word.strip_prefix('!').map_or((true, **word), |rest| (false, rest));
        let number = number.parse().unwrap_or(-1);
        // SAFETY: asks about a descriptor.
        (unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0) != open
    });
    wrong.count() as i32
}

/// `i10`: ignored; `d10`: default; `b10`: blocked; `u10`: not blocked.
fn signals(words: &[&str]) -> i32 {
    let wrong = words.iter().filter(|word| {
        let (what, number) = word.split_at(1);
        let number = number.parse().unwrap_or(0);
        // SAFETY: reads the process's own settings.
        let (action, blocked) = unsafe {
            let mut old: libc::sigaction = std::mem::zeroed();
            libc::sigaction(number, std::ptr::null(), &mut old);
            let mut mask = std::mem::zeroed();
            libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
            (old.sa_sigaction, libc::sigismember(&mask, number) == 1)
        };
        !match what {
            "i" => action == libc::SIG_IGN,
            "d" => action == libc::SIG_DFL,
            "b" => blocked,
            _ => !blocked,
        }
    });
    wrong.count() as i32
}

#[inline(never)]
fn stack(left: usize) -> usize {
    let here = std::hint::black_box([left as u8; 256]);
    if left == 0 { 0 } else { stack(left - 1) + usize::from(here[0] > 0) }
}
