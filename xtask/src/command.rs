//! `--run`: what the guest's init says around the command's own output.
//!
//! The command's status comes over the console, as its output does: powernv9 has no other way, and
//! 256 values fit through none of the machines' ends.

/// What init says before the command's output.
const BEGIN: &[u8] = b"init: run";
/// And behind it, with the status.
pub const END: &str = "init: exit status ";

/// Passes on what stands between init's two lines.
#[derive(Default)]
pub struct Filter {
    held: Vec<u8>,
    part: Part,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Part {
    #[default]
    Before,
    /// The rest of init's first line.
    Line,
    Output,
    Behind,
}

impl Filter {
    /// What of these bytes the command has written. Bytes are held back only as long as they may
    /// still turn out to be init's.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for &byte in bytes {
            let part = self.part;
            match part {
                Part::Before if self.ends(byte, BEGIN, &mut Vec::new()) => self.part = Part::Line,
                Part::Line if byte == b'\n' => self.part = Part::Output,
                Part::Output if self.ends(byte, END.as_bytes(), &mut shown) => self.part = Part::Behind,
                _ => {}
            }
        }
        shown
    }

    /// Whether that byte completes the mark; those that are none of it go to `rest`.
    fn ends(&mut self, byte: u8, mark: &[u8], rest: &mut Vec<u8>) -> bool {
        self.held.push(byte);
        while !mark.starts_with(&self.held) {
            rest.push(self.held.remove(0));
        }
        let whole = self.held.len() == mark.len();
        if whole {
            self.held.clear();
        }
        whole
    }
}

/// The status in a line of the console. The command's output may have ended without a newline.
pub fn status(line: &str) -> Option<u8> {
    line.rsplit_once(END)?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut filter = Filter::default();
        let bytes = text.bytes().flat_map(|byte| filter.pass(&[byte])).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_the_commands_output_is_shown() {
        let log = "[    0.1] boot: ready\r\ninit: run\r\nhello\r\nininit: exit statutes\ninit: exit status 3\r\nfallow: x";
        assert_eq!(shown(log), "hello\r\nininit: exit statutes\n");
        assert_eq!(shown("init: run\n$ "), "$ ", "at once");
        assert_eq!(shown("init: run\nno newlineinit: exit status 0\n"), "no newline");
        assert_eq!(shown("init: ruined\n"), "");
    }

    #[test]
    fn the_status_ends_the_line() {
        assert_eq!(status("init: exit status 7"), Some(7));
        assert_eq!(status("wordsinit: exit status 255"), Some(255));
        assert_eq!(status("init: exit status 256"), None);
        assert_eq!(status("init: exit status 1 more"), None);
    }
}
