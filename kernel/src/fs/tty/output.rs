//! What a program writes, on its way to the terminal: OPOST, and the column that the cursor is in.
//!
//! The column matters to the one who types: erasing a tab means to go back to where it began.

use super::termios::Termios;
use linux_raw_sys::general as raw;

/// Takes bytes that go to the terminal, as they are.
pub trait Screen {
    /// The next bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl<F: FnMut(&[u8])> Screen for F {
    fn put(&mut self, bytes: &[u8]) {
        self(bytes);
    }
}

/// The cursor's column, as far as output without escape sequences tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Column(usize);

/// Columns from one tabulator stop to the next.
const TAB: usize = 8;

/// Whether the byte moves no cursor by itself: 0x00-0x1f and DEL.
pub(super) const fn is_control(byte: u8) -> bool {
    byte.is_ascii_control()
}

/// Whether the byte continues a character of UTF-8.
pub(super) const fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

impl Column {
    /// At the left margin.
    pub const fn new() -> Self {
        Self(0)
    }
    /// Its number, from 0 on.
    pub const fn get(self) -> usize {
        self.0
    }

    /// Where the cursor is after a tab.
    pub const fn after_tab(self) -> Self {
        Self(self.0 + TAB - self.0 % TAB)
    }
    /// Where it is that many columns further.
    pub const fn plus(self, columns: usize) -> Self {
        Self(self.0 + columns)
    }

    /// Writes one byte of output.
    pub fn write(&mut self, settings: &Termios, byte: u8, screen: &mut dyn Screen) {
        if !settings.output(raw::OPOST) {
            screen.put(&[byte]);
            return;
        }
        match byte {
            b'\n' => {
                if settings.output(raw::ONLRET | raw::ONLCR) {
                    self.0 = 0;
                }
                screen.put(if settings.output(raw::ONLCR) { b"\r\n" } else { b"\n" });
            }
            b'\r' if settings.output(raw::ONOCR) && self.0 == 0 => {}
            b'\r' if settings.output(raw::OCRNL) => {
                if settings.output(raw::ONLRET) {
                    self.0 = 0;
                }
                screen.put(b"\n");
            }
            b'\r' => {
                self.0 = 0;
                screen.put(b"\r");
            }
            b'\t' => {
                let after = self.after_tab();
                if settings.output_word() & raw::TABDLY == raw::XTABS {
                    screen.put(&b"        "[..after.0 - self.0]);
                } else {
                    screen.put(b"\t");
                }
                *self = after;
            }
            0x08 => {
                self.0 = self.0.saturating_sub(1);
                screen.put(&[byte]);
            }
            _ => {
                let byte = if settings.output(raw::OLCUC) { byte.to_ascii_uppercase() } else { byte };
                let is_inner = settings.input(raw::IUTF8) && is_continuation(byte);
                if !is_control(byte) && !is_inner {
                    self.0 += 1;
                }
                screen.put(&[byte]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(settings: &Termios, text: &[u8]) -> (Vec<u8>, usize) {
        let mut column = Column::new();
        let mut all = vec![];
        for &byte in text {
            column.write(settings, byte, &mut |bytes: &[u8]| all.extend_from_slice(bytes));
        }
        (all, column.get())
    }

    #[test]
    fn newlines_become_two() {
        let sane = Termios::new();
        assert_eq!(written(&sane, b"a\nbc"), (b"a\r\nbc".to_vec(), 2));
        let bare = sane.changed((0, 0), (0, raw::ONLCR), (0, 0));
        assert_eq!(written(&bare, b"a\nbc"), (b"a\nbc".to_vec(), 3));
        let raw = sane.changed((0, 0), (0, raw::OPOST), (0, 0));
        assert_eq!(written(&raw, b"a\n\tb").0, b"a\n\tb");
    }

    #[test]
    fn tabs_and_backspaces_move_the_cursor() {
        let sane = Termios::new();
        assert_eq!(written(&sane, b"ab\t").1, 8);
        assert_eq!(written(&sane, b"ab\tc\x08\x08").1, 7);
        assert_eq!(written(&sane, b"\x08\x07").1, 0);
        let spaces = sane.changed((0, 0), (raw::XTABS, 0), (0, 0));
        assert_eq!(written(&spaces, b"ab\tc"), (b"ab      c".to_vec(), 9));
    }

    #[test]
    fn carriage_returns() {
        let sane = Termios::new();
        assert_eq!(written(&sane, b"ab\rc"), (b"ab\rc".to_vec(), 1));
        let to_newline = sane.changed((0, 0), (raw::OCRNL, raw::ONLCR), (0, 0));
        assert_eq!(written(&to_newline, b"a\r").0, b"a\n");
        let none_at_margin = sane.changed((0, 0), (raw::ONOCR, 0), (0, 0));
        assert_eq!(written(&none_at_margin, b"\ra\r").0, b"a\r");
    }

    #[test]
    fn a_character_of_utf8_is_one_column() {
        let utf8 = Termios::new().changed((raw::IUTF8, 0), (0, 0), (0, 0));
        assert_eq!(written(&utf8, "\u{e4}\u{20ac}".as_bytes()).1, 2);
        assert_eq!(written(&Termios::new(), "\u{e4}".as_bytes()).1, 2);
    }
}
