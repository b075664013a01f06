//! Clocks, sleeping.

use crate::harness::child::fork;
use crate::harness::{Failure, Outcome};
use crate::{check, equal, fails, sys, tests};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

tests![
    clocks_go_on,
    clocks_have_a_resolution,
    sleeping_takes_its_time,
    sleeping_until,
    an_interrupted_sleep_tells_the_rest,
    bad_times,
    processor_time,
    processor_time_never_goes_back,
    the_day,
    uptime,
    many_sleepers,
];

fn now(clock: i32) -> Result<i64, Failure> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    sys!(clock_gettime(clock, &mut time));
    check!((0..1_000_000_000).contains(&time.tv_nsec));
    Ok(time.tv_sec * 1_000_000_000 + time.tv_nsec)
}

fn clocks_go_on() -> Outcome {
    for clock in
        [libc::CLOCK_MONOTONIC, libc::CLOCK_REALTIME, libc::CLOCK_BOOTTIME, libc::CLOCK_MONOTONIC_RAW]
    {
        let mut last = now(clock)?;
        let first = last;
        for _ in 0..2000 {
            let next = now(clock)?;
            check!(next >= last, "clock {clock} went back by {}", last - next);
            last = next;
        }
        check!(last > first, "clock {clock} stands still");
    }
    Ok(())
}

fn clocks_have_a_resolution() -> Outcome {
    let mut time = libc::timespec { tv_sec: 9, tv_nsec: 9 };
    sys!(clock_getres(libc::CLOCK_MONOTONIC, &mut time));
    check!(time.tv_sec == 0 && time.tv_nsec >= 1, "{}", time.tv_nsec);
    fails!(EINVAL, clock_getres(99, &mut time));
    fails!(EINVAL, clock_gettime(99, &mut time));
    Ok(())
}

fn sleeping_takes_its_time() -> Outcome {
    for milliseconds in [1, 10, 40] {
        let before = now(libc::CLOCK_MONOTONIC)?;
        let time = libc::timespec { tv_sec: 0, tv_nsec: milliseconds * 1_000_000 };
        sys!(nanosleep(&time, std::ptr::null_mut()));
        let spent = now(libc::CLOCK_MONOTONIC)? - before;
        check!(spent >= milliseconds * 1_000_000, "{spent} ns instead of {milliseconds} ms");
    }
    Ok(())
}

fn sleeping_until() -> Outcome {
    let until = now(libc::CLOCK_MONOTONIC)? + 30_000_000;
    let time = libc::timespec { tv_sec: until / 1_000_000_000, tv_nsec: until % 1_000_000_000 };
    let null = std::ptr::null_mut();
    equal!(sys!(clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, null)), 0);
    check!(now(libc::CLOCK_MONOTONIC)? >= until);
    // A time that is past is no time.
    equal!(sys!(clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, null)), 0);
    Ok(())
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn an_interrupted_sleep_tells_the_rest() -> Outcome {
    crate::harness::child::handle(libc::SIGALRM, 0, nothing)?;
    // Again and again: the first may come before the sleep begins.
    let each = libc::timeval { tv_sec: 0, tv_usec: 30_000 };
    let timer = libc::itimerval { it_interval: each, it_value: each };
    sys!(setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()));
    let time = libc::timespec { tv_sec: 20, tv_nsec: 0 };
    let mut rest = time;
    fails!(EINTR, nanosleep(&time, &mut rest));
    check!((1..20).contains(&rest.tv_sec), "{} s", rest.tv_sec);
    Ok(())
}

fn bad_times() -> Outcome {
    for (seconds, nanoseconds) in [(-1, 0), (0, -1), (0, 1_000_000_000)] {
        let time = libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        fails!(EINVAL, nanosleep(&time, std::ptr::null_mut()));
    }
    Ok(())
}

fn processor_time() -> Outcome {
    let before = now(libc::CLOCK_PROCESS_CPUTIME_ID)?;
    while now(libc::CLOCK_PROCESS_CPUTIME_ID)? - before < 20_000_000 {
        std::hint::spin_loop();
    }
    std::thread::sleep(std::time::Duration::from_millis(1));
    check!(now(libc::CLOCK_THREAD_CPUTIME_ID)? > 0);
    // SAFETY: plain data.
    let mut times: libc::tms = unsafe { std::mem::zeroed() };
    check!(sys!(times(&mut times)) > 0);
    Ok(())
}

fn processor_time_never_goes_back() -> Outcome {
    // While threads begin, wait and end.
    let running = AtomicU32::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let _ = std::thread::spawn(|| {
                        (0..20_000).for_each(|number: u32| {
                            std::hint::black_box(number);
                        });
                        std::thread::yield_now();
                    })
                    .join();
                }
                running.fetch_sub(1, SeqCst);
            });
        }
        let mut last = 0;
        while running.load(SeqCst) > 0 {
            let next = now(libc::CLOCK_PROCESS_CPUTIME_ID)?;
            check!(next >= last, "it went back by {} ns", last - next);
            last = next;
        }
        Ok(())
    })
}

fn the_day() -> Outcome {
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let before = now(libc::CLOCK_REALTIME)? / 1_000_000_000;
    sys!(gettimeofday(&mut time, std::ptr::null_mut()));
    let after = now(libc::CLOCK_REALTIME)? / 1_000_000_000;
    check!((before..=after).contains(&time.tv_sec), "{before}, {}, {after}", time.tv_sec);
    check!((0..1_000_000).contains(&time.tv_usec));
    Ok(())
}

fn uptime() -> Outcome {
    let before = now(libc::CLOCK_BOOTTIME)? as f64 / 1e9;
    let text = std::fs::read_to_string("/proc/uptime")?;
    let seconds: f64 = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(-1.0);
    let after = now(libc::CLOCK_BOOTTIME)? as f64 / 1e9;
    // It is told in hundredths.
    check!(before - 0.01 <= seconds && seconds <= after, "{before}, {seconds}, {after}");
    Ok(())
}

fn many_sleepers() -> Outcome {
    let mut children = Vec::new();
    for number in 0..30 {
        children.push(fork(move || {
            for _ in 0..5 {
                std::thread::sleep(std::time::Duration::from_micros(500 + 300 * number));
            }
            Ok(())
        })?);
    }
    for child in children {
        child.succeeds()?;
    }
    Ok(())
}
