//! Pipes and poll.

use crate::harness::child::{Status, fork, fork_status};
use crate::harness::{Failure, Folder, Outcome};
use crate::{check, equal, fails, sys, tests};
use libc::{POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT};
use std::time::Instant;

tests![
    bytes_go_through,
    the_end_is_seen,
    last_words_are_read,
    nobody_reads,
    a_full_pipe_waits,
    an_empty_pipe_waits,
    nothing_blocks,
    small_writes_are_whole,
    a_megabyte_between_processes,
    a_chain_of_processes,
    poll_tells,
    poll_waits,
    poll_times_out,
    ppoll_and_select,
    a_fifo_joins_two,
    pipe_flags,
    a_signal_interrupts,
];

fn pipe() -> Result<[i32; 2], Failure> {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    Ok(ends)
}

fn nonblocking() -> Result<[i32; 2], Failure> {
    let mut ends = [0; 2];
    sys!(pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK));
    Ok(ends)
}

fn put(fd: i32, bytes: &[u8]) -> Result<i64, Failure> {
    Ok(sys!(write(fd, bytes.as_ptr().cast(), bytes.len())))
}

fn get(fd: i32, most: usize) -> Result<Vec<u8>, Failure> {
    let mut buffer = vec![0_u8; most];
    let count = sys!(read(fd, buffer.as_mut_ptr().cast(), most)) as usize;
    buffer.truncate(count);
    Ok(buffer)
}

fn bytes_go_through() -> Outcome {
    let [from, to] = pipe()?;
    put(to, b"hello")?;
    put(to, b" world")?;
    equal!(get(from, 3)?, b"hel");
    equal!(get(from, 100)?, b"lo world");
    fails!(EBADF, write(from, c"x".as_ptr().cast(), 1));
    fails!(EBADF, read(to, [0_u8; 1].as_mut_ptr().cast(), 1));
    Ok(())
}

fn the_end_is_seen() -> Outcome {
    let [from, to] = pipe()?;
    let copy = sys!(dup(to)) as i32;
    put(to, b"x")?;
    sys!(close(to));
    put(copy, b"y")?;
    sys!(close(copy));
    equal!(get(from, 10)?, b"xy");
    equal!(get(from, 10)?, b"");
    equal!(get(from, 10)?, b"");
    Ok(())
}

fn last_words_are_read() -> Outcome {
    for _ in 0..100 {
        let [from, to] = pipe()?;
        let child = fork_status(|| put(to, b"x").map_or(1, |_| 0))?;
        sys!(close(to));
        // Whether the child comes before, between or after the looks at the pipe and at its ends.
        equal!(get(from, 1)?, b"x");
        equal!(get(from, 1)?, b"");
        sys!(close(from));
        child.succeeds()?;
    }
    Ok(())
}

fn nobody_reads() -> Outcome {
    let [from, to] = pipe()?;
    sys!(close(from));
    let child = fork_status(|| put(to, b"x").map_or(1, |_| 2))?;
    child.ends(Status::Killed(libc::SIGPIPE))?;
    // SAFETY: SIG_IGN is no function.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    fails!(EPIPE, write(to, c"x".as_ptr().cast(), 1));
    Ok(())
}

fn a_full_pipe_waits() -> Outcome {
    let [from, to] = pipe()?;
    let child = fork(|| {
        sys!(close(from));
        equal!(put(to, &[7; 200_000])?, 200_000);
        Ok(())
    })?;
    sys!(close(to));
    let mut total = 0;
    loop {
        let part = get(from, 1000)?;
        if part.is_empty() {
            break;
        }
        check!(part.iter().all(|&byte| byte == 7));
        total += part.len();
    }
    equal!(total, 200_000);
    child.succeeds()
}

fn an_empty_pipe_waits() -> Outcome {
    let [from, to] = pipe()?;
    let child = fork(|| {
        equal!(get(from, 10)?, b"late");
        Ok(())
    })?;
    child.reaches('S')?;
    put(to, b"late")?;
    child.succeeds()
}

fn nothing_blocks() -> Outcome {
    let [from, to] = nonblocking()?;
    fails!(EAGAIN, read(from, [0_u8; 4].as_mut_ptr().cast(), 4));
    let mut total = 0;
    // SAFETY: a readable buffer.
    while unsafe { libc::write(to, [1_u8; 4096].as_ptr().cast(), 4096) } > 0 {
        total += 4096;
        check!(total <= 1 << 20);
    }
    equal!(crate::harness::errno(), libc::EAGAIN);
    equal!(total % 65536, 0);
    equal!(get(from, 4096)?.len(), 4096);
    Ok(())
}

fn small_writes_are_whole() -> Outcome {
    let [from, to] = pipe()?;
    let mut children = Vec::new();
    for letter in *b"abcd" {
        children.push(fork(|| {
            sys!(close(from));
            for _ in 0..100 {
                equal!(put(to, &[letter; 500])?, 500);
            }
            Ok(())
        })?);
    }
    sys!(close(to));
    let mut all = Vec::new();
    loop {
        let part = get(from, 3000)?;
        if part.is_empty() {
            break;
        }
        all.extend(part);
    }
    equal!(all.len(), 4 * 100 * 500);
    check!(all.chunks(500).all(|piece| piece.iter().all(|byte| *byte == piece[0])), "a write was torn");
    for child in children {
        child.succeeds()?;
    }
    Ok(())
}

fn a_megabyte_between_processes() -> Outcome {
    let [from, to] = pipe()?;
    let byte = |at: usize| (at * 31 >> 4) as u8;
    let child = fork(|| {
        sys!(close(from));
        let all: Vec<u8> = (0..1 << 20).map(byte).collect();
        for piece in all.chunks(7777) {
            equal!(put(to, piece)?, piece.len() as i64);
        }
        Ok(())
    })?;
    sys!(close(to));
    let mut all = Vec::new();
    loop {
        let part = get(from, 10_000)?;
        if part.is_empty() {
            break;
        }
        all.extend(part);
    }
    check!(all.len() == 1 << 20 && all.iter().enumerate().all(|(at, &seen)| seen == byte(at)));
    child.succeeds()
}

fn a_chain_of_processes() -> Outcome {
    let first = pipe()?;
    let mut from = first[0];
    for _ in 0..10 {
        let next = pipe()?;
        fork(|| {
            sys!(close(first[1]));
            let text = get(from, 100)?;
            put(next[1], &text.iter().map(|byte| byte + 1).collect::<Vec<_>>())?;
            Ok(())
        })?;
        sys!(close(next[1]));
        from = next[0];
    }
    put(first[1], b"abc")?;
    equal!(get(from, 100)?, b"klm");
    Ok(())
}

fn polled(fd: i32, events: i16, wait: i32) -> Result<(i64, i16), Failure> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    let count = sys!(poll(&mut entry, 1, wait));
    Ok((count, entry.revents))
}

fn poll_tells() -> Outcome {
    let [from, to] = pipe()?;
    equal!(polled(from, POLLIN, 0)?, (0, 0));
    equal!(polled(to, POLLOUT | POLLIN, 0)?, (1, POLLOUT));
    put(to, b"x")?;
    equal!(polled(from, POLLIN, 0)?, (1, POLLIN));
    sys!(close(to));
    equal!(polled(from, POLLIN, 0)?, (1, POLLIN | POLLHUP));
    get(from, 1)?;
    equal!(polled(from, POLLIN, 0)?, (1, POLLHUP));
    equal!(polled(999, POLLIN, 0)?, (1, POLLNVAL));
    equal!(polled(-1, POLLIN, 0)?, (0, 0));
    let [from, to] = pipe()?;
    sys!(close(from));
    let (count, events) = polled(to, POLLOUT, 0)?;
    check!(count == 1 && events & POLLERR != 0, "{events:#x}");
    let file = sys!(open(c"/bin/busybox".as_ptr(), libc::O_RDONLY)) as i32;
    equal!(polled(file, POLLIN | POLLOUT, 0)?, (1, POLLIN | POLLOUT));
    Ok(())
}

fn poll_waits() -> Outcome {
    let ([from, to], [other, _keep]) = (pipe()?, pipe()?);
    let child = fork(|| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        put(to, b"x")?;
        Ok(())
    })?;
    let entry = |fd| libc::pollfd { fd, events: POLLIN, revents: 0 };
    let mut entries = [entry(other), entry(from)];
    equal!(sys!(poll(entries.as_mut_ptr(), 2, -1)), 1);
    equal!((entries[0].revents, entries[1].revents), (0, POLLIN));
    child.succeeds()
}

fn poll_times_out() -> Outcome {
    let [from, _to] = pipe()?;
    let since = Instant::now();
    equal!(polled(from, POLLIN, 60)?, (0, 0));
    check!(since.elapsed().as_millis() >= 60, "{:?}", since.elapsed());
    let since = Instant::now();
    equal!(sys!(poll(std::ptr::null_mut(), 0, 30)), 0);
    check!(since.elapsed().as_millis() >= 30);
    Ok(())
}

fn ppoll_and_select() -> Outcome {
    let [from, to] = pipe()?;
    let mut entry = libc::pollfd { fd: from, events: POLLIN, revents: 0 };
    let time = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    equal!(sys!(ppoll(&mut entry, 1, &time, std::ptr::null())), 0);
    put(to, b"x")?;
    equal!(sys!(ppoll(&mut entry, 1, &time, std::ptr::null())), 1);
    // SAFETY: plain data.
    let mut set: libc::fd_set = unsafe { std::mem::zeroed() };
    // SAFETY: a small descriptor and a set.
    unsafe { libc::FD_SET(from, &mut set) };
    let null = std::ptr::null_mut();
    let mut time = libc::timeval { tv_sec: 1, tv_usec: 0 };
    equal!(sys!(select(from + 1, &mut set, null, null, &mut time)), 1);
    // SAFETY: as above.
    check!(unsafe { libc::FD_ISSET(from, &set) });
    Ok(())
}

fn a_fifo_joins_two() -> Outcome {
    let folder = Folder::new("fifo")?;
    sys!(mkfifo(folder.c("f").as_ptr(), 0o600));
    let child = fork(|| {
        let to = sys!(open(folder.c("f").as_ptr(), libc::O_WRONLY)) as i32;
        put(to, b"through a name")?;
        Ok(())
    })?;
    let from = sys!(open(folder.c("f").as_ptr(), libc::O_RDONLY)) as i32;
    equal!(get(from, 100)?, b"through a name");
    child.succeeds()?;
    equal!(get(from, 100)?, b"");
    Ok(())
}

fn pipe_flags() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC));
    equal!(sys!(fcntl(ends[0], libc::F_GETFD)), 1);
    equal!(sys!(fcntl(ends[1], libc::F_GETFL)) as i32 & libc::O_ACCMODE, libc::O_WRONLY);
    fails!(EINVAL, pipe2(ends.as_mut_ptr(), 0x1000_0000));
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(fstat(ends[0], &mut stat));
    equal!(stat.st_mode & libc::S_IFMT, libc::S_IFIFO);
    let mut waiting = -1;
    put(ends[1], b"abc")?;
    sys!(ioctl(ends[0], libc::FIONREAD, &mut waiting));
    equal!(waiting, 3);
    Ok(())
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn a_signal_interrupts() -> Outcome {
    let [from, _to] = pipe()?;
    crate::harness::child::handle(libc::SIGUSR1, 0, nothing)?;
    let parent = sys!(getpid()) as i32;
    // Again and again: one that comes between two calls interrupts neither.
    let child = fork(|| {
        loop {
            std::thread::sleep(std::time::Duration::from_millis(20));
            sys!(kill(parent, libc::SIGUSR1));
        }
    })?;
    fails!(EINTR, read(from, [0_u8; 1].as_mut_ptr().cast(), 1));
    let mut entry = libc::pollfd { fd: from, events: POLLIN, revents: 0 };
    fails!(EINTR, poll(&mut entry, 1, -1));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}
