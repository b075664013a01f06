//! What the guest has said so far: its lines, and those of them that mean something to the runner.

/// A console's text, as it arrives.
#[derive(Default, Debug)]
pub struct Console {
    lines: Vec<String>,
    rest: Vec<u8>,
    /// N of `fallow: exit status N`, if that was the last line so far.
    pub exit_status: Option<i32>,
    /// The status that the guest's init tells of the command it was given.
    pub command_status: Option<u8>,
    /// N of the last boot line's `boot: ready in N ns`.
    pub boot_ns: Option<u64>,
    /// The message of the first `Kernel panic - not syncing: message`.
    pub panic: Option<String>,
}

impl Console {
    /// Takes bytes as they come, in any pieces.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => {
                    let line = String::from_utf8_lossy(&self.rest).into_owned();
                    self.rest.clear();
                    self.line(line);
                }
                b'\r' | 0 => {}
                _ => self.rest.push(byte),
            }
        }
    }

    /// The console is closed: what has no newline is a line all the same.
    pub fn close(&mut self) {
        if !self.rest.is_empty() {
            self.push(b"\n");
        }
    }

    fn line(&mut self, line: String) {
        if let Some(number) = line.strip_prefix("fallow: exit status ") {
            self.exit_status = number.parse().ok();
        } else if !line.is_empty() && self.exit_status.is_some() && !from_firmware(&line) {
            // Those were not the last words after all.
            self.exit_status = None;
        }
        self.command_status = crate::command::status(&line).or(self.command_status);
        if self.panic.is_none()
            && let Some((_, message)) = line.split_once("Kernel panic - not syncing: ")
        {
            self.panic = Some(message.to_owned());
        }
        if let Some((_, text)) = line.split_once("] boot: ready in ") {
            self.boot_ns = text.split(' ').next().and_then(|number| number.parse().ok());
        }
        self.lines.push(line);
    }

    /// All lines that are complete.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Whether any line contains the text.
    pub fn contains(&self, text: &str) -> bool {
        self.lines.iter().any(|line| line.contains(text))
    }

    /// The last `count` lines that say something, the unfinished one included.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let rest = String::from_utf8_lossy(&self.rest).into_owned();
        let spoken: Vec<String> =
            self.lines.iter().cloned().chain([rest]).filter(|line| !line.trim().is_empty()).collect();
        spoken[spoken.len().saturating_sub(count)..].to_vec()
    }
}

/// powernv9's firmware has a word to say when it is told to turn the machine off:
/// `[    1.234567890,5] OPAL: Shutdown request type 0x0...`.
fn from_firmware(line: &str) -> bool {
    line.split_once("] ").is_some_and(|(stamp, _)| {
        stamp.starts_with('[') && stamp.split_once(',').is_some_and(|(_, level)| level.len() == 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Console {
        let mut console = Console::default();
        // Byte by byte: nothing may depend on how the pipe cuts it.
        text.bytes().for_each(|byte| console.push(&[byte]));
        console.close();
        console
    }

    #[test]
    fn the_words_that_matter_are_found() {
        let console =
            after("\0hello\r\n[    0.012345] boot: ready in 12345678 ns: 2 CPUs\r\nfallow: exit status 0");
        assert_eq!(console.boot_ns, Some(12_345_678));
        assert_eq!(console.exit_status, Some(0));
        assert_eq!(console.panic, None);
        assert_eq!(console.lines()[0], "hello");
    }

    #[test]
    fn the_first_panic_counts() {
        let console = after("[ 1.0] x: Kernel panic - not syncing: one\nKernel panic - not syncing: two\n");
        assert_eq!(console.panic.as_deref(), Some("one"));
    }

    #[test]
    fn last_words_are_the_last() {
        assert_eq!(after("fallow: exit status 0\nmore\n").exit_status, None);
        assert_eq!(after("fallow: exit status 0\n\n\n").exit_status, Some(0));
        assert_eq!(after("fallow: exit status x\n").exit_status, None);
        assert_eq!(after("he said fallow: exit status 0\n").exit_status, None);
        let firmware = "fallow: exit status 3\n[    4.097317226,5] OPAL: Shutdown request type 0x0...\n";
        assert_eq!(after(firmware).exit_status, Some(3));
        assert_eq!(after("fallow: exit status 0\n[    0.1] late: word\n").exit_status, None);
    }

    #[test]
    fn the_tail_is_what_was_seen_last() {
        let mut console = after("a\n\nb\nc\n");
        console.push(b"unfinished");
        assert_eq!(console.tail(2), ["c", "unfinished"]);
    }
}
