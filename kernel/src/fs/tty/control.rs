//! Whose terminal it is: the session that it controls, and that session's foreground group.
//!
//! A session knows its terminal ([`Session::terminal`](crate::proc::process::Session)), a terminal its
//! session's number. Both change together, by the leader of the session: TIOCSCTTY gives, TIOCNOTTY and
//! the leader's end take away.

use super::Tty;
use super::discipline;
use crate::error::Errno;
use crate::proc::process::signal::{Info, Signal, signal_group};
use crate::proc::process::{Current, Terminal, job, try_current};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Rows and columns, and the same in pixels, which nobody here knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters of a line.
    pub columns: u16,
    /// Pixels of a line.
    pub width: u16,
    /// Lines of pixels.
    pub height: u16,
}

impl WindowSize {
    /// Until somebody says another.
    pub const DEFAULT: Self = Self { rows: 24, columns: 80, width: 0, height: 0 };

    /// As TIOCGWINSZ gives it.
    pub fn to_bytes(self) -> [u8; 8] {
        self.word().to_ne_bytes()
    }
    /// As TIOCSWINSZ gets it.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Self::from_word(u64::from_ne_bytes(bytes))
    }

    const fn word(self) -> u64 {
        let Self { rows, columns, width, height } = self;
        let [[a, b], [c, d], [e, f], [g, h]] =
            [rows.to_ne_bytes(), columns.to_ne_bytes(), width.to_ne_bytes(), height.to_ne_bytes()];
        u64::from_ne_bytes([a, b, c, d, e, f, g, h])
    }
    const fn from_word(word: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
        Self {
            rows: u16::from_ne_bytes([a, b]),
            columns: u16::from_ne_bytes([c, d]),
            width: u16::from_ne_bytes([e, f]),
            height: u16::from_ne_bytes([g, h]),
        }
    }
}

/// Who uses the terminal. Numbers of processes are looked at without a lock: who was the foreground a
/// moment ago gets the signal, as on every Unix.
pub struct Control {
    /// The session that it controls; 0: none.
    session: AtomicU32,
    /// Its foreground group; 0: none.
    foreground: AtomicU32,
    size: AtomicU64,
}

impl From<discipline::Signal> for Signal {
    fn from(signal: discipline::Signal) -> Self {
        match signal {
            discipline::Signal::Interrupt => Self::SIGINT,
            discipline::Signal::Quit => Self::SIGQUIT,
            discipline::Signal::Suspend => Self::SIGTSTP,
        }
    }
}

impl Control {
    pub(super) const fn new() -> Self {
        Self {
            session: AtomicU32::new(0),
            foreground: AtomicU32::new(0),
            size: AtomicU64::new(WindowSize::DEFAULT.word()),
        }
    }

    /// Sends a signal to the foreground.
    pub(super) fn signal(&self, signal: Signal) {
        let group = self.foreground();
        if group != 0 {
            signal_group(group, Info::kernel(signal));
        }
    }

    pub(super) fn session(&self) -> u32 {
        self.session.load(Ordering::Relaxed)
    }
    pub(super) fn foreground(&self) -> u32 {
        self.foreground.load(Ordering::Relaxed)
    }
    pub(super) fn size(&self) -> WindowSize {
        WindowSize::from_word(self.size.load(Ordering::Relaxed))
    }
    /// Takes another size; who shows something there is told.
    pub(super) fn set_size(&self, size: WindowSize) {
        if self.size.swap(size.word(), Ordering::Relaxed) != size.word() {
            self.signal(Signal::SIGWINCH);
        }
    }

    /// Takes it away from the session, if it has it; says whether it had.
    fn release(&self, session: u32) -> bool {
        let was = self.session.compare_exchange(session, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if was && session != 0 {
            // They lose it, and if they are stopped nobody continues them any more.
            self.signal(Signal::SIGHUP);
            self.signal(Signal::SIGCONT);
            self.foreground.store(0, Ordering::Relaxed);
        }
        was
    }
}

impl Tty {
    /// Whether it controls the session of the running process.
    fn is_own(&self, task: &Current) -> bool {
        let session = self.control.session();
        session != 0 && session == task.process().session().id()
    }

    /// Job control: the running process may use the terminal so, or its group gets the signal. Who
    /// reads must be in the foreground; who changes it, or writes where TOSTOP is set, may also not
    /// care about the signal. The kernel's threads may do all.
    ///
    /// # Errors
    /// ERESTARTSYS: the signal was sent. EIO: it would have no effect.
    pub(super) fn check(&self, signal: Signal) -> Result<(), Errno> {
        let Some(task) = try_current() else { return Ok(()) };
        let foreground = self.control.foreground();
        if foreground == 0 || !self.is_own(&task) || task.process().group_id() == foreground {
            return Ok(());
        }
        if task.is_deaf_to(signal) {
            return if signal == Signal::SIGTTIN { Err(Errno::EIO) } else { Ok(()) };
        }
        Err(task.stop_background(signal))
    }

    /// TIOCSCTTY. `steal`: also from another session.
    pub(super) fn become_own(self: &Arc<Self>, steal: bool) -> Result<(), Errno> {
        let task = try_current().ok_or(Errno::EPERM)?;
        let process = task.process();
        let session = process.session();
        if self.control.session() == session.id() {
            return Ok(());
        }
        if !process.is_session_leader() || session.terminal().is_some() {
            return Err(Errno::EPERM);
        }
        let owner = self.control.session();
        if owner != 0 {
            if !(steal && task.creds().is_root()) {
                return Err(Errno::EPERM);
            }
            self.control.release(owner);
        }
        // Of two sessions that want it one gets it.
        let claim =
            self.control.session.compare_exchange(0, session.id(), Ordering::Relaxed, Ordering::Relaxed);
        if claim.is_err() {
            return Err(Errno::EPERM);
        }
        self.control.foreground.store(process.group_id(), Ordering::Relaxed);
        session.set_terminal(Some(Arc::<Self>::clone(self)));
        Ok(())
    }

    /// TIOCNOTTY, by the session's leader.
    pub(super) fn give_up(&self) -> Result<(), Errno> {
        let task = try_current().ok_or(Errno::ENOTTY)?;
        if !self.is_own(&task) {
            return Err(Errno::ENOTTY);
        }
        if !task.process().is_session_leader() {
            return Err(Errno::EPERM);
        }
        let session = task.process().session();
        session.set_terminal(None);
        self.control.release(session.id());
        Ok(())
    }

    /// TIOCGPGRP and TIOCGSID: numbers of the foreground group and of the session.
    pub(super) fn owners(&self) -> Result<(u32, u32), Errno> {
        let task = try_current().ok_or(Errno::ENOTTY)?;
        if !self.is_own(&task) {
            return Err(Errno::ENOTTY);
        }
        Ok((self.control.foreground(), self.control.session()))
    }

    /// TIOCSPGRP.
    pub(super) fn set_foreground(&self, group: i32) -> Result<(), Errno> {
        let task = try_current().ok_or(Errno::ENOTTY)?;
        match self.check(Signal::SIGTTOU) {
            Err(Errno::EIO) => return Err(Errno::ENOTTY),
            other => other?,
        }
        if !self.is_own(&task) {
            return Err(Errno::ENOTTY);
        }
        let group = u32::try_from(group).map_err(|_| Errno::EINVAL)?;
        let session = job::session_of_group(group).ok_or(Errno::ESRCH)?;
        if session != self.control.session() {
            return Err(Errno::EPERM);
        }
        self.control.foreground.store(group, Ordering::Relaxed);
        Ok(())
    }
}

impl Terminal for Tty {
    fn device(&self) -> u32 {
        self.device.encode()
    }
    fn foreground(&self) -> u32 {
        self.control.foreground()
    }
    fn leader_ended(&self, session: u32) {
        self.control.release(session);
    }
}
