//! The console: the service processor's ASCII terminal.

use super::sclp;
use crate::arch::s390x_sccb::LineEnds;

/// Its name.
pub fn name() -> &'static str {
    "sclp"
}

/// Writes all; `\n` goes out as `\r\n`.
pub fn write(bytes: &[u8]) {
    sclp::write(bytes, LineEnds::Terminal);
}

/// Writes all as it is.
pub fn write_raw(bytes: &[u8]) {
    sclp::write(bytes, LineEnds::AsTheyAre);
}

/// Takes what has arrived, at most the buffer's length; 0 if nothing.
pub fn read(buffer: &mut [u8]) -> usize {
    sclp::read(buffer)
}
