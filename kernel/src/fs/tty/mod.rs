//! Terminals.
//!
//! ```text
//!  interrupt -> ring (crate::console) -> thread "tty" -> discipline -> readers
//!                                                 \-> echo, signals
//!  writers   -> discipline (OPOST) -> the kernel's console, under the log's lock by small pieces
//! ```
//!
//! * [`discipline`]: N_TTY as a value; [`queue`], `edit`, [`output`], [`termios`] are its parts.
//! * [`Tty`]: a terminal, shared by all who have it open. `control`: whose terminal it is, and what
//!   only its foreground may do. `requests`: its ioctls.
//! * [`console`]: the one terminal of this kernel, `/dev/console` and `/dev/tty`.
//!
//! The discipline stands behind a sleeping mutex, also while it is written: echo and output of several
//! programs reach the screen in the order in which the cursor's column was counted. Who waits, for
//! keys or because output is stopped, does not hold it; what is waited for is published in atomics.

pub mod console;
mod control;
pub mod discipline;
mod edit;
pub mod output;
pub mod queue;
mod requests;
mod screen;
pub mod termios;
mod transfer;

use crate::arch::try_arc;
use crate::error::Errno;
use crate::fs::DevNo;
use crate::sync::{LockClass, MaySleep, Mutex, Rank, WaitQueue};
use alloc::sync::Arc;
use control::Control;
use core::sync::atomic::{AtomicBool, Ordering};
use discipline::Discipline;
use screen::{Driver, Screen};

/// Nothing is taken below it but what the console's output and a wake-up need.
const LINE: LockClass = LockClass::new("terminal", Rank::SLEEPING);

/// A terminal.
pub struct Tty {
    device: DevNo,
    driver: Driver,
    line: Mutex<Discipline>,
    control: Control,
    /// A read would get something (or the end of the file).
    has_input: AtomicBool,
    /// Poll says so.
    is_readable: AtomicBool,
    /// Output waits.
    is_stopped: AtomicBool,
    /// The discipline takes no more keys before some are read.
    is_full: AtomicBool,
    /// Who waits for keys.
    readers: Arc<WaitQueue>,
    /// Who waits until output goes on.
    writers: Arc<WaitQueue>,
    /// The thread that brings keys waits here while the discipline is full.
    room: WaitQueue,
}

impl Tty {
    /// A terminal of that number, whose screen is the driver.
    pub fn new(device: DevNo, driver: Driver) -> Result<Self, Errno> {
        Ok(Self {
            device,
            driver,
            line: Mutex::new(&LINE, Discipline::new()),
            control: Control::new(),
            has_input: AtomicBool::new(false),
            is_readable: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            is_full: AtomicBool::new(false),
            readers: try_arc(WaitQueue::new())?,
            writers: try_arc(WaitQueue::new())?,
            room: WaitQueue::new(),
        })
    }

    /// Its number.
    pub fn device(&self) -> DevNo {
        self.device
    }

    /// Does something with the discipline, publishes what others wait for, and wakes them.
    fn with<R>(&self, ctx: &mut MaySleep, work: impl FnOnce(&mut Discipline, &mut Screen) -> R) -> R {
        let mut line = self.line.lock(ctx);
        let mut screen = Screen::new(self.driver);
        let result = work(&mut line, &mut screen);
        drop(screen);
        // Release: pairs with the Acquire of those who wait. The mutex is held: the last one to publish
        // is the last one who changed something. Who waits is woken when that changes.
        let became = |flag: &AtomicBool, now: bool| flag.swap(now, Ordering::Release) != now;
        let input = became(&self.has_input, line.has_input()) & line.has_input();
        let readable = became(&self.is_readable, line.is_readable()) & line.is_readable();
        let goes_on = became(&self.is_stopped, line.is_stopped()) & !line.is_stopped();
        let room = became(&self.is_full, !line.has_room()) & line.has_room();
        drop(line);
        if input || readable {
            self.readers.wake_all();
        }
        if goes_on {
            self.writers.wake_all();
        }
        if room {
            self.room.wake_all();
        }
        result
    }

    /// A key was typed. Waits while there is no room for it.
    pub fn key(&self, ctx: &mut MaySleep, byte: u8) {
        self.room.wait(ctx, || !self.is_full.load(Ordering::Acquire));
        let signal = self.with(ctx, |line, screen| line.receive(byte, screen));
        if let Some(signal) = signal {
            self.control.signal(signal.into());
        }
    }
}

impl core::fmt::Debug for Tty {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tty({}:{})", self.device.major, self.device.minor)
    }
}

#[cfg(test)]
mod tests;
