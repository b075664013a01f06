//! Users and groups, limits, names, and other things a process is.

use crate::harness::child::{Status, fork, fork_status};
use crate::harness::{Failure, Outcome, errno};
use crate::{check, equal, fails, raw, raw_fails, sys, tests};

tests![
    root_becomes_a_user,
    the_three_ids,
    groups,
    limits,
    limits_of_others,
    priorities,
    uname_tells,
    sysinfo_tells,
    random_bytes,
    umask_is_kept,
    no_such_call,
    prctl_knows,
    oom_score,
    scheduling,
    names_of_tasks,
    a_parents_death_is_told,
    limits_of_cpu_time,
    personality_is_linux,
    capabilities,
    only_root_turns_off,
    memory_barriers,
    the_log_is_read,
];

fn root_becomes_a_user() -> Outcome {
    let child = fork(|| {
        equal!((sys!(getuid()), sys!(geteuid()), sys!(getgid()), sys!(getegid())), (0, 0, 0, 0));
        sys!(setgid(1000));
        sys!(setuid(1000));
        equal!((sys!(getuid()), sys!(geteuid()), sys!(getgid())), (1000, 1000, 1000));
        fails!(EPERM, setuid(0));
        fails!(EPERM, setgid(0));
        fails!(EPERM, setgroups(0, std::ptr::null()));
        sys!(setuid(1000));
        Ok(())
    })?;
    child.succeeds()
}

fn the_three_ids() -> Outcome {
    let child = fork(|| {
        sys!(setresuid(1000, 1000, 0));
        let (mut real, mut effective, mut saved) = (9, 9, 9);
        sys!(getresuid(&mut real, &mut effective, &mut saved));
        equal!((real, effective, saved), (1000, 1000, 0));
        sys!(seteuid(0));
        equal!(sys!(geteuid()), 0);
        sys!(setreuid(1000, 1000));
        fails!(EPERM, setresuid(0, 0, 0));
        sys!(setresuid(u32::MAX, u32::MAX, u32::MAX));
        Ok(())
    })?;
    child.succeeds()
}

fn groups() -> Outcome {
    let child = fork(|| {
        sys!(setgroups(3, [10, 20, 30].as_ptr()));
        let mut list = [0; 10];
        equal!(sys!(getgroups(0, list.as_mut_ptr())), 3);
        equal!(sys!(getgroups(10, list.as_mut_ptr())), 3);
        equal!(list[..3], [10, 20, 30]);
        fails!(EINVAL, getgroups(2, list.as_mut_ptr()));
        Ok(())
    })?;
    child.succeeds()
}

fn limits() -> Outcome {
    let child = fork(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        sys!(getrlimit(libc::RLIMIT_STACK, &mut limit));
        check!(limit.rlim_cur >= 1 << 20);
        let new = libc::rlimit { rlim_cur: 50, rlim_max: 60 };
        sys!(setrlimit(libc::RLIMIT_NOFILE, &new));
        sys!(getrlimit(libc::RLIMIT_NOFILE, &mut limit));
        equal!((limit.rlim_cur, limit.rlim_max), (50, 60));
        let bad = libc::rlimit { rlim_cur: 61, rlim_max: 60 };
        fails!(EINVAL, setrlimit(libc::RLIMIT_NOFILE, &bad));
        fails!(EINVAL, getrlimit(99, &mut limit));
        sys!(setuid(1000));
        let more = libc::rlimit { rlim_cur: 60, rlim_max: 61 };
        fails!(EPERM, setrlimit(libc::RLIMIT_NOFILE, &more));
        // Children have the same.
        fork(|| {
            let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            sys!(getrlimit(libc::RLIMIT_NOFILE, &mut limit));
            equal!(limit.rlim_cur, 50);
            Ok(())
        })?
        .succeeds()
    })?;
    child.succeeds()
}

fn limits_of_others() -> Outcome {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    sys!(prlimit(0, libc::RLIMIT_NOFILE, std::ptr::null(), &mut old));
    check!(old.rlim_cur >= 20);
    fails!(ESRCH, prlimit(99_999, libc::RLIMIT_NOFILE, std::ptr::null(), &mut old));
    Ok(())
}

fn priorities() -> Outcome {
    let child = fork(|| {
        equal!(sys!(getpriority(libc::PRIO_PROCESS, 0)), 0);
        sys!(setpriority(libc::PRIO_PROCESS, 0, 10));
        equal!(sys!(getpriority(libc::PRIO_PROCESS, 0)), 10);
        fails!(ESRCH, setpriority(libc::PRIO_PROCESS, 99_999, 10));
        fails!(EINVAL, setpriority(99, 0, 10));
        sys!(setuid(1000));
        fails!(EACCES, setpriority(libc::PRIO_PROCESS, 0, 5));
        Ok(())
    })?;
    child.succeeds()
}

fn uname_tells() -> Outcome {
    // SAFETY: plain data.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    sys!(uname(&mut name));
    // SAFETY: the kernel ends each field with a zero.
    let text = |field: &[libc::c_char]| unsafe { std::ffi::CStr::from_ptr(field.as_ptr()) }.to_owned();
    equal!(text(&name.sysname).as_c_str(), c"Linux");
    let machine = if cfg!(target_arch = "s390x") { c"s390x" } else { c"ppc64le" };
    equal!(text(&name.machine).as_c_str(), machine);
    let release = text(&name.release);
    let first = release.to_bytes().first().copied().unwrap_or(0);
    check!(first.is_ascii_digit(), "{release:?}");
    Ok(())
}

fn sysinfo_tells() -> Outcome {
    // SAFETY: plain data.
    let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
    sys!(sysinfo(&mut info));
    check!(info.mem_unit >= 1 && info.totalram > 0 && info.freeram > 0 && info.freeram < info.totalram);
    check!(info.procs >= 2, "{}", info.procs);
    Ok(())
}

fn random_bytes() -> Outcome {
    let (mut one, mut two) = ([0_u8; 64], [0_u8; 64]);
    equal!(sys!(getrandom(one.as_mut_ptr().cast(), 64, 0)), 64);
    equal!(sys!(getrandom(two.as_mut_ptr().cast(), 64, libc::GRND_NONBLOCK)), 64);
    check!(one != two);
    fails!(EINVAL, getrandom(one.as_mut_ptr().cast(), 64, 0x100));
    Ok(())
}

fn umask_is_kept() -> Outcome {
    sys!(umask(0o027));
    equal!(sys!(umask(0o1777)), 0o027);
    equal!(sys!(umask(0)), 0o777);
    Ok(())
}

fn no_such_call() -> Outcome {
    for number in [10_000, 0x7fff_ffff, -1, i64::MIN, 4999] {
        // SAFETY: there is no such call.
        equal!((unsafe { libc::syscall(number, 1, 2, 3, 4, 5, 6) }, errno()), (-1, libc::ENOSYS));
    }
    Ok(())
}

fn prctl_knows() -> Outcome {
    sys!(prctl(libc::PR_SET_DUMPABLE, 1));
    equal!(sys!(prctl(libc::PR_GET_DUMPABLE)), 1);
    raw_fails!(EINVAL, SYS_prctl, 0x7777, 0, 0, 0, 0);
    Ok(())
}

fn oom_score() -> Outcome {
    let child = fork(|| {
        std::fs::write("/proc/self/oom_score_adj", "500")?;
        equal!(std::fs::read_to_string("/proc/self/oom_score_adj")?, "500\n");
        let refused = std::fs::write("/proc/self/oom_score_adj", "2000");
        check!(refused.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)));
        Ok(())
    })?;
    child.succeeds()
}

fn scheduling() -> Outcome {
    sys!(sched_yield());
    equal!(sys!(sched_getscheduler(0)), i64::from(libc::SCHED_OTHER));
    Ok(())
}

/// The name that /proc shows.
fn comm(path: &str) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(path)?.trim_end_matches('\n').to_string())
}

fn names_of_tasks() -> Outcome {
    sys!(prctl(libc::PR_SET_NAME, c"a name that is far too long".as_ptr()));
    let mut name = [7_u8; 20];
    sys!(prctl(libc::PR_GET_NAME, name.as_mut_ptr()));
    equal!(&name[..17], b"a name that is \0\x07");
    let own = std::process::id();
    for path in ["/proc/self/comm", "/proc/thread-self/comm", &format!("/proc/{own}/task/{own}/comm")] {
        equal!(comm(path)?, "a name that is ");
    }
    check!(std::fs::read_to_string("/proc/self/stat")?.starts_with(&format!("{own} (a name that is ) ")));
    check!(std::fs::read_to_string("/proc/self/status")?.starts_with("Name:\ta name that is \n"));
    // A thread's name is its own.
    let thread = std::thread::spawn(|| -> Result<String, Failure> {
        sys!(prctl(libc::PR_SET_NAME, c"other".as_ptr()));
        comm("/proc/thread-self/comm")
    });
    equal!(thread.join().map_err(|_| Failure::new("the thread panicked"))??, "other");
    equal!(comm("/proc/self/comm")?, "a name that is ");
    // A child has its parent's.
    fork(|| {
        equal!(comm("/proc/self/comm")?, "a name that is ");
        Ok(())
    })?
    .succeeds()
}

fn a_parents_death_is_told() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    let parent = fork(|| {
        let mut ready = [0; 2];
        sys!(pipe(ready.as_mut_ptr()));
        fork(|| {
            // Not inherited: what the child of this one has is nothing.
            sys!(prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1));
            let mut number = 0;
            sys!(prctl(libc::PR_GET_PDEATHSIG, &mut number));
            equal!(number, libc::SIGUSR1);
            fork(|| {
                let mut number = 9;
                sys!(prctl(libc::PR_GET_PDEATHSIG, &mut number));
                equal!(number, 0);
                Ok(())
            })?
            .succeeds()?;
            // SAFETY: plain data.
            let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
            sys!(sigaddset(&mut set, libc::SIGUSR1));
            sys!(sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()));
            sys!(write(ready[1], c"r".as_ptr().cast(), 1));
            let mut signal = 0;
            sys!(sigwait(&set, &mut signal));
            equal!(signal, libc::SIGUSR1);
            sys!(write(ends[1], c"told".as_ptr().cast(), 4));
            Ok(())
        })?;
        let mut byte = 0_u8;
        sys!(read(ready[0], (&raw mut byte).cast(), 1));
        Ok(())
    })?;
    sys!(close(ends[1]));
    parent.succeeds()?;
    let mut told = [0_u8; 8];
    equal!(sys!(read(ends[0], told.as_mut_ptr().cast(), 8)), 4);
    // The end of the file: it has ended, too.
    equal!(sys!(read(ends[0], told.as_mut_ptr().cast(), 8)), 0);
    fails!(EINVAL, prctl(libc::PR_SET_PDEATHSIG, 65));
    Ok(())
}

/// Runs without end, with this limit.
fn run_with(soft: u64, hard: u64) -> Result<Status, Failure> {
    let child = fork_status(|| {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: a structure of ours.
        if unsafe { libc::setrlimit(libc::RLIMIT_CPU, &limit) } != 0 {
            return 98;
        }
        loop {
            std::hint::spin_loop();
        }
    })?;
    child.wait()
}

fn limits_of_cpu_time() -> Outcome {
    equal!(run_with(1, libc::RLIM_INFINITY)?, Status::Killed(libc::SIGXCPU));
    equal!(run_with(1, 1)?, Status::Killed(libc::SIGKILL));
    Ok(())
}

fn personality_is_linux() -> Outcome {
    equal!(sys!(personality(0xffff_ffff)), 0);
    equal!(sys!(personality(0)), 0);
    Ok(())
}

fn capabilities() -> Outcome {
    let get = || -> Result<([u32; 2], [u32; 6]), Failure> {
        let (header, mut data) = ([0x2008_0522_u32, 0], [7_u32; 6]);
        raw!(SYS_capget, header.as_ptr(), data.as_mut_ptr());
        Ok((header, data))
    };
    let (_, root) = get()?;
    check!(root[0] != 0 && root[0] == root[1], "{root:x?}");
    // An unknown version is answered with one that is known.
    let mut header = [1_u32, 0];
    raw_fails!(EINVAL, SYS_capget, header.as_mut_ptr(), [0_u32; 6].as_mut_ptr());
    equal!(header[0], 0x2008_0522);
    header[1] = 999_999;
    raw_fails!(ESRCH, SYS_capget, header.as_ptr(), [0_u32; 6].as_mut_ptr());
    let child = fork(|| {
        sys!(setgid(1000));
        sys!(setuid(1000));
        let (header, data) = get()?;
        equal!((data[0], data[1]), (0, 0));
        raw_fails!(EPERM, SYS_capset, header.as_ptr(), root.as_ptr());
        Ok(())
    })?;
    child.succeeds()
}

fn only_root_turns_off() -> Outcome {
    raw_fails!(EINVAL, SYS_reboot, 1, 2, 3, 0);
    raw_fails!(EINVAL, SYS_reboot, 0xfee1_dead_u32, 672_274_793, 77, 0);
    let child = fork(|| {
        sys!(setuid(1000));
        raw_fails!(EPERM, SYS_reboot, 0xfee1_dead_u32, 672_274_793, 0, 0);
        Ok(())
    })?;
    child.succeeds()
}

fn memory_barriers() -> Outcome {
    const GLOBAL: i64 = 1;
    check!(raw!(SYS_membarrier, 0, 0) & GLOBAL != 0);
    equal!(raw!(SYS_membarrier, GLOBAL, 0), 0);
    raw_fails!(EINVAL, SYS_membarrier, GLOBAL, 1);
    raw_fails!(EINVAL, SYS_membarrier, 1 << 20, 0);
    Ok(())
}

fn the_log_is_read() -> Outcome {
    let mut buffer = vec![0_u8; 4096];
    check!(sys!(klogctl(10, std::ptr::null_mut(), 0)) >= 4096);
    check!(sys!(klogctl(3, buffer.as_mut_ptr().cast(), 4096)) > 100);
    fails!(EINVAL, klogctl(3, buffer.as_mut_ptr().cast(), -1));
    fails!(EINVAL, klogctl(77, buffer.as_mut_ptr().cast(), 1));
    let child = fork(|| {
        sys!(setuid(1000));
        fails!(EPERM, klogctl(5, std::ptr::null_mut(), 0));
        Ok(())
    })?;
    child.succeeds()
}
