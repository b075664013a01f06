//! Which tests run: `kunit.filter_glob=suite[.test]`.

use super::{Suite, Test};

/// A pattern for tests; `*` is any text, `?` any one character. Without a dot it is a suite's.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    suite: &'a [u8],
    test: &'a [u8],
}

impl<'a> Filter<'a> {
    /// All but those that run only by name.
    pub const ALL: Filter<'static> = Filter { suite: b"*", test: b"*" };

    /// The filter with this pattern.
    pub fn new(pattern: &'a [u8]) -> Self {
        match pattern.iter().position(|&byte| byte == b'.') {
            Some(dot) => Self { suite: &pattern[..dot], test: &pattern[dot + 1..] },
            None => Self { suite: pattern, test: b"*" },
        }
    }

    /// Whether the test runs.
    pub fn takes(&self, suite: &Suite, test: &Test) -> bool {
        if test.only_by_name {
            return self.suite == suite.name.as_bytes() && self.test == test.name.as_bytes();
        }
        matches(self.suite, suite.name.as_bytes()) && matches(self.test, test.name.as_bytes())
    }
}

/// Glob match in steps bounded by the product of the lengths: only the last `*` is tried again,
/// since an earlier one that takes more cannot help.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((star_p, star_t)) = star else { return false };
                star = Some((star_p, star_t + 1));
                p = star_p + 1;
                t = star_t + 1;
            }
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn globs() {
        for (pattern, text, want) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("*a*b", "xaxbxab", true),
            ("?", "", false),
            ("??*", "ab", true),
            ("timer", "timers", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), want, "{pattern} {text}");
        }
    }

    /// The definition, recursive.
    fn slow(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            Some((&byte, rest)) => text
                .split_first()
                .is_some_and(|(&first, tail)| (byte == b'?' || byte == first) && slow(rest, tail)),
        }
    }

    proptest! {
        #[test]
        fn the_fast_match_is_the_definition(pattern in "[ab?*]{0,8}", text in "[ab]{0,8}") {
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), slow(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
