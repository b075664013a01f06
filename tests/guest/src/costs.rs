//! What the kernel's services cost, in guest instructions; and what tables take of memory.
//!
//! Under `-icount` the guest's clock counts instructions: 1 ns each on s390x, 4 ns on pseries. The
//! runner divides; this prints nanoseconds of the guest's clock. Each figure is the least of several
//! rounds, each of many calls, with the cost of an empty loop taken off.

pub mod latency;
mod memory;
pub mod smaps;

pub use memory::meminfo;

use crate::harness::memory::{Map, page, poke};
use crate::harness::{Outcome, call};
use crate::{raw, sys};
use libc::{MAP_ANONYMOUS, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE};

/// Rounds of which the least counts.
const ROUNDS: usize = 5;

fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a structure of our own.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    (time.tv_sec * 1_000_000_000 + time.tv_nsec) as u64
}

/// The least time of a call among the rounds, and prints it.
fn measure(
    name: &str,
    calls: u64,
    mut work: impl FnMut() -> Result<u64, crate::harness::Failure>,
) -> Outcome {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        least = least.min(work()?);
    }
    told(name, least, calls);
    Ok(())
}

/// Prints a figure.
fn told(name: &str, time: u64, of: u64) {
    println!("cost {name}: {} ns", time / of);
}

/// The time that something takes.
fn timed(mut work: impl FnMut() -> Outcome) -> Result<u64, crate::harness::Failure> {
    let before = now();
    work()?;
    Ok(now() - before)
}

/// Prints all of them, or only those about `smaps`; the result is the exit status.
pub fn run(only_smaps: bool) -> i32 {
    match if only_smaps { smaps::all() } else { all() } {
        Ok(()) => 0,
        Err(failure) => {
            println!("costs: {failure:?}");
            1
        }
    }
}

fn all() -> Outcome {
    measure("null call", 1000, || {
        timed(|| {
            for _ in 0..1000 {
                raw!(SYS_getppid);
            }
            Ok(())
        })
    })?;
    measure("fork, exit, wait", 20, || {
        timed(|| {
            for _ in 0..20 {
                // SAFETY: the child ends at once.
                let pid = unsafe { libc::fork() };
                if pid == 0 {
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(0) };
                }
                sys!(waitpid(pid, std::ptr::null_mut(), 0));
            }
            Ok(())
        })
    })?;
    pipe_switch()?;
    faults()?;
    tables()?;
    smaps::all()?;
    memory::all()
}

/// The first program of the machine: tells when it began, and ends the machine.
pub fn boot(began: u64) -> i32 {
    if std::process::id() != 1 {
        println!("costs: `boot` is for the first program");
        return 2;
    }
    println!("cost boot to the first program: {began} ns");
    // SAFETY: ends the machine.
    unsafe { libc::reboot(libc::RB_POWER_OFF) }
}

fn pipe_switch() -> Outcome {
    let (mut there, mut back) = ([0; 2], [0; 2]);
    sys!(pipe(there.as_mut_ptr()));
    sys!(pipe(back.as_mut_ptr()));
    let child = crate::harness::child::fork(|| {
        sys!(close(there[1]));
        let mut byte = [0_u8; 1];
        while sys!(read(there[0], byte.as_mut_ptr().cast(), 1)) == 1 {
            sys!(write(back[1], byte.as_ptr().cast(), 1));
        }
        Ok(())
    })?;
    measure("pipe switch, one way", 1000, || {
        timed(|| {
            let mut byte = [0_u8; 1];
            for _ in 0..500 {
                sys!(write(there[1], byte.as_ptr().cast(), 1));
                sys!(read(back[0], byte.as_mut_ptr().cast(), 1));
            }
            Ok(())
        })
    })?;
    sys!(close(there[1]));
    child.succeeds()
}

const RW: i32 = PROT_READ | PROT_WRITE;
const FLAGS: i32 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/// Linux would rather take large pages, and no table. Others know no such advice.
fn no_large_pages(map: &Map) {
    // SAFETY: advice about our own mapping.
    unsafe { libc::madvise(map.start.cast(), map.len, libc::MADV_NOHUGEPAGE) };
}

fn faults() -> Outcome {
    measure("anonymous fault", 200, || {
        let map = Map::private(200)?;
        no_large_pages(&map);
        // The table is there; only the pages are not.
        poke(map.page(0), 1);
        timed(|| {
            (0..200).for_each(|number| poke(map.page(number), 1));
            Ok(())
        })
    })?;
    measure("mmap, munmap", 200, || {
        timed(|| {
            for _ in 0..200 {
                drop(Map::private(1)?);
            }
            Ok(())
        })
    })?;
    // Far from everything else, so that each round needs a page table of its own.
    let lonely = Map::new(0, 1 << 30, libc::PROT_NONE, FLAGS, -1, 0)?;
    let at = (lonely.start as usize + (1 << 29)) as *mut libc::c_void;
    // Nothing beside it, or the neighbour would keep the table.
    drop(lonely);
    measure("mmap, touch, munmap on a fresh table", 100, || {
        timed(|| {
            for _ in 0..100 {
                // SAFETY: where nothing is: the reservation was there, and nothing was mapped since.
                let map = unsafe { libc::mmap(at, page(), RW, FLAGS | libc::MAP_FIXED, -1, 0) };
                call(map as i64, "mmap")?;
                poke(map.cast(), 1);
                sys!(munmap(map, page()));
            }
            Ok(())
        })
    })
}

/// How far apart pages are that need a page table each: what one table maps on either machine, in the
/// layout that is the machine's own on Linux.
pub const fn span() -> usize {
    if cfg!(target_arch = "s390x") { 1 << 20 } else { 1 << 21 }
}

fn tables() -> Outcome {
    const COUNT: usize = 256;
    let touched = || -> Result<Map, crate::harness::Failure> {
        let map = Map::new(0, COUNT * span(), RW, FLAGS, -1, 0)?;
        no_large_pages(&map);
        (0..COUNT).for_each(|number| map.set(number * span(), 1));
        Ok(map)
    };
    measure("munmap, per page table with one page", COUNT as u64, || {
        let map = touched()?;
        timed(|| {
            sys!(munmap(map.start.cast(), map.len));
            Ok(())
        })
    })?;
    let fork = || -> Result<u64, crate::harness::Failure> {
        let before = now();
        // SAFETY: the child ends at once.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: ends the child.
            unsafe { libc::_exit(0) };
        }
        let time = now() - before;
        sys!(waitpid(pid, std::ptr::null_mut(), 0));
        Ok(time)
    };
    let without =
        (0..ROUNDS).map(|_| fork()).try_fold(u64::MAX, |least, time| time.map(|time| least.min(time)))?;
    let _map = touched()?;
    measure("fork, per page table with one page", COUNT as u64, || Ok(fork()?.saturating_sub(without)))
}
