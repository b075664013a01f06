//! Editing the line that is being typed: erasing a character, a word, the line; showing it again.
//!
//! What is erased disappears from the screen, too: a step back, a blank, a step back for each column.
//! A tab took as many columns as there were up to the next stop, so the line's columns are counted
//! from where it began.

use super::discipline::Discipline;
use super::output::{Column, Screen, is_continuation, is_control};
use linux_raw_sys::general as raw;

/// How much is erased.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Erase {
    /// VERASE
    Character,
    /// VWERASE
    Word,
    /// VKILL
    Line,
}

/// Takes one column off the screen.
const BACK: &[u8] = b"\x08 \x08";

impl Discipline {
    pub(super) fn erase(&mut self, what: Erase, screen: &mut dyn Screen) {
        if self.queue.edited() == 0 {
            return;
        }
        let local = |flag| self.settings.local(flag);
        let is_seen = local(raw::ECHO);
        if what == Erase::Line && !(is_seen && local(raw::ECHOK) && local(raw::ECHOKE) && local(raw::ECHOE)) {
            self.queue.cut(usize::MAX);
            self.echo(self.settings.value(raw::VKILL), screen);
            if is_seen && self.settings.local(raw::ECHOK) {
                self.write(b'\n', screen);
            }
            return;
        }
        let mut in_word = false;
        while let Some((bytes, first)) = self.last_character() {
            if what == Erase::Word {
                let is_word = first.is_ascii_alphanumeric() || first == b'_' || first >= 0x80;
                if in_word && !is_word {
                    break;
                }
                in_word |= is_word;
            }
            self.erase_last(what, bytes, first, screen);
            if what == Erase::Character {
                break;
            }
        }
    }

    /// The edited line's last character: its bytes, and the first of them. `None` also if its
    /// beginning is missing: half a character is not erased.
    fn last_character(&self) -> Option<(usize, u8)> {
        let edited = self.queue.edited();
        let mut bytes = 1;
        loop {
            let first = self.queue.edited_byte(edited.checked_sub(bytes)?)?;
            if !(self.settings.input(raw::IUTF8) && is_continuation(first)) {
                return Some((bytes, first));
            }
            bytes += 1;
        }
    }

    fn erase_last(&mut self, what: Erase, bytes: usize, first: u8, screen: &mut dyn Screen) {
        if !self.settings.local(raw::ECHO) {
            self.queue.cut(bytes);
            return;
        }
        if what == Erase::Character && !self.settings.local(raw::ECHOE) {
            self.queue.cut(bytes);
            self.echo(self.settings.value(raw::VERASE), screen);
            return;
        }
        let after = if first == b'\t' { Some(self.end_column()) } else { None };
        self.queue.cut(bytes);
        if let Some(after) = after {
            for _ in self.end_column().get()..after.get() {
                self.write(0x08, screen);
            }
            return;
        }
        let as_two = is_control(first) && self.settings.local(raw::ECHOCTL);
        for _ in 0..if as_two { 2 } else { usize::from(!is_control(first)) } {
            BACK.iter().for_each(|&byte| self.write(byte, screen));
        }
    }

    /// The column behind the edited line.
    fn end_column(&self) -> Column {
        let mut column = self.line_column;
        for index in 0..self.queue.edited() {
            column = match self.queue.edited_byte(index) {
                Some(b'\t') => column.after_tab(),
                Some(byte) if is_control(byte) => {
                    column.plus(if self.settings.local(raw::ECHOCTL) { 2 } else { 0 })
                }
                Some(byte) if self.settings.input(raw::IUTF8) && is_continuation(byte) => column,
                _ => column.plus(1),
            };
        }
        column
    }

    /// Shows the edited line again, on a line of its own.
    pub(super) fn reprint(&mut self, key: u8, screen: &mut dyn Screen) {
        self.show(key, screen);
        self.write(b'\n', screen);
        self.line_column = self.column;
        for index in 0..self.queue.edited() {
            if let Some(byte) = self.queue.edited_byte(index) {
                self.show(byte, screen);
            }
        }
    }
}
