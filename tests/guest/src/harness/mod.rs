//! What tests are written with.
//!
//! A test is a function that returns why it failed; `sys!`, `fails!`, `check!` and `equal!` return
//! from it with the line they stand in. Each runs in a process of its own (see [`runner`]), so it may
//! leave behind whatever it likes, except for children in other process groups.

pub mod child;
pub mod leaks;
pub mod memory;
pub mod runner;

use std::panic::Location;

/// Why a test did not pass.
#[derive(Debug)]
pub enum Failure {
    /// The kernel did something else than it should.
    Failed(String),
    /// The test needs what is not there.
    Skipped(String),
}

/// What a test returns.
pub type Outcome = Result<(), Failure>;

/// A test and its name.
pub struct Test {
    /// Its function's name.
    pub name: &'static str,
    /// The function.
    pub run: fn() -> Outcome,
}

/// Tests of one topic.
pub struct Suite {
    /// The module's name.
    pub name: &'static str,
    /// In the order in which they run.
    pub tests: &'static [Test],
}

impl Failure {
    /// A failure at the caller's line.
    #[track_caller]
    pub fn new(what: impl AsRef<str>) -> Self {
        let place = Location::caller();
        Self::Failed(format!("{}:{}: {}", place.file(), place.line(), what.as_ref()))
    }
}

/// The errno of the last call that failed.
pub fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// `ENOENT` and so on, for messages.
pub fn errno_text(number: i32) -> String {
    std::io::Error::from_raw_os_error(number).to_string()
}

/// The result of a call that must succeed.
#[track_caller]
pub fn call(value: i64, what: &str) -> Result<i64, Failure> {
    match value {
        -1 => Err(Failure::new(format!("{what}: {}", errno_text(errno())))),
        value => Ok(value),
    }
}

/// A call that must fail in this way.
#[track_caller]
pub fn failed(value: i64, wanted: i32, what: &str) -> Outcome {
    match (value, errno()) {
        (-1, number) if number == wanted => Ok(()),
        (-1, number) => {
            Err(Failure::new(format!("{what}: {} instead of {}", errno_text(number), errno_text(wanted))))
        }
        (value, _) => Err(Failure::new(format!("{what} = {value} instead of {}", errno_text(wanted)))),
    }
}

/// A call of the C library that must succeed; gives its result as `i64`.
#[macro_export]
macro_rules! sys {
    ($name:ident($($argument:expr),* $(,)?)) => {
        $crate::harness::call(
            // SAFETY: a test's call on the test's own process; whether its arguments are good is
            // what the test is about.
            #[allow(unused_unsafe)]
            unsafe { libc::$name($($argument),*) as i64 },
            concat!(stringify!($name), "(", stringify!($($argument),*), ")"),
        )?
    };
}

/// A system call by its number that must succeed; gives its result.
#[macro_export]
macro_rules! raw {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        $crate::harness::call(
            // SAFETY: as in `sys`.
            #[allow(unused_unsafe)]
            unsafe { libc::syscall(libc::$number $(, $argument as i64)*) },
            concat!(stringify!($number), "(", stringify!($($argument),*), ")"),
        )?
    };
}

/// A call of the C library that must fail with this errno.
#[macro_export]
macro_rules! fails {
    ($errno:ident, $name:ident($($argument:expr),* $(,)?)) => {
        $crate::harness::failed(
            // SAFETY: as in `sys`.
            #[allow(unused_unsafe)]
            unsafe { libc::$name($($argument),*) as i64 },
            libc::$errno,
            concat!(stringify!($name), "(", stringify!($($argument),*), ")"),
        )?
    };
}

/// A system call by its number that must fail with this errno.
#[macro_export]
macro_rules! raw_fails {
    ($errno:ident, $number:ident $(, $argument:expr)* $(,)?) => {
        $crate::harness::failed(
            // SAFETY: as in `sys`.
            #[allow(unused_unsafe)]
            unsafe { libc::syscall(libc::$number $(, $argument as i64)*) },
            libc::$errno,
            concat!(stringify!($number), "(", stringify!($($argument),*), ")"),
        )?
    };
}

/// Must hold.
#[macro_export]
macro_rules! check {
    ($condition:expr) => {
        $crate::check!($condition, "does not hold: {}", stringify!($condition))
    };
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err($crate::harness::Failure::new(format!($($words)+)));
        }
    };
}

/// Must be the same.
#[macro_export]
macro_rules! equal {
    ($left:expr, $right:expr) => {
        match (&$left, &$right) {
            (left, right) => $crate::check!(
                *left == *right,
                "{} is {:?}, {} is {:?}",
                stringify!($left),
                left,
                stringify!($right),
                right
            ),
        }
    };
}

/// The tests of a module, by their functions' names.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        /// In the order in which they run.
        pub const TESTS: &[$crate::harness::Test] =
            &[$($crate::harness::Test { name: stringify!($name), run: $name }),*];
    };
}

/// A path as C wants it.
pub fn c(text: &str) -> std::ffi::CString {
    std::ffi::CString::new(text).unwrap_or_default()
}

/// The path of this program in the initial RAM disk.
pub const SELF: &str = "/bin/guest-tests";

/// Whether this is Linux, the oracle: it has no page-table files of ours.
pub fn on_linux() -> bool {
    !std::path::Path::new("/sys/kernel/mm/pgtable").exists()
}

/// A folder of its own for a test, which goes with everything in it.
pub struct Folder(pub String);

impl Folder {
    /// Makes one in /tmp.
    pub fn new(name: &str) -> Result<Self, Failure> {
        let path = format!("/tmp/{name}.{}", std::process::id());
        std::fs::create_dir(&path).map_err(|error| Failure::new(format!("{path}: {error}")))?;
        Ok(Self(path))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// The same for C.
    pub fn c(&self, name: &str) -> std::ffi::CString {
        c(&self.path(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl From<std::io::Error> for Failure {
    #[track_caller]
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}
