//! Runs the tools that take their time (cargo, apt), and shows that something happens.
//!
//! On a terminal: one line that moves, with what the tool is at. In a pipe: one line when it ends.
//! The tool's full output is shown only if it fails.

use anyhow::Context;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Where progress goes: standard error, so that standard output is the guest's.
#[derive(Clone)]
pub struct Progress {
    bars: MultiProgress,
    moving: bool,
}

impl Progress {
    /// Looks whether anybody watches.
    pub fn new() -> Self {
        Self { bars: MultiProgress::new(), moving: std::io::stderr().is_terminal() }
    }

    /// A line for something that has begun.
    pub fn start(&self, name: &str) -> Task {
        let bar = self.moving.then(|| {
            let bar = self.bars.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix}  {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(name.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Task { bar, since: Instant::now() }
    }

    /// Prints a line above the moving ones, to standard output.
    pub fn print(&self, line: &str) {
        self.bars.suspend(|| println!("{line}"));
    }

    /// Prints a line above the moving ones, to standard error.
    pub fn note(&self, line: &str) {
        self.bars.suspend(|| eprintln!("{line}"));
    }
}

/// Something under way; its moving line goes when this is dropped.
pub struct Task {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Task {
    /// Says what it is at.
    pub fn at(&self, what: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.trim().to_owned());
        }
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A tool's end.
pub struct Output {
    /// Whether its status was 0.
    pub success: bool,
    /// All it said, both channels.
    pub text: String,
}

/// Runs a tool, shows its last line as the task's state, keeps all it says.
pub fn run(command: &mut Command, task: &Task) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| name.clone())?;
    // The command holds the pipe's other end: as long as it does, the pipe has no end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut text = String::new();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let words = String::from_utf8_lossy(&line);
        task.at(&words);
        if task.bar.is_none() && words.contains("Blocking waiting for file lock") {
            eprintln!("another cargo builds in this folder; waiting for it");
        }
        text.push_str(&words);
        line.clear();
    }
    Ok(Output { success: child.wait()?.success(), text })
}
