//! Children: processes that do one thing and end, and how they ended.

use super::{Failure, Outcome, call};

/// How a process changed its state, as `wait4` tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// By `exit`.
    Exited(i32),
    /// By a signal.
    Killed(i32),
    /// It stopped, by this signal.
    Stopped(i32),
    /// It goes on.
    Continued,
}

impl Status {
    /// From the number that `wait4` writes.
    pub fn new(status: i32) -> Self {
        if libc::WIFEXITED(status) {
            Self::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Self::Killed(libc::WTERMSIG(status))
        } else if libc::WIFSTOPPED(status) {
            Self::Stopped(libc::WSTOPSIG(status))
        } else {
            Self::Continued
        }
    }
}

/// A child.
#[derive(Clone, Copy, Debug)]
pub struct Child(pub i32);

/// Forks. The child runs this and ends with 0, or with 99 if it failed, having said why.
#[track_caller]
pub fn fork(work: impl FnOnce() -> Outcome) -> Result<Child, Failure> {
    fork_status(|| match work() {
        Ok(()) => 0,
        Err(failure) => {
            eprintln!("# in a child: {failure:?}");
            99
        }
    })
}

/// Forks. The child ends with the status that this gives.
#[track_caller]
pub fn fork_status(work: impl FnOnce() -> i32) -> Result<Child, Failure> {
    // SAFETY: the child continues as a copy; tests have one thread when they fork, or say why not.
    match unsafe { libc::fork() } {
        0 => {
            let status = work();
            // SAFETY: ends without the parent's exit handlers.
            unsafe { libc::_exit(status) }
        }
        pid => call(i64::from(pid), "fork()").map(|pid| Child(pid as i32)),
    }
}

impl Child {
    /// Waits for it, with these options.
    #[track_caller]
    pub fn wait_for(self, options: i32) -> Result<Status, Failure> {
        let mut status = 0;
        loop {
            // SAFETY: `status` is writable.
            let pid = unsafe { libc::waitpid(self.0, &mut status, options) };
            if pid == -1 && super::errno() == libc::EINTR {
                continue;
            }
            call(i64::from(pid), "waitpid()")?;
            return Ok(Status::new(status));
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(self) -> Result<Status, Failure> {
        self.wait_for(0)
    }

    /// Waits for its end, which must be this.
    #[track_caller]
    pub fn ends(self, wanted: Status) -> Outcome {
        let status = self.wait()?;
        if status == wanted {
            return Ok(());
        }
        Err(Failure::new(format!("the child: {status:?} instead of {wanted:?}")))
    }

    /// Waits for its end, which must be a good one.
    #[track_caller]
    pub fn succeeds(self) -> Outcome {
        self.ends(Status::Exited(0))
    }

    /// Waits for its end, and brings it about after so many milliseconds.
    #[track_caller]
    pub fn wait_or_kill(self, milliseconds: u64) -> Result<Status, Failure> {
        let until = std::time::Instant::now() + std::time::Duration::from_millis(milliseconds);
        let mut status = 0;
        loop {
            // SAFETY: `status` is writable.
            let pid = unsafe { libc::waitpid(self.0, &mut status, libc::WNOHANG) };
            if call(i64::from(pid), "waitpid()")? != 0 {
                return Ok(Status::new(status));
            }
            if std::time::Instant::now() > until {
                self.kill(libc::SIGKILL)?;
                return self.wait();
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn kill(self, signal: i32) -> Outcome {
        // SAFETY: a child of ours that has not been waited for.
        call(i64::from(unsafe { libc::kill(self.0, signal) }), "kill()").map(drop)
    }

    /// Waits until its state in /proc is this letter.
    #[track_caller]
    pub fn reaches(self, state: char) -> Outcome {
        for _ in 0..15_000 {
            if state_of(self.0) == Some(state) {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        Err(Failure::new(format!("its state is {:?}, not {state:?}", state_of(self.0))))
    }
}

/// The letter in /proc/PID/stat.
pub fn state_of(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.rsplit_once(") ")?.1.chars().next()
}

/// What a signal of a fault tells of it.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Fault {
    /// Which.
    pub signal: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
}

/// Where the handler writes to.
static REPORT: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(-1);

extern "C" fn report(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel gives a valid siginfo; write and _exit may be called in a handler.
    unsafe {
        let fault = Fault { signal, code: (*info).si_code, address: (*info).si_addr() as u64 };
        let to = REPORT.load(std::sync::atomic::Ordering::Relaxed);
        libc::write(to, (&raw const fault).cast(), size_of::<Fault>());
        libc::_exit(0)
    }
}

/// Sets a handler with `SA_SIGINFO` and these flags.
#[track_caller]
pub fn handle(
    signal: i32,
    flags: i32,
    handler: extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void),
) -> Outcome {
    // SAFETY: the structure is plain data; the handler has the type that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = flags | libc::SA_SIGINFO;
        call(i64::from(libc::sigaction(signal, &action, std::ptr::null_mut())), "sigaction()").map(drop)
    }
}

/// What fault a child of this process takes when it does that; `None` if none.
#[track_caller]
pub fn fault_of(work: impl FnOnce()) -> Result<Option<Fault>, Failure> {
    let mut ends = [0; 2];
    crate::sys!(pipe(ends.as_mut_ptr()));
    let child = fork_status(|| {
        REPORT.store(ends[1], std::sync::atomic::Ordering::Relaxed);
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGTRAP] {
            if handle(signal, libc::SA_ONSTACK, report).is_err() {
                return 98;
            }
        }
        work();
        0
    })?;
    crate::sys!(close(ends[1]));
    let mut fault = Fault::default();
    let count = crate::sys!(read(ends[0], (&raw mut fault).cast(), size_of::<Fault>()));
    crate::sys!(close(ends[0]));
    child.succeeds()?;
    Ok((count > 0).then_some(fault))
}
