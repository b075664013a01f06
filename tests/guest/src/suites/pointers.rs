//! Bad pointers to every call that takes one: EFAULT, whatever the pointer, and nothing else happens.

use super::attacks::KERNEL;
use crate::harness::memory::{Map, page};
use crate::harness::{Failure, Folder, Outcome, errno, errno_text};
use crate::{check, sys, tests};
use libc::*;

tests![each_pointer_of_each_call, strings_that_do_not_end, pointers_that_nobody_looks_at];

/// A call, its arguments, and which of them is the bad pointer (`BAD`).
type Case = (&'static str, i64, [i64; 6]);

const BAD: i64 = i64::MIN + 77;
/// A good pointer: zeroed memory.
const GOOD: i64 = i64::MIN + 78;
/// A path of a file that exists; of a folder.
const PATH: i64 = i64::MIN + 79;
/// The descriptors of a pipe that is not empty.
const READ: i64 = i64::MIN + 80;
const WRITE: i64 = i64::MIN + 81;
/// A descriptor of a file, of a folder.
const FILE: i64 = i64::MIN + 82;
const FOLDER: i64 = i64::MIN + 83;

const AT: i64 = AT_FDCWD as i64;
/// ppc64 has an old one of that name, too.
const GETRLIMIT: i64 = if cfg!(target_arch = "powerpc64") { 190 } else { SYS_getrlimit };

const CASES: &[Case] = &[
    ("access", SYS_access, [BAD, 0, 0, 0, 0, 0]),
    ("capget", SYS_capget, [BAD, GOOD, 0, 0, 0, 0]),
    ("chdir", SYS_chdir, [BAD, 0, 0, 0, 0, 0]),
    ("chmod", SYS_chmod, [BAD, 0, 0, 0, 0, 0]),
    ("chown", SYS_chown, [BAD, 0, 0, 0, 0, 0]),
    ("chroot", SYS_chroot, [BAD, 0, 0, 0, 0, 0]),
    ("clock_getres", SYS_clock_getres, [1, BAD, 0, 0, 0, 0]),
    ("clock_gettime", SYS_clock_gettime, [1, BAD, 0, 0, 0, 0]),
    ("clock_nanosleep", SYS_clock_nanosleep, [1, 0, BAD, 0, 0, 0]),
    ("clock_settime", SYS_clock_settime, [0, BAD, 0, 0, 0, 0]),
    ("clone3", SYS_clone3, [BAD, 64, 0, 0, 0, 0]),
    ("copy_file_range", SYS_copy_file_range, [FILE, BAD, FILE, 0, 4, 0]),
    ("creat", SYS_creat, [BAD, 0, 0, 0, 0, 0]),
    ("execve arguments", SYS_execve, [PATH, BAD, 0, 0, 0, 0]),
    ("execve environment", SYS_execve, [PATH, 0, BAD, 0, 0, 0]),
    ("execve path", SYS_execve, [BAD, 0, 0, 0, 0, 0]),
    ("faccessat", SYS_faccessat, [AT, BAD, 0, 0, 0, 0]),
    ("faccessat2", SYS_faccessat2, [AT, BAD, 0, 0, 0, 0]),
    ("fchmodat", SYS_fchmodat, [AT, BAD, 0, 0, 0, 0]),
    ("fchownat", SYS_fchownat, [AT, BAD, 0, 0, 0, 0]),
    ("fcntl F_GETLK", SYS_fcntl, [FILE, F_GETLK as i64, BAD, 0, 0, 0]),
    ("fcntl F_SETLK", SYS_fcntl, [FILE, F_SETLK as i64, BAD, 0, 0, 0]),
    ("fstat", SYS_fstat, [FILE, BAD, 0, 0, 0, 0]),
    ("fstatfs", SYS_fstatfs, [FILE, BAD, 0, 0, 0, 0]),
    ("futex", SYS_futex, [BAD, FUTEX_WAIT as i64, 0, 0, 0, 0]),
    ("futex time", SYS_futex, [GOOD, FUTEX_WAIT as i64, 0, BAD, 0, 0]),
    ("futimesat", SYS_futimesat, [AT, BAD, 0, 0, 0, 0]),
    ("get_robust_list", SYS_get_robust_list, [0, BAD, GOOD, 0, 0, 0]),
    ("get_robust_list size", SYS_get_robust_list, [0, GOOD, BAD, 0, 0, 0]),
    ("getcpu", SYS_getcpu, [BAD, 0, 0, 0, 0, 0]),
    ("getcwd", SYS_getcwd, [BAD, 100, 0, 0, 0, 0]),
    ("getdents64", SYS_getdents64, [FOLDER, BAD, 1000, 0, 0, 0]),
    ("getitimer", SYS_getitimer, [0, BAD, 0, 0, 0, 0]),
    ("getrandom", SYS_getrandom, [BAD, 10, 0, 0, 0, 0]),
    ("getresgid", SYS_getresgid, [GOOD, BAD, GOOD, 0, 0, 0]),
    ("getresuid", SYS_getresuid, [BAD, GOOD, GOOD, 0, 0, 0]),
    ("getrlimit", GETRLIMIT, [3, BAD, 0, 0, 0, 0]),
    ("getrusage", SYS_getrusage, [0, BAD, 0, 0, 0, 0]),
    ("gettimeofday", SYS_gettimeofday, [BAD, 0, 0, 0, 0, 0]),
    ("ioctl FIONREAD", SYS_ioctl, [READ, FIONREAD as i64, BAD, 0, 0, 0]),
    ("lchown", SYS_lchown, [BAD, 0, 0, 0, 0, 0]),
    ("link", SYS_link, [BAD, PATH, 0, 0, 0, 0]),
    ("link to", SYS_link, [PATH, BAD, 0, 0, 0, 0]),
    ("linkat", SYS_linkat, [AT, BAD, AT, PATH, 0, 0]),
    ("lstat", SYS_lstat, [PATH, BAD, 0, 0, 0, 0]),
    ("mincore", SYS_mincore, [GOOD, 1, BAD, 0, 0, 0]),
    ("mkdir", SYS_mkdir, [BAD, 0, 0, 0, 0, 0]),
    ("mkdirat", SYS_mkdirat, [AT, BAD, 0, 0, 0, 0]),
    ("mknod", SYS_mknod, [BAD, S_IFREG as i64, 0, 0, 0, 0]),
    ("mknodat", SYS_mknodat, [AT, BAD, S_IFREG as i64, 0, 0, 0]),
    ("mount target", SYS_mount, [GOOD, BAD, GOOD, 0, 0, 0]),
    ("mount type", SYS_mount, [GOOD, PATH, BAD, 0, 0, 0]),
    ("nanosleep", SYS_nanosleep, [BAD, 0, 0, 0, 0, 0]),
    ("newfstatat", SYS_newfstatat, [AT, PATH, BAD, 0, 0, 0]),
    ("newfstatat path", SYS_newfstatat, [AT, BAD, GOOD, 0, 0, 0]),
    ("open", SYS_open, [BAD, 0, 0, 0, 0, 0]),
    ("openat", SYS_openat, [AT, BAD, 0, 0, 0, 0]),
    ("pipe", SYS_pipe, [BAD, 0, 0, 0, 0, 0]),
    ("pipe2", SYS_pipe2, [BAD, 0, 0, 0, 0, 0]),
    ("poll", SYS_poll, [BAD, 1, 0, 0, 0, 0]),
    ("ppoll", SYS_ppoll, [BAD, 1, 0, 0, 8, 0]),
    ("ppoll mask", SYS_ppoll, [GOOD, 0, 0, BAD, 8, 0]),
    ("ppoll time", SYS_ppoll, [GOOD, 0, BAD, 0, 8, 0]),
    ("prctl get name", SYS_prctl, [PR_GET_NAME as i64, BAD, 0, 0, 0, 0]),
    ("prctl name", SYS_prctl, [PR_SET_NAME as i64, BAD, 0, 0, 0, 0]),
    ("pread64", SYS_pread64, [FILE, BAD, 4, 0, 0, 0]),
    ("preadv", SYS_preadv, [FILE, BAD, 1, 0, 0, 0]),
    ("prlimit64", SYS_prlimit64, [0, 3, 0, BAD, 0, 0]),
    ("prlimit64 new", SYS_prlimit64, [0, 3, BAD, 0, 0, 0]),
    ("pselect6", SYS_pselect6, [1, BAD, 0, 0, 0, 0]),
    ("pwrite64", SYS_pwrite64, [FILE, BAD, 4, 0, 0, 0]),
    ("pwritev", SYS_pwritev, [FILE, BAD, 1, 0, 0, 0]),
    ("read", SYS_read, [READ, BAD, 4, 0, 0, 0]),
    ("read file", SYS_read, [FILE, BAD, 4, 0, 0, 0]),
    ("readlink", SYS_readlink, [BAD, GOOD, 10, 0, 0, 0]),
    ("readlinkat", SYS_readlinkat, [AT, BAD, GOOD, 10, 0, 0]),
    ("readv", SYS_readv, [READ, BAD, 1, 0, 0, 0]),
    ("rename", SYS_rename, [BAD, PATH, 0, 0, 0, 0]),
    ("rename to", SYS_rename, [PATH, BAD, 0, 0, 0, 0]),
    ("renameat", SYS_renameat, [AT, BAD, AT, PATH, 0, 0]),
    ("renameat2", SYS_renameat2, [AT, BAD, AT, PATH, 0, 0]),
    ("rmdir", SYS_rmdir, [BAD, 0, 0, 0, 0, 0]),
    ("rt_sigaction", SYS_rt_sigaction, [10, BAD, 0, 8, 0, 0]),
    ("rt_sigaction old", SYS_rt_sigaction, [10, 0, BAD, 8, 0, 0]),
    ("rt_sigpending", SYS_rt_sigpending, [BAD, 8, 0, 0, 0, 0]),
    ("rt_sigprocmask", SYS_rt_sigprocmask, [0, BAD, 0, 8, 0, 0]),
    ("rt_sigprocmask old", SYS_rt_sigprocmask, [0, 0, BAD, 8, 0, 0]),
    ("rt_sigqueueinfo", SYS_rt_sigqueueinfo, [1, 10, BAD, 0, 0, 0]),
    ("rt_sigsuspend", SYS_rt_sigsuspend, [BAD, 8, 0, 0, 0, 0]),
    ("rt_sigtimedwait", SYS_rt_sigtimedwait, [BAD, 0, 0, 8, 0, 0]),
    ("sched_getaffinity", SYS_sched_getaffinity, [0, 128, BAD, 0, 0, 0]),
    ("sched_getparam", SYS_sched_getparam, [0, BAD, 0, 0, 0, 0]),
    ("sched_rr_get_interval", SYS_sched_rr_get_interval, [0, BAD, 0, 0, 0, 0]),
    ("sched_setaffinity", SYS_sched_setaffinity, [0, 128, BAD, 0, 0, 0]),
    ("sched_setparam", SYS_sched_setparam, [0, BAD, 0, 0, 0, 0]),
    ("sched_setscheduler", SYS_sched_setscheduler, [0, 0, BAD, 0, 0, 0]),
    ("sendfile offset", SYS_sendfile, [WRITE, FILE, BAD, 4, 0, 0]),
    ("setdomainname", SYS_setdomainname, [BAD, 4, 0, 0, 0, 0]),
    ("setgroups", SYS_setgroups, [2, BAD, 0, 0, 0, 0]),
    ("sethostname", SYS_sethostname, [BAD, 4, 0, 0, 0, 0]),
    ("setitimer", SYS_setitimer, [0, BAD, 0, 0, 0, 0]),
    ("setrlimit", SYS_setrlimit, [3, BAD, 0, 0, 0, 0]),
    ("settimeofday", SYS_settimeofday, [BAD, 0, 0, 0, 0, 0]),
    ("sigaltstack", SYS_sigaltstack, [BAD, 0, 0, 0, 0, 0]),
    ("sigaltstack old", SYS_sigaltstack, [0, BAD, 0, 0, 0, 0]),
    ("stat", SYS_stat, [PATH, BAD, 0, 0, 0, 0]),
    ("statfs", SYS_statfs, [PATH, BAD, 0, 0, 0, 0]),
    ("statx", SYS_statx, [AT, PATH, 0, 0xfff, BAD, 0]),
    ("statx path", SYS_statx, [AT, BAD, 0, 0xfff, GOOD, 0]),
    ("symlink", SYS_symlink, [BAD, PATH, 0, 0, 0, 0]),
    ("symlinkat", SYS_symlinkat, [BAD, AT, PATH, 0, 0, 0]),
    ("sysinfo", SYS_sysinfo, [BAD, 0, 0, 0, 0, 0]),
    ("syslog", SYS_syslog, [3, BAD, 4096, 0, 0, 0]),
    ("times", SYS_times, [BAD, 0, 0, 0, 0, 0]),
    ("truncate", SYS_truncate, [BAD, 0, 0, 0, 0, 0]),
    ("umount2", SYS_umount2, [BAD, 0, 0, 0, 0, 0]),
    ("uname", SYS_uname, [BAD, 0, 0, 0, 0, 0]),
    ("unlink", SYS_unlink, [BAD, 0, 0, 0, 0, 0]),
    ("unlinkat", SYS_unlinkat, [AT, BAD, 0, 0, 0, 0]),
    ("utime", SYS_utime, [BAD, 0, 0, 0, 0, 0]),
    ("utimensat", SYS_utimensat, [AT, PATH, BAD, 0, 0, 0]),
    ("utimensat path", SYS_utimensat, [AT, BAD, 0, 0, 0, 0]),
    ("utimes", SYS_utimes, [BAD, 0, 0, 0, 0, 0]),
    ("write", SYS_write, [WRITE, BAD, 4, 0, 0, 0]),
    ("write file", SYS_write, [FILE, BAD, 4, 0, 0, 0]),
    ("writev", SYS_writev, [WRITE, BAD, 1, 0, 0, 0]),
];

fn each_pointer_of_each_call() -> Outcome {
    let folder = Folder::new("pointers")?;
    std::fs::write(folder.path("f"), "0123456789")?;
    let path = folder.c("f");
    sys!(chmod(path.as_ptr(), 0o755));
    let file = sys!(open(path.as_ptr(), O_RDWR));
    let directory = sys!(open(c"/tmp".as_ptr(), O_RDONLY));
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    sys!(write(ends[1], c"0123456789".as_ptr().cast(), 10));
    let good = Map::private(1)?;
    let none = Map::private(1)?;
    sys!(munmap(none.start.cast(), page()));
    let forbidden = Map::private(1)?;
    sys!(mprotect(forbidden.start.cast(), page(), PROT_NONE));
    let mut bad: Vec<i64> = KERNEL.iter().map(|&address| address as i64).collect();
    bad.extend([1, none.start as i64, forbidden.start as i64, i64::MAX, i64::MIN, -1, -4096]);
    let mut wrong = Vec::new();
    for &(name, number, pattern) in CASES {
        for &pointer in &bad {
            if number == SYS_futex && (pointer % 4 != 0 || pointer as u64 >= u64::MAX - 0xfff) {
                // Another error, or one of Linux itself.
                continue;
            }
            let arguments = pattern.map(|argument| match argument {
                BAD => pointer,
                GOOD => good.start as i64,
                PATH => path.as_ptr() as i64,
                READ => i64::from(ends[0]),
                WRITE => i64::from(ends[1]),
                FILE => file,
                FOLDER => directory,
                other => other,
            });
            // Calls that move a position or empty something start afresh.
            sys!(lseek(file as i32, 0, SEEK_SET));
            sys!(lseek(directory as i32, 0, SEEK_SET));
            let [a, b, c, d, e, f] = arguments;
            // SAFETY: the one pointer that is bad is bad on purpose; the others are good.
            let result = unsafe { syscall(number, a, b, c, d, e, f) };
            if (result, errno()) != (-1, EFAULT) {
                let what = if result == -1 { errno_text(errno()) } else { result.to_string() };
                wrong.push(format!("{name}({pointer:#x}): {what}"));
            }
        }
    }
    let shown = wrong.len().min(12);
    check!(wrong.is_empty(), "{} of them: {}", wrong.len(), wrong[..shown].join("; "));
    Ok(())
}

fn strings_that_do_not_end() -> Outcome {
    // A path that runs into nothing is a bad pointer; one that ends just before is none.
    let map = Map::private(2)?;
    sys!(munmap(map.page(1).cast(), page()));
    let path = b"/bin/busybox";
    let at = map.at(page() - path.len());
    for (offset, &byte) in path.iter().enumerate() {
        map.set(page() - path.len() + offset, byte);
    }
    crate::fails!(EFAULT, open(at.cast(), O_RDONLY));
    for (offset, &byte) in path.iter().chain(b"\0").enumerate() {
        map.set(page() - path.len() - 1 + offset, byte);
    }
    sys!(open(at.wrapping_sub(1).cast(), O_RDONLY));
    Ok(())
}

fn pointers_that_nobody_looks_at() -> Result<(), Failure> {
    // Nothing to write, nothing to read: a bad pointer is no matter.
    let null = sys!(open(c"/dev/null".as_ptr(), O_RDWR)) as i32;
    crate::equal!(sys!(write(null, 8 as *const _, 0)), 0);
    crate::equal!(sys!(read(null, 8 as *mut _, 4)), 0);
    crate::equal!(sys!(write(null, 8 as *const _, 4)), 4);
    crate::equal!(sys!(poll(8 as *mut _, 0, 0)), 0);
    Ok(())
}
