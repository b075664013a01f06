//! Standard output.

use std::io::Write;

/// Its name.
pub fn name() -> &'static str {
    "stdout"
}
/// Writes to standard output; errors are the reader's affair.
pub fn write(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}
/// The same.
pub fn write_raw(bytes: &[u8]) {
    write(bytes);
}
/// No input.
pub fn read(_buffer: &mut [u8]) -> usize {
    0
}
