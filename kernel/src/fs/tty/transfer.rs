//! Reading and writing a terminal.

use super::Tty;
use super::discipline::Discipline;
use crate::arch::current::timer;
use crate::error::Errno;
use crate::fs::{Dest, Source};
use crate::proc::process::signal::Signal;
use crate::proc::process::{wait_interruptible, wait_interruptible_until};
use crate::sync::MaySleep;
use core::sync::atomic::Ordering;
use linux_raw_sys::general as raw;

/// Bytes that are copied at once between a program and the discipline.
const BOUNCE: usize = 256;

/// How long a read waits, and for how much: POSIX' four cases of VMIN and VTIME.
struct Patience {
    /// The read ends with that many bytes.
    least: usize,
    /// How long it waits for the next one; `None`: as long as it takes.
    wait: Option<u64>,
    /// The same, after the first one.
    between: Option<u64>,
}

impl Patience {
    fn of(line: &Discipline) -> Self {
        if line.settings().is_canonical() {
            return Self { least: 1, wait: None, between: None };
        }
        let least = usize::from(line.settings().value(raw::VMIN));
        let time = u64::from(line.settings().value(raw::VTIME)) * 100_000_000;
        match (least, time) {
            (0, _) => Self { least: 1, wait: Some(time), between: Some(time) },
            (_, 0) => Self { least, wait: None, between: None },
            (_, _) => Self { least, wait: None, between: Some(time) },
        }
    }
}

impl Tty {
    /// `read`.
    pub(super) fn read(
        &self,
        ctx: &mut MaySleep,
        nonblocking: bool,
        into: &mut Dest<'_>,
    ) -> Result<usize, Errno> {
        self.check(Signal::SIGTTIN)?;
        let mut done = 0;
        let mut buffer = [0; BOUNCE];
        let mut wait = None;
        loop {
            let room = into.room().min(BOUNCE);
            if room == 0 {
                return Ok(done);
            }
            let (taken, patience) =
                self.with(ctx, |line, _| (line.take(&mut buffer[..room]), Patience::of(line)));
            if taken.count > 0 {
                match into.put(ctx, &buffer[..taken.count]) {
                    Ok(count) => done += count,
                    Err(_) if done > 0 => return Ok(done),
                    Err(error) => return Err(error),
                }
                wait = Some(patience.between);
            }
            // A line that is longer than the buffer goes on without a wait.
            let goes_on = taken.count == BOUNCE && self.has_input.load(Ordering::Acquire);
            if taken.is_end || into.room() == 0 || done >= patience.least && !goes_on {
                return Ok(done);
            }
            if goes_on {
                continue;
            }
            match self.wait_for_input(ctx, nonblocking, wait.unwrap_or(patience.wait)) {
                Ok(true) => {}
                Ok(false) => return Ok(done),
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says whether there is something to read, in time.
    fn wait_for_input(
        &self,
        ctx: &mut MaySleep,
        nonblocking: bool,
        time: Option<u64>,
    ) -> Result<bool, Errno> {
        let has_input = || self.has_input.load(Ordering::Acquire);
        if has_input() {
            return Ok(true);
        }
        if time == Some(0) {
            return Ok(false);
        }
        if nonblocking {
            return Err(Errno::EAGAIN);
        }
        let deadline = time.map(|time| timer::now().saturating_add(time));
        wait_interruptible_until(ctx, &self.readers, deadline, has_input)
    }

    /// `write`.
    pub(super) fn write(
        &self,
        ctx: &mut MaySleep,
        nonblocking: bool,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        if self.line.lock(ctx).settings().local(raw::TOSTOP) {
            self.check(Signal::SIGTTOU)?;
        }
        let mut done = 0;
        let mut buffer = [0; BOUNCE];
        while from.left() > 0 {
            let count = match from.take(ctx, &mut buffer) {
                Ok(count) => count,
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            };
            if let Err(error) = self.write_all(ctx, nonblocking, &buffer[..count]) {
                return if done > 0 { Ok(done) } else { Err(error) };
            }
            done += count;
        }
        Ok(done)
    }

    /// Writes these bytes in one piece, when output is not stopped.
    fn write_all(&self, ctx: &mut MaySleep, nonblocking: bool, bytes: &[u8]) -> Result<(), Errno> {
        loop {
            let written = self.with(ctx, |line, screen| {
                let goes = !line.is_stopped();
                if goes {
                    bytes.iter().for_each(|&byte| line.write(byte, screen));
                }
                goes
            });
            if written {
                return Ok(());
            }
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            wait_interruptible(ctx, &self.writers, || !self.is_stopped.load(Ordering::Acquire))?;
        }
    }
}
