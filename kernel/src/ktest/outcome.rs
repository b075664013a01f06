//! How a test ends.

use arrayvec::ArrayString;
use core::fmt::{self, Write};
use core::panic::Location;

/// Why a test ended before its end.
#[derive(Clone, Debug)]
pub enum Stop {
    /// A check failed.
    Failed {
        /// Where.
        at: &'static Location<'static>,
        /// What was wrong, cut to what fits.
        why: ArrayString<104>,
    },
    /// This machine cannot run it; why not.
    Skipped(&'static str),
}

/// A test's result.
pub type Outcome = Result<(), Stop>;

/// The end of a test whose check failed: for the `check!` macros.
#[track_caller]
pub fn failed(why: fmt::Arguments<'_>) -> Stop {
    let mut text = Cut(ArrayString::new());
    // `Cut` takes everything; a `Display` that refuses leaves what it wrote.
    let _ = text.write_fmt(why);
    Stop::Failed { at: Location::caller(), why: text.0 }
}

/// Takes what fits and drops the rest.
struct Cut(ArrayString<104>);

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut len = text.len().min(self.0.remaining_capacity());
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.0.push_str(&text[..len]);
        Ok(())
    }
}
