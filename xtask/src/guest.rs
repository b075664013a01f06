//! One run of QEMU: starts it, carries bytes both ways, watches that there is progress, and leaves
//! nothing behind.
//!
//! Progress is output. A limit on the whole run's time was rejected: the host may be busy and a
//! torture test may be long, but a guest that has said nothing for a minute is stuck either way.
//!
//! QEMU is killed by the host's kernel when the thread that started it ends, however that happens.
//! It runs in a process group of its own, so a terminal's Ctrl-C reaches the runner only.

use crate::console::Console;
use crate::qemu::Qemu;
use crate::terminal::{Key, Keys};
use crate::verdict::End;
use anyhow::Context;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// Seconds of silence that end a run, before scaling.
const SILENCE: u64 = 60;
/// Seconds that QEMU has to end after the guest's last line, before scaling.
const LINGER: u64 = 20;

/// When to give a guest up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// After a minute without output, longer on a busy host.
    Scaled,
    /// After exactly that many seconds without output.
    Seconds(u64),
    /// Scaled until the guest has booted, then never: a person sits before it.
    UntilBooted,
    /// Never.
    Endless,
}

/// What goes into the guest's console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// Nothing.
    None,
    /// These keys, all at once, when the guest has booted.
    Typed(&'static str),
    /// A conversation: each part's keys are typed when its words have been heard, after those of
    /// the part before.
    Dialogue(&'static [(&'static str, &'static str)]),
    /// What the runner's own standard input gives.
    Inherit,
    /// Keys from a raw terminal; whether Ctrl-C is one of the guest's.
    Terminal {
        /// Else it ends the run.
        interrupt_is_guests: bool,
    },
}

/// Why a run was cut short by somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// Ctrl-A x.
    Left,
    /// Ctrl-C, or another signal that says stop.
    Interrupted,
    /// Nobody reads the output any more.
    Closed,
}

/// What there is to know when QEMU is gone.
#[derive(Debug)]
pub struct Finished {
    /// How it ended; `Err` if somebody cut it short.
    pub end: Result<End, Cut>,
    /// What the guest said.
    pub console: Console,
    /// What QEMU said.
    pub complaints: String,
    /// From QEMU's start to the last boot line.
    pub boot_time: Option<Duration>,
    /// From QEMU's start to its end.
    pub time: Duration,
}

enum Event {
    Output(Vec<u8>),
    Complaint(Vec<u8>),
    OutputClosed,
    Cut(Cut),
}

/// How to run a guest.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// When to give it up.
    pub patience: Patience,
    /// What it hears.
    pub input: Input,
    /// Whether Ctrl-C and its like end this run in good order, instead of the whole runner at once.
    pub catch_signals: bool,
}

/// Runs QEMU with these arguments to its end. `show` gets the guest's output as it comes; an error
/// means that nobody reads it.
pub fn run(
    qemu: &Qemu,
    arguments: &[String],
    manner: Manner,
    mut show: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> anyhow::Result<Finished> {
    let Manner { patience, input, catch_signals } = manner;
    let mut command = qemu.command();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(match input {
        Input::None => Stdio::null(),
        Input::Inherit => Stdio::inherit(),
        Input::Typed(_) | Input::Dialogue(_) | Input::Terminal { .. } => Stdio::piped(),
    });
    let start = Instant::now();
    let mut child = Killed(spawn(&mut command).with_context(|| format!("{}", qemu.path().display()))?);
    let (sender, events) = mpsc::channel();
    let readers = [
        child
            .0
            .stdout
            .take()
            .map(|pipe| forward(pipe, sender.clone(), Event::Output, Some(Event::OutputClosed))),
        child.0.stderr.take().map(|pipe| forward(pipe, sender.clone(), Event::Complaint, None)),
    ];
    if let Input::Terminal { interrupt_is_guests } = input
        && let Some(pipe) = child.0.stdin.take()
    {
        type_into(pipe, interrupt_is_guests, sender.clone());
    }
    if catch_signals {
        interrupts(sender.clone())?;
    }
    drop(sender);

    let mut run = Finished {
        end: Ok(End::Exited(0)),
        console: Console::default(),
        complaints: String::new(),
        boot_time: None,
        time: Duration::ZERO,
    };
    let typing = match input {
        Input::Typed(keys) => Typing::Booted(keys),
        Input::Dialogue(parts) => Typing::Dialogue(Dialogue { parts, heard: Vec::new() }),
        _ => Typing::Nothing,
    };
    let mut typing = (typing, child.0.stdin.take());
    let ended = run.watch(&events, patience, start, &mut typing, &mut show);
    if ended.is_some() {
        child.0.kill()?;
    }
    let status = child.0.wait()?;
    // QEMU is gone, so its pipes come to their ends: take what is still in them.
    readers.into_iter().flatten().for_each(|reader| drop(reader.join()));
    while let Ok(event) = events.try_recv() {
        // The verdict stands; a reader that is gone now changes nothing.
        let _ = run.take(event, start, &mut show);
    }
    run.console.close();
    run.time = start.elapsed();
    run.end = match (ended, status.code(), status.signal()) {
        (Some(end), _, _) => end,
        (None, Some(code), _) => Ok(End::Exited(code)),
        (None, None, signal) => Ok(End::Crashed(signal.unwrap_or(0))),
    };
    Ok(run)
}

impl Finished {
    /// Takes events until QEMU closes its output (`None`) or there is a reason to end it.
    fn watch(
        &mut self,
        events: &Receiver<Event>,
        patience: Patience,
        start: Instant,
        typing: &mut (Typing, Option<ChildStdin>),
        show: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Option<Result<End, Cut>> {
        let mut last = Instant::now();
        loop {
            let limit = self.limit(patience);
            let left = limit.map_or(Duration::from_secs(3600), |limit| limit.saturating_sub(last.elapsed()));
            match events.recv_timeout(left) {
                Ok(Event::OutputClosed) | Err(RecvTimeoutError::Disconnected) => return None,
                Ok(Event::Cut(cut)) => return Some(Err(cut)),
                Ok(event) => {
                    last = Instant::now();
                    if let (Event::Output(bytes), Typing::Dialogue(dialogue)) = (&event, &mut typing.0) {
                        let keys = dialogue.hear(bytes);
                        if let Some(pipe) = &mut typing.1 {
                            // A guest that is gone hears nothing, and its end tells.
                            let _ = pipe.write_all(&keys).and_then(|()| pipe.flush());
                        }
                    }
                    if self.take(event, start, show).is_err() {
                        return Some(Err(Cut::Closed));
                    }
                    if self.boot_time.is_some()
                        && let Typing::Booted(keys) = typing.0
                        && let Some(pipe) = &mut typing.1
                    {
                        let _ = pipe.write_all(keys.as_bytes());
                        typing.0 = Typing::Nothing;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    // The host may have become busier meanwhile: ask again.
                    if let Some(limit) = self.limit(patience)
                        && last.elapsed() >= limit
                    {
                        return Some(Ok(End::Silent(last.elapsed().as_secs())));
                    }
                }
            }
        }
    }

    /// How long silence may last now.
    fn limit(&self, patience: Patience) -> Option<Duration> {
        let seconds = match patience {
            Patience::Seconds(seconds) => return Some(Duration::from_secs(seconds)),
            Patience::Endless => return None,
            Patience::UntilBooted if self.boot_time.is_some() && self.console.exit_status.is_none() => {
                return None;
            }
            Patience::Scaled | Patience::UntilBooted => {
                if self.console.exit_status.is_some() {
                    LINGER
                } else {
                    SILENCE
                }
            }
        };
        Some(Duration::from_secs_f64(seconds as f64 * host_load()))
    }

    fn take(
        &mut self,
        event: Event,
        start: Instant,
        show: &mut impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        match event {
            Event::Output(bytes) => {
                self.console.push(&bytes);
                if self.console.boot_ns.is_some() && self.boot_time.is_none() {
                    self.boot_time = Some(start.elapsed());
                }
                show(&bytes)
            }
            Event::Complaint(bytes) => {
                self.complaints.push_str(&String::from_utf8_lossy(&bytes));
                Ok(())
            }
            Event::OutputClosed | Event::Cut(_) => Ok(()),
        }
    }
}

/// What is still to be typed.
enum Typing {
    Nothing,
    /// These keys, when the guest has booted.
    Booted(&'static str),
    /// See [`Input::Dialogue`].
    Dialogue(Dialogue),
}

/// A conversation and what was heard since its last part.
struct Dialogue {
    parts: &'static [(&'static str, &'static str)],
    heard: Vec<u8>,
}

impl Dialogue {
    /// Hears bytes; gives the keys to type now.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut keys = Vec::new();
        for &byte in bytes {
            self.heard.push(byte);
            if let Some((words, answer)) = self.parts.first()
                && self.heard.ends_with(words.as_bytes())
            {
                keys.extend_from_slice(answer.as_bytes());
                self.parts = &self.parts[1..];
                self.heard.clear();
            }
        }
        keys
    }
}

/// Processes that want a CPU for each CPU there is, at least 1: how much longer all things take.
fn host_load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(1.0);
    let cpus = thread::available_parallelism().map_or(1, usize::from) as f64;
    f64::max(load / cpus, 1.0)
}

/// QEMU, which does not outlive this.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Already gone is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process that dies with this thread.
fn spawn(command: &mut Command) -> std::io::Result<Child> {
    command.process_group(0);
    // SAFETY: between fork and exec only async-signal-safe functions may be called; prctl is one,
    // and the closure neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(|| {
            rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
                .map_err(Into::into)
        });
    }
    command.spawn()
}

fn forward(
    mut pipe: impl Read + Send + 'static,
    sender: Sender<Event>,
    wrap: fn(Vec<u8>) -> Event,
    last: Option<Event>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if sender.send(wrap(buffer[..count].to_vec())).is_err() {
                return;
            }
        }
        if let Some(last) = last {
            let _ = sender.send(last);
        }
    })
}

/// Carries keys to the guest, in a thread that ends with the runner: a read from a terminal cannot
/// be called off.
fn type_into(mut pipe: impl Write + Send + 'static, interrupt_is_guests: bool, sender: Sender<Event>) {
    thread::spawn(move || {
        let mut keys = Keys::new(interrupt_is_guests);
        let mut buffer = [0; 64];
        while let Ok(count @ 1..) = std::io::stdin().read(&mut buffer) {
            for &byte in &buffer[..count] {
                let sent = match keys.key(byte) {
                    Key::Guest(byte) => pipe.write_all(&[byte]).and_then(|()| pipe.flush()).is_ok(),
                    Key::Wait => true,
                    Key::Leave => sender.send(Event::Cut(Cut::Left)).is_ok(),
                    Key::Interrupt => sender.send(Event::Cut(Cut::Interrupted)).is_ok(),
                };
                if !sent {
                    return;
                }
            }
        }
    });
}

/// Ctrl-C where the terminal is not raw, and the other signals that say stop.
fn interrupts(sender: Sender<Event>) -> anyhow::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            if sender.send(Event::Cut(Cut::Interrupted)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_answers_what_it_hears_in_order() {
        let mut dialogue =
            Dialogue { parts: &[("$ ", "one\n"), ("$ ", "two\n"), ("x", "")], heard: Vec::new() };
        assert_eq!(dialogue.hear(b"boot\n"), b"");
        assert_eq!(dialogue.hear(b"$"), b"");
        assert_eq!(dialogue.hear(b" "), b"one\n");
        assert_eq!(dialogue.hear(b"one\r\n$ two"), b"two\n");
        assert_eq!(dialogue.hear(b"x$ "), b"");
        assert!(dialogue.parts.is_empty());
    }
}
