//! A newcomer's mistakes, made as he would make them: through `run-qemu.sh`. Each must be answered
//! in one clear line and leave nothing behind.

use super::{Context, Suite, Tally};
use crate::kernel::{self, Profile};
use crate::machine::Arch;
use crate::progress::Task;
use crate::stop;
use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than any of these takes, even on a busy host.
const LIMIT: Duration = Duration::from_secs(120);

/// The suites.
pub fn suites() -> Vec<Suite> {
    vec![
        Suite::new("mistakes: command line", |_, task, tally| command_line(task, tally)),
        Suite::new("mistakes: QEMU", |_, task, tally| qemu(task, tally)),
        Suite::new("mistakes: leaving", leaving),
        Suite::new("two runs at once", two_at_once).alone(),
    ]
}

/// `run-qemu.sh`, without a terminal.
fn script(words: &[&str]) -> Command {
    let mut command = Command::new(kernel::root().join("run-qemu.sh"));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What became of a run: 128 + n if a signal ended it, as a shell says it.
struct Ran {
    status: i32,
    out: String,
    err: String,
}

/// Runs it to its end.
fn finish(mut command: Command, tally: &mut Tally) -> anyhow::Result<Ran> {
    tally.log(&format!("$ {command:?}"));
    let child = command.process_group(0).spawn().context("run-qemu.sh")?;
    wait(child, tally)
}

fn wait(mut child: Child, tally: &mut Tally) -> anyhow::Result<Ran> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = |pipe: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = Vec::new();
            pipe.map(|mut pipe| pipe.read_to_end(&mut text));
            String::from_utf8_lossy(&text).into_owned()
        })
    };
    let out = read(out.map(|pipe| Box::new(pipe) as _));
    let err = read(err.map(|pipe| Box::new(pipe) as _));
    let since = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if since.elapsed() > LIMIT {
            child.kill()?;
            bail!("run-qemu.sh did not end within {} s", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let ran = Ran {
        status: status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(-1),
        out: out.join().unwrap_or_default(),
        err: err.join().unwrap_or_default(),
    };
    tally.log(&format!("{}{}[status {}]", ran.out, ran.err, ran.status));
    Ok(ran)
}

/// Status 2 and exactly one line that contains the words.
fn one_line(name: &str, command: Command, part: &str, tally: &mut Tally) -> anyhow::Result<()> {
    let ran = finish(command, tally)?;
    let own: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("run-qemu.sh: ")).collect();
    let good = ran.status == i32::from(stop::USAGE) && own.len() == 1 && own[0].contains(part);
    tally.check(name, good, || format!("status {}, said {:?}", ran.status, ran.err));
    Ok(())
}

fn command_line(task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    for (words, part) in [
        (&["arm64"][..], "unknown architecture 'arm64'"),
        (&["--machine", "virt"], "unknown machine 'virt'"),
        (&["s390x", "--machine", "powernv9"], "powernv9 is no s390x machine"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--cpus"], "--cpus"),
        (&["--cpus", "many"], "--cpus wants a number"),
        (&["--mem", "lots"], "--mem wants megabytes"),
        (&["--initrd", "/nonexistent"], "no file '/nonexistent'"),
        (&["--run", "ls", "--test", "*"], "--run"),
    ] {
        task.at(&words.join(" "));
        one_line(&words.join(" "), script(words), part, tally)?;
    }
    let help = finish(script(&["--help"]), tally)?;
    tally.check("--help", help.status == 0 && help.out.contains("run-qemu.sh test"), || help.out.clone());
    Ok(())
}

fn qemu(task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    let folder = kernel::root().join(format!("target/test/path-{}", std::process::id()));
    let result = with_other_path(&folder, task, tally);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn with_other_path(folder: &Path, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    // A system without QEMU, and without apt-get: or else it would be installed.
    task.at("no QEMU");
    let bare = folder.join("bare");
    std::fs::create_dir_all(&bare)?;
    for entry in std::fs::read_dir("/usr/bin")? {
        let name = entry?.file_name();
        if !name.as_encoded_bytes().starts_with(b"qemu") && !name.as_encoded_bytes().starts_with(b"apt") {
            symlink(Path::new("/usr/bin").join(&name), bare.join(&name))?;
        }
    }
    let mut none = script(&["s390x"]);
    none.env("PATH", &bare);
    one_line("no QEMU", none, "qemu-system-s390x", tally)?;

    task.at("an old QEMU");
    let old = folder.join("old");
    std::fs::create_dir_all(&old)?;
    let fake = old.join("qemu-system-s390x");
    std::fs::write(&fake, "#!/bin/sh\necho 'QEMU emulator version 6.2.0 (Debian 1:6.2)'\n")?;
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755))?;
    let path = std::env::join_paths([old.clone(), bare.clone()])?;
    let mut command = script(&["s390x"]);
    command.env("PATH", path);
    one_line("an old QEMU", command, "QEMU 6.2; wanted: 7.2 or newer", tally)?;

    let text = |path: &PathBuf| path.display().to_string();
    one_line("--qemu with an old one", script(&["--qemu", &text(&old)]), "QEMU 6.2", tally)?;
    one_line("--qemu with none", script(&["--qemu", "/nonexistent"]), "no qemu-system-s390x in", tally)
}

fn leaving(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    context.kernel(Arch::S390x, Profile::Release)?;
    // Without a terminal: the guest is made to stay by the hook that lets it fall silent.
    for (name, signal, status) in
        [("Ctrl-C", Signal::INT, 130), ("kill", Signal::TERM, 130), ("kill -9", Signal::KILL, 137)]
    {
        task.at(name);
        let mut command = script(&["s390x", "--append", "fallow.crash=silent", "--silence", "60"]);
        let mut child = command.process_group(0).spawn()?;
        let first = until_booted(&mut child, tally)?;
        let group = Pid::from_child(&child);
        let guests = guests_of(child.id());
        rustix::process::kill_process_group(group, signal)?;
        let ran = wait(child, tally)?;
        tally.check(name, ran.status == status, || format!("status {} instead of {status}", ran.status));
        tally.check(&format!("{name}: there was a QEMU"), guests.len() == 1, || {
            format!("{guests:?}; {first}")
        });
        let gone = || guests.iter().all(|guest| !is_alive(*guest));
        tally.check(&format!("{name}: QEMU is gone"), eventually(gone), || format!("{guests:?}"));
        if signal != Signal::KILL {
            let said = ran.err.contains("interrupted; QEMU is stopped");
            tally.check(&format!("{name}: one line"), said, || ran.err.clone());
        }
    }
    task.at("Ctrl-A x on a terminal");
    let ran = on_terminal("\u{1}x", tally)?;
    tally.check("Ctrl-A x", ran.status == 0, || format!("status {}: {}", ran.status, ran.out));
    task.at("a reader that goes away");
    let mut command = Command::new("sh");
    command.args(["-c", "./run-qemu.sh s390x --append fallow.crash=silent | head -n 1"]);
    command.current_dir(kernel::root()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = finish(command, tally)?;
    tally.check("| head -n 1", ran.status == 0 && ran.out.lines().count() == 1, || ran.err.clone());
    Ok(())
}

/// Reads until the last boot line.
fn until_booted(child: &mut Child, tally: &mut Tally) -> anyhow::Result<String> {
    let Some(out) = child.stdout.as_mut() else { bail!("no output") };
    let mut lines = BufReader::new(out);
    let mut line = String::new();
    while lines.read_line(&mut line)? > 0 {
        tally.log(&line);
        if line.contains("boot: ready in") {
            return Ok(line);
        }
        line.clear();
    }
    bail!("the guest did not boot")
}

/// The children of a process, by /proc.
fn guests_of(parent: u32) -> Vec<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn is_alive(process: i32) -> bool {
    // A zombie that nobody has waited for yet is as good as gone.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn eventually(condition: impl Fn() -> bool) -> bool {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    condition()
}

/// Runs it on a terminal (util-linux' `script` makes one), types the keys when it has booted.
fn on_terminal(keys: &str, tally: &mut Tally) -> anyhow::Result<Ran> {
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", "./run-qemu.sh s390x", "/dev/null"]);
    command.current_dir(kernel::root()).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("script (util-linux)")?;
    until_booted(&mut child, tally)?;
    let Some(mut stdin) = child.stdin.take() else { bail!("no input") };
    stdin.write_all(keys.as_bytes())?;
    stdin.flush()?;
    let ran = wait(child, tally);
    drop(stdin);
    ran
}

fn two_at_once(context: &Context, task: &Task, tally: &mut Tally) -> anyhow::Result<()> {
    context.kernel(Arch::S390x, Profile::Release)?;
    task.at("two boots side by side");
    let start = || script(&["s390x", "--cpus", "1"]).process_group(0).spawn();
    let both = [start()?, start()?];
    for child in both {
        let ran = wait(child, tally)?;
        let good = ran.status == 0 && ran.out.contains("boot: ready in");
        tally.check("one of two", good, || format!("status {}: {}", ran.status, ran.err));
        let plain = !ran.out.contains('\u{1b}') && ran.out.ends_with("fallow: exit status 0\n");
        tally.check("its output in a pipe is plain", plain, || format!("{:?}", ran.out));
    }
    Ok(())
}
