//! Advisory locks: `flock`, those of POSIX on ranges, and those of open files.

use crate::harness::child::{Status, fork, fork_status, handle};
use crate::harness::{Failure, Folder, Outcome};
use crate::{check, equal, fails, sys, tests};
use libc::{
    F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, O_CREAT,
    O_RDONLY, O_RDWR, SEEK_CUR, SEEK_END, SEEK_SET,
};

tests![
    flock_excludes,
    flock_is_the_open_files,
    flock_waits,
    flock_changes_its_kind,
    a_signal_ends_the_wait,
    ranges_exclude,
    ranges_are_cut_and_joined,
    ranges_from_anywhere,
    any_descriptor_drops_them,
    not_inherited,
    the_end_gives_back,
    a_range_is_waited_for,
    a_circle_is_refused,
    locks_of_open_files,
    wrong_locks,
];

/// A new file of ten bytes, open.
fn file(folder: &Folder) -> Result<i32, Failure> {
    std::fs::write(folder.path("f"), "0123456789")?;
    open(folder, O_RDWR)
}

/// The same file, opened once more.
fn open(folder: &Folder, flags: i32) -> Result<i32, Failure> {
    Ok(sys!(open(folder.c("f").as_ptr(), flags | O_CREAT, 0o644)) as i32)
}

fn range(kind: i32, start: i64, len: i64) -> libc::flock {
    // SAFETY: plain data.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    (lock.l_type, lock.l_whence, lock.l_start, lock.l_len) = (kind as i16, SEEK_SET as i16, start, len);
    lock
}

fn set(fd: i32, kind: i32, start: i64, len: i64) -> Outcome {
    let lock = range(kind, start, len);
    sys!(fcntl(fd, F_SETLK, &lock));
    Ok(())
}

fn refused(fd: i32, kind: i32, start: i64, len: i64) -> Outcome {
    let lock = range(kind, start, len);
    fails!(EAGAIN, fcntl(fd, F_SETLK, &lock));
    Ok(())
}

/// What keeps a lock on this range from being taken: kind, start, length, owner.
fn in_the_way(fd: i32, kind: i32, start: i64, len: i64) -> Result<Option<(i32, i64, i64, i32)>, Failure> {
    let mut lock = range(kind, start, len);
    sys!(fcntl(fd, libc::F_GETLK, &mut lock));
    let found = (i32::from(lock.l_type), lock.l_start, lock.l_len, lock.l_pid);
    Ok((found.0 != F_UNLCK).then_some(found))
}

fn flock_excludes() -> Outcome {
    let folder = Folder::new("flock")?;
    let (one, two) = (file(&folder)?, open(&folder, O_RDONLY)?);
    sys!(flock(one, LOCK_SH));
    sys!(flock(two, LOCK_SH));
    fails!(EWOULDBLOCK, flock(two, LOCK_EX | LOCK_NB));
    sys!(flock(one, LOCK_UN));
    // It needs no right to write.
    sys!(flock(two, LOCK_EX | LOCK_NB));
    fails!(EWOULDBLOCK, flock(one, LOCK_SH | LOCK_NB));
    sys!(close(two));
    sys!(flock(one, LOCK_EX | LOCK_NB));
    // Another file is another matter, and so are ranges.
    std::fs::write(folder.path("g"), "")?;
    let other = sys!(open(folder.c("g").as_ptr(), O_RDWR)) as i32;
    sys!(flock(other, LOCK_EX | LOCK_NB));
    set(one, F_WRLCK, 0, 0)
}

fn flock_is_the_open_files() -> Outcome {
    let folder = Folder::new("flock-of")?;
    let (one, two) = (file(&folder)?, open(&folder, O_RDWR)?);
    let copy = sys!(dup(one)) as i32;
    sys!(flock(one, LOCK_EX));
    // The child has the same open file: it may change the lock, and give it back for both.
    let child = fork(|| {
        sys!(flock(one, LOCK_SH | LOCK_NB));
        sys!(flock(one, LOCK_EX | LOCK_NB));
        Ok(())
    })?;
    child.succeeds()?;
    // Neither the child's end nor closing one of two descriptors gave it back.
    sys!(close(one));
    fails!(EWOULDBLOCK, flock(two, LOCK_SH | LOCK_NB));
    sys!(close(copy));
    sys!(flock(two, LOCK_EX | LOCK_NB));
    let child = fork(|| {
        sys!(flock(two, LOCK_UN));
        Ok(())
    })?;
    child.succeeds()?;
    let again = open(&folder, O_RDWR)?;
    sys!(flock(again, LOCK_EX | LOCK_NB));
    Ok(())
}

fn flock_waits() -> Outcome {
    let folder = Folder::new("flock-waits")?;
    let (one, two) = (file(&folder)?, open(&folder, O_RDWR)?);
    sys!(flock(one, LOCK_EX));
    let child = fork(|| {
        sys!(close(one));
        sys!(flock(two, LOCK_EX));
        // The parent wrote before it gave the lock back.
        equal!(std::fs::read_to_string(folder.path("f"))?, "mine");
        Ok(())
    })?;
    child.reaches('S')?;
    std::fs::write(folder.path("f"), "mine")?;
    sys!(flock(one, LOCK_UN));
    child.succeeds()
}

fn flock_changes_its_kind() -> Outcome {
    let folder = Folder::new("flock-kind")?;
    let (one, two, three) = (file(&folder)?, open(&folder, O_RDWR)?, open(&folder, O_RDWR)?);
    sys!(flock(one, LOCK_EX));
    sys!(flock(one, LOCK_SH));
    sys!(flock(two, LOCK_SH | LOCK_NB));
    // The other's is in the way; what one had is gone all the same.
    fails!(EWOULDBLOCK, flock(one, LOCK_EX | LOCK_NB));
    sys!(flock(two, LOCK_UN));
    sys!(flock(three, LOCK_EX | LOCK_NB));
    Ok(())
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn a_signal_ends_the_wait() -> Outcome {
    let folder = Folder::new("lock-signal")?;
    let (one, two) = (file(&folder)?, open(&folder, O_RDWR)?);
    sys!(flock(one, LOCK_EX));
    set(one, F_WRLCK, 0, 0)?;
    for ranges in [false, true] {
        let child = fork(|| {
            handle(libc::SIGUSR1, 0, nothing)?;
            if ranges {
                let lock = range(F_WRLCK, 3, 4);
                fails!(EINTR, fcntl(two, F_SETLKW, &lock));
            } else {
                fails!(EINTR, flock(two, LOCK_SH));
            }
            Ok(())
        })?;
        child.reaches('S')?;
        child.kill(libc::SIGUSR1)?;
        child.succeeds()?;
        // One that dies waiting leaves nothing behind.
        let child = fork_status(|| i32::from(set_wait(two, F_WRLCK, 3, 4).is_err()))?;
        child.reaches('S')?;
        child.kill(libc::SIGKILL)?;
        child.ends(Status::Killed(libc::SIGKILL))?;
    }
    Ok(())
}

fn set_wait(fd: i32, kind: i32, start: i64, len: i64) -> Outcome {
    let lock = range(kind, start, len);
    sys!(fcntl(fd, F_SETLKW, &lock));
    Ok(())
}

fn ranges_exclude() -> Outcome {
    let folder = Folder::new("ranges")?;
    let fd = file(&folder)?;
    let own = std::process::id() as i32;
    set(fd, F_WRLCK, 2, 3)?;
    set(fd, F_RDLCK, 7, 1)?;
    // One's own are never in the way.
    equal!(in_the_way(fd, F_WRLCK, 0, 0)?, None);
    let child = fork(|| {
        equal!(in_the_way(fd, F_RDLCK, 0, 0)?, Some((F_WRLCK, 2, 3, own)));
        equal!(in_the_way(fd, F_WRLCK, 5, 0)?, Some((F_RDLCK, 7, 1, own)));
        equal!(in_the_way(fd, F_RDLCK, 5, 0)?, None);
        refused(fd, F_RDLCK, 4, 1)?;
        refused(fd, F_WRLCK, 0, 0)?;
        set(fd, F_WRLCK, 0, 2)?;
        set(fd, F_WRLCK, 5, 2)?;
        set(fd, F_RDLCK, 7, 100)?;
        refused(fd, F_WRLCK, 7, 1)
    })?;
    child.succeeds()
}

fn ranges_are_cut_and_joined() -> Outcome {
    let folder = Folder::new("ranges-cut")?;
    let fd = file(&folder)?;
    let own = std::process::id() as i32;
    let seen = |wanted: &[(i32, i64, i64)]| -> Outcome {
        let child = fork(|| {
            let mut at = 0;
            for &(kind, start, len) in wanted {
                equal!(in_the_way(fd, F_WRLCK, at, 0)?, Some((kind, start, len, own)));
                at = start + len;
            }
            Ok(())
        })?;
        child.succeeds()
    };
    set(fd, F_WRLCK, 0, 10)?;
    set(fd, F_WRLCK, 10, 10)?;
    seen(&[(F_WRLCK, 0, 20)])?;
    set(fd, F_UNLCK, 5, 5)?;
    let child = fork(|| set(fd, F_WRLCK, 5, 5))?;
    child.succeeds()?;
    set(fd, F_RDLCK, 12, 2)?;
    let child = fork(|| {
        set(fd, F_RDLCK, 12, 2)?;
        refused(fd, F_RDLCK, 11, 1)?;
        refused(fd, F_RDLCK, 14, 1)
    })?;
    child.succeeds()?;
    set(fd, F_RDLCK, 0, 0)?;
    seen(&[(F_RDLCK, 0, 0)])?;
    set(fd, F_UNLCK, 0, 0)?;
    seen(&[])
}

fn ranges_from_anywhere() -> Outcome {
    let folder = Folder::new("ranges-from")?;
    let fd = file(&folder)?;
    sys!(lseek(fd, 4, SEEK_SET));
    let from = |whence: i32, start: i64, len: i64| {
        let mut lock = range(F_WRLCK, start, len);
        lock.l_whence = whence as i16;
        lock
    };
    for (lock, first, len) in [
        (from(SEEK_CUR, 1, 2), 5, 2),
        (from(SEEK_CUR, 0, -3), 1, 3),
        (from(SEEK_END, -2, 0), 8, 0),
        (from(SEEK_END, 5, 1), 15, 1),
        (from(SEEK_SET, 1, i64::MAX - 1), 1, i64::MAX - 1),
    ] {
        sys!(fcntl(fd, F_SETLK, &lock));
        let child = fork(|| {
            let found = in_the_way(fd, F_WRLCK, 0, 0)?;
            equal!(found.map(|found| (found.1, found.2)), Some((first, len)));
            Ok(())
        })?;
        child.succeeds()?;
        set(fd, F_UNLCK, 0, 0)?;
    }
    for (lock, wanted) in [
        (from(SEEK_CUR, -5, 1), libc::EINVAL),
        (from(SEEK_SET, 0, -1), libc::EINVAL),
        (from(7, 0, 1), libc::EINVAL),
        (from(SEEK_CUR, i64::MAX, 1), libc::EOVERFLOW),
        (from(SEEK_SET, 2, i64::MAX), libc::EOVERFLOW),
    ] {
        // SAFETY: the lock is a structure of ours.
        let result = unsafe { libc::fcntl(fd, F_SETLK, &lock) };
        crate::harness::failed(result.into(), wanted, "fcntl()")?;
    }
    Ok(())
}

fn any_descriptor_drops_them() -> Outcome {
    let folder = Folder::new("ranges-close")?;
    let fd = file(&folder)?;
    let is_locked = || -> Result<bool, Failure> {
        let status = fork_status(|| match in_the_way(fd, F_WRLCK, 0, 0) {
            Ok(found) => i32::from(found.is_some()),
            Err(_) => 99,
        })?;
        Ok(status.wait()? == Status::Exited(1))
    };
    for way in 0..3 {
        set(fd, F_WRLCK, 0, 5)?;
        check!(is_locked()?, "{way}");
        let other = open(&folder, O_RDONLY)?;
        match way {
            0 => drop(sys!(close(other))),
            1 => drop(sys!(dup2(0, other))),
            _ => drop(sys!(close_range(other as u32, other as u32, 0))),
        }
        check!(!is_locked()?, "{way}");
        if way == 1 {
            sys!(close(other));
        }
    }
    Ok(())
}

fn not_inherited() -> Outcome {
    let folder = Folder::new("ranges-fork")?;
    let fd = file(&folder)?;
    set(fd, F_WRLCK, 0, 0)?;
    let child = fork(|| {
        refused(fd, F_RDLCK, 3, 1)?;
        // What the child closes or ends with is not the parent's.
        sys!(close(fd));
        Ok(())
    })?;
    child.succeeds()?;
    let child = fork(|| refused(fd, F_RDLCK, 3, 1))?;
    child.succeeds()
}

fn the_end_gives_back() -> Outcome {
    let folder = Folder::new("ranges-end")?;
    let fd = file(&folder)?;
    let child = fork_status(|| {
        if set(fd, F_WRLCK, 0, 0).is_err() {
            return 99;
        }
        // SAFETY: no arguments.
        unsafe { libc::pause() }
    })?;
    child.reaches('S')?;
    refused(fd, F_WRLCK, 0, 1)?;
    child.kill(libc::SIGKILL)?;
    // Given back by the time that one can wait for it.
    child.ends(Status::Killed(libc::SIGKILL))?;
    set(fd, F_WRLCK, 0, 0)
}

fn a_range_is_waited_for() -> Outcome {
    let folder = Folder::new("ranges-wait")?;
    let fd = file(&folder)?;
    set(fd, F_WRLCK, 0, 10)?;
    let child = fork(|| {
        set_wait(fd, F_WRLCK, 8, 1)?;
        equal!(std::fs::read_to_string(folder.path("f"))?, "mine");
        Ok(())
    })?;
    child.reaches('S')?;
    // What it does not wait for wakes it in vain.
    set(fd, F_UNLCK, 0, 5)?;
    child.reaches('S')?;
    // By name and another process: closing the file here would give back all.
    let writer = fork(|| Ok(std::fs::write(folder.path("f"), "mine")?))?;
    writer.succeeds()?;
    set(fd, F_UNLCK, 5, 5)?;
    child.succeeds()
}

fn a_circle_is_refused() -> Outcome {
    let folder = Folder::new("ranges-circle")?;
    let fd = file(&folder)?;
    set(fd, F_WRLCK, 0, 1)?;
    let child = fork(|| {
        set(fd, F_WRLCK, 1, 1)?;
        set_wait(fd, F_WRLCK, 0, 1)
    })?;
    child.reaches('S')?;
    let lock = range(F_WRLCK, 1, 1);
    fails!(EDEADLK, fcntl(fd, F_SETLKW, &lock));
    set(fd, F_UNLCK, 0, 1)?;
    child.succeeds()
}

fn locks_of_open_files() -> Outcome {
    let folder = Folder::new("ranges-ofd")?;
    let (one, two) = (file(&folder)?, open(&folder, O_RDWR)?);
    let lock = range(F_WRLCK, 0, 5);
    sys!(fcntl(one, F_OFD_SETLK, &lock));
    // The same process, but another opening.
    fails!(EAGAIN, fcntl(two, F_OFD_SETLK, &lock));
    refused(two, F_RDLCK, 0, 1)?;
    equal!(in_the_way(two, F_RDLCK, 2, 1)?, Some((F_WRLCK, 0, 5, -1)));
    // Closing another descriptor for the file does not matter; the last for this opening does.
    sys!(close(open(&folder, O_RDONLY)?));
    let copy = sys!(dup(one)) as i32;
    sys!(close(one));
    fails!(EAGAIN, fcntl(two, F_OFD_SETLK, &lock));
    sys!(close(copy));
    sys!(fcntl(two, F_OFD_SETLK, &lock));
    let strange = libc::flock { l_pid: 1, ..lock };
    fails!(EINVAL, fcntl(two, F_OFD_SETLK, &strange));
    Ok(())
}

fn wrong_locks() -> Outcome {
    let folder = Folder::new("locks-wrong")?;
    file(&folder)?;
    let (reading, writing) = (open(&folder, O_RDONLY)?, open(&folder, libc::O_WRONLY)?);
    let (read, write) = (range(F_RDLCK, 0, 1), range(F_WRLCK, 0, 1));
    fails!(EBADF, fcntl(reading, F_SETLK, &write));
    fails!(EBADF, fcntl(writing, F_SETLK, &read));
    fails!(EBADF, fcntl(99, F_SETLK, &read));
    fails!(EBADF, flock(99, LOCK_SH));
    fails!(EINVAL, flock(reading, 0));
    fails!(EINVAL, flock(reading, LOCK_SH | LOCK_EX | LOCK_UN));
    let none = range(77, 0, 1);
    fails!(EINVAL, fcntl(reading, F_SETLK, &none));
    fails!(EINVAL, fcntl(reading, libc::F_GETLK, &none));
    fails!(EFAULT, fcntl(reading, F_SETLK, 8));
    fails!(EFAULT, fcntl(reading, libc::F_GETLK, 8));
    Ok(())
}
