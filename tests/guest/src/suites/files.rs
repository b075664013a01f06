//! Files: opening, reading, writing, positions, sizes, descriptors.

use crate::harness::child::{Status, fork, fork_status};
use crate::harness::{Folder, Outcome, c};
use crate::{check, equal, fails, raw_fails, sys, tests};
use libc::{O_APPEND, O_CLOEXEC, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};

tests![
    written_is_read,
    open_flags,
    positions,
    append_goes_to_the_end,
    holes_are_zero,
    truncation,
    a_removed_file_lives_while_open,
    stat_tells,
    vectors_and_positions,
    descriptors_are_the_lowest,
    duplicates_share_the_position,
    close_on_exec,
    too_many_files,
    too_large_a_file,
    modes_are_obeyed,
    links_count,
    times_are_set,
    sendfile_copies,
    devices,
    megabytes,
    bad_descriptors,
    fcntl_flags,
    two_writers_append,
    syncing,
    requests_about_descriptors,
    names_follow_a_move,
    programs_are_not_written,
];

fn put(fd: i32, text: &str) -> Result<i64, crate::harness::Failure> {
    Ok(sys!(write(fd, text.as_ptr().cast(), text.len())))
}

fn get(fd: i32, most: usize) -> Result<String, crate::harness::Failure> {
    let mut buffer = vec![0_u8; most];
    let count = sys!(read(fd, buffer.as_mut_ptr().cast(), most)) as usize;
    buffer.truncate(count);
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn open(path: &str, flags: i32) -> Result<i32, crate::harness::Failure> {
    Ok(sys!(open(c(path).as_ptr(), flags, 0o644)) as i32)
}

fn written_is_read() -> Outcome {
    let folder = Folder::new("written")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    equal!(put(file, "hello")?, 5);
    sys!(lseek(file, 0, libc::SEEK_SET));
    equal!(get(file, 100)?, "hello");
    equal!(get(file, 100)?, "");
    sys!(close(file));
    equal!(std::fs::read_to_string(folder.path("f"))?, "hello");
    Ok(())
}

fn open_flags() -> Outcome {
    let folder = Folder::new("flags")?;
    let path = folder.c("f");
    fails!(ENOENT, open(path.as_ptr(), O_RDONLY));
    sys!(open(path.as_ptr(), O_CREAT | O_EXCL | O_WRONLY, 0o600));
    fails!(EEXIST, open(path.as_ptr(), O_CREAT | O_EXCL | O_WRONLY, 0o600));
    let file = sys!(open(path.as_ptr(), O_WRONLY)) as i32;
    put(file, "text")?;
    fails!(EBADF, read(file, [0_u8; 4].as_mut_ptr().cast(), 4));
    sys!(open(path.as_ptr(), O_WRONLY | O_TRUNC));
    equal!(std::fs::metadata(folder.path("f"))?.len(), 0);
    let file = sys!(open(path.as_ptr(), O_RDONLY)) as i32;
    fails!(EBADF, write(file, c"x".as_ptr().cast(), 1));
    fails!(ENOTDIR, open(path.as_ptr(), O_RDONLY | O_DIRECTORY));
    fails!(ENOTDIR, open(folder.c("f/g").as_ptr(), O_RDONLY));
    fails!(EISDIR, open(folder.c(".").as_ptr(), O_WRONLY));
    fails!(EISDIR, open(folder.c(".").as_ptr(), O_RDWR | O_CREAT, 0o644));
    fails!(ENOENT, open(c"".as_ptr(), O_RDONLY));
    fails!(ENAMETOOLONG, open(c(&"x".repeat(256)).as_ptr(), O_RDONLY));
    fails!(ENAMETOOLONG, open(c(&"x/".repeat(3000)).as_ptr(), O_RDONLY));
    Ok(())
}

fn positions() -> Outcome {
    let folder = Folder::new("positions")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    put(file, "0123456789")?;
    equal!(sys!(lseek(file, 2, libc::SEEK_SET)), 2);
    equal!(get(file, 3)?, "234");
    equal!(sys!(lseek(file, 2, libc::SEEK_CUR)), 7);
    equal!(sys!(lseek(file, -1, libc::SEEK_END)), 9);
    equal!(get(file, 3)?, "9");
    equal!(sys!(lseek(file, 100, libc::SEEK_SET)), 100);
    equal!(get(file, 3)?, "");
    fails!(EINVAL, lseek(file, -1, libc::SEEK_SET));
    fails!(EINVAL, lseek(file, 0, 99));
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    fails!(ESPIPE, lseek(ends[0], 0, libc::SEEK_CUR));
    Ok(())
}

fn append_goes_to_the_end() -> Outcome {
    let folder = Folder::new("append")?;
    std::fs::write(folder.path("f"), "abc")?;
    let file = open(&folder.path("f"), O_WRONLY | O_APPEND)?;
    sys!(lseek(file, 0, libc::SEEK_SET));
    put(file, "def")?;
    equal!(sys!(lseek(file, 0, libc::SEEK_CUR)), 6);
    equal!(std::fs::read_to_string(folder.path("f"))?, "abcdef");
    Ok(())
}

fn holes_are_zero() -> Outcome {
    let folder = Folder::new("holes")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    sys!(lseek(file, 1 << 20, libc::SEEK_SET));
    put(file, "x")?;
    let content = std::fs::read(folder.path("f"))?;
    equal!(content.len(), (1 << 20) + 1);
    check!(content[..1 << 20].iter().all(|&byte| byte == 0));
    // A hole is not stored.
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(fstat(file, &mut stat));
    check!(stat.st_blocks * 512 < 1 << 19, "{} blocks", stat.st_blocks);
    Ok(())
}

fn truncation() -> Outcome {
    let folder = Folder::new("truncation")?;
    std::fs::write(folder.path("f"), "abcdef")?;
    sys!(truncate(folder.c("f").as_ptr(), 3));
    equal!(std::fs::read_to_string(folder.path("f"))?, "abc");
    let file = open(&folder.path("f"), O_RDWR)?;
    sys!(ftruncate(file, 6));
    equal!(std::fs::read(folder.path("f"))?, b"abc\0\0\0");
    fails!(EINVAL, ftruncate(file, -1));
    fails!(EISDIR, truncate(folder.c(".").as_ptr(), 0));
    let reader = open(&folder.path("f"), O_RDONLY)?;
    fails!(EINVAL, ftruncate(reader, 0));
    Ok(())
}

fn a_removed_file_lives_while_open() -> Outcome {
    let folder = Folder::new("removed")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    put(file, "still here")?;
    sys!(unlink(folder.c("f").as_ptr()));
    fails!(ENOENT, open(folder.c("f").as_ptr(), O_RDONLY));
    sys!(lseek(file, 0, libc::SEEK_SET));
    equal!(get(file, 100)?, "still here");
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(fstat(file, &mut stat));
    equal!(stat.st_nlink, 0);
    Ok(())
}

fn stat_tells() -> Outcome {
    let folder = Folder::new("stat")?;
    sys!(umask(0o027));
    let file = sys!(open(folder.c("f").as_ptr(), O_RDWR | O_CREAT, 0o666)) as i32;
    put(file, "12345")?;
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(fstat(file, &mut stat));
    equal!((stat.st_mode, stat.st_size, stat.st_nlink), (libc::S_IFREG | 0o640, 5, 1));
    equal!((stat.st_uid, stat.st_gid), (0, 0));
    let inode = stat.st_ino;
    sys!(stat(folder.c("f").as_ptr(), &mut stat));
    equal!(stat.st_ino, inode);
    sys!(fchmod(file, 0o4755));
    sys!(fchown(file, 1000, 1000));
    sys!(lstat(folder.c("f").as_ptr(), &mut stat));
    equal!((stat.st_uid, stat.st_gid), (1000, 1000));
    sys!(stat(c"/dev/null".as_ptr(), &mut stat));
    equal!(stat.st_mode & libc::S_IFMT, libc::S_IFCHR);
    equal!((libc::major(stat.st_rdev), libc::minor(stat.st_rdev)), (1, 3));
    sys!(stat(c"/tmp".as_ptr(), &mut stat));
    equal!(stat.st_mode, libc::S_IFDIR | 0o1777);
    fails!(ENOENT, stat(folder.c("g").as_ptr(), &mut stat));
    fails!(ENOTDIR, stat(folder.c("f/").as_ptr(), &mut stat));
    Ok(())
}

fn vectors_and_positions() -> Outcome {
    let folder = Folder::new("vectors")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    let part = |text: &'static str| libc::iovec { iov_base: text.as_ptr() as *mut _, iov_len: text.len() };
    equal!(sys!(writev(file, [part("ab"), part(""), part("cde")].as_ptr(), 3)), 5);
    equal!(sys!(pwrite(file, c"XY".as_ptr().cast(), 2, 1)), 2);
    equal!(sys!(lseek(file, 0, libc::SEEK_CUR)), 5);
    let mut buffer = [0_u8; 4];
    equal!(sys!(pread(file, buffer.as_mut_ptr().cast(), 4, 1)), 4);
    equal!(&buffer, b"XYde");
    sys!(lseek(file, 0, libc::SEEK_SET));
    let (mut one, mut two) = ([0_u8; 2], [0_u8; 10]);
    let parts = [
        libc::iovec { iov_base: one.as_mut_ptr().cast(), iov_len: 2 },
        libc::iovec { iov_base: two.as_mut_ptr().cast(), iov_len: 10 },
    ];
    equal!(sys!(readv(file, parts.as_ptr(), 2)), 5);
    equal!((&one, &two[..3]), (b"aX", &b"Yde"[..]));
    fails!(EINVAL, readv(file, parts.as_ptr(), -1));
    fails!(EINVAL, pread(file, buffer.as_mut_ptr().cast(), 4, -1));
    Ok(())
}

fn descriptors_are_the_lowest() -> Outcome {
    let first = open("/dev/null", O_RDONLY)?;
    let second = open("/dev/null", O_RDONLY)?;
    equal!(second, first + 1);
    sys!(close(first));
    equal!(open("/dev/null", O_RDONLY)?, first);
    equal!(sys!(fcntl(first, libc::F_DUPFD, 20)), 20);
    equal!(sys!(dup2(first, 25)), 25);
    equal!(sys!(dup2(first, first)) as i32, first);
    fails!(EINVAL, dup3(first, first, 0));
    fails!(EBADF, dup2(99, 25));
    fails!(EBADF, dup(99));
    fails!(EBADF, close(99));
    fails!(EBADF, dup2(first, -1));
    Ok(())
}

fn duplicates_share_the_position() -> Outcome {
    let folder = Folder::new("duplicates")?;
    std::fs::write(folder.path("f"), "abcdef")?;
    let file = open(&folder.path("f"), O_RDONLY)?;
    let copy = sys!(dup(file)) as i32;
    equal!(get(file, 2)?, "ab");
    equal!(get(copy, 2)?, "cd");
    fork(|| {
        equal!(get(file, 1)?, "e");
        Ok(())
    })?
    .succeeds()?;
    equal!(get(file, 5)?, "f");
    let other = open(&folder.path("f"), O_RDONLY)?;
    equal!(get(other, 2)?, "ab");
    Ok(())
}

fn close_on_exec() -> Outcome {
    let stays = sys!(fcntl(open("/dev/null", O_RDONLY)?, libc::F_DUPFD, 40)) as i32;
    let goes = sys!(fcntl(stays, libc::F_DUPFD_CLOEXEC, 40)) as i32;
    equal!(sys!(fcntl(stays, libc::F_GETFD)), 0);
    equal!(sys!(fcntl(goes, libc::F_GETFD)), 1);
    let opened = open("/dev/null", O_RDONLY | O_CLOEXEC)?;
    equal!(sys!(fcntl(opened, libc::F_GETFD)), 1);
    let status = std::process::Command::new(crate::harness::SELF)
        .args(["role", "open-descriptors", &format!("{stays}"), &format!("!{goes}"), &format!("!{opened}")])
        .status()?;
    check!(status.success(), "{status:?}");
    Ok(())
}

fn too_many_files() -> Outcome {
    let child = fork(|| {
        let limit = libc::rlimit { rlim_cur: 20, rlim_max: 20 };
        sys!(setrlimit(libc::RLIMIT_NOFILE, &limit));
        let mut last = 0;
        while last < 19 {
            last = open("/dev/null", O_RDONLY)?;
        }
        fails!(EMFILE, open(c"/dev/null".as_ptr(), O_RDONLY));
        fails!(EMFILE, dup(0));
        let mut ends = [0; 2];
        fails!(EMFILE, pipe(ends.as_mut_ptr()));
        fails!(EBADF, dup2(0, 20));
        fails!(EINVAL, fcntl(0, libc::F_DUPFD, 20));
        Ok(())
    })?;
    child.succeeds()
}

fn too_large_a_file() -> Outcome {
    let folder = Folder::new("large")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT)?;
    let child = fork_status(|| {
        let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
        // SAFETY: plain calls on this process.
        unsafe {
            libc::setrlimit(libc::RLIMIT_FSIZE, &limit);
            let part = libc::write(file, [1_u8; 200].as_ptr().cast(), 200);
            if part == 100 {
                libc::write(file, [1_u8; 200].as_ptr().cast(), 200);
            }
        }
        1
    })?;
    child.ends(Status::Killed(libc::SIGXFSZ))?;
    equal!(std::fs::metadata(folder.path("f"))?.len(), 100);
    Ok(())
}

fn modes_are_obeyed() -> Outcome {
    let folder = Folder::new("modes")?;
    sys!(chmod(folder.c(".").as_ptr(), 0o755));
    for (name, mode) in [("none", 0o600), ("read", 0o644), ("write", 0o622), ("run", 0o711)] {
        std::fs::write(folder.path(name), "x")?;
        sys!(chmod(folder.c(name).as_ptr(), mode));
    }
    let child = fork(|| {
        sys!(setgid(1000));
        sys!(setuid(1000));
        fails!(EACCES, open(folder.c("none").as_ptr(), O_RDONLY));
        open(&folder.path("read"), O_RDONLY)?;
        fails!(EACCES, open(folder.c("read").as_ptr(), O_WRONLY));
        open(&folder.path("write"), O_WRONLY)?;
        fails!(EACCES, open(folder.c("write").as_ptr(), O_RDWR));
        sys!(access(folder.c("run").as_ptr(), libc::X_OK));
        fails!(EACCES, access(folder.c("run").as_ptr(), libc::R_OK));
        fails!(EACCES, open(folder.c("new").as_ptr(), O_WRONLY | O_CREAT, 0o644));
        fails!(EACCES, unlink(folder.c("read").as_ptr()));
        fails!(EACCES, mkdir(folder.c("d").as_ptr(), 0o755));
        fails!(EPERM, chmod(folder.c("read").as_ptr(), 0o777));
        fails!(EPERM, chown(folder.c("read").as_ptr(), 1000, 1000));
        Ok(())
    })?;
    child.succeeds()
}

fn links_count() -> Outcome {
    let folder = Folder::new("links")?;
    std::fs::write(folder.path("a"), "x")?;
    sys!(link(folder.c("a").as_ptr(), folder.c("b").as_ptr()));
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(stat(folder.c("b").as_ptr(), &mut stat));
    equal!(stat.st_nlink, 2);
    sys!(unlink(folder.c("a").as_ptr()));
    sys!(stat(folder.c("b").as_ptr(), &mut stat));
    equal!(stat.st_nlink, 1);
    fails!(EEXIST, link(folder.c("b").as_ptr(), folder.c("b").as_ptr()));
    fails!(ENOENT, link(folder.c("a").as_ptr(), folder.c("c").as_ptr()));
    fails!(EPERM, link(folder.c(".").as_ptr(), folder.c("c").as_ptr()));
    Ok(())
}

fn times_are_set() -> Outcome {
    let folder = Folder::new("times")?;
    std::fs::write(folder.path("f"), "x")?;
    let times = [
        libc::timespec { tv_sec: 1000, tv_nsec: 5 },
        libc::timespec { tv_sec: 2000, tv_nsec: libc::UTIME_OMIT },
    ];
    // SAFETY: plain data.
    let mut before: libc::stat = unsafe { std::mem::zeroed() };
    let mut after = before;
    sys!(stat(folder.c("f").as_ptr(), &mut before));
    sys!(utimensat(libc::AT_FDCWD, folder.c("f").as_ptr(), times.as_ptr(), 0));
    sys!(stat(folder.c("f").as_ptr(), &mut after));
    equal!((after.st_atime, after.st_atime_nsec), (1000, 5));
    equal!((after.st_mtime, after.st_mtime_nsec), (before.st_mtime, before.st_mtime_nsec));
    let bad = [libc::timespec { tv_sec: 1, tv_nsec: 2_000_000_000 }; 2];
    fails!(EINVAL, utimensat(libc::AT_FDCWD, folder.c("f").as_ptr(), bad.as_ptr(), 0));
    Ok(())
}

fn sendfile_copies() -> Outcome {
    let folder = Folder::new("sendfile")?;
    std::fs::write(folder.path("a"), "0123456789")?;
    let from = open(&folder.path("a"), O_RDONLY)?;
    let to = open(&folder.path("b"), O_WRONLY | O_CREAT)?;
    equal!(sys!(sendfile(to, from, std::ptr::null_mut(), 4)), 4);
    let mut offset = 6_i64;
    equal!(sys!(sendfile(to, from, &mut offset, 100)), 4);
    equal!(offset, 10);
    equal!(get(from, 2)?, "45");
    equal!(std::fs::read_to_string(folder.path("b"))?, "01236789");
    Ok(())
}

fn devices() -> Outcome {
    let null = open("/dev/null", O_RDWR)?;
    equal!(put(null, "gone")?, 4);
    equal!(get(null, 4)?, "");
    let zero = open("/dev/zero", O_RDWR)?;
    equal!(get(zero, 3)?, "\0\0\0");
    equal!(put(zero, "gone")?, 4);
    let random = open("/dev/urandom", O_RDONLY)?;
    let (mut one, mut two) = ([0_u8; 32], [0_u8; 32]);
    equal!(sys!(read(random, one.as_mut_ptr().cast(), 32)), 32);
    equal!(sys!(read(random, two.as_mut_ptr().cast(), 32)), 32);
    check!(one != two && one != [0; 32]);
    Ok(())
}

fn megabytes() -> Outcome {
    let folder = Folder::new("megabytes")?;
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number * 7 >> 3) as u8).collect();
    std::fs::write(folder.path("f"), &content)?;
    check!(std::fs::read(folder.path("f"))? == content);
    std::fs::copy(folder.path("f"), folder.path("g"))?;
    check!(std::fs::read(folder.path("g"))? == content);
    Ok(())
}

fn bad_descriptors() -> Outcome {
    let mut buffer = [0_u8; 8];
    for fd in [-1, 999, i32::MAX, i32::MIN] {
        fails!(EBADF, read(fd, buffer.as_mut_ptr().cast(), 8));
        fails!(EBADF, write(fd, buffer.as_ptr().cast(), 8));
        fails!(EBADF, lseek(fd, 0, 0));
        fails!(EBADF, fcntl(fd, libc::F_GETFD));
        fails!(EBADF, ftruncate(fd, 0));
        fails!(EBADF, fchmod(fd, 0));
        fails!(EBADF, fsync(fd));
        fails!(EBADF, fchdir(fd));
    }
    raw_fails!(EBADF, SYS_openat, 999, c"x".as_ptr(), O_RDONLY, 0);
    Ok(())
}

fn fcntl_flags() -> Outcome {
    let folder = Folder::new("fcntl")?;
    let file = open(&folder.path("f"), O_RDWR | O_CREAT | O_APPEND)?;
    let flags = sys!(fcntl(file, libc::F_GETFL)) as i32;
    equal!(flags & (libc::O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
    sys!(fcntl(file, libc::F_SETFL, libc::O_NONBLOCK));
    let flags = sys!(fcntl(file, libc::F_GETFL)) as i32;
    equal!(flags & (libc::O_ACCMODE | O_APPEND | libc::O_NONBLOCK), O_RDWR | libc::O_NONBLOCK);
    fails!(EINVAL, fcntl(file, 9999));
    Ok(())
}

fn two_writers_append() -> Outcome {
    let folder = Folder::new("writers")?;
    let path = folder.path("f");
    let mut children = Vec::new();
    for name in ["a", "b", "c"] {
        let path = path.clone();
        children.push(fork(move || {
            let file = open(&path, O_WRONLY | O_CREAT | O_APPEND)?;
            for _ in 0..50 {
                equal!(put(file, &name.repeat(10))?, 10);
            }
            Ok(())
        })?);
    }
    for child in children {
        child.succeeds()?;
    }
    let text = std::fs::read_to_string(&path)?;
    equal!(text.len(), 1500);
    let whole = |piece: &[u8]| piece.iter().all(|byte| *byte == piece[0]);
    check!(text.as_bytes().chunks(10).all(whole), "lines are torn");
    Ok(())
}

fn syncing() -> Outcome {
    let folder = Folder::new("syncing")?;
    let fd = sys!(open(folder.c("f").as_ptr(), libc::O_RDWR | libc::O_CREAT, 0o644)) as i32;
    sys!(fsync(fd));
    sys!(fdatasync(fd));
    sys!(syncfs(fd));
    equal!(sys!(posix_fadvise(fd, 0, 100, libc::POSIX_FADV_WILLNEED)), 0);
    equal!(sys!(posix_fadvise(fd, 0, 100, 99)), i64::from(libc::EINVAL));
    // SAFETY: no arguments.
    unsafe { libc::sync() };
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    fails!(EINVAL, fsync(ends[0]));
    equal!(sys!(posix_fadvise(ends[0], 0, 1, 0)), i64::from(libc::ESPIPE));
    fails!(EBADF, fsync(99));
    fails!(EBADF, syncfs(99));
    Ok(())
}

fn requests_about_descriptors() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    for on in [1, 0] {
        sys!(ioctl(ends[0], if on == 1 { libc::FIOCLEX } else { libc::FIONCLEX } as _));
        equal!(sys!(fcntl(ends[0], libc::F_GETFD)), on);
        let number = on as i32;
        sys!(ioctl(ends[0], libc::FIONBIO as _, &number));
        equal!(sys!(fcntl(ends[0], libc::F_GETFL)) & i64::from(libc::O_NONBLOCK) != 0, on == 1);
    }
    fails!(EBADF, ioctl(99, libc::FIOCLEX as _));
    fails!(EFAULT, ioctl(ends[0], libc::FIONBIO as _, 8));
    Ok(())
}

fn names_follow_a_move() -> Outcome {
    let folder = Folder::new("moved")?;
    std::fs::create_dir(folder.path("d"))?;
    std::fs::write(folder.path("a"), "text")?;
    let fd = sys!(open(folder.c("a").as_ptr(), libc::O_RDONLY));
    let link = format!("/proc/self/fd/{fd}");
    let seen = |wanted: &str| -> Outcome {
        equal!(std::fs::read_link(&link)?.display().to_string(), folder.path(wanted));
        Ok(())
    };
    seen("a")?;
    std::fs::rename(folder.path("a"), folder.path("b"))?;
    seen("b")?;
    std::fs::rename(folder.path("b"), folder.path("d/c"))?;
    seen("d/c")?;
    std::fs::rename(folder.path("d"), folder.path("e"))?;
    seen("e/c")?;
    // Another file takes the old name.
    std::fs::rename(folder.path("e/c"), folder.path("f"))?;
    std::fs::write(folder.path("e/c"), "other")?;
    seen("f")?;
    // It is exchanged for another.
    let (f, c) = (folder.c("f"), folder.c("e/c"));
    sys!(renameat2(libc::AT_FDCWD, f.as_ptr(), libc::AT_FDCWD, c.as_ptr(), libc::RENAME_EXCHANGE));
    seen("e/c")?;
    equal!(std::fs::read_to_string(&link)?, "text");
    Ok(())
}

fn programs_are_not_written() -> Outcome {
    let folder = Folder::new("busy")?;
    std::fs::copy("/bin/busybox", folder.path("busybox"))?;
    let path = folder.c("busybox");
    sys!(chmod(path.as_ptr(), 0o755));
    let mut child = std::process::Command::new(folder.path("busybox")).args(["sleep", "1000"]).spawn()?;
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_RDONLY | libc::O_TRUNC] {
        fails!(ETXTBSY, open(path.as_ptr(), flags));
    }
    fails!(ETXTBSY, truncate(path.as_ptr(), 0));
    sys!(close(sys!(open(path.as_ptr(), libc::O_RDONLY)) as i32));
    // It may lose its name, and another file get it.
    std::fs::rename(folder.path("busybox"), folder.path("busybox.new"))?;
    std::fs::write(folder.path("busybox"), "text")?;
    fails!(ETXTBSY, open(folder.c("busybox.new").as_ptr(), libc::O_WRONLY));
    child.kill()?;
    child.wait()?;
    let writing = sys!(open(folder.c("busybox.new").as_ptr(), libc::O_WRONLY)) as i32;
    let words = [c"busybox".as_ptr(), std::ptr::null()];
    fails!(ETXTBSY, execv(folder.c("busybox.new").as_ptr(), words.as_ptr()));
    sys!(close(writing));
    let status = std::process::Command::new(folder.path("busybox.new")).arg("true").status()?;
    check!(status.success(), "{status:?}");
    Ok(())
}
