//! fork, exit, wait, groups and sessions.

use crate::harness::child::{Child, Status, fork, fork_status, state_of};
use crate::harness::memory::Map;
use crate::harness::{Failure, Outcome};
use crate::{check, equal, fails, raw, raw_fails, sys, tests};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

tests![
    a_child_is_a_copy,
    statuses_are_eight_bits,
    a_signal_is_told,
    wait_without_hanging,
    no_child_no_wait,
    any_child_and_groups,
    waitid_tells_and_may_leave,
    stops_and_continues_are_told,
    the_signal_is_there_when_wait_tells,
    a_zombie_until_waited_for,
    orphans_get_a_new_parent,
    ignored_children_leave_nothing,
    vfork_shares_until_exec,
    clone_refuses_nonsense,
    many_children_at_once,
    a_deep_family,
    groups_follow_the_rules,
    a_session_has_no_terminal,
    kill_reaches_a_group,
    exit_closes_files,
    rusage_of_children_grows,
    pids_are_not_reused_at_once,
];

fn a_child_is_a_copy() -> Outcome {
    let map = Map::private(1)?;
    map.set(0, 1);
    let parent = sys!(getpid()) as i32;
    let child = fork(|| {
        equal!(sys!(getppid()) as i32, parent);
        check!(sys!(getpid()) as i32 != parent);
        equal!(map.get(0), 1);
        map.set(0, 2);
        Ok(())
    })?;
    child.succeeds()?;
    equal!(map.get(0), 1);
    Ok(())
}

fn statuses_are_eight_bits() -> Outcome {
    for status in [0, 1, 127, 128, 255, 256, 257, -1] {
        fork_status(|| status)?.ends(Status::Exited(status & 0xff))?;
    }
    Ok(())
}

fn a_signal_is_told() -> Outcome {
    for signal in [libc::SIGKILL, libc::SIGTERM, libc::SIGUSR1, libc::SIGINT, libc::SIGHUP] {
        let child = fork(|| {
            sys!(kill(sys!(getpid()) as i32, signal));
            Ok(())
        })?;
        child.ends(Status::Killed(signal))?;
    }
    Ok(())
}

/// A child that sleeps until it is killed.
fn sleeper() -> Result<Child, Failure> {
    fork(|| {
        loop {
            // SAFETY: no arguments.
            unsafe { libc::pause() };
        }
    })
}

fn wait_without_hanging() -> Outcome {
    let child = sleeper()?;
    equal!(sys!(waitpid(child.0, std::ptr::null_mut(), libc::WNOHANG)), 0);
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn no_child_no_wait() -> Outcome {
    fails!(ECHILD, waitpid(-1, std::ptr::null_mut(), 0));
    fails!(ECHILD, waitpid(1, std::ptr::null_mut(), 0));
    let child = fork(|| Ok(()))?;
    child.succeeds()?;
    fails!(ECHILD, waitpid(child.0, std::ptr::null_mut(), 0));
    fails!(EINVAL, waitpid(-1, std::ptr::null_mut(), 0x1234_5678));
    Ok(())
}

fn any_child_and_groups() -> Outcome {
    let mut children = Vec::new();
    for _ in 0..3 {
        let child = sleeper()?;
        sys!(setpgid(child.0, 0));
        children.push(child.0);
    }
    fails!(ECHILD, waitpid(0, std::ptr::null_mut(), libc::WNOHANG));
    let third = children[2];
    sys!(kill(third, libc::SIGKILL));
    equal!(sys!(waitpid(-third, std::ptr::null_mut(), 0)) as i32, third);
    for &pid in &children[..2] {
        sys!(kill(pid, libc::SIGKILL));
    }
    let mut seen = [
        sys!(waitpid(-1, std::ptr::null_mut(), 0)) as i32,
        sys!(waitpid(-1, std::ptr::null_mut(), 0)) as i32,
    ];
    seen.sort_unstable();
    children.truncate(2);
    children.sort_unstable();
    equal!(seen.to_vec(), children);
    Ok(())
}

fn waitid_tells_and_may_leave() -> Outcome {
    let child = fork_status(|| 7)?;
    for options in [libc::WEXITED | libc::WNOWAIT, libc::WEXITED] {
        // SAFETY: plain data.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        sys!(waitid(libc::P_PID, child.0 as u32, &mut info, options));
        equal!(info.si_signo, libc::SIGCHLD);
        equal!(info.si_code, libc::CLD_EXITED);
        // SAFETY: SIGCHLD has these fields.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        equal!((pid, status), (child.0, 7));
    }
    // SAFETY: plain data.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    fails!(ECHILD, waitid(libc::P_PID, child.0 as u32, &mut info, libc::WEXITED));
    fails!(EINVAL, waitid(libc::P_ALL, 0, &mut info, 0));
    Ok(())
}

fn stops_and_continues_are_told() -> Outcome {
    let child = sleeper()?;
    // Often: the state is right at once, not soon after.
    for signal in [libc::SIGSTOP, libc::SIGTSTP].repeat(10) {
        child.kill(signal)?;
        equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(signal));
        equal!(state_of(child.0), Some('T'));
        // Told once.
        let none = sys!(waitpid(child.0, std::ptr::null_mut(), libc::WUNTRACED | libc::WNOHANG));
        equal!(none, 0);
        child.kill(libc::SIGCONT)?;
        equal!(child.wait_for(libc::WCONTINUED)?, Status::Continued);
    }
    // A stopped process is killed all the same, and other signals wait.
    child.kill(libc::SIGSTOP)?;
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGSTOP));
    child.kill(libc::SIGTERM)?;
    equal!(sys!(waitpid(child.0, std::ptr::null_mut(), libc::WNOHANG)), 0);
    child.kill(libc::SIGCONT)?;
    child.ends(Status::Killed(libc::SIGTERM))?;
    let child = sleeper()?;
    child.kill(libc::SIGSTOP)?;
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGSTOP));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

extern "C" fn count_child(_: i32) {
    CHILDREN.fetch_add(1, SeqCst);
}

static CHILDREN: AtomicU32 = AtomicU32::new(0);

fn the_signal_is_there_when_wait_tells() -> Outcome {
    // SAFETY: the handler may run at any time.
    unsafe { libc::signal(libc::SIGCHLD, count_child as *const () as usize) };
    for round in 1..=20 {
        let child = fork(|| Ok(()))?;
        // Without sleeping: the signal alone ends no wait here.
        while sys!(waitpid(child.0, std::ptr::null_mut(), libc::WNOHANG)) == 0 {}
        equal!(CHILDREN.load(SeqCst), round);
    }
    Ok(())
}

fn a_zombie_until_waited_for() -> Outcome {
    let child = fork(|| Ok(()))?;
    child.reaches('Z')?;
    sys!(kill(child.0, 0));
    child.succeeds()?;
    fails!(ESRCH, kill(child.0, 0));
    Ok(())
}

fn orphans_get_a_new_parent() -> Outcome {
    let map = Map::shared(1)?;
    let child = fork(|| {
        let parent = sys!(getpid()) as u32;
        fork(|| {
            while sys!(getppid()) as u32 == parent {
                sys!(sched_yield());
            }
            map.word(0).store(sys!(getppid()) as u32, SeqCst);
            Ok(())
        })?;
        Ok(())
    })?;
    child.succeeds()?;
    while map.word(0).load(SeqCst) == 0 {
        sys!(sched_yield());
    }
    equal!(map.word(0).load(SeqCst), 1);
    Ok(())
}

fn ignored_children_leave_nothing() -> Outcome {
    // SAFETY: SIG_IGN is no function.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    fork(|| Ok(()))?;
    fork(|| Ok(()))?;
    // Waits for all of them, then there is none.
    fails!(ECHILD, waitpid(-1, std::ptr::null_mut(), 0));
    for _ in 0..20 {
        fork(|| Ok(()))?;
        // Never found, whenever one looks.
        // SAFETY: no pointer.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } == 0 {}
        fails!(ECHILD, waitpid(-1, std::ptr::null_mut(), libc::WNOHANG));
    }
    Ok(())
}

fn vfork_shares_until_exec() -> Outcome {
    // posix_spawn of std uses vfork's semantics: the program runs, or its error comes back.
    let output = std::process::Command::new("/bin/busybox").args(["echo", "hello"]).output()?;
    equal!(output.stdout, b"hello\n");
    let missing = std::process::Command::new("/nonexistent").spawn();
    check!(missing.is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT)));
    Ok(())
}

fn clone_refuses_nonsense() -> Outcome {
    let refused = |flags: i32| -> Outcome {
        if cfg!(target_arch = "s390x") {
            raw_fails!(EINVAL, SYS_clone, 0, flags, 0, 0, 0);
        } else {
            raw_fails!(EINVAL, SYS_clone, flags, 0, 0, 0, 0);
        }
        Ok(())
    };
    refused(libc::CLONE_THREAD)?;
    refused(libc::CLONE_THREAD | libc::CLONE_SIGHAND)?;
    refused(libc::CLONE_SIGHAND)?;
    refused(libc::CLONE_FS | libc::CLONE_NEWNS)
}

fn many_children_at_once() -> Outcome {
    let map = Map::shared(1)?;
    let children: Result<Vec<Child>, Failure> = (0..60)
        .map(|number| {
            fork_status(|| {
                map.word(0).fetch_add(1, SeqCst);
                number
            })
        })
        .collect();
    for (number, child) in children?.into_iter().enumerate() {
        child.ends(Status::Exited(number as i32))?;
    }
    equal!(map.word(0).load(SeqCst), 60);
    Ok(())
}

fn a_deep_family() -> Outcome {
    fn descend(left: u32) -> Outcome {
        if left > 0 {
            fork(|| descend(left - 1))?.succeeds()?;
        }
        Ok(())
    }
    descend(30)
}

fn groups_follow_the_rules() -> Outcome {
    let own = sys!(getpid()) as i32;
    equal!(sys!(getpgid(0)) as i32, own);
    equal!(sys!(getpgrp()) as i32, own);
    // The leader of a group makes no session.
    fails!(EPERM, setsid());
    let child = sleeper()?;
    equal!(sys!(getpgid(child.0)) as i32, own);
    equal!(sys!(getsid(child.0)), sys!(getsid(0)));
    sys!(setpgid(child.0, child.0));
    equal!(sys!(getpgid(child.0)) as i32, child.0);
    sys!(setpgid(child.0, own));
    fails!(EPERM, setpgid(child.0, 99999));
    fails!(EINVAL, setpgid(child.0, -1));
    fails!(ESRCH, setpgid(1, own));
    fails!(ESRCH, getpgid(99999));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn a_session_has_no_terminal() -> Outcome {
    let child = fork(|| {
        let own = sys!(getpid());
        equal!(sys!(setsid()), own);
        equal!((sys!(getsid(0)), sys!(getpgid(0))), (own, own));
        fails!(EPERM, setsid());
        fails!(EPERM, setpgid(0, 0));
        fails!(ENXIO, open(c"/dev/tty".as_ptr(), libc::O_RDWR));
        Ok(())
    })?;
    child.succeeds()
}

fn kill_reaches_a_group() -> Outcome {
    let leader = sleeper()?;
    sys!(setpgid(leader.0, leader.0));
    let second = sleeper()?;
    sys!(setpgid(second.0, leader.0));
    let outside = sleeper()?;
    sys!(killpg(leader.0, libc::SIGTERM));
    leader.ends(Status::Killed(libc::SIGTERM))?;
    second.ends(Status::Killed(libc::SIGTERM))?;
    equal!(sys!(waitpid(outside.0, std::ptr::null_mut(), libc::WNOHANG)), 0);
    outside.kill(libc::SIGKILL)?;
    outside.ends(Status::Killed(libc::SIGKILL))?;
    fails!(ESRCH, kill(-leader.0, 0));
    Ok(())
}

fn exit_closes_files() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    let child = fork(|| {
        sys!(write(ends[1], c"x".as_ptr().cast(), 1));
        Ok(())
    })?;
    sys!(close(ends[1]));
    let mut buffer = [0_u8; 8];
    equal!(sys!(read(ends[0], buffer.as_mut_ptr().cast(), 8)), 1);
    // The end, once nobody can write.
    equal!(sys!(read(ends[0], buffer.as_mut_ptr().cast(), 8)), 0);
    child.succeeds()
}

fn rusage_of_children_grows() -> Outcome {
    let child = fork(|| {
        let since = std::time::Instant::now();
        while since.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        Ok(())
    })?;
    // SAFETY: plain data.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let mut status = 0;
    equal!(sys!(wait4(child.0, &mut status, 0, &mut usage)) as i32, child.0);
    let spent = |usage: &libc::rusage| {
        let micros = |time: libc::timeval| time.tv_sec * 1_000_000 + time.tv_usec;
        micros(usage.ru_utime) + micros(usage.ru_stime)
    };
    check!(spent(&usage) >= 10_000, "{} us", spent(&usage));
    // SAFETY: plain data.
    let mut all: libc::rusage = unsafe { std::mem::zeroed() };
    sys!(getrusage(libc::RUSAGE_CHILDREN, &mut all));
    check!(spent(&all) >= spent(&usage));
    Ok(())
}

fn pids_are_not_reused_at_once() -> Outcome {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..40 {
        let child = fork(|| Ok(()))?;
        check!(seen.insert(child.0), "{} came twice", child.0);
        child.succeeds()?;
    }
    equal!(raw!(SYS_getpid), raw!(SYS_gettid));
    Ok(())
}
