//! The terminal, as a program in the background of a session on the console sees it. What needs
//! somebody who types is tested from outside.

use crate::harness::child::{Status, fork};
use crate::harness::{Failure, Outcome};
use crate::{check, equal, fails, sys, tests};

tests![
    it_is_a_terminal,
    settings_are_kept,
    the_window_has_a_size,
    groups_and_sessions,
    the_background_may_not_read,
    the_background_may_not_set,
    who_is_no_terminal,
];

fn console() -> Result<i32, Failure> {
    // SAFETY: a path.
    match unsafe { libc::open(c"/dev/tty".as_ptr(), libc::O_RDWR) } {
        -1 => Err(Failure::Skipped("there is no controlling terminal".into())),
        fd => Ok(fd),
    }
}

/// Its settings; programs in the background may read them.
fn settings(fd: i32) -> Result<libc::termios, Failure> {
    // SAFETY: plain data.
    let mut data: libc::termios = unsafe { std::mem::zeroed() };
    sys!(tcgetattr(fd, &mut data));
    Ok(data)
}

/// Without it the background is stopped.
fn ignore_ttou() {
    // SAFETY: SIG_IGN is no function.
    unsafe { libc::signal(libc::SIGTTOU, libc::SIG_IGN) };
}

fn it_is_a_terminal() -> Outcome {
    let fd = console()?;
    equal!(sys!(isatty(fd)), 1);
    let data = settings(fd)?;
    equal!(data.c_lflag & (libc::ICANON | libc::ECHO | libc::ISIG), libc::ICANON | libc::ECHO | libc::ISIG);
    equal!(data.c_cc[libc::VINTR], 3);
    equal!(data.c_cc[libc::VEOF], 4);
    equal!(data.c_cc[libc::VSUSP], 26);
    // SAFETY: plain data.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    sys!(stat(c"/dev/console".as_ptr(), &mut stat));
    equal!((libc::major(stat.st_rdev), libc::minor(stat.st_rdev)), (5, 1));
    sys!(stat(c"/dev/tty".as_ptr(), &mut stat));
    equal!((libc::major(stat.st_rdev), libc::minor(stat.st_rdev)), (5, 0));
    Ok(())
}

fn settings_are_kept() -> Outcome {
    let fd = console()?;
    ignore_ttou();
    let before = settings(fd)?;
    let mut changed = before;
    changed.c_lflag &= !(libc::ICANON | libc::ECHO);
    changed.c_cc[libc::VMIN] = 3;
    changed.c_cc[libc::VTIME] = 7;
    sys!(tcsetattr(fd, libc::TCSANOW, &changed));
    let seen = settings(fd)?;
    equal!((seen.c_lflag, seen.c_cc[libc::VMIN], seen.c_cc[libc::VTIME]), (changed.c_lflag, 3, 7));
    sys!(tcsetattr(fd, libc::TCSADRAIN, &before));
    equal!(settings(fd)?.c_lflag, before.c_lflag);
    Ok(())
}

fn the_window_has_a_size() -> Outcome {
    let fd = console()?;
    // SAFETY: plain data.
    let mut before: libc::winsize = unsafe { std::mem::zeroed() };
    sys!(ioctl(fd, libc::TIOCGWINSZ, &mut before));
    let size = libc::winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    sys!(ioctl(fd, libc::TIOCSWINSZ, &size));
    let mut seen = before;
    sys!(ioctl(fd, libc::TIOCGWINSZ, &mut seen));
    equal!((seen.ws_row, seen.ws_col), (33, 99));
    sys!(ioctl(fd, libc::TIOCSWINSZ, &before));
    Ok(())
}

fn groups_and_sessions() -> Outcome {
    let fd = console()?;
    equal!(sys!(tcgetsid(fd)), sys!(getsid(0)));
    let foreground = sys!(tcgetpgrp(fd));
    check!(foreground != sys!(getpgrp()), "the test is in the background");
    ignore_ttou();
    sys!(tcsetpgrp(fd, sys!(getpgrp()) as i32));
    equal!(sys!(tcgetpgrp(fd)), sys!(getpgrp()));
    sys!(tcsetpgrp(fd, foreground as i32));
    fails!(ESRCH, tcsetpgrp(fd, 99_999));
    fails!(EINVAL, tcsetpgrp(fd, -1));
    Ok(())
}

fn the_background_may_not_read() -> Outcome {
    let fd = console()?;
    let child = fork(|| {
        sys!(setpgid(0, 0));
        sys!(read(fd, [0_u8; 4].as_mut_ptr().cast(), 4));
        Ok(())
    })?;
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGTTIN));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))?;
    let child = fork(|| {
        sys!(setpgid(0, 0));
        // SAFETY: SIG_IGN is no function.
        unsafe { libc::signal(libc::SIGTTIN, libc::SIG_IGN) };
        fails!(EIO, read(fd, [0_u8; 4].as_mut_ptr().cast(), 4));
        Ok(())
    })?;
    child.succeeds()
}

fn the_background_may_not_set() -> Outcome {
    let fd = console()?;
    let data = settings(fd)?;
    let child = fork(|| {
        sys!(setpgid(0, 0));
        sys!(tcsetattr(fd, libc::TCSANOW, &data));
        Ok(())
    })?;
    equal!(child.wait_for(libc::WUNTRACED)?, Status::Stopped(libc::SIGTTOU));
    child.kill(libc::SIGKILL)?;
    child.ends(Status::Killed(libc::SIGKILL))
}

fn who_is_no_terminal() -> Outcome {
    let null = sys!(open(c"/dev/null".as_ptr(), libc::O_RDWR)) as i32;
    // SAFETY: plain data.
    let mut data: libc::termios = unsafe { std::mem::zeroed() };
    fails!(ENOTTY, tcgetattr(null, &mut data));
    fails!(ENOTTY, tcgetpgrp(null));
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    fails!(ENOTTY, tcgetattr(ends[0], &mut data));
    let file = sys!(open(c"/bin/busybox".as_ptr(), libc::O_RDONLY)) as i32;
    fails!(ENOTTY, tcgetattr(file, &mut data));
    Ok(())
}
