//! `/proc/PID/limits`.

use crate::fs::pseudo::Text;

/// The limits in Linux' order, and their units.
const ROWS: [(&str, &str); 16] = [
    ("Max cpu time", "seconds"),
    ("Max file size", "bytes"),
    ("Max data size", "bytes"),
    ("Max stack size", "bytes"),
    ("Max core file size", "bytes"),
    ("Max resident set", "bytes"),
    ("Max processes", "processes"),
    ("Max open files", "files"),
    ("Max locked memory", "bytes"),
    ("Max address space", "bytes"),
    ("Max file locks", "locks"),
    ("Max pending signals", "signals"),
    ("Max msgqueue size", "bytes"),
    ("Max nice priority", ""),
    ("Max realtime priority", ""),
    ("Max realtime timeout", "us"),
];

/// The file: soft and hard limit of each resource, by its number.
pub fn print(to: &mut Text, of: impl Fn(usize) -> (u64, u64)) {
    to.print(format_args!("{:<25} {:<20} {:<20} {:<10}\n", "Limit", "Soft Limit", "Hard Limit", "Units"));
    for (number, (name, unit)) in ROWS.iter().enumerate() {
        let (soft, hard) = of(number);
        to.print(format_args!("{name:<25} "));
        for limit in [soft, hard] {
            if limit == u64::MAX {
                to.print(format_args!("{:<20} ", "unlimited"));
            } else {
                to.print(format_args!("{limit:<20} "));
            }
        }
        if unit.is_empty() { to.put(b"\n") } else { to.print(format_args!("{unit:<10}\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_linux_prints_it() {
        let mut text = Text::new();
        print(&mut text, |number| if number == 3 { (8 << 20, u64::MAX) } else { (0, 0) });
        let text = core::str::from_utf8(text.bytes().expect("memory")).expect("text");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[0],
            "Limit                     Soft Limit           Hard Limit           Units     "
        );
        assert_eq!(
            lines[4],
            "Max stack size            8388608              unlimited            bytes     "
        );
        assert_eq!(lines[14], "Max nice priority         0                    0                    ");
        assert_eq!(lines.len(), 17);
    }
}
