//! Ticks of the time base and nanoseconds: pure, compiled and tested on every host.
//!
//! Ticks become nanoseconds by a multiplication with a 32.32 fixed-point factor, made once: 125/64 at
//! 512 MHz, exactly. The product has 128 bits, so nothing overflows in 500 years, and no division is
//! done where time is read.

/// Factors between ticks and nanoseconds, with 32 fractional bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// Nanoseconds a tick, rounded down.
    pub ns_per_tick: u64,
    /// Ticks a nanosecond, rounded up.
    pub ticks_per_ns: u64,
}

impl Scale {
    /// For so many ticks a second, 1 MHz or more.
    pub const fn new(hertz: u64) -> Self {
        let ticks_per_ns = ((hertz as u128) << 32).div_ceil(1_000_000_000);
        Self { ns_per_tick: (1_000_000_000 << 32) / hertz, ticks_per_ns: ticks_per_ns as u64 }
    }
}

/// `value * factor`, where the factor has 32 fractional bits; saturates.
pub const fn scale(value: u64, factor: u64) -> u64 {
    let product = (value as u128 * factor as u128) >> 32;
    if product > u64::MAX as u128 { u64::MAX } else { product as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: u64 = 365 * 86_400 * 1_000_000_000;

    #[test]
    fn exact_at_512_mhz() {
        let Scale { ns_per_tick, .. } = Scale::new(512_000_000);
        assert_eq!(scale(64, ns_per_tick), 125);
        assert_eq!(scale(512_000_000 * 3600, ns_per_tick), 3600 * 1_000_000_000);
        assert_eq!(scale(512_000_000 * 86_400 * 365 * 300, ns_per_tick), 300 * YEAR);
    }

    /// The two factors are rounded apart, so a deadline may be met a little early by the other's
    /// count. (That is why the timer looks at the clock again when the decrementer has run down.)
    #[test]
    fn there_and_back() {
        for hertz in [1_000_000, 25_000_000, 333_333_333, 512_000_000, 1_000_000_000, 3_999_999_999] {
            let Scale { ns_per_tick, ticks_per_ns } = Scale::new(hertz);
            for ns in [0, 1, 2, 999, 1_000_000, 123_456_789, 4_000_000_000] {
                let back = scale(scale(ns, ticks_per_ns) + 1, ns_per_tick);
                assert!(back + 4 >= ns, "{hertz} Hz: {back} for {ns} ns");
                assert!(back <= ns + 4 + 2_000_000_000 / hertz, "{hertz} Hz: {back} for {ns} ns");
            }
        }
    }

    #[test]
    fn never_is_never() {
        assert_eq!(scale(u64::MAX, u64::MAX), u64::MAX);
    }
}
