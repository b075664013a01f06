//! A terminal's settings: Linux' `termios` of this machine.
//!
//! The two machines agree on neither the numbers nor the structure: on ppc64 ICANON is 0x100 and not
//! 2, VMIN is the fifth control character and not the sixth, `c_line` comes behind `c_cc`, and the
//! speeds follow. `linux-raw-sys` knows all that. The settings are kept as the bytes of the machine's
//! structure, and read where the structure says: what a program set, it gets back, used here or not.

use core::mem::offset_of;
use linux_raw_sys::general as raw;

/// Bytes of the structure that TCGETS gives.
pub const SIZE: usize = size_of::<raw::termios>();

/// The bytes behind control characters and discipline: the speeds, where the structure has them.
const SPEEDS: usize = 4 * 4 + CONTROLS + 1;
const CONTROLS: usize = raw::NCCS as usize;
const _: () = assert!(SIZE == SPEEDS || SIZE == SPEEDS + 8, "no termios of Linux");

/// Linux' first settings of a terminal: `stty sane`, but for IXANY and the like.
const INPUT: u32 = raw::ICRNL | raw::IXON;
const OUTPUT: u32 = raw::OPOST | raw::ONLCR;
const CONTROL: u32 = raw::B38400 | raw::CS8 | raw::CREAD | raw::HUPCL;
const LOCAL: u32 =
    raw::ISIG | raw::ICANON | raw::ECHO | raw::ECHOE | raw::ECHOK | raw::ECHOCTL | raw::ECHOKE | raw::IEXTEN;

/// Linux' first control characters.
const KEYS: [(u32, u8); 13] = [
    (raw::VINTR, control(b'C')),
    (raw::VQUIT, control(b'\\')),
    (raw::VERASE, 0x7f),
    (raw::VKILL, control(b'U')),
    (raw::VEOF, control(b'D')),
    (raw::VMIN, 1),
    (raw::VSTART, control(b'Q')),
    (raw::VSTOP, control(b'S')),
    (raw::VSUSP, control(b'Z')),
    (raw::VREPRINT, control(b'R')),
    (raw::VDISCARD, control(b'O')),
    (raw::VWERASE, control(b'W')),
    (raw::VLNEXT, control(b'V')),
];

/// The character that Ctrl and that key send.
pub const fn control(key: u8) -> u8 {
    key ^ 0x40
}

/// Settings of a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Termios([u8; SIZE]);

impl Default for Termios {
    fn default() -> Self {
        Self::new()
    }
}

impl Termios {
    /// As Linux sets a terminal up: lines are edited, echoed, and end in `\n`.
    pub const fn new() -> Self {
        let mut new = Self([0; SIZE])
            .with_word(offset_of!(raw::termios, c_iflag), INPUT)
            .with_word(offset_of!(raw::termios, c_oflag), OUTPUT)
            .with_word(offset_of!(raw::termios, c_cflag), CONTROL)
            .with_word(offset_of!(raw::termios, c_lflag), LOCAL);
        if SIZE > SPEEDS {
            new = new.with_word(SIZE - 8, 38400).with_word(SIZE - 4, 38400);
        }
        let mut key = 0;
        while key < KEYS.len() {
            new.0[offset_of!(raw::termios, c_cc) + KEYS[key].0 as usize] = KEYS[key].1;
            key += 1;
        }
        new
    }

    const fn with_word(mut self, at: usize, value: u32) -> Self {
        let bytes = value.to_ne_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.0[at + i] = bytes[i];
            i += 1;
        }
        self
    }

    fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_ne_bytes(bytes)
    }

    /// The settings that a program hands over. Any bytes are settings.
    pub const fn from_bytes(bytes: [u8; SIZE]) -> Self {
        Self(bytes)
    }
    /// The structure for a program.
    pub const fn bytes(&self) -> &[u8; SIZE] {
        &self.0
    }

    /// Whether that flag of `c_iflag` is set.
    pub fn input(&self, flag: u32) -> bool {
        self.word(offset_of!(raw::termios, c_iflag)) & flag != 0
    }
    /// Whether that flag of `c_oflag` is set.
    pub fn output(&self, flag: u32) -> bool {
        self.output_word() & flag != 0
    }
    /// `c_oflag`
    pub fn output_word(&self) -> u32 {
        self.word(offset_of!(raw::termios, c_oflag))
    }
    /// Whether that flag of `c_lflag` is set.
    pub fn local(&self, flag: u32) -> bool {
        self.word(offset_of!(raw::termios, c_lflag)) & flag != 0
    }
    /// Whether input is handed out by lines, after editing.
    pub fn is_canonical(&self) -> bool {
        self.local(raw::ICANON)
    }
    /// The control character with that index: VMIN and VTIME are numbers.
    pub fn value(&self, index: u32) -> u8 {
        self.0.get(offset_of!(raw::termios, c_cc) + index as usize).copied().unwrap_or(0)
    }
    /// Whether the byte is the control character with that index; 0 turns one off.
    pub fn is_key(&self, byte: u8, index: u32) -> bool {
        byte != 0 && self.value(index) == byte
    }
}

#[cfg(test)]
impl Termios {
    /// With these flags changed: (set, cleared) of `c_iflag`, `c_oflag`, `c_lflag`.
    pub fn changed(&self, input: (u32, u32), output: (u32, u32), local: (u32, u32)) -> Self {
        let mut new = *self;
        for (at, (set, cleared)) in [
            (offset_of!(raw::termios, c_iflag), input),
            (offset_of!(raw::termios, c_oflag), output),
            (offset_of!(raw::termios, c_lflag), local),
        ] {
            new = new.with_word(at, new.word(at) & !cleared | set);
        }
        new
    }
    /// With that control character.
    pub fn with_key(mut self, index: u32, value: u8) -> Self {
        self.0[offset_of!(raw::termios, c_cc) + index as usize] = value;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_settings_are_those_of_linux() {
        let sane = Termios::new();
        assert!(sane.is_canonical() && sane.local(raw::ECHO) && sane.input(raw::ICRNL));
        assert!(sane.output(raw::ONLCR) && !sane.output(raw::OCRNL));
        assert_eq!((sane.value(raw::VINTR), sane.value(raw::VMIN), sane.value(raw::VTIME)), (3, 1, 0));
        assert!(sane.is_key(4, raw::VEOF));
        assert!(!sane.is_key(0, raw::VEOL), "0 turns a key off");
        assert_eq!(Termios::from_bytes(*sane.bytes()), sane);
    }
}
