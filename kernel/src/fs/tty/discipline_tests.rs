//! Somebody types; what does the screen show, what does a program read, which signals come?

use super::*;
use proptest::prelude::*;

struct Terminal {
    discipline: Box<Discipline>,
    screen: Vec<u8>,
    signals: Vec<Signal>,
}

impl Terminal {
    fn new() -> Self {
        Self { discipline: Box::new(Discipline::new()), screen: vec![], signals: vec![] }
    }
    fn with(input: (u32, u32), output: (u32, u32), local: (u32, u32)) -> Self {
        let mut new = Self::new();
        new.discipline.settings = Termios::new().changed(input, output, local);
        new
    }
    fn key(mut self, index: u32, value: u8) -> Self {
        self.discipline.settings = self.discipline.settings.with_key(index, value);
        self
    }
    fn type_in(&mut self, keys: &[u8]) -> &mut Self {
        for &key in keys {
            let screen = &mut self.screen;
            let mut put = |bytes: &[u8]| screen.extend_from_slice(bytes);
            self.signals.extend(self.discipline.receive(key, &mut put));
        }
        self
    }
    fn print(&mut self, text: &[u8]) {
        for &byte in text {
            let screen = &mut self.screen;
            self.discipline.write(byte, &mut |bytes: &[u8]| screen.extend_from_slice(bytes));
        }
    }
    fn read(&mut self) -> Vec<u8> {
        let mut buffer = [0; 8192];
        let taken = self.discipline.take(&mut buffer);
        buffer[..taken.count].to_vec()
    }
    /// What a person sees: the last line, with steps back and blanks carried out.
    fn last_line(&self) -> String {
        let mut line: Vec<u8> = vec![];
        let mut at = 0;
        for &byte in &self.screen {
            match byte {
                b'\n' => line.clear(),
                b'\r' => at = 0,
                0x08 => at -= 1,
                b'\t' => at += 8 - at % 8,
                _ => {
                    line.resize(line.len().max(at + 1), b' ');
                    line[at] = byte;
                    at += 1;
                }
            }
        }
        line.resize(line.len().max(at), b' ');
        String::from_utf8_lossy(&line[..at]).into_owned()
    }
}

#[test]
fn a_line_is_read_when_it_is_complete() {
    let mut tty = Terminal::new();
    tty.type_in(b"ls -l");
    assert!(!tty.discipline.has_input());
    assert_eq!(tty.read(), b"");
    tty.type_in(b"\r");
    assert_eq!((tty.discipline.readable(), tty.read()), (6, b"ls -l\n".to_vec()));
    assert_eq!(tty.screen, b"ls -l\r\n");
}

#[test]
fn erasing_takes_back_what_was_shown() {
    let mut tty = Terminal::new();
    tty.type_in(b"abc\x7f");
    assert_eq!(tty.screen, b"abc\x08 \x08");
    tty.type_in(b"\x7f\x7f\x7f\x7fx\n");
    assert_eq!(tty.read(), b"x\n");
    // A control character is shown as two.
    let mut tty = Terminal::new();
    tty.type_in(b"a\x01\x7f");
    assert_eq!(tty.screen, b"a^A\x08 \x08\x08 \x08");
    assert_eq!(tty.last_line(), "a");
}

#[test]
fn erasing_a_tab_goes_back_to_where_it_began() {
    let mut tty = Terminal::new();
    tty.print(b"prompt> ");
    tty.type_in(b"ab\tcd");
    assert_eq!(tty.last_line().len(), 18);
    tty.type_in(b"\x7f\x7f\x7f");
    assert_eq!(tty.last_line(), "prompt> ab");
    tty.type_in(b"\x7f\x7f\t\x7fz\n");
    assert_eq!(tty.read(), b"z\n");
}

#[test]
fn a_word_and_a_line_are_erased() {
    let mut tty = Terminal::new();
    tty.print(b"$ ");
    tty.type_in(b"cat /etc/motd  \x17");
    assert_eq!(tty.last_line(), "$ cat /etc/");
    tty.type_in(b"\x17");
    assert_eq!(tty.last_line(), "$ cat /");
    tty.type_in(b"\x15");
    assert_eq!(tty.last_line(), "$ ");
    tty.type_in(b"\n");
    assert_eq!(tty.read(), b"\n");
}

#[test]
fn without_erasing_on_the_screen_the_key_is_shown() {
    let mut tty = Terminal::with((0, 0), (0, 0), (0, raw::ECHOE | raw::ECHOKE));
    tty.type_in(b"ab\x7f");
    assert_eq!(tty.screen, b"ab^?");
    tty.type_in(b"\x15x\n");
    assert_eq!(tty.screen, b"ab^?^U\r\nx\r\n");
    assert_eq!(tty.read(), b"x\n");
    let mut tty = Terminal::with((0, 0), (0, 0), (0, raw::ECHO));
    tty.type_in(b"ab\x7f\x15c\x17d\n");
    assert_eq!((tty.screen.len(), tty.read()), (0, b"d\n".to_vec()));
    let mut tty = Terminal::with((0, 0), (0, 0), (raw::ECHONL, raw::ECHO));
    tty.type_in(b"secret\n");
    assert_eq!(tty.screen, b"\r\n");
}

#[test]
fn a_whole_character_of_utf8_is_erased() {
    let mut tty = Terminal::with((raw::IUTF8, 0), (0, 0), (0, 0));
    tty.type_in("a\u{20ac}".as_bytes()).type_in(b"\x7f");
    assert!(tty.screen.ends_with(b"\x08 \x08"));
    tty.type_in(b"\n");
    assert_eq!(tty.read(), b"a\n");
    // Half a character, as a program that changed the mode may leave it, stays.
    tty.type_in(b"\x82\xac\x7f\n");
    assert_eq!(tty.read(), b"\x82\xac\n");
}

#[test]
fn signals_forget_the_line_and_are_shown() {
    let mut tty = Terminal::new();
    tty.type_in(b"sleep\x03");
    assert_eq!(tty.signals, [Signal::Interrupt]);
    assert_eq!(tty.screen, b"sleep^C");
    tty.type_in(b"\x1a\x1c");
    assert_eq!(tty.signals, [Signal::Interrupt, Signal::Suspend, Signal::Quit]);
    tty.type_in(b"x\n");
    assert_eq!(tty.read(), b"x\n");
    let mut tty = Terminal::with((0, 0), (0, 0), (raw::NOFLSH, 0));
    tty.type_in(b"ab\x03c\n");
    assert_eq!((tty.signals.len(), tty.read()), (1, b"abc\n".to_vec()));
    let mut tty = Terminal::with((0, 0), (0, 0), (0, raw::ISIG));
    tty.type_in(b"\x03\n");
    assert_eq!((tty.signals.len(), tty.read()), (0, b"\x03\n".to_vec()));
}

#[test]
fn the_end_of_the_file() {
    let mut tty = Terminal::new();
    tty.type_in(b"abc\x04");
    assert_eq!((tty.read(), tty.discipline.has_input()), (b"abc".to_vec(), false));
    tty.type_in(b"\x04");
    assert!(tty.discipline.has_input() && tty.discipline.is_readable());
    let taken = tty.discipline.take(&mut [0; 8]);
    assert_eq!(taken, Taken { count: 0, is_end: true });
    assert_eq!(tty.screen, b"abc", "Ctrl-D is not shown");
}

#[test]
fn a_literal_key_does_nothing_else() {
    let mut tty = Terminal::new();
    tty.type_in(b"a\x16\x03\x16\x7f\x16\nb\n");
    assert_eq!((tty.signals.len(), tty.read()), (0, b"a\x03\x7f\nb\n".to_vec()));
    assert_eq!(tty.screen, b"a^\x08^C^\x08^?^\x08^Jb\r\n");
}

#[test]
fn the_line_is_shown_again() {
    let mut tty = Terminal::new();
    tty.print(b"$ ");
    tty.type_in(b"a\tb\x12");
    assert_eq!(tty.screen, b"$ a\tb^R\r\na\tb");
    tty.type_in(b"\x7f\x7f");
    assert_eq!(tty.last_line(), "a");
}

#[test]
fn carriage_returns_and_newlines_are_mapped() {
    let mut tty = Terminal::with((raw::INLCR, raw::ICRNL), (0, 0), (0, 0));
    tty.type_in(b"a\r\n");
    assert!(!tty.discipline.has_input(), "both are carriage returns");
    let mut tty = Terminal::with((raw::IGNCR, 0), (0, 0), (0, 0));
    tty.type_in(b"a\r\n");
    assert_eq!(tty.read(), b"a\n");
    let mut tty = Terminal::with((raw::ISTRIP, 0), (0, 0), (0, 0));
    tty.type_in(b"\xe1\n");
    assert_eq!(tty.read(), b"a\n");
}

#[test]
fn other_keys_end_a_line_when_they_are_set() {
    let mut tty = Terminal::new().key(raw::VEOL, b';').key(raw::VEOL2, b'!');
    tty.type_in(b"a;b!");
    assert_eq!((tty.read(), tty.read()), (b"a;".to_vec(), b"b!".to_vec()));
    let mut tty = Terminal::new().key(raw::VINTR, 0);
    tty.type_in(b"\0\n");
    assert_eq!((tty.signals.len(), tty.read()), (0, b"\0\n".to_vec()), "0 turns a key off");
}

#[test]
fn output_stops_and_goes_on() {
    let mut tty = Terminal::new();
    tty.type_in(b"\x13");
    assert!(tty.discipline.is_stopped());
    tty.type_in(b"a");
    assert!(tty.discipline.is_stopped());
    tty.type_in(b"\x11");
    assert!(!tty.discipline.is_stopped());
    tty.type_in(b"\x13\x03");
    assert!(!tty.discipline.is_stopped(), "a signal lets it go on");
    tty.type_in(b"x\n");
    assert_eq!(tty.read(), b"x\n");
    let mut tty = Terminal::with((raw::IXANY, 0), (0, 0), (0, 0));
    tty.type_in(b"\x13a");
    assert!(!tty.discipline.is_stopped());
    tty.type_in(b"\x13");
    tty.discipline.set(Termios::new().changed((0, raw::IXON), (0, 0), (0, 0)));
    assert!(!tty.discipline.is_stopped());
}

#[test]
fn raw_mode_hands_keys_out_as_they_come() {
    let mut tty = Terminal::with(
        (0, raw::ICRNL | raw::IXON),
        (0, raw::OPOST),
        (0, raw::ICANON | raw::ECHO | raw::ISIG),
    );
    tty.type_in(b"\x03\r\x7f\x04\x13");
    assert_eq!(tty.discipline.readable(), 5);
    assert!(tty.discipline.is_readable());
    assert_eq!((tty.read(), tty.signals.len(), tty.screen.len()), (b"\x03\r\x7f\x04\x13".to_vec(), 0, 0));
    let mut tty = tty.key(raw::VMIN, 3);
    tty.type_in(b"ab");
    assert!(tty.discipline.has_input() && !tty.discipline.is_readable());
    tty.type_in(b"c");
    assert!(tty.discipline.is_readable());
}

#[test]
fn what_was_typed_survives_a_change_of_mode() {
    let line = Termios::new();
    let raw = line.changed((0, 0), (0, 0), (0, raw::ICANON));
    let mut tty = Terminal::new();
    tty.type_in(b"ab\ncd");
    tty.discipline.set(raw);
    assert_eq!(tty.read(), b"ab\ncd");
    tty.type_in(b"ef");
    tty.discipline.set(line);
    assert_eq!((tty.discipline.has_input(), tty.read()), (true, b"ef".to_vec()));
    tty.type_in(b"g\n");
    assert_eq!(tty.read(), b"g\n");
}

#[test]
fn a_line_that_is_too_long_can_still_be_ended() {
    let mut tty = Terminal::with((raw::IMAXBEL, 0), (0, 0), (0, raw::ECHO));
    tty.type_in(&[b'x'; 5000]);
    assert!(tty.discipline.has_room());
    assert_eq!(tty.screen.len(), 5000 - 4095, "a bell for each that is lost");
    tty.type_in(b"\n");
    assert_eq!(tty.read().len(), 4096);
    let mut tty = Terminal::with((0, 0), (0, 0), (0, raw::ICANON));
    tty.type_in(&[b'x'; 4096]);
    assert!(!tty.discipline.has_room());
}

#[test]
fn what_is_pasted_waits_for_who_reads() {
    let mut tty = Terminal::with((0, 0), (0, 0), (0, raw::ECHO));
    let text: Vec<u8> = (0..2000).flat_map(|line| format!("line {line}\n").into_bytes()).collect();
    let mut keys = text.iter();
    let mut read = Vec::new();
    while read.len() < text.len() {
        while tty.discipline.has_room()
            && let Some(&key) = keys.next()
        {
            tty.type_in(&[key]);
        }
        read.extend(tty.read());
    }
    assert!(read == text);
}

proptest! {
    /// Any keys, any modes: nothing panics, and nothing is read that was not typed.
    #[test]
    fn any_keys(keys in proptest::collection::vec(any::<(u8, u8)>(), 0..300), modes in any::<[u32; 3]>()) {
        let mut tty = Terminal::new();
        let mut read = 0;
        for (index, &(key, what)) in keys.iter().enumerate() {
            match what {
                0..4 => tty.discipline.set(Termios::new().changed((modes[0], 0), (modes[1], 0), (0, modes[2]))),
                4..8 => tty.discipline.set(Termios::new()),
                8..16 => read += tty.read().len(),
                _ => { tty.type_in(&[key]); }
            }
            prop_assert!(read + tty.discipline.readable() <= index + 1);
        }
    }

    /// Whatever line is typed and erased again leaves the cursor where it was.
    #[test]
    fn an_erased_line_leaves_nothing(line in "[a-z\t\x01\x02 ]{0,40}", prompt in "[a-z]{0,12}") {
        let mut tty = Terminal::new();
        tty.print(prompt.as_bytes());
        tty.type_in(line.as_bytes());
        for _ in 0..line.len() {
            tty.type_in(b"\x7f");
        }
        prop_assert_eq!(tty.last_line(), prompt);
    }
}
