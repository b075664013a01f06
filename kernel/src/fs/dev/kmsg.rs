//! `/dev/kmsg`: what a program writes there comes out as a line of the kernel's log.
//!
//! Reading gives no records: `dmesg` reads the log by syslog(2).

use crate::error::Errno;
use crate::fs::file::{File, FileOps};
use crate::fs::{Dest, Events, PollTable, Source};
use crate::sync::MaySleep;
use core::any::Any;

/// The longest line that is taken whole.
const LINE: usize = 512;

/// An open log.
pub struct OpenLog(());

impl OpenLog {
    pub(super) fn new() -> Self {
        Self(())
    }
}

/// A line without its end and without the level (`<6>`) in front of it.
fn text(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let level = line.strip_prefix(b"<").and_then(|rest| {
        let end = rest.iter().position(|&byte| byte == b'>')?;
        (end > 0 && rest[..end].iter().all(u8::is_ascii_digit)).then(|| &rest[end + 1..])
    });
    level.unwrap_or(line)
}

impl FileOps for OpenLog {
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn read(&self, _: &mut MaySleep, _: &File, _: &mut u64, _: &mut Dest<'_>) -> Result<usize, Errno> {
        Err(Errno::EAGAIN)
    }
    fn write(
        &self,
        ctx: &mut MaySleep,
        _file: &File,
        _at: &mut u64,
        from: &mut Source<'_>,
    ) -> Result<usize, Errno> {
        let mut line = [0; LINE];
        let count = from.take(ctx, &mut line)?;
        let rest = from.skip(from.left());
        log::info!(target: "user", "{}", text(&line[..count]).escape_ascii());
        Ok(count + rest)
    }
    fn poll(&self, _ctx: &mut MaySleep, _file: &File, _table: &mut PollTable) -> Events {
        Events::WRITABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_in_front_is_taken_off() {
        assert_eq!(text(b"<6>hello\n"), b"hello");
        assert_eq!(text(b"<14>a"), b"a");
        assert_eq!(text(b"<>a"), b"<>a");
        assert_eq!(text(b"<x>a"), b"<x>a");
        assert_eq!(text(b""), b"");
    }
}
