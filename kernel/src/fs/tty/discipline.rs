//! The line discipline, Linux' N_TTY: keys in; echo, lines and signals out.
//!
//! It is a value without a lock, a thread or a device: what reaches the screen goes to a [`Screen`],
//! what a key signals is returned, and the tests below type. The terminal ([`super::Tty`]) gives it
//! the rest.
//!
//! Left out, and said in `docs/abi.md`: ECHOPRT and EXTPROC, parity and break (no console here has
//! either), flow control towards the one who types (IXOFF, TIOCPKT).

use super::edit::Erase;
use super::output::{Column, Screen, is_control};
use super::queue::{Queue, Taken};
use super::termios::Termios;
use linux_raw_sys::general as raw;

/// What a key asks of the foreground process group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// VINTR: SIGINT.
    Interrupt,
    /// VQUIT: SIGQUIT.
    Quit,
    /// VSUSP: SIGTSTP.
    Suspend,
}

/// The discipline's state.
pub struct Discipline {
    pub(super) settings: Termios,
    pub(super) queue: Queue,
    pub(super) column: Column,
    /// Where the edited line begins on the screen.
    pub(super) line_column: Column,
    /// The next key is taken as it is (VLNEXT).
    is_literal: bool,
    /// VSTOP was typed: output waits.
    is_stopped: bool,
}

impl Default for Discipline {
    fn default() -> Self {
        Self::new()
    }
}

impl Discipline {
    /// As Linux sets up a terminal.
    pub const fn new() -> Self {
        Self {
            settings: Termios::new(),
            queue: Queue::new(),
            column: Column::new(),
            line_column: Column::new(),
            is_literal: false,
            is_stopped: false,
        }
    }

    /// The settings.
    pub fn settings(&self) -> &Termios {
        &self.settings
    }
    /// Whether output waits for VSTART.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }
    /// Stops output or lets it go on (TCXONC).
    pub fn set_stopped(&mut self, stopped: bool) {
        self.is_stopped = stopped;
    }
    /// Whether there is room for another key. While a line is edited that nothing can be read before
    /// there always is: what it cannot take is lost, so that its end can come.
    pub fn has_room(&self) -> bool {
        if self.settings.is_canonical() {
            self.queue.room() > 1 || self.queue.complete() == 0
        } else {
            self.queue.room() > 0
        }
    }
    /// Forgets what was typed and not read.
    pub fn flush_input(&mut self) {
        self.queue.clear();
        self.is_literal = false;
    }

    /// Takes new settings. What was typed stays: who begins to read lines gets it as one, who no
    /// longer does gets the unfinished line, too.
    pub fn set(&mut self, settings: Termios) {
        if settings.is_canonical() && !self.settings.is_canonical() {
            self.queue.complete_edited();
        }
        if !settings.is_canonical() {
            self.is_literal = false;
        }
        if !settings.input(raw::IXON) {
            self.is_stopped = false;
        }
        self.settings = settings;
    }

    /// Bytes that a read would give now.
    pub fn readable(&self) -> usize {
        if self.settings.is_canonical() { self.queue.readable() } else { self.queue.all() }
    }
    /// Whether a read would not wait for the first byte: with lines, one is complete.
    pub fn has_input(&self) -> bool {
        if self.settings.is_canonical() { self.queue.complete() > 0 } else { self.queue.all() > 0 }
    }
    /// Whether poll says that there is something to read: without lines, as much as VMIN wants.
    pub fn is_readable(&self) -> bool {
        let (least, time) = (self.settings.value(raw::VMIN), self.settings.value(raw::VTIME));
        if self.settings.is_canonical() || time > 0 {
            self.has_input()
        } else {
            self.queue.all() >= usize::from(least.max(1))
        }
    }
    /// Reads: the rest of a line, or what there is.
    pub fn take(&mut self, buffer: &mut [u8]) -> Taken {
        if self.settings.is_canonical() {
            return self.queue.take_line(buffer);
        }
        Taken { count: self.queue.take_raw(buffer), is_end: false }
    }

    /// Writes one byte of a program's output.
    pub fn write(&mut self, byte: u8, screen: &mut dyn Screen) {
        self.column.write(&self.settings, byte, screen);
    }

    /// A key.
    pub fn receive(&mut self, byte: u8, screen: &mut dyn Screen) -> Option<Signal> {
        let byte = if self.settings.input(raw::ISTRIP) { byte & 0x7f } else { byte };
        if core::mem::take(&mut self.is_literal) {
            self.add(byte, screen);
            return None;
        }
        let upper_becomes_lower = self.settings.input(raw::IUCLC) && self.settings.local(raw::IEXTEN);
        let byte = if upper_becomes_lower { byte.to_ascii_lowercase() } else { byte };
        if self.flow(byte) {
            return None;
        }
        if let Some(signal) = self.signal_of(byte) {
            if !self.settings.local(raw::NOFLSH) {
                self.flush_input();
            }
            self.is_stopped &= !self.settings.input(raw::IXON);
            self.echo(byte, screen);
            return Some(signal);
        }
        let byte = match byte {
            b'\r' if self.settings.input(raw::IGNCR) => return None,
            b'\r' if self.settings.input(raw::ICRNL) => b'\n',
            b'\n' if self.settings.input(raw::INLCR) => b'\r',
            other => other,
        };
        if !(self.settings.is_canonical() && self.edit(byte, screen)) {
            self.add(byte, screen);
        }
        None
    }

    /// Stops or continues output; says whether the key was for that alone.
    fn flow(&mut self, byte: u8) -> bool {
        if !self.settings.input(raw::IXON) {
            return false;
        }
        if self.settings.is_key(byte, raw::VSTART) {
            self.is_stopped = false;
            return true;
        }
        if self.settings.is_key(byte, raw::VSTOP) {
            self.is_stopped = true;
            return true;
        }
        if self.settings.input(raw::IXANY) {
            self.is_stopped = false;
        }
        false
    }

    fn signal_of(&self, byte: u8) -> Option<Signal> {
        let keys =
            [(raw::VINTR, Signal::Interrupt), (raw::VQUIT, Signal::Quit), (raw::VSUSP, Signal::Suspend)];
        let is_key = |&&(key, _): &&(u32, Signal)| self.settings.is_key(byte, key);
        self.settings.local(raw::ISIG).then(|| keys.iter().find(is_key).map(|&(_, signal)| signal))?
    }

    /// A key while lines are edited; says whether it did something other than to be added.
    fn edit(&mut self, byte: u8, screen: &mut dyn Screen) -> bool {
        let is_extended = self.settings.local(raw::IEXTEN);
        if self.settings.is_key(byte, raw::VERASE) {
            self.erase(Erase::Character, screen);
        } else if self.settings.is_key(byte, raw::VKILL) {
            self.erase(Erase::Line, screen);
        } else if is_extended && self.settings.is_key(byte, raw::VWERASE) {
            self.erase(Erase::Word, screen);
        } else if is_extended && self.settings.is_key(byte, raw::VLNEXT) {
            self.is_literal = true;
            if self.settings.local(raw::ECHO) && self.settings.local(raw::ECHOCTL) {
                self.begin_line();
                screen.put(b"^\x08");
            }
        } else if is_extended && self.settings.local(raw::ECHO) && self.settings.is_key(byte, raw::VREPRINT) {
            self.reprint(byte, screen);
        } else if byte == b'\n' {
            if self.settings.local(raw::ECHO) || self.settings.local(raw::ECHONL) {
                self.write(b'\n', screen);
            }
            self.ended(|queue| queue.end_line(b'\n'), screen);
        } else if self.settings.is_key(byte, raw::VEOF) {
            self.ended(Queue::end_file, screen);
        } else if self.settings.is_key(byte, raw::VEOL)
            || is_extended && self.settings.is_key(byte, raw::VEOL2)
        {
            self.echo(byte, screen);
            self.ended(|queue| queue.end_line(byte), screen);
        } else {
            return false;
        }
        true
    }

    fn ended(&mut self, end: impl FnOnce(&mut Queue) -> bool, screen: &mut dyn Screen) {
        if !end(&mut self.queue) {
            self.bell(screen);
        }
    }

    /// Adds a key to what is read, if there is room. One place is kept for the end of the line.
    fn add(&mut self, byte: u8, screen: &mut dyn Screen) {
        if self.queue.room() <= usize::from(self.settings.is_canonical()) {
            self.bell(screen);
            return;
        }
        if byte == b'\n' && !self.settings.is_canonical() && self.settings.local(raw::ECHO) {
            self.write(byte, screen);
        } else {
            self.echo(byte, screen);
        }
        self.queue.push(byte);
    }

    fn bell(&mut self, screen: &mut dyn Screen) {
        if self.settings.input(raw::IMAXBEL) {
            screen.put(b"\x07");
        }
    }

    /// The edited line begins where the cursor is, if it begins now.
    fn begin_line(&mut self) {
        if self.queue.edited() == 0 {
            self.line_column = self.column;
        }
    }

    /// Shows a key: control characters as `^C`.
    pub(super) fn echo(&mut self, byte: u8, screen: &mut dyn Screen) {
        if !self.settings.local(raw::ECHO) {
            return;
        }
        self.begin_line();
        self.show(byte, screen);
    }

    /// The same, whatever ECHO says.
    pub(super) fn show(&mut self, byte: u8, screen: &mut dyn Screen) {
        if self.settings.local(raw::ECHOCTL) && is_control(byte) && byte != b'\t' {
            self.write(b'^', screen);
            self.write(super::termios::control(byte), screen);
        } else {
            self.write(byte, screen);
        }
    }
}

#[cfg(test)]
#[path = "discipline_tests.rs"]
mod tests;
