//! What programs may expect of the kernel, tested from within: one program, which runs on Fallow and
//! on Linux. A test that Linux fails is a wrong test.
//!
//! `guest-tests [GLOB]` runs the tests that match `suite.test` and prints KTAP; `--list` names them.
//! What else it can do: `storm KIND SECONDS`, `consistency SECONDS` (readers of smaps against everything
//! that changes it), `costs`, `race SECONDS READERS`, `fields` (all that /proc tells of mappings), `boot` as
//! the first program of a machine; and `role NAME ...` is what tests execute.

mod clock;
mod consistency;
mod costs;
mod fields;
mod harness;
mod race;
mod roles;
#[expect(dead_code, reason = "what the demo alone uses of its file")]
#[path = "bin/demo/smaps.rs"]
mod smaps;
mod storm;
mod suites;

use harness::runner::{self, Selection};

fn main() {
    let began = clock::since_start();
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // Rust's runtime handles these two itself; the tests want what the kernel does.
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGPIPE] {
        // SAFETY: SIG_DFL is no function.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let status = match words.as_slice() {
        ["role", name, rest @ ..] => roles::play(name, rest),
        ["consistency", seconds] => consistency::main(seconds.parse().unwrap_or(10)),
        ["fields"] => fields::run(),
        ["costs"] => costs::run(false),
        ["costs", "smaps"] => costs::run(true),
        ["latency"] => costs::latency::run(),
        ["boot"] => costs::boot(began),
        ["race", seconds, readers] => race::run(seconds.parse().unwrap_or(1), readers.parse().unwrap_or(1)),
        ["storm", kind, seconds] => storm::run(kind, seconds.parse().unwrap_or(1)),
        ["--list"] => runner::run(suites::ALL, &Selection { glob: "*".into(), list: true }),
        [] => runner::run(suites::ALL, &Selection { glob: "*".into(), list: false }),
        [glob] => runner::run(suites::ALL, &Selection { glob: (*glob).into(), list: false }),
        _ => {
            eprintln!(
                "guest-tests [--list | GLOB | costs [smaps] | latency | fields | consistency SECONDS | \
                 storm KIND SECONDS | race SECONDS READERS]"
            );
            2
        }
    };
    std::process::exit(status);
}
