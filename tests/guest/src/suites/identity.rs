//! Users and groups, limits, names, and other things a process is.

use crate::harness::child::fork;
use crate::harness::{Outcome, errno};
use crate::{check, equal, fails, raw_fails, sys, tests};

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
