//! What harnesses of public test suites do: if these work, theirs start.

use crate::harness::child::{Child, Status, fork, handle};
use crate::harness::memory::Map;
use crate::harness::{Failure, Outcome, c};
use crate::{check, equal, fails, sys, tests};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;

tests![
    results_in_a_removed_file,
    a_heartbeat_restarts_wait,
    a_timeout_kills_the_group,
    checkpoints_on_a_futex,
    a_temporary_folder,
    the_rest_is_there,
];

fn results_in_a_removed_file() -> Outcome {
    for folder in ["/dev/shm", "/tmp"] {
        let path = c(&format!("{folder}/results.{}", std::process::id()));
        let file = sys!(open(path.as_ptr(), libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600)) as i32;
        sys!(unlink(path.as_ptr()));
        sys!(ftruncate(file, crate::harness::memory::page() as i64));
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let map = Map::new(0, crate::harness::memory::page(), protection, libc::MAP_SHARED, file, 0)?;
        sys!(close(file));
        let children: Result<Vec<Child>, Failure> = (0..5)
            .map(|_| {
                fork(|| {
                    (0..100).for_each(|_| {
                        map.word(0).fetch_add(1, SeqCst);
                    });
                    Ok(())
                })
            })
            .collect();
        for child in children? {
            child.succeeds()?;
        }
        equal!(map.word(0).load(SeqCst), 500);
    }
    Ok(())
}

static BEATS: AtomicU32 = AtomicU32::new(0);

extern "C" fn beat(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    BEATS.fetch_add(1, SeqCst);
    // SAFETY: alarm may be called in a handler.
    unsafe { libc::alarm(60) };
}

fn a_heartbeat_restarts_wait() -> Outcome {
    handle(libc::SIGALRM, libc::SA_RESTART, beat)?;
    handle(libc::SIGUSR1, libc::SA_RESTART, beat)?;
    let parent = sys!(getpid()) as i32;
    let child = fork(|| {
        for _ in 0..5 {
            std::thread::sleep(std::time::Duration::from_millis(10));
            sys!(kill(parent, libc::SIGUSR1));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        Ok(())
    })?;
    let mut status = 0;
    // SAFETY: plain data.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    equal!(sys!(wait4(child.0, &mut status, 0, &mut usage)) as i32, child.0);
    check!(status == 0 && BEATS.load(SeqCst) > 0);
    Ok(())
}

fn a_timeout_kills_the_group() -> Outcome {
    let child = fork(|| {
        sys!(setpgid(0, 0));
        for _ in 0..3 {
            fork(|| {
                loop {
                    std::hint::spin_loop();
                }
            })?;
        }
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })?;
    child.reaches('S')?;
    sys!(kill(-child.0, libc::SIGKILL));
    child.ends(Status::Killed(libc::SIGKILL))?;
    // The grandchildren end, and their new parent takes them.
    // SAFETY: asks whether anybody is there.
    while unsafe { libc::kill(-child.0, 0) } == 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

fn checkpoints_on_a_futex() -> Outcome {
    let map = Map::shared(1)?;
    let wait = |word: &AtomicU32| {
        let time = libc::timespec { tv_sec: 10, tv_nsec: 0 };
        // SAFETY: the word is alive.
        while word.load(SeqCst) == 0 {
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, 0, &raw const time) };
        }
    };
    let wake = |word: &AtomicU32| {
        word.store(1, SeqCst);
        // SAFETY: the word is alive.
        unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, i32::MAX) };
    };
    let child = fork(|| {
        for round in 0..50 {
            wait(map.word(2 * round));
            wake(map.word(2 * round + 1));
        }
        Ok(())
    })?;
    for round in 0..50 {
        wake(map.word(2 * round));
        wait(map.word(2 * round + 1));
    }
    child.succeeds()
}

fn a_temporary_folder() -> Outcome {
    let path = format!("/tmp/harness.{}", std::process::id());
    sys!(mkdir(c(&path).as_ptr(), 0o700));
    sys!(chmod(c(&path).as_ptr(), 0o777));
    sys!(chown(c(&path).as_ptr(), u32::MAX, 65534));
    sys!(chdir(c(&path).as_ptr()));
    let file = sys!(creat(c"a".as_ptr(), 0o644)) as i32;
    sys!(close(file));
    let here = sys!(open(c".".as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY)) as i32;
    sys!(unlinkat(here, c"a".as_ptr(), 0));
    sys!(chdir(c"/".as_ptr()));
    sys!(rmdir(c(&path).as_ptr()));
    fails!(ENOENT, chdir(c(&path).as_ptr()));
    Ok(())
}

fn the_rest_is_there() -> Outcome {
    std::fs::write("/proc/self/oom_score_adj", "-1000")?;
    equal!(std::fs::read_to_string("/proc/self/oom_score_adj")?, "-1000\n");
    for path in ["/proc/meminfo", "/sys/devices/system/cpu/online", "/proc/cpuinfo", "/proc/mounts"] {
        check!(!std::fs::read_to_string(path)?.is_empty(), "{path}");
    }
    Ok(())
}
