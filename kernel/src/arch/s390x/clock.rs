//! Conversions between the TOD clock's units and nanoseconds.
//!
//! Pure, compiled and tested on every host. Bit 51 of the clock counts microseconds (POP,
//! "Time-of-Day Clock"), so a unit is 1/4096 us = 125/512 ns. A product with 125 would overflow
//! after 417 days: the division comes first, and what it leaves over is converted by itself.

/// Nanoseconds in so many units, rounded down. Exact up to the whole range of the clock.
pub const fn nanoseconds(units: u64) -> u64 {
    (units >> 9) * 125 + (((units & 511) * 125) >> 9)
}

/// Units in so many nanoseconds, rounded up: `nanoseconds(units(t)) >= t`. Saturates.
pub const fn units(nanoseconds: u64) -> u64 {
    let whole = (nanoseconds / 125).saturating_mul(512);
    whole.saturating_add(((nanoseconds % 125) * 512).div_ceil(125))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        assert_eq!(nanoseconds(4096), 1_000);
        assert_eq!(nanoseconds(4_096_000_000), 1_000_000_000);
        assert_eq!(nanoseconds(1), 0);
        assert_eq!(nanoseconds(5), 1);
        assert_eq!(units(1), 5);
        assert_eq!(units(1_000_000), 4_096_000);
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(nanoseconds(u64::MAX), ((u128::from(u64::MAX) * 125) >> 9) as u64);
        assert_eq!(units(u64::MAX), u64::MAX);
        assert_eq!(units(0), 0);
    }

    #[test]
    fn a_deadline_is_never_early() {
        let mut n = 1u64;
        for i in 0..10_000u64 {
            n = n.wrapping_mul(6364136223846793005).wrapping_add(i) >> (i % 12 + 3);
            assert!(nanoseconds(units(n)) >= n, "{n}");
            assert!(nanoseconds(units(n)) <= n + 1, "{n}");
            assert_eq!(nanoseconds(n), ((u128::from(n) * 125) >> 9) as u64);
        }
    }
}
