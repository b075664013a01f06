//! Numbers on the command line. No overflow goes unnoticed: a value that does not fit is bad.

/// Decimal, or hexadecimal behind `0x`.
pub(super) fn number(text: &[u8]) -> Option<u64> {
    let (digits, radix) = match text {
        [b'0', b'x' | b'X', hex @ ..] => (hex, 16),
        _ => (text, 10),
    };
    // `from_str_radix` would take a sign.
    if !digits.first()?.is_ascii_hexdigit() {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(digits).ok()?, radix).ok()
}

/// A number with an optional suffix: bytes in powers of 1024.
pub(super) fn size(text: &[u8]) -> Option<u64> {
    let (&last, digits) = text.split_last()?;
    let shift = match last {
        b'K' | b'k' => 10,
        b'M' | b'm' => 20,
        b'G' | b'g' => 30,
        b'T' | b't' => 40,
        _ => return number(text),
    };
    number(digits)?.checked_mul(1 << shift)
}
