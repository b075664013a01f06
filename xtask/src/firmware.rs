//! Keeps powernv9's firmware from talking over the kernel.
//!
//! skiboot prints some 150 lines about hardware that QEMU does not have, each with a stamp of nine
//! decimals and a level: `[    1.485644757,3] XSCOM: Write failed`. A reader who wants the kernel
//! sees none of them; the runner still reads them all, and shows the last if the guest falls silent.

/// The longest stamp: more bytes than this at a line's start are no stamp.
const LONGEST: usize = 24;

/// Passes on what is not the firmware's.
#[derive(Default)]
pub struct Filter {
    start: Vec<u8>,
    line: Line,
}

/// Whose the line under way is.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Not known yet: its bytes are held back.
    #[default]
    Unknown,
    /// Shown.
    Kernel,
    /// Left out.
    Firmware,
}

impl Filter {
    /// What of these bytes is to be shown. A line is held back only as long as it may still turn
    /// out to be the firmware's.
    pub fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            match self.line {
                Line::Unknown => {
                    self.start.push(byte);
                    self.line = judge(&self.start);
                    if self.line == Line::Kernel {
                        shown.append(&mut self.start);
                    }
                }
                Line::Kernel => shown.push(byte),
                Line::Firmware => {}
            }
            if byte == b'\n' {
                if self.line == Line::Unknown {
                    shown.append(&mut self.start);
                }
                self.start.clear();
                self.line = Line::Unknown;
            }
        }
        shown
    }
}

/// Whose a line is that begins with these bytes: `[`, blanks, seconds, `.`, nine digits, `,`.
fn judge(start: &[u8]) -> Line {
    let Some(rest) = start.strip_prefix(b"[") else {
        // skiboot ends its lines with a lone carriage return now and then.
        return if start == b"\r" { Line::Unknown } else { Line::Kernel };
    };
    let fits = rest.iter().all(|byte| byte.is_ascii_digit() || b" .,".contains(byte));
    if !fits || start.len() > LONGEST {
        return Line::Kernel;
    }
    let decimals = rest.iter().rev().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
    if rest.ends_with(b",") && decimals == 9 { Line::Firmware } else { Line::Unknown }
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
    fn the_firmwares_lines_are_left_out() {
        let log = "[    1.485644757,3] XSCOM: Write failed\r\n[    0.092695] boot: Fallow\r\n\
                   [    2.462542203,5] OPAL: Shutdown\nfallow: exit status 0\n";
        assert_eq!(shown(log), "[    0.092695] boot: Fallow\r\nfallow: exit status 0\n");
        assert_eq!(Filter::default().pass(log.as_bytes()), shown(log).into_bytes());
    }

    #[test]
    fn what_the_kernel_says_comes_at_once() {
        assert_eq!(shown("$ "), "$ ");
        assert_eq!(shown("[    0.1"), "", "may still be the firmware's");
        assert_eq!(shown("[    0.123456] "), "[    0.123456] ");
        assert_eq!(shown("[1,2] list\n\n[\n"), "[1,2] list\n\n[\n");
    }
}
