//! The user's terminal: raw, so that every key reaches the guest, with one way out.

use rustix::termios::{self, OptionalActions, OutputModes, Termios};
use std::io::{self, IsTerminal};

/// Ctrl-A: the first of the two keys that talk to the runner.
const ESCAPE: u8 = 1;
/// Ctrl-C.
const INTERRUPT: u8 = 3;

/// Whether a person types.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal()
}

/// Its rows and columns.
pub fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(io::stdin()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// The terminal in raw mode; what it was before comes back on drop.
pub struct Raw(Termios);

impl Raw {
    /// `None` if standard input is no terminal.
    pub fn enter() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        // The runner's own lines still end where they should.
        raw.output_modes |= OutputModes::OPOST | OutputModes::ONLCR;
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no repair.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// What a key means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// For the guest.
    Guest(u8),
    /// Nothing yet: the first key of two.
    Wait,
    /// End the run.
    Leave,
    /// End the run: Ctrl-C, and the guest has no program that could want it.
    Interrupt,
}

/// Tells the guest's keys from the runner's.
pub struct Keys {
    escaped: bool,
    interrupt_is_guests: bool,
}

impl Keys {
    /// `interrupt_is_guests`: whether Ctrl-C is an ordinary key.
    pub const fn new(interrupt_is_guests: bool) -> Self {
        Self { escaped: false, interrupt_is_guests }
    }

    /// The next key.
    pub fn key(&mut self, byte: u8) -> Key {
        match (std::mem::take(&mut self.escaped), byte) {
            (false, ESCAPE) => {
                self.escaped = true;
                Key::Wait
            }
            (true, b'x' | b'X') => Key::Leave,
            (false, INTERRUPT) if !self.interrupt_is_guests => Key::Interrupt,
            (_, byte) => Key::Guest(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &mut Keys, text: &[u8]) -> Vec<Key> {
        text.iter().map(|&byte| keys.key(byte)).filter(|&key| key != Key::Wait).collect()
    }

    #[test]
    fn two_keys_leave_and_all_others_are_the_guests() {
        let mut keys = Keys::new(true);
        assert_eq!(typed(&mut keys, b"x\x03"), [Key::Guest(b'x'), Key::Guest(3)]);
        assert_eq!(typed(&mut keys, b"\x01\x01"), [Key::Guest(1)]);
        assert_eq!(typed(&mut keys, b"\x01b"), [Key::Guest(b'b')]);
        assert_eq!(typed(&mut keys, b"\x01x"), [Key::Leave]);
    }

    #[test]
    fn ctrl_c_leaves_when_no_program_could_want_it() {
        assert_eq!(typed(&mut Keys::new(false), b"\x03"), [Key::Interrupt]);
    }
}
