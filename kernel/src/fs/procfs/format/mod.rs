//! What files of `/proc` look like, to the letter as Linux prints them: values in, text out.
//!
//! Each is tested against what Linux 6.1 printed on these machines.

pub mod limits;
pub mod maps;
pub mod memory;
pub mod page_tables;
pub mod stat;
pub mod status;
pub mod system;

/// Clock ticks of a second: what `/proc` counts times in (`sysconf(_SC_CLK_TCK)`).
pub const TICKS: u64 = 100;

/// Nanoseconds, in clock ticks.
pub const fn ticks(nanoseconds: u64) -> u64 {
    nanoseconds / (1_000_000_000 / TICKS)
}
