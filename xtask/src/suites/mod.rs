//! `run-qemu.sh test`: every check there is, as a list of suites.
//!
//! At most two suites run at a time, since two CPUs is what one may count on; a suite that needs
//! the machine for itself (four guest CPUs, or a clock) says so by its weight. One line a suite,
//! the last line is the sum. What a suite said in full is in `target/test/`.

mod clock;
mod damage;
mod demo;
mod endings;
mod host;
mod inputs;
mod latency;
mod matrix;
mod mistakes;
mod programs;
mod readers;
mod shell;
mod tally;
mod typing;

pub use tally::Tally;

use crate::guest::{self, Finished, Input, Manner, Patience};
use crate::kernel::{self, Profile};
use crate::machine::{Arch, Guest};
use crate::needs::{self, Purpose};
use crate::options::Test;
use crate::progress::{Progress, Task};
use crate::qemu::Qemu;
use crate::stop;
use crate::toolchain::Toolchain;
use crate::verdict::Verdict;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What all suites share.
pub struct Context {
    options: Test,
    toolchain: Toolchain,
    qemu: [Qemu; 2],
    progress: Progress,
    kernels: [[Mutex<Option<PathBuf>>; 2]; 2],
    programs: [Mutex<Option<PathBuf>>; 2],
}

impl Context {
    fn qemu(&self, arch: Arch) -> &Qemu {
        &self.qemu[arch as usize]
    }

    /// The kernel, built when somebody first asks.
    fn kernel(&self, arch: Arch, profile: Profile) -> anyhow::Result<PathBuf> {
        let mut built = lock(&self.kernels[arch as usize][profile as usize]);
        if let Some(path) = &*built {
            return Ok(path.clone());
        }
        let path = kernel::build(arch, profile, &self.toolchain, &self.progress)?;
        *built = Some(path.clone());
        Ok(path)
    }

    /// The test programs, built when somebody first asks.
    fn programs(&self, arch: Arch) -> anyhow::Result<PathBuf> {
        let mut built = lock(&self.programs[arch as usize]);
        if let Some(path) = &*built {
            return Ok(path.clone());
        }
        let path = crate::programs::build(arch, &self.toolchain, &self.progress)?;
        *built = Some(path.clone());
        Ok(path)
    }

    /// Boots a guest to its end and judges it, with KTAP results if `tests`. What it said goes into
    /// the log of `tally`.
    fn boot(
        &self,
        guest: &Guest,
        profile: Profile,
        patience: Patience,
        tests: bool,
        task: &Task,
        tally: &mut Tally,
    ) -> anyhow::Result<(Finished, Verdict)> {
        let kernel = self.kernel(guest.machine.arch(), profile)?;
        let qemu = self.qemu(guest.machine.arch());
        let arguments = guest.arguments(&kernel, qemu.version)?;
        tally.log(&format!("$ {} {}", qemu.path().display(), arguments.join(" ")));
        let manner = Manner { patience, input: Input::None, catch_signals: false };
        let finished = guest::run(qemu, &arguments, manner, |bytes| {
            if let Some(line) = String::from_utf8_lossy(bytes).lines().last() {
                task.at(line);
            }
            Ok(())
        })?;
        finished.console.lines().iter().for_each(|line| tally.log(line));
        tally.log(&finished.complaints);
        let verdict = crate::boot::judge(&finished, guest, qemu.version, tests)
            .map_err(|cut| stop::with(stop::INTERRUPTED, format!("{cut:?}")))?;
        tally.log(&format!("[status {} {}]", verdict.status, verdict.reason));
        Ok((finished, verdict))
    }
}

/// A lock whose holder panicked is a failed suite, not a reason to stop all others.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

type Work = Box<dyn FnOnce(&Context, &Task, &mut Tally) -> anyhow::Result<()> + Send>;

/// A list of checks with a name.
pub struct Suite {
    name: String,
    weight: usize,
    work: Work,
}

impl Suite {
    /// One that can run beside another.
    fn new(
        name: impl Into<String>,
        work: impl FnOnce(&Context, &Task, &mut Tally) -> anyhow::Result<()> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), weight: 1, work: Box::new(work) }
    }

    /// The same, but nothing runs beside it.
    fn alone(self) -> Self {
        Self { weight: CAPACITY, ..self }
    }
}

/// How much weight runs at a time.
const CAPACITY: usize = 2;

/// All suites, in the order in which they begin.
fn plan(options: &Test) -> Vec<Suite> {
    let mut all = Vec::new();
    all.extend(host::before());
    all.extend(host::suites());
    all.extend(mistakes::suites());
    all.extend(endings::suites(options.long));
    all.extend(inputs::suites());
    all.extend(typing::suites());
    all.extend(matrix::suites(options.long));
    all.extend(programs::suites(options));
    all.extend(readers::suites(options));
    all.extend(demo::suites(options));
    all.extend(latency::suites());
    all.extend(shell::suites(options));
    all.extend(clock::suites());
    if options.oracle {
        all.retain(|suite| suite.name.starts_with("programs"));
    }
    if let Some(text) = &options.only {
        all.retain(|suite| suite.name.contains(text.as_str()));
    }
    all
}

/// Runs everything; the result is the runner's exit status.
pub fn run(options: Test) -> anyhow::Result<u8> {
    let progress = Progress::new();
    needs::provide(Purpose::All, options.qemu.as_deref(), &progress)?;
    let suites = plan(&options);
    if suites.is_empty() {
        return Err(stop::usage("no suite's name contains that text"));
    }
    let folder = options.qemu.as_deref();
    let context = Context {
        toolchain: Toolchain::find()?,
        qemu: [Qemu::find(Arch::S390x, folder)?, Qemu::find(Arch::Ppc64, folder)?],
        progress,
        kernels: Default::default(),
        programs: Default::default(),
        options,
    };
    let width = suites.iter().map(|suite| suite.name.len()).max().unwrap_or(0);
    let queue = Queue::new(suites);
    let total = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..CAPACITY {
            scope.spawn(|| {
                while let Some(suite) = queue.take() {
                    let weight = suite.weight;
                    let tally = one(suite, &context, width);
                    lock(&total).add(&tally);
                    queue.give_back(weight);
                }
            });
        }
    });
    let total = lock(&total);
    context.progress.print(&total.closing_line());
    Ok(if total.failed > 0 || total.passed == 0 { stop::FAILED } else { stop::PASS })
}

/// Runs one suite and prints its line.
fn one(suite: Suite, context: &Context, width: usize) -> Tally {
    let task = context.progress.start(&suite.name);
    let mut tally = Tally::default();
    let work = std::panic::AssertUnwindSafe(|| (suite.work)(context, &task, &mut tally));
    match std::panic::catch_unwind(work) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tally.fail("the suite", &format!("{error:#}")),
        Err(_) => tally.fail("the suite", "the runner itself panicked"),
    }
    let log = tally.write_log(&suite.name);
    let mut text = format!(
        "{} {:<width$}  {:<22} {:6.1} s",
        if tally.failed > 0 { "FAILED" } else { "ok    " },
        suite.name,
        tally.counts(),
        task.elapsed().as_secs_f64(),
    );
    for line in tally.notes() {
        text.push_str(&format!("\n         {line}"));
    }
    if tally.failed > 0 {
        text.push_str(&format!("\n         all of it: {}", log.display()));
    }
    drop(task);
    context.progress.print(&text);
    tally
}

/// The suites that have not begun, and how much may run beside what runs.
struct Queue {
    state: Mutex<(VecDeque<Suite>, usize)>,
    changed: Condvar,
}

impl Queue {
    fn new(suites: Vec<Suite>) -> Self {
        Self { state: Mutex::new((suites.into(), CAPACITY)), changed: Condvar::new() }
    }

    /// The next suite, as soon as there is room for it. Strictly in order: a suite that wants to be
    /// alone is not overtaken for ever.
    fn take(&self) -> Option<Suite> {
        let mut state = lock(&self.state);
        loop {
            let weight = state.0.front()?.weight;
            if weight <= state.1 {
                state.1 -= weight;
                return state.0.pop_front();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn give_back(&self, weight: usize) {
        lock(&self.state).1 += weight;
        self.changed.notify_all();
    }
}

/// A word list as the kernel reads it.
fn words(all: &[&str]) -> String {
    all.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(name: &str) -> Suite {
        Suite::new(name, |_, _, _| Ok(()))
    }

    #[test]
    fn names_are_distinct() {
        let mut seen = std::collections::HashMap::new();
        for suite in plan(&Test { long: true, oracle: true, ..Test::default() }) {
            *seen.entry(suite.name).or_insert(0) += 1;
        }
        seen.retain(|_, count| *count > 1);
        assert!(seen.is_empty(), "{seen:?}");
    }

    #[test]
    fn a_suite_that_wants_to_be_alone_is_alone_and_not_overtaken() {
        let queue = Queue::new(vec![nothing("a"), nothing("b").alone(), nothing("c")]);
        assert_eq!(queue.take().map(|suite| suite.name).as_deref(), Some("a"));
        thread::scope(|scope| {
            let next = scope.spawn(|| queue.take().map(|suite| suite.name));
            // Nothing can be taken until `a` is given back, `c` neither.
            assert_eq!(lock(&queue.state).0.len(), 2);
            queue.give_back(1);
            assert_eq!(next.join().unwrap().as_deref(), Some("b"));
        });
        queue.give_back(CAPACITY);
        assert_eq!(queue.take().map(|suite| suite.name).as_deref(), Some("c"));
        assert!(queue.take().is_none());
    }
}
