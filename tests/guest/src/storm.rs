//! Storms: one thing as often as it goes, on all CPUs, for some seconds; then nothing may be missing.

use crate::harness::child::fork;
use crate::harness::leaks::Level;
use crate::harness::memory::{Map, page, poke};
use crate::harness::{Failure, Outcome, SELF, c};
use crate::sys;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

/// Runs a storm; the result is the exit status.
pub fn run(kind: &str, seconds: u64) -> i32 {
    let once: fn() -> Outcome = match kind {
        "fork" => forks,
        "exec" => execs,
        "thread" => threads,
        "pipe" => pipes,
        "map" => maps,
        _ => {
            eprintln!("storms: fork, exec, thread, pipe, map");
            return 2;
        }
    };
    // Once before it counts: tables that stay grow to the storm's size.
    let result = storm(once, Duration::from_millis(300)).and_then(|_| {
        let before = Level::settled();
        let rounds = storm(once, Duration::from_secs(seconds))?;
        before.as_ref().map_or(Ok(()), Level::comes_back).map_err(Failure::Failed)?;
        Ok(rounds)
    });
    match result {
        Ok(rounds) => {
            println!("{kind} storm: {rounds} rounds in {seconds} s, nothing lost");
            0
        }
        Err(failure) => {
            println!("{kind} storm: {failure:?}");
            1
        }
    }
}

/// Two workers for each CPU do it over and over.
fn storm(once: fn() -> Outcome, time: Duration) -> Result<u64, Failure> {
    let rounds = Map::shared(1)?;
    let until = Instant::now() + time;
    let workers = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut children = Vec::new();
    for _ in 0..workers {
        children.push(fork(|| {
            while Instant::now() < until {
                once()?;
                rounds.word(0).fetch_add(1, SeqCst);
            }
            Ok(())
        })?);
    }
    for child in children {
        child.succeeds()?;
    }
    Ok(u64::from(rounds.word(0).load(SeqCst)))
}

fn forks() -> Outcome {
    let map = Map::private(8)?;
    (0..8).for_each(|number| poke(map.page(number), 1));
    let mut children = Vec::new();
    for _ in 0..4 {
        children.push(fork(|| {
            (0..8).for_each(|number| poke(map.page(number), 2));
            fork(|| Ok(()))?.succeeds()
        })?);
    }
    children.into_iter().try_for_each(|child| child.succeeds())
}

fn execs() -> Outcome {
    let path = c(SELF);
    let child = crate::harness::child::fork_status(|| {
        let words = [path.as_ptr(), c"role".as_ptr(), c"status".as_ptr(), c"0".as_ptr(), std::ptr::null()];
        // SAFETY: the words end with a null.
        unsafe { libc::execv(path.as_ptr(), words.as_ptr()) }
    })?;
    child.succeeds()
}

fn threads() -> Outcome {
    let sum = std::sync::Mutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let map = Map::private(4);
                if let Ok(map) = map {
                    poke(map.page(2), 1);
                    *sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
                }
            });
        }
    });
    crate::equal!(*sum.lock().unwrap_or_else(std::sync::PoisonError::into_inner), 6);
    Ok(())
}

fn pipes() -> Outcome {
    let (mut there, mut back) = ([0; 2], [0; 2]);
    sys!(pipe(there.as_mut_ptr()));
    sys!(pipe(back.as_mut_ptr()));
    let child = fork(|| {
        let mut buffer = [0_u8; 5000];
        for _ in 0..50 {
            let count = sys!(read(there[0], buffer.as_mut_ptr().cast(), buffer.len()));
            sys!(write(back[1], buffer.as_ptr().cast(), count as usize));
        }
        Ok(())
    })?;
    let mut buffer = [7_u8; 3000];
    for _ in 0..50 {
        sys!(write(there[1], buffer.as_ptr().cast(), buffer.len()));
        let mut left = buffer.len();
        while left > 0 {
            left -= sys!(read(back[0], buffer.as_mut_ptr().cast(), left)) as usize;
        }
    }
    for fd in [there[0], there[1], back[0], back[1]] {
        sys!(close(fd));
    }
    child.wait().map(drop)
}

fn maps() -> Outcome {
    // Page tables come and go, in threads of one address space.
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            scope.spawn(move || -> Outcome {
                for round in 0..20 {
                    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
                    let map = Map::new(0, 1 << 28, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)?;
                    for number in 0..4 {
                        poke(map.at((number << 26) + (thread + round) * page()), 1);
                    }
                }
                Ok(())
            });
        }
    });
    Ok(())
}
