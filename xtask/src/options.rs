//! The command line. `xflags` splits it; what the words mean is checked here, so that every
//! mistake is answered in one line.

use crate::machine::{Arch, Guest, Machine};
use crate::{kernel::Profile, stop};
use std::ffi::OsString;
use std::path::PathBuf;

/// `run-qemu.sh --help`: one screen.
pub const HELP: &str = include_str!("../help.txt");

mod raw {
    use std::path::PathBuf;

    xflags::xflags! {
        cmd run-qemu {
            default cmd run {
                optional arch: String
                optional --machine m: String
                optional --cpus n: String
                optional --mem m: String
                optional --append words: String
                optional --initrd file: String
                optional --run command: String
                optional --test glob: String
                optional --linux
                optional --icount
                optional --gdb
                optional --release
                optional --checked
                optional --silence n: String
                optional --qemu dir: PathBuf
            }
            cmd test {
                optional --long
                optional --oracle
                optional --seconds n: String
                optional --only text: String
                optional --qemu dir: PathBuf
            }
            cmd costs {
                optional --linux
                optional --qemu dir: PathBuf
            }
            cmd compare {
                optional arch: String
                optional --seconds n: String
                optional --qemu dir: PathBuf
            }
            cmd doctor {
                optional --qemu dir: PathBuf
            }
        }
    }
}

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Print [`HELP`].
    Help,
    /// Build and boot.
    Boot(Boot),
    /// Run all tests.
    Test(Test),
    /// Count what the kernel's services cost.
    Costs {
        /// Linux' instead.
        linux: bool,
        /// Where another QEMU is.
        qemu: Option<PathBuf>,
    },
    /// Compare with Linux.
    Compare {
        /// On which architecture; `None`: on both.
        arch: Option<Arch>,
        /// How long each race runs.
        seconds: u64,
        /// Where another QEMU is.
        qemu: Option<PathBuf>,
    },
    /// Look at what is there.
    Doctor {
        /// Where another QEMU is.
        qemu: Option<PathBuf>,
    },
}

/// One boot.
#[derive(Debug)]
pub struct Boot {
    /// The guest; its command line is the user's words only.
    pub guest: Guest,
    /// The in-guest tests to run.
    pub tests: Option<String>,
    /// The command line to run in the guest.
    pub run: Option<String>,
    /// Boot Debian's Linux instead.
    pub linux: bool,
    /// Which kernel.
    pub profile: Profile,
    /// Seconds without output after which to give up; `None`: the default, scaled.
    pub silence: Option<u64>,
    /// Where another QEMU is.
    pub qemu: Option<PathBuf>,
}

/// The whole suite.
#[derive(Debug, Default)]
pub struct Test {
    /// The long versions.
    pub long: bool,
    /// Only the programs, on Linux as well, where they must say the same.
    pub oracle: bool,
    /// How long each torture test runs.
    pub seconds: Option<u64>,
    /// Only the suites whose name contains this.
    pub only: Option<String>,
    /// Where another QEMU is.
    pub qemu: Option<PathBuf>,
}

/// Reads the arguments (without the program's name).
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Command> {
    let arguments = arguments.into_iter().flat_map(split).collect();
    let flags = match raw::RunQemu::from_vec(arguments) {
        Ok(flags) => flags,
        Err(error) if error.is_help() => return Ok(Command::Help),
        Err(error) => return Err(stop::usage(format!("{error}; --help lists what there is"))),
    };
    Ok(match flags.subcommand {
        raw::RunQemuCmd::Run(run) => Command::Boot(boot(run)?),
        raw::RunQemuCmd::Costs(costs) => Command::Costs { linux: costs.linux, qemu: costs.qemu },
        raw::RunQemuCmd::Compare(compare) => Command::Compare {
            arch: match compare.arch {
                Some(name) => Some(Machine::choose(Some(&name), None)?.arch()),
                None => None,
            },
            seconds: compare.seconds.map_or(Ok(20), |text| number("--seconds", &text, 2, 86_400))?,
            qemu: compare.qemu,
        },
        raw::RunQemuCmd::Doctor(doctor) => Command::Doctor { qemu: doctor.qemu },
        raw::RunQemuCmd::Test(test) => Command::Test(Test {
            long: test.long,
            oracle: test.oracle,
            seconds: test.seconds.map(|text| number("--seconds", &text, 1, 86_400)).transpose()?,
            only: test.only,
            qemu: test.qemu,
        }),
    })
}

/// `--cpus=4` is `--cpus 4`, as people write it.
fn split(argument: OsString) -> Vec<OsString> {
    if let Some((name, value)) = argument.to_str().and_then(|text| text.split_once('='))
        && let Some(word) = name.strip_prefix("--")
        && !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    {
        return vec![name.into(), value.into()];
    }
    vec![argument]
}

fn boot(run: raw::Run) -> anyhow::Result<Boot> {
    let machine = Machine::choose(run.arch.as_deref(), run.machine.as_deref())?;
    let mut guest = Guest::new(machine);
    if run.run.is_some() && (run.test.is_some() || run.initrd.is_some()) {
        return Err(stop::usage("--run excludes --test and --initrd"));
    }
    if run.linux && (run.test.is_some() || run.release || run.checked) {
        return Err(stop::usage("--linux excludes --test, --release and --checked"));
    }
    if run.release && run.checked {
        return Err(stop::usage("--release and --checked exclude each other"));
    }
    if run.icount {
        guest.icount = true;
        guest.cpus = 1;
    }
    if let Some(text) = run.cpus {
        // More than the kernel's limit of 16 may be tried: it says so and goes on with 16.
        guest.cpus = u32::try_from(number("--cpus", &text, 1, 64)?).unwrap_or(u32::MAX);
        if run.icount && guest.cpus > 1 {
            return Err(stop::usage("--icount needs --cpus 1: two CPUs are not repeatable"));
        }
    }
    if let Some(text) = run.mem {
        guest.memory_mb = megabytes(&text)?;
    }
    if let Some(path) = run.initrd {
        if !std::path::Path::new(&path).is_file() {
            return Err(stop::usage(format!("--initrd: there is no file '{path}'")));
        }
        guest.initrd = Some(path);
    }
    if let Some(glob) = &run.test
        && (glob.is_empty() || glob.chars().any(|c| c.is_whitespace() || c == '"'))
    {
        return Err(stop::usage("--test wants one word: suite.test, with * and ?"));
    }
    guest.append = run.append.unwrap_or_default();
    guest.gdb = run.gdb.then_some(1234);
    let profile =
        if run.checked || (run.test.is_some() && !run.release) { Profile::Checked } else { Profile::Release };
    let silence = run.silence.map(|text| number("--silence", &text, 0, 86_400)).transpose()?;
    Ok(Boot { guest, tests: run.test, run: run.run, linux: run.linux, profile, silence, qemu: run.qemu })
}

fn number(option: &str, text: &str, least: u64, most: u64) -> anyhow::Result<u64> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| stop::usage(format!("{option} wants a number from {least} to {most}, not '{text}'")))
}

/// `64`, `64M`, `4G`.
fn megabytes(text: &str) -> anyhow::Result<u32> {
    let (digits, unit) = match text.to_ascii_uppercase() {
        upper if upper.ends_with('G') => (upper[..upper.len() - 1].to_owned(), 1024),
        upper if upper.ends_with('M') => (upper[..upper.len() - 1].to_owned(), 1),
        upper => (upper, 1),
    };
    digits
        .parse::<u32>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|megabytes| (1..=1024 * 1024).contains(megabytes))
        .ok_or_else(|| stop::usage(format!("--mem wants megabytes, or 64M, 4G, not '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect()
    }

    fn booted(line: &str) -> Boot {
        match parse(words(line)) {
            Ok(Command::Boot(boot)) => boot,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn refused(line: &str) -> String {
        let error = parse(words(line)).expect_err(line);
        let stop = error.downcast_ref::<stop::Stop>().expect("a Stop");
        assert_eq!(stop.status, stop::USAGE, "{line}");
        assert!(!stop.message.contains('\n'), "one line: {}", stop.message);
        stop.message.clone()
    }

    #[test]
    fn nothing_means_s390x_with_two_cpus() {
        let boot = booted("");
        assert_eq!(boot.guest.machine, Machine::S390x);
        assert_eq!((boot.guest.cpus, boot.guest.memory_mb), (2, 512));
        assert_eq!(boot.profile, Profile::Release);
    }

    #[test]
    fn options_are_read() {
        let boot = booted("ppc64 --machine pseries --cpus 4 --mem 4G --silence 7 --test rcu.*");
        assert_eq!(boot.guest.machine, Machine::Pseries);
        assert_eq!((boot.guest.cpus, boot.guest.memory_mb), (4, 4096));
        assert_eq!((boot.silence, boot.tests.as_deref()), (Some(7), Some("rcu.*")));
        assert_eq!(boot.profile, Profile::Checked);
        assert_eq!(booted("--cpus=3").guest.cpus, 3);
        assert_eq!(booted("--icount").guest.cpus, 1);
        assert_eq!(booted("--mem 64m").guest.memory_mb, 64);
        let all: Vec<OsString> = vec!["--append".into(), "quiet -- --x=1".into()];
        assert!(matches!(parse(all), Ok(Command::Boot(boot)) if boot.guest.append == "quiet -- --x=1"));
    }

    #[test]
    fn mistakes_are_answered_in_one_line() {
        for (line, part) in [
            ("arm64", "unknown architecture 'arm64'"),
            ("--machine q35", "unknown machine 'q35'"),
            ("s390x --machine powernv9", "powernv9 is no s390x machine"),
            ("--cpus zero", "--cpus wants a number"),
            ("--cpus 0", "--cpus wants a number"),
            ("--cpus -1", "--cpus wants a number"),
            ("--cpus", "--cpus"),
            ("--mem lots", "--mem wants megabytes"),
            ("--mem 0", "--mem wants megabytes"),
            ("--mem G", "--mem wants megabytes"),
            ("--mem 99999999G", "--mem wants megabytes"),
            ("--frobnicate", "--frobnicate"),
            ("s390x ppc64", "ppc64"),
            ("--run ls --test x", "--run excludes"),
            ("--linux --checked", "--linux excludes"),
            ("--initrd /nonexistent", "no file '/nonexistent'"),
            ("--icount --cpus 2", "--icount needs --cpus 1"),
            ("--release --checked", "exclude each other"),
            ("--silence soon", "--silence wants a number"),
            ("test --seconds 0", "--seconds wants a number"),
            ("test --cpus 2", "--cpus"),
            ("compare arm64", "unknown architecture 'arm64'"),
            ("compare --seconds 1", "--seconds wants a number from 2"),
        ] {
            let message = refused(line);
            assert!(message.contains(part), "{line}: {message}");
        }
    }

    #[test]
    fn help_fits_a_screen() {
        assert!(matches!(parse(words("--help")), Ok(Command::Help)));
        assert!(matches!(parse(words("ppc64 -h")), Ok(Command::Help)));
        assert!(HELP.lines().count() <= 34 && HELP.lines().all(|line| line.len() <= 100));
    }
}
