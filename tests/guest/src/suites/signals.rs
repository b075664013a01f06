//! Sending, handling, masking, stopping.

use crate::harness::child::{Child, Status, fork, handle};
use crate::harness::memory::Map;
use crate::harness::{Failure, Outcome};
use crate::{check, equal, fails, raw, sys, tests};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize};
use std::time::{Duration, Instant};

tests![
    a_handler_runs,
    siginfo_tells_who,
    a_mask_holds_back,
    the_signal_itself_is_masked,
    nodefer_nests,
    resethand_runs_once,
    the_mask_of_an_action,
    restart_or_not,
    sigsuspend_waits,
    pause_waits,
    alarms,
    interval_timers,
    an_alternate_stack,
    children_inherit,
    sigchld_comes,
    some_cannot_be_caught,
    kill_needs_a_target,
    kill_needs_permission,
    default_actions,
    stopped_by_group,
    one_pending_is_one,
    realtime_queue,
    sigtimedwait_takes,
    threads_are_hit_by_tgkill,
    registers_survive_handlers,
    floats_survive_handlers,
    a_storm_between_two,
];

static COUNT: AtomicU32 = AtomicU32::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static SENDER: AtomicI32 = AtomicI32::new(0);

extern "C" fn count(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    LAST.store(signal, SeqCst);
    // SAFETY: with SA_SIGINFO the kernel gives a valid one.
    unsafe {
        CODE.store((*info).si_code, SeqCst);
        SENDER.store((*info).si_pid(), SeqCst);
    }
    COUNT.fetch_add(1, SeqCst);
}

fn own() -> i32 {
    std::process::id() as i32
}

fn set_of(signals: &[i32]) -> libc::sigset_t {
    // SAFETY: plain data, filled by the C library.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for &signal in signals {
            libc::sigaddset(&mut set, signal);
        }
        set
    }
}

fn mask(how: i32, signals: &[i32]) -> Result<libc::sigset_t, Failure> {
    let mut old = set_of(&[]);
    sys!(sigprocmask(how, &set_of(signals), &mut old));
    Ok(old)
}

fn pending(signal: i32) -> Result<bool, Failure> {
    let mut set = set_of(&[]);
    sys!(sigpending(&mut set));
    // SAFETY: a set.
    Ok(unsafe { libc::sigismember(&set, signal) } == 1)
}

fn counted() -> u32 {
    COUNT.load(SeqCst)
}

fn a_handler_runs() -> Outcome {
    for signal in [libc::SIGUSR1, libc::SIGTERM, libc::SIGINT, libc::SIGSEGV, libc::SIGTSTP] {
        handle(signal, 0, count)?;
        let before = counted();
        sys!(kill(own(), signal));
        equal!((counted(), LAST.load(SeqCst)), (before + 1, signal));
    }
    Ok(())
}

fn siginfo_tells_who() -> Outcome {
    handle(libc::SIGUSR1, 0, count)?;
    let parent = own();
    let child = fork(|| {
        sys!(kill(parent, libc::SIGUSR1));
        Ok(())
    })?;
    child.succeeds()?;
    equal!((counted(), CODE.load(SeqCst), SENDER.load(SeqCst)), (1, libc::SI_USER, child.0));
    raw!(SYS_tgkill, own(), own(), libc::SIGUSR1);
    equal!((counted(), CODE.load(SeqCst), SENDER.load(SeqCst)), (2, libc::SI_TKILL, own()));
    Ok(())
}

fn a_mask_holds_back() -> Outcome {
    handle(libc::SIGUSR1, 0, count)?;
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
    sys!(kill(own(), libc::SIGUSR1));
    equal!(counted(), 0);
    check!(pending(libc::SIGUSR1)? && !pending(libc::SIGUSR2)?);
    mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
    equal!(counted(), 1);
    check!(!pending(libc::SIGUSR1)?);
    // An ignored one does not stay.
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
    sys!(kill(own(), libc::SIGUSR1));
    // SAFETY: SIG_IGN is no function.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    check!(!pending(libc::SIGUSR1)?);
    fails!(EINVAL, sigprocmask(99, &set_of(&[]), std::ptr::null_mut()));
    Ok(())
}

static DEPTH: AtomicU32 = AtomicU32::new(0);
static DEEPEST: AtomicU32 = AtomicU32::new(0);

extern "C" fn again(signal: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let depth = DEPTH.fetch_add(1, SeqCst) + 1;
    DEEPEST.fetch_max(depth, SeqCst);
    if COUNT.fetch_add(1, SeqCst) < 2 {
        // SAFETY: kill may be called in a handler.
        unsafe { libc::kill(libc::getpid(), signal) };
    }
    DEPTH.fetch_sub(1, SeqCst);
}

fn the_signal_itself_is_masked() -> Outcome {
    handle(libc::SIGUSR1, 0, again)?;
    sys!(kill(own(), libc::SIGUSR1));
    equal!((counted(), DEEPEST.load(SeqCst)), (3, 1));
    Ok(())
}

fn nodefer_nests() -> Outcome {
    handle(libc::SIGUSR1, libc::SA_NODEFER, again)?;
    sys!(kill(own(), libc::SIGUSR1));
    equal!((counted(), DEEPEST.load(SeqCst)), (3, 3));
    Ok(())
}

fn resethand_runs_once() -> Outcome {
    let child = fork(|| {
        handle(libc::SIGUSR1, libc::SA_RESETHAND, count)?;
        sys!(kill(own(), libc::SIGUSR1));
        equal!(counted(), 1);
        sys!(kill(own(), libc::SIGUSR1));
        Ok(())
    })?;
    child.ends(Status::Killed(libc::SIGUSR1))
}

extern "C" fn send_second(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: kill may be called in a handler.
    unsafe { libc::kill(libc::getpid(), libc::SIGUSR2) };
    // Not yet: the action's mask holds it back until this returns.
    DEEPEST.store(COUNT.load(SeqCst), SeqCst);
}

fn the_mask_of_an_action() -> Outcome {
    handle(libc::SIGUSR2, 0, count)?;
    // SAFETY: plain data; the handler has the right type.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = send_second as extern "C" fn(_, _, _) as usize;
    action.sa_flags = libc::SA_SIGINFO;
    action.sa_mask = set_of(&[libc::SIGUSR2]);
    sys!(sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()));
    sys!(kill(own(), libc::SIGUSR1));
    equal!((DEEPEST.load(SeqCst), counted()), (0, 1));
    let mut old: libc::sigaction = action;
    sys!(sigaction(libc::SIGUSR1, std::ptr::null(), &mut old));
    equal!(old.sa_sigaction, action.sa_sigaction);
    equal!(old.sa_flags & libc::SA_SIGINFO, libc::SA_SIGINFO);
    Ok(())
}

/// A child that sends a signal every 20 ms until it is killed, and counts them in `sent`.
fn pester(signal: i32, sent: &AtomicU32) -> Result<Child, Failure> {
    let parent = own();
    fork(|| {
        loop {
            std::thread::sleep(Duration::from_millis(20));
            sys!(kill(parent, signal));
            sent.fetch_add(1, SeqCst);
        }
    })
}

fn restart_or_not() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    let mut buffer = [0_u8; 4];
    handle(libc::SIGUSR1, 0, count)?;
    let map = Map::shared(1)?;
    let child = pester(libc::SIGUSR1, map.word(0))?;
    fails!(EINTR, read(ends[0], buffer.as_mut_ptr().cast(), 4));
    fails!(EINTR, waitpid(child.0, std::ptr::null_mut(), 0));
    handle(libc::SIGUSR1, libc::SA_RESTART, count)?;
    let before = counted();
    let writer = fork(|| {
        let already = map.word(0).load(SeqCst);
        while map.word(0).load(SeqCst) < already + 5 {
            std::thread::sleep(Duration::from_millis(5));
        }
        sys!(write(ends[1], c"x".as_ptr().cast(), 1));
        Ok(())
    })?;
    equal!(sys!(read(ends[0], buffer.as_mut_ptr().cast(), 4)), 1);
    check!(counted() > before, "no signal came meanwhile");
    writer.succeeds()?;
    // Some calls are never restarted.
    let time = libc::timespec { tv_sec: 10, tv_nsec: 0 };
    fails!(EINTR, nanosleep(&time, std::ptr::null_mut()));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn sigsuspend_waits() -> Outcome {
    handle(libc::SIGUSR1, 0, count)?;
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1, libc::SIGUSR2])?;
    sys!(kill(own(), libc::SIGUSR1));
    equal!(counted(), 0);
    fails!(EINTR, sigsuspend(&set_of(&[libc::SIGUSR2])));
    equal!(counted(), 1);
    // The mask is back.
    sys!(kill(own(), libc::SIGUSR1));
    equal!(counted(), 1);
    Ok(())
}

fn pause_waits() -> Outcome {
    handle(libc::SIGUSR1, libc::SA_RESTART, count)?;
    let map = Map::shared(1)?;
    let child = pester(libc::SIGUSR1, map.word(0))?;
    fails!(EINTR, pause());
    check!(counted() >= 1);
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn alarms() -> Outcome {
    handle(libc::SIGALRM, 0, count)?;
    // The runner's own alarm is what was set before.
    let unblocked = mask(libc::SIG_BLOCK, &[libc::SIGALRM])?;
    let left = sys!(alarm(1));
    check!((1..=60).contains(&left), "{left}");
    let since = Instant::now();
    // Blocked before it can come: between a look and a wait there may be more than a second.
    fails!(EINTR, sigsuspend(&unblocked));
    check!(since.elapsed() >= Duration::from_millis(990), "{:?}", since.elapsed());
    equal!(counted(), 1);
    equal!(sys!(alarm(100)), 0);
    equal!(sys!(alarm(left as u32)), 100);
    Ok(())
}

fn interval_timers() -> Outcome {
    handle(libc::SIGALRM, 0, count)?;
    let time = |micros| libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: time(10_000), it_value: time(20_000) };
    sys!(setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()));
    while counted() < 5 {
        fails!(EINTR, pause());
    }
    let off = libc::itimerval { it_interval: time(0), it_value: time(0) };
    let mut old = off;
    sys!(setitimer(libc::ITIMER_REAL, &off, &mut old));
    equal!(old.it_interval.tv_usec, 10_000);
    sys!(alarm(60));
    Ok(())
}

static STACK_SEEN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn where_am_i(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let here = 0_u8;
    STACK_SEEN.store(&raw const here as usize, SeqCst);
    // SAFETY: no new stack, the old one is written.
    unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &mut stack);
        LAST.store(stack.ss_flags, SeqCst);
    }
}

fn an_alternate_stack() -> Outcome {
    let map = Map::private(4)?;
    let stack = libc::stack_t { ss_sp: map.start.cast(), ss_flags: 0, ss_size: map.len };
    // SAFETY: plain data.
    let mut old: libc::stack_t = unsafe { std::mem::zeroed() };
    sys!(sigaltstack(&stack, &mut old));
    handle(libc::SIGUSR1, libc::SA_ONSTACK, where_am_i)?;
    sys!(kill(own(), libc::SIGUSR1));
    let seen = STACK_SEEN.load(SeqCst);
    let inside = (map.start as usize..map.start as usize + map.len).contains(&seen);
    check!(inside, "{seen:#x}");
    equal!(LAST.load(SeqCst), libc::SS_ONSTACK);
    handle(libc::SIGUSR1, 0, where_am_i)?;
    sys!(kill(own(), libc::SIGUSR1));
    let seen = STACK_SEEN.load(SeqCst);
    check!(!(map.start as usize..map.start as usize + map.len).contains(&seen));
    let small = libc::stack_t { ss_size: 100, ..stack };
    fails!(ENOMEM, sigaltstack(&small, std::ptr::null_mut()));
    let off = libc::stack_t { ss_flags: libc::SS_DISABLE, ..stack };
    sys!(sigaltstack(&off, &mut old));
    equal!((old.ss_sp, old.ss_size), (stack.ss_sp, stack.ss_size));
    Ok(())
}

fn children_inherit() -> Outcome {
    handle(libc::SIGUSR1, 0, count)?;
    mask(libc::SIG_BLOCK, &[libc::SIGUSR2, libc::SIGUSR1])?;
    sys!(kill(own(), libc::SIGUSR2));
    let child = fork(|| {
        // The mask and the handlers, but nothing that is pending.
        check!(!pending(libc::SIGUSR2)?);
        sys!(kill(own(), libc::SIGUSR1));
        equal!(counted(), 0);
        mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
        equal!(counted(), 1);
        Ok(())
    })?;
    child.succeeds()?;
    check!(pending(libc::SIGUSR2)?);
    Ok(())
}

fn sigchld_comes() -> Outcome {
    handle(libc::SIGCHLD, libc::SA_RESTART, count)?;
    let child = fork(|| Ok(()))?;
    child.succeeds()?;
    equal!((counted(), CODE.load(SeqCst), SENDER.load(SeqCst)), (1, libc::CLD_EXITED, child.0));
    let child = fork(|| {
        sys!(kill(own(), libc::SIGTERM));
        Ok(())
    })?;
    child.ends(Status::Killed(libc::SIGTERM))?;
    equal!((counted(), CODE.load(SeqCst)), (2, libc::CLD_KILLED));
    handle(libc::SIGCHLD, libc::SA_RESTART | libc::SA_NOCLDSTOP, count)?;
    let child = fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })?;
    child.kill(libc::SIGSTOP)?;
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGSTOP));
    equal!(counted(), 2);
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn some_cannot_be_caught() -> Outcome {
    // SAFETY: plain data.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    for signal in [libc::SIGKILL, libc::SIGSTOP, 0, 65, -1] {
        fails!(EINVAL, sigaction(signal, &action, std::ptr::null_mut()));
    }
    let child = fork(|| {
        mask(libc::SIG_BLOCK, &[libc::SIGKILL, libc::SIGSTOP])?;
        sys!(kill(own(), libc::SIGKILL));
        Ok(())
    })?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn kill_needs_a_target() -> Outcome {
    fails!(ESRCH, kill(99_999, libc::SIGTERM));
    fails!(ESRCH, kill(-99_999, libc::SIGTERM));
    fails!(EINVAL, kill(own(), 65));
    fails!(EINVAL, kill(own(), -1));
    sys!(kill(own(), 0));
    crate::raw_fails!(ESRCH, SYS_tgkill, own(), 99_999, libc::SIGTERM);
    crate::raw_fails!(EINVAL, SYS_tgkill, 0, 0, libc::SIGTERM);
    Ok(())
}

fn kill_needs_permission() -> Outcome {
    let parent = own();
    let child = fork(|| {
        sys!(setuid(1000));
        fails!(EPERM, kill(1, libc::SIGTERM));
        fails!(EPERM, kill(parent, 0));
        sys!(kill(own(), 0));
        Ok(())
    })?;
    child.succeeds()
}

fn default_actions() -> Outcome {
    for signal in [libc::SIGCHLD, libc::SIGURG, libc::SIGWINCH, libc::SIGCONT] {
        sys!(kill(own(), signal));
    }
    for signal in [libc::SIGQUIT, libc::SIGABRT, libc::SIGPIPE, libc::SIGALRM, libc::SIGSYS, 34, 64] {
        let child = fork(|| {
            sys!(kill(own(), signal));
            Ok(())
        })?;
        child.ends(Status::Killed(signal))?;
    }
    Ok(())
}

fn stopped_by_group() -> Outcome {
    let child = fork(|| {
        sys!(setpgid(0, 0));
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })?;
    while sys!(getpgid(child.0)) as i32 != child.0 {
        sys!(sched_yield());
    }
    sys!(kill(-child.0, libc::SIGSTOP));
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGSTOP));
    sys!(kill(-child.0, libc::SIGCONT));
    equal!(child.wait_for(libc::WCONTINUED)?, Status::Continued);
    sys!(kill(-child.0, libc::SIGINT));
    child.ends(Status::Killed(libc::SIGINT))
}

fn one_pending_is_one() -> Outcome {
    handle(libc::SIGUSR1, 0, count)?;
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
    for _ in 0..5 {
        sys!(kill(own(), libc::SIGUSR1));
    }
    mask(libc::SIG_UNBLOCK, &[libc::SIGUSR1])?;
    equal!(counted(), 1);
    Ok(())
}

fn realtime_queue() -> Outcome {
    handle(40, 0, count)?;
    mask(libc::SIG_BLOCK, &[40])?;
    for _ in 0..5 {
        sys!(kill(own(), 40));
    }
    mask(libc::SIG_UNBLOCK, &[40])?;
    equal!(counted(), 5);
    Ok(())
}

fn sigtimedwait_takes() -> Outcome {
    mask(libc::SIG_BLOCK, &[libc::SIGUSR1])?;
    let set = set_of(&[libc::SIGUSR1]);
    let time = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    // SAFETY: plain data.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    fails!(EAGAIN, sigtimedwait(&set, &mut info, &time));
    sys!(kill(own(), libc::SIGUSR1));
    equal!(sys!(sigtimedwait(&set, &mut info, &time)) as i32, libc::SIGUSR1);
    check!(!pending(libc::SIGUSR1)?);
    Ok(())
}

static HIT: AtomicI32 = AtomicI32::new(0);

extern "C" fn hit(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: no arguments.
    HIT.store(unsafe { libc::syscall(libc::SYS_gettid) } as i32, SeqCst);
}

fn threads_are_hit_by_tgkill() -> Outcome {
    handle(libc::SIGUSR1, 0, hit)?;
    static THREAD: AtomicI32 = AtomicI32::new(0);
    let thread = std::thread::spawn(|| {
        // SAFETY: no arguments.
        THREAD.store(unsafe { libc::syscall(libc::SYS_gettid) } as i32, SeqCst);
        while HIT.load(SeqCst) == 0 {
            std::hint::spin_loop();
        }
    });
    while THREAD.load(SeqCst) == 0 {
        sys!(sched_yield());
    }
    raw!(SYS_tgkill, own(), THREAD.load(SeqCst), libc::SIGUSR1);
    check!(thread.join().is_ok());
    equal!(HIT.load(SeqCst), THREAD.load(SeqCst));
    Ok(())
}

fn registers_survive_handlers() -> Outcome {
    handle(libc::SIGALRM, 0, count)?;
    let time = libc::timeval { tv_sec: 0, tv_usec: 500 };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    sys!(setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()));
    // Many values at once, so that every register holds one when the signal comes.
    let mut words = [1_u64, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    let mut round = 0_u64;
    while counted() < 200 {
        for word in &mut words {
            *word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        }
        round += 1;
    }
    let mut wanted = [1_u64, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    for round in 0..round {
        for word in &mut wanted {
            *word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round);
        }
    }
    equal!(words, wanted);
    Ok(())
}

extern "C" fn spoil(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let mut sum = 0.5_f64;
    for number in 0..20 {
        sum = std::hint::black_box(sum * 1.5 + f64::from(number));
    }
    std::hint::black_box(sum);
    COUNT.fetch_add(1, SeqCst);
}

fn floats_survive_handlers() -> Outcome {
    handle(libc::SIGALRM, 0, spoil)?;
    let time = libc::timeval { tv_sec: 0, tv_usec: 500 };
    let timer = libc::itimerval { it_interval: time, it_value: time };
    sys!(setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()));
    let work = || {
        let mut words = [1.0_f64, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        for _ in 0..2000 {
            for word in &mut words {
                *word = *word * 0.999 + 0.25;
            }
        }
        words
    };
    let wanted = work();
    while counted() < 100 {
        equal!(std::hint::black_box(work()), wanted);
    }
    Ok(())
}

fn a_storm_between_two() -> Outcome {
    let map = Map::shared(1)?;
    handle(libc::SIGUSR1, libc::SA_RESTART, count)?;
    let parent = own();
    let child = fork(|| {
        for _ in 0..2000 {
            sys!(kill(parent, libc::SIGUSR1));
        }
        map.word(0).store(1, SeqCst);
        while map.word(0).load(SeqCst) != 2 {
            sys!(sched_yield());
        }
        check!(counted() > 0);
        Ok(())
    })?;
    // At least once: the child may be through before this process runs again.
    loop {
        sys!(kill(child.0, libc::SIGUSR1));
        if map.word(0).load(SeqCst) == 1 {
            break;
        }
    }
    map.word(0).store(2, SeqCst);
    child.succeeds()?;
    check!(counted() > 0);
    Ok(())
}
