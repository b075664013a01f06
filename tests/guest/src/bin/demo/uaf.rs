//! Is a table freed under a reader?

use super::kernel::{ask, choice, tell};
use super::smaps;
use super::stage::{Board, Child, Map, cpus, page, stay_on};
use std::io;
use std::os::unix::process::CommandExt;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// So long the reader is parked at most, in milliseconds.
const PATIENCE: u64 = 3000;
/// What a page-table page covers at most, on every machine and in every layout.
const TABLE: usize = 32 << 20;

/// Plays the scene. 1: a table was freed under the reader.
pub fn run() -> io::Result<i32> {
    if cpus() < 2 {
        return Err(io::Error::other("a reader on a CPU of its own needs two; boot with --cpus 2"));
    }
    // An address space is new with `exec`: this one will never have been on CPU 1.
    stay_on(0)?;
    // By its path: the name that the kernel gives it is the last part.
    Err(std::process::Command::new(std::env::current_exe()?).arg("uaf-on-one-cpu").exec())
}

/// The rest, in an address space that CPU 0 alone has seen.
pub fn on_one_cpu() -> io::Result<i32> {
    println!("uaf: free={} layout={}", choice("free")?, choice("layout")?);
    let board = Board::new()?;
    // A table of its own, in every layout.
    let map = Map::private(3 * TABLE)?;
    let target = map.start().next_multiple_of(TABLE as u64);
    map.touch((target - map.start()) as usize);
    let own = std::process::id();
    let reader = Child::play(|| {
        let read = stay_on(1).and_then(|()| {
            board.ready.store(1, Relaxed);
            while board.stop.load(Relaxed) == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
            smaps::read(own, 64 << 10)
        });
        i32::from(read.is_err())
    })?;
    wait("the reader begins", || Ok(board.ready.load(Relaxed) != 0))?;
    tell("park", &format!("{} {PATIENCE} {target:#x}", reader.pid()))?;
    board.stop.store(1, Relaxed);
    wait("the reader is parked", || Ok(ask("park")?.contains("parked since")))?;
    println!("a reader of /proc/{own}/smaps is parked on CPU 1; unmapping what he is about to read about");
    drop(map);
    // Somebody may get the memory: more tables, more pages.
    let again = Map::private(8 * TABLE)?;
    (0..8).for_each(|n| again.touch(n * TABLE + page()));
    tell("park", "go")?;
    reader.wait()?;
    // The grace period is over soon after.
    let waits = || ask("park").map(|text| !text.contains("it waits for"));
    wait("the table's memory comes back", waits)?;
    let story = ask("park")?;
    print!("{story}");
    Ok(i32::from(story.contains("verdict: use after free")))
}

fn wait(what: &str, mut done: impl FnMut() -> io::Result<bool>) -> io::Result<()> {
    let start = Instant::now();
    while !done()? {
        if start.elapsed() > Duration::from_millis(2 * PATIENCE) {
            return Err(io::Error::other(format!("waited in vain: {what}")));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
