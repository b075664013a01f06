//! Runs tests, each in a process and a process group of its own, and prints KTAP.
//!
//! The child's alarm bounds its time: the parent only waits, so that a kernel that can do little runs
//! this all the same.

use super::leaks::Level;
use super::{Failure, Suite, Test};

/// Seconds a test may take; the emulated machine of a busy host is slow.
const LIMIT: u32 = 60;
/// How often a test is run at most that seems to leave something behind: the first of a run may make this
/// program touch some pages of its own, one more each time.
const REPEATS: usize = 8;

/// What became of a test.
enum Result {
    Passed,
    Failed(String),
    Skipped(String),
}

/// Which tests.
pub struct Selection {
    /// `suite.test` with `*`.
    pub glob: String,
    /// Only their names.
    pub list: bool,
}

/// Runs what matches; the result is the program's exit status.
pub fn run(suites: &[Suite], selection: &Selection) -> i32 {
    let chosen: Vec<(&Suite, Vec<&Test>)> = suites
        .iter()
        .map(|suite| {
            let matches = |test: &&Test| glob(&selection.glob, &format!("{}.{}", suite.name, test.name));
            (suite, suite.tests.iter().filter(matches).collect::<Vec<_>>())
        })
        .filter(|(_, tests)| !tests.is_empty())
        .collect();
    if selection.list {
        chosen.iter().for_each(|(suite, tests)| {
            tests.iter().for_each(|test| println!("{}.{}", suite.name, test.name));
        });
        return 0;
    }
    // What this program itself touches for the first time is not the first test's.
    let nothing = Test { name: "nothing", run: || Ok(()) };
    for _ in 0..2 {
        if let Some(before) = Level::settled() {
            once(&nothing);
            let _ = before.comes_back();
        }
    }
    println!("KTAP version 1\n1..{}", chosen.len());
    let (mut pass, mut fail, mut skip) = (0, 0, 0);
    for (number, (suite, tests)) in chosen.iter().enumerate() {
        println!("    KTAP version 1\n    # Subtest: {}\n    1..{}", suite.name, tests.len());
        let failed_before = fail;
        for (number, test) in tests.iter().enumerate() {
            let number = number + 1;
            match once_or_more(test) {
                Result::Passed => {
                    println!("    ok {number} {}", test.name);
                    pass += 1;
                }
                Result::Skipped(why) => {
                    println!("    ok {number} {} # SKIP {why}", test.name);
                    skip += 1;
                }
                Result::Failed(why) => {
                    println!("    # {why}\n    not ok {number} {}", test.name);
                    fail += 1;
                }
            }
        }
        let not = if fail > failed_before { "not " } else { "" };
        println!("{not}ok {} {}", number + 1, suite.name);
    }
    println!("# Totals: pass:{pass} fail:{fail} skip:{skip}");
    i32::from(fail > 0 || pass == 0)
}

/// `*` stands for anything.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            (0..=text.len()).any(|skipped| text.get(skipped..).is_some_and(|text| glob(rest, text)))
        }),
    }
}

/// Runs a test, and again if it seems to leave something behind.
fn once_or_more(test: &Test) -> Result {
    for _ in 0..REPEATS {
        let before = Level::settled();
        let result = once(test);
        if !matches!(result, Result::Passed) {
            return result;
        }
        match before.as_ref().map(Level::comes_back) {
            None | Some(Ok(())) => return Result::Passed,
            Some(Err(what)) => {
                println!("    # {} left behind: {what}", test.name);
            }
        }
    }
    Result::Failed("leaves something behind each time it runs".into())
}

fn once(test: &Test) -> Result {
    let mut ends = [0; 2];
    // SAFETY: an array of two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Result::Failed("the runner: pipe2".into());
    }
    // SAFETY: this process has one thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: calls on this process itself.
        unsafe {
            libc::setpgid(0, 0);
            libc::alarm(LIMIT);
        }
        let (status, text) = match (test.run)() {
            Ok(()) => (0, String::new()),
            Err(Failure::Failed(text)) => (1, text),
            Err(Failure::Skipped(text)) => (2, text),
        };
        // SAFETY: the text is readable; the process ends without the runner's exit handlers.
        unsafe {
            libc::write(ends[1], text.as_ptr().cast(), text.len().min(4096));
            libc::_exit(status)
        }
    }
    let mut status = 0;
    // SAFETY: our own descriptors, our own child, and its group, which is empty or its children.
    let text = unsafe {
        libc::close(ends[1]);
        while pid > 0 && libc::waitpid(pid, &mut status, 0) == -1 && super::errno() == libc::EINTR {}
        if pid > 0 {
            libc::kill(-pid, libc::SIGKILL);
        }
        let mut text = vec![0_u8; 4096];
        let flags = libc::fcntl(ends[0], libc::F_GETFL);
        libc::fcntl(ends[0], libc::F_SETFL, flags | libc::O_NONBLOCK);
        let count = libc::read(ends[0], text.as_mut_ptr().cast(), text.len());
        libc::close(ends[0]);
        text.truncate(usize::try_from(count).unwrap_or(0));
        String::from_utf8_lossy(&text).replace('\n', " ")
    };
    if pid < 0 {
        return Result::Failed("the runner: fork".into());
    }
    match super::child::Status::new(status) {
        super::child::Status::Exited(0) => Result::Passed,
        super::child::Status::Exited(1) => Result::Failed(text),
        super::child::Status::Exited(2) => Result::Skipped(text),
        super::child::Status::Killed(libc::SIGALRM) => Result::Failed(format!("not done in {LIMIT} s")),
        other => Result::Failed(format!("the test's process: {other:?}")),
    }
}
