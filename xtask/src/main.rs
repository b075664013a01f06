//! Builds, boots and tests the kernel: what `run-qemu.sh` hands over to.
//!
//! `options` reads the command line; `needs`, `toolchain` and `qemu` find the tools; `kernel` and
//! `symbols` build; `debian`, `programs` and `userland` make the initial RAM disk (`cpio`); `machine`
//! writes QEMU's command line; `guest` runs it; `console`, `command` and `ktap` read what the guest
//! says, `verdict` judges it; `boot` and `suites` put these together.

mod boot;
mod command;
mod compare;
mod console;
mod costs;
mod cpio;
mod cputime;
mod debian;
mod firmware;
mod guest;
mod kernel;
mod ktap;
mod machine;
mod needs;
mod options;
mod programs;
mod progress;
mod qemu;
mod stop;
mod suites;
mod symbols;
mod terminal;
mod toolchain;
mod userland;
mod verdict;

use options::Command;
use std::process::ExitCode;

fn main() -> ExitCode {
    match work() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let status = match error.downcast_ref::<stop::Stop>() {
                Some(stop) => {
                    if !stop.message.is_empty() {
                        eprintln!("run-qemu.sh: {}", stop.message);
                    }
                    stop.status
                }
                None => {
                    eprintln!("run-qemu.sh: {error:#}");
                    stop::USAGE
                }
            };
            ExitCode::from(status)
        }
    }
}

fn work() -> anyhow::Result<u8> {
    match options::parse(std::env::args_os().skip(1))? {
        Command::Help => {
            print!("{}", options::HELP);
            Ok(stop::PASS)
        }
        Command::Compare { arch, seconds, qemu } => compare::compare(arch, seconds, qemu.as_deref()),
        Command::Doctor { qemu } => needs::doctor(qemu.as_deref()),
        Command::Boot(boot) => boot::boot(boot),
        Command::Costs { linux, qemu } => costs::costs(linux, qemu.as_deref()),
        Command::Test(test) => suites::run(test),
    }
}
