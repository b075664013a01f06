//! Log levels and names of subsystems: pure.

use log::LevelFilter;

/// Linux' default: everything but debug messages.
pub(super) const DEFAULT: u64 = 7;

/// What `loglevel=N` lets through: messages whose Linux level (error 3, warning 4, info 6, debug 7,
/// and 8 for trace, which Linux does not have) is below N.
pub const fn console_filter(loglevel: u64) -> LevelFilter {
    match loglevel {
        0..=3 => LevelFilter::Off,
        4 => LevelFilter::Error,
        5..=6 => LevelFilter::Warn,
        7 => LevelFilter::Info,
        8 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    }
}

/// Modules that only group others; the subsystem is the one within.
const GROUPS: [&str; 5] = ["arch", "current", "mm", "proc", "fs"];

/// The subsystem of a record: its target as given, or what of the module's path a reader wants to
/// know: `fallow::mm::frame::buddy` is `frame`.
pub(super) fn subsystem(target: &str) -> &str {
    let Some(path) = target.strip_prefix("fallow::") else { return target };
    let mut subsystem = path;
    for module in path.split("::") {
        subsystem = module;
        if !GROUPS.contains(&module) {
            break;
        }
    }
    subsystem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subsystems() {
        assert_eq!(subsystem("fallow::mm::frame::buddy"), "frame");
        assert_eq!(subsystem("fallow::arch::current::mmu::tables"), "mmu");
        assert_eq!(subsystem("fallow::rcu::gp"), "rcu");
        assert_eq!(subsystem("fallow::mm"), "mm");
        assert_eq!(subsystem("fallow"), "fallow");
        assert_eq!(subsystem("boot"), "boot");
    }

    #[test]
    fn levels_are_those_of_linux() {
        assert_eq!(console_filter(DEFAULT), LevelFilter::Info);
        assert_eq!(console_filter(4), LevelFilter::Error, "quiet");
        assert_eq!(console_filter(0), LevelFilter::Off);
        assert_eq!(console_filter(10), LevelFilter::Trace, "debug");
    }
}
