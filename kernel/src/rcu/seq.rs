//! The number of a grace period, and how two of them compare.
//!
//! One word counts: even while no grace period runs, odd while one does. Beginning one adds one,
//! ending it adds one. The counter wraps (H41), so numbers are compared by the sign of their
//! difference, which is right as long as fewer than 2^63 steps lie between them: at a grace period
//! a microsecond, 146,000 years. It starts just before the wrap, so every run of every test crosses
//! it.

/// A value of the counter, or one that it will have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seq(usize);

impl Seq {
    /// Where the counter starts: the wrap comes after 100 grace periods.
    pub const START: Self = Self(0_usize.wrapping_sub(200));

    /// From a raw word.
    pub const fn from_raw(raw: usize) -> Self {
        Self(raw)
    }
    /// The raw word.
    pub const fn raw(self) -> usize {
        self.0
    }
    /// Whether a grace period runs while the counter has this value.
    pub const fn in_progress(self) -> bool {
        self.0 & 1 == 1
    }
    /// The next value.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
    /// The value at which a grace period that begins *after* now has ended. One that runs already
    /// does not count: what we removed a moment ago, a reader may have found after it began (H35).
    #[must_use]
    pub const fn after_a_full_one(self) -> Self {
        Self(self.0.wrapping_add(3) & !1)
    }
    /// Whether the counter, being `self`, has arrived at `goal` or passed it.
    pub const fn has_reached(self, goal: Self) -> bool {
        self.0.wrapping_sub(goal.0).cast_signed() >= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_runs_does_not_count() {
        for start in [0, 2, Seq::START.0, usize::MAX - 1, usize::MAX - 3, usize::MAX / 2 - 1] {
            let idle = Seq(start & !1);
            let goal = idle.after_a_full_one();
            assert_eq!(goal, idle.next().next(), "idle: the next one is enough");
            let running = idle.next();
            assert!(running.in_progress() && !idle.in_progress());
            assert_eq!(
                running.after_a_full_one(),
                running.next().next().next(),
                "the running one's successor"
            );
            assert!(!running.has_reached(goal) && !idle.has_reached(goal));
            assert!(goal.has_reached(goal) && goal.next().has_reached(goal));
        }
    }

    #[test]
    fn the_first_grace_periods_cross_the_wrap() {
        let (mut seq, goal) = (Seq::START, Seq::START.after_a_full_one());
        for _ in 0..1_000 {
            seq = seq.next().next();
            assert!(seq.has_reached(goal));
            assert!(!goal.has_reached(seq.next()));
        }
        assert!(seq.raw() < Seq::START.raw(), "it wrapped");
    }
}
