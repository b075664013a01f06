//! Threads, futexes, affinity.

use crate::harness::child::{Status, fork, fork_status, handle};
use crate::harness::memory::{Map, page, peek, poke};
use crate::harness::{Failure, Outcome};
use crate::{check, equal, raw, raw_fails, sys, tests};
use libc::{FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE, FUTEX_WAKE_BITSET};
use std::cell::Cell;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Barrier, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

tests![
    started_and_joined,
    each_has_its_own_variables,
    a_mutex_excludes,
    a_condition_wakes,
    channels_carry,
    fifty_at_once,
    one_after_the_other,
    futex_refuses,
    futex_times_out,
    futex_wakes_as_many,
    futex_bitsets,
    futex_between_processes,
    futex_requeues,
    the_end_of_a_thread_wakes,
    the_leader_may_end_first,
    exit_ends_all,
    exec_ends_the_others,
    a_fatal_signal_ends_all,
    floats_are_each_threads_own,
    affinity,
    mapping_beside_faulting,
    robust_locks_are_freed,
    fork_beside_threads,
    signals_find_a_thread,
    restartable_sequences,
];

fn futex(word: &AtomicU32, op: i32, value: u32, time: Option<&libc::timespec>) -> i64 {
    let time = time.map_or(std::ptr::null(), |time| &raw const *time);
    // SAFETY: the word is alive; the kernel only compares it.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, time, 0, u32::MAX) }
}

fn started_and_joined() -> Outcome {
    for number in 0..20_u64 {
        equal!(std::thread::spawn(move || number * 2).join().ok(), Some(number * 2));
    }
    Ok(())
}

fn each_has_its_own_variables() -> Outcome {
    thread_local!(static OWN: Cell<u64> = const { Cell::new(7) });
    OWN.set(1);
    let threads: Vec<_> = (0..8)
        .map(|number| {
            std::thread::spawn(move || {
                let before = OWN.get();
                for _ in 0..1000 {
                    OWN.set(OWN.get() + number);
                    std::thread::yield_now();
                }
                (before, OWN.get())
            })
        })
        .collect();
    for (number, thread) in threads.into_iter().enumerate() {
        equal!(thread.join().ok(), Some((7, 7 + 1000 * number as u64)));
    }
    equal!(OWN.get(), 1);
    Ok(())
}

fn a_mutex_excludes() -> Outcome {
    let sum = Mutex::new(0_u64);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..2000).for_each(|_| *sum.lock().unwrap() += 1));
        }
    });
    equal!(*sum.lock().unwrap(), 16_000);
    Ok(())
}

fn a_condition_wakes() -> Outcome {
    let turn = Mutex::new(0);
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for own in 0..4 {
            let (turn, changed) = (&turn, &changed);
            scope.spawn(move || {
                for round in 0..100 {
                    let mut now = turn.lock().unwrap();
                    while *now != round * 4 + own {
                        now = changed.wait(now).unwrap();
                    }
                    *now += 1;
                    changed.notify_all();
                }
            });
        }
    });
    equal!(*turn.lock().unwrap(), 400);
    Ok(())
}

fn channels_carry() -> Outcome {
    let (sender, receiver) = mpsc::channel();
    for number in 0..4_u64 {
        let sender = sender.clone();
        std::thread::spawn(move || (0..500).for_each(|value| sender.send(number * 500 + value).unwrap()));
    }
    drop(sender);
    equal!(receiver.iter().sum::<u64>(), 1999 * 2000 / 2);
    let (_sender, receiver) = mpsc::channel::<()>();
    check!(receiver.recv_timeout(Duration::from_millis(20)).is_err());
    Ok(())
}

fn fifty_at_once() -> Outcome {
    let barrier = Arc::new(Barrier::new(50));
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let barrier = barrier.clone();
            std::thread::spawn(move || barrier.wait().is_leader())
        })
        .collect();
    let leaders = threads.into_iter().filter_map(|thread| thread.join().ok()).filter(|&leads| leads).count();
    equal!(leaders, 1);
    Ok(())
}

fn one_after_the_other() -> Outcome {
    for number in 0..200 {
        equal!(std::thread::spawn(move || number).join().ok(), Some(number));
    }
    Ok(())
}

fn futex_refuses() -> Outcome {
    let word = AtomicU32::new(5);
    equal!((futex(&word, FUTEX_WAIT, 4, None), crate::harness::errno()), (-1, libc::EAGAIN));
    equal!(futex(&word, FUTEX_WAKE, 1, None), 0);
    raw_fails!(EINVAL, SYS_futex, word.as_ptr() as usize + 1, FUTEX_WAIT, 5, 0, 0, 0);
    raw_fails!(ENOSYS, SYS_futex, word.as_ptr(), 77, 5, 0, 0, 0);
    raw_fails!(EFAULT, SYS_futex, 0x1000, FUTEX_WAIT, 5, 0, 0, 0);
    raw_fails!(EINVAL, SYS_futex, word.as_ptr(), FUTEX_WAIT_BITSET, 5, 0, 0, 0);
    Ok(())
}

fn futex_times_out() -> Outcome {
    let word = AtomicU32::new(5);
    let time = libc::timespec { tv_sec: 0, tv_nsec: 30_000_000 };
    let since = Instant::now();
    equal!((futex(&word, FUTEX_WAIT, 5, Some(&time)), crate::harness::errno()), (-1, libc::ETIMEDOUT));
    check!(since.elapsed() >= Duration::from_millis(30), "{:?}", since.elapsed());
    // An absolute time for bitsets.
    let past = libc::timespec { tv_sec: 0, tv_nsec: 1 };
    let result = futex(&word, FUTEX_WAIT_BITSET, 5, Some(&past));
    equal!((result, crate::harness::errno()), (-1, libc::ETIMEDOUT));
    let bad = libc::timespec { tv_sec: 0, tv_nsec: -1 };
    equal!((futex(&word, FUTEX_WAIT, 5, Some(&bad)), crate::harness::errno()), (-1, libc::EINVAL));
    Ok(())
}

fn futex_wakes_as_many() -> Outcome {
    let word = AtomicU32::new(0);
    let woken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while futex(&word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, None) != 0 {}
                woken.fetch_add(1, SeqCst);
            });
        }
        let mut total = 0;
        for most in [1, 2, 100] {
            let mut here = 0;
            while here == 0 || (most == 100 && total + here < 6) {
                let count = futex(&word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, most, None);
                check!(count <= i64::from(most));
                here += count;
            }
            total += here;
        }
        equal!(total, 6);
        Ok::<(), Failure>(())
    })?;
    equal!(woken.load(SeqCst), 6);
    Ok(())
}

fn futex_bitsets() -> Outcome {
    let word = AtomicU32::new(0);
    let op = |op: i32, value: u32, bits: u32| {
        // SAFETY: the word is alive.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), op, value, 0_usize, 0_usize, bits) }
    };
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| op(FUTEX_WAIT_BITSET, 0, 2));
        std::thread::sleep(Duration::from_millis(20));
        equal!(op(FUTEX_WAKE_BITSET, 10, 1), 0);
        while op(FUTEX_WAKE_BITSET, 10, 6) == 0 {}
        equal!(waiter.join().ok(), Some(0));
        Ok(())
    })
}

fn futex_between_processes() -> Outcome {
    let map = Map::shared(1)?;
    let child = fork(|| {
        while map.word(0).load(SeqCst) == 0 {
            futex(map.word(0), FUTEX_WAIT, 0, None);
        }
        map.word(1).store(1, SeqCst);
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(20));
    map.word(0).store(1, SeqCst);
    futex(map.word(0), FUTEX_WAKE, 1, None);
    child.succeeds()?;
    equal!(map.word(1).load(SeqCst), 1);
    // Private ones of two processes at the same address are two.
    let own = AtomicU32::new(0);
    let child = fork(|| {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        equal!(futex(&own, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, Some(&time)), -1);
        Ok(())
    })?;
    std::thread::sleep(Duration::from_millis(20));
    equal!(futex(&own, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 10, None), 0);
    child.succeeds()
}

fn futex_requeues() -> Outcome {
    let (one, two) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let waiters: Vec<_> = (0..3).map(|_| scope.spawn(|| futex(&one, FUTEX_WAIT, 0, None))).collect();
        let mut moved = 0;
        let since = Instant::now();
        while moved < 3 && since.elapsed() < Duration::from_secs(20) {
            // SAFETY: both words are alive.
            let count = unsafe {
                libc::syscall(libc::SYS_futex, one.as_ptr(), libc::FUTEX_CMP_REQUEUE, 0, 10, two.as_ptr(), 0)
            };
            check!(count >= 0, "{}", std::io::Error::last_os_error());
            moved += count;
        }
        equal!(moved, 3);
        equal!(futex(&one, FUTEX_WAKE, 10, None), 0);
        equal!(futex(&two, FUTEX_WAKE, 10, None), 3);
        check!(waiters.into_iter().all(|waiter| waiter.join().is_ok()));
        Ok(())
    })
}

fn the_end_of_a_thread_wakes() -> Outcome {
    let word = Map::shared(1)?;
    let child = fork(|| {
        word.word(0).store(7, SeqCst);
        raw!(SYS_set_tid_address, word.start);
        Ok(())
    })?;
    child.succeeds()?;
    // The address space had another user, so the word is cleared.
    equal!(word.word(0).load(SeqCst), 7);
    let tid = std::thread::spawn(|| raw_tid()).join().unwrap_or(0);
    // Whoever joins it is woken a moment before it is gone.
    // SAFETY: signal 0 only asks.
    while unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), tid, 0) } == 0 {
        std::thread::yield_now();
    }
    equal!(crate::harness::errno(), libc::ESRCH);
    Ok(())
}

fn raw_tid() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::syscall(libc::SYS_gettid) as i32 }
}

fn the_leader_may_end_first() -> Outcome {
    let child = fork_status(|| {
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_millis(60));
            // SAFETY: ends the process.
            unsafe { libc::_exit(7) };
        });
        // SAFETY: ends this thread only, without any cleaning up.
        unsafe { libc::syscall(libc::SYS_exit, 3) as i32 }
    })?;
    child.reaches('Z')?;
    child.ends(Status::Exited(7))
}

fn busy_threads(count: usize) {
    for _ in 0..count {
        std::thread::spawn(|| {
            loop {
                std::hint::spin_loop();
            }
        });
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1000));
            }
        });
    }
}

fn exit_ends_all() -> Outcome {
    let child = fork_status(|| {
        busy_threads(3);
        9
    })?;
    child.ends(Status::Exited(9))
}

fn exec_ends_the_others() -> Outcome {
    for by_leader in [true, false] {
        let child = fork_status(move || {
            busy_threads(3);
            let exec = || {
                let words = [c"/bin/busybox".as_ptr(), c"false".as_ptr(), std::ptr::null()];
                // SAFETY: the words end with a null.
                unsafe { libc::execv(words[0], words.as_ptr()) }
            };
            if by_leader { exec() } else { std::thread::spawn(exec).join().unwrap_or(99) }
        })?;
        child.ends(Status::Exited(1))?;
    }
    Ok(())
}

fn a_fatal_signal_ends_all() -> Outcome {
    let child = fork_status(|| {
        busy_threads(3);
        std::thread::spawn(|| peek(std::hint::black_box(std::ptr::without_provenance(0x10))));
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })?;
    child.ends(Status::Killed(libc::SIGSEGV))?;
    let child = fork_status(|| {
        busy_threads(3);
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    })?;
    child.reaches('S')?;
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn floats_are_each_threads_own() -> Outcome {
    fn work(start: f64) -> [f64; 8] {
        let mut words = [0.0; 8];
        words.iter_mut().enumerate().for_each(|(at, word)| *word = start + at as f64);
        for round in 0..3000 {
            for word in &mut words {
                *word = *word * 0.9999 + 0.125;
            }
            if round % 100 == 0 {
                std::thread::yield_now();
            }
        }
        words
    }
    let wanted: Vec<[f64; 8]> = (0..8).map(|number| work(f64::from(number))).collect();
    let threads: Vec<_> = (0..8).map(|number| std::thread::spawn(move || work(f64::from(number)))).collect();
    for (thread, wanted) in threads.into_iter().zip(wanted) {
        equal!(thread.join().ok(), Some(wanted));
    }
    Ok(())
}

fn affinity() -> Outcome {
    // SAFETY: plain data.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    sys!(sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set));
    // SAFETY: a set.
    let count = unsafe { libc::CPU_COUNT(&set) };
    check!(count >= 1);
    equal!(std::thread::available_parallelism()?.get(), count as usize);
    for cpu in 0..count as usize {
        // SAFETY: plain data and a small number.
        let one = unsafe {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            one
        };
        sys!(sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &one));
        for _ in 0..20 {
            equal!(sys!(sched_getcpu()) as usize, cpu);
            sys!(sched_yield());
        }
    }
    // SAFETY: plain data.
    let none: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    crate::fails!(EINVAL, sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &none));
    Ok(())
}

fn mapping_beside_faulting() -> Outcome {
    let map = Map::private(32)?;
    let stop = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (map, stop) = (&map, &stop);
            scope.spawn(move || {
                while stop.load(SeqCst) == 0 {
                    for number in (thread..30).step_by(3) {
                        poke(map.page(number), 1);
                    }
                }
            });
        }
        for _ in 0..300 {
            sys!(madvise(map.start.cast(), map.len, libc::MADV_DONTNEED));
            let other = Map::private(20)?;
            other.set(3 * page(), 1);
            sys!(mprotect(map.page(31).cast(), page(), libc::PROT_READ));
            sys!(mprotect(map.page(31).cast(), page(), libc::PROT_READ | libc::PROT_WRITE));
        }
        stop.store(1, SeqCst);
        Ok(())
    })
}

fn robust_locks_are_freed() -> Outcome {
    let map = Map::shared(1)?;
    // SAFETY: a mutex in memory that both processes share, initialised before either uses it.
    unsafe {
        let mutex = map.start.cast::<libc::pthread_mutex_t>();
        let mut attributes = std::mem::zeroed();
        libc::pthread_mutexattr_init(&mut attributes);
        libc::pthread_mutexattr_setpshared(&mut attributes, libc::PTHREAD_PROCESS_SHARED);
        libc::pthread_mutexattr_setrobust(&mut attributes, libc::PTHREAD_MUTEX_ROBUST);
        libc::pthread_mutex_init(mutex, &attributes);
        fork_status(|| {
            libc::pthread_mutex_lock(mutex);
            0
        })?
        .succeeds()?;
        equal!(libc::pthread_mutex_lock(mutex), libc::EOWNERDEAD);
        equal!(libc::pthread_mutex_consistent(mutex), 0);
        equal!(libc::pthread_mutex_unlock(mutex), 0);
    }
    Ok(())
}

fn fork_beside_threads() -> Outcome {
    busy_threads(2);
    for _ in 0..20 {
        fork_status(|| 0)?.succeeds()?;
    }
    Ok(())
}

static CAUGHT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn caught(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    CAUGHT.fetch_add(1, SeqCst);
}

fn signals_find_a_thread() -> Outcome {
    handle(libc::SIGUSR1, 0, caught)?;
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    // SAFETY: plain calls on this process.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGUSR1);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
    // Only the other thread can take it.
    sys!(kill(std::process::id() as i32, libc::SIGUSR1));
    let since = Instant::now();
    while CAUGHT.load(SeqCst) == 0 {
        check!(since.elapsed() < Duration::from_secs(20), "nobody took the signal");
        std::thread::yield_now();
    }
    Ok(())
}

fn restartable_sequences() -> Outcome {
    if crate::harness::on_linux() {
        return Err(Failure::Skipped("Linux has them".into()));
    }
    raw_fails!(ENOSYS, SYS_rseq, 0, 32, 0, 0);
    Ok(())
}
