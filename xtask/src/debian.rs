//! Debian's packages for the guests' machines: busybox as the first programs, Linux as the oracle.
//!
//! The system's own apt fetches and checks them, from the system's own sources, but with lists and a
//! cache in `target/debian`: `dpkg --add-architecture` would change the user's system for good. What
//! was fetched stays until the folder goes, and no network is asked for it again.

use crate::machine::Arch;
use crate::needs::in_path;
use crate::progress::{self, Progress, Task};
use crate::{kernel, stop};
use anyhow::Context;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Debian calls the machine.
const fn architecture(arch: Arch) -> &'static str {
    match arch {
        Arch::S390x => "s390x",
        Arch::Ppc64 => "ppc64el",
    }
}

/// What Linux' command line says: only its errors, on the machine's console, and a panic ends the run.
pub const WORDS: &str = "quiet panic=-1";

/// Busybox as one static program.
pub fn busybox(arch: Arch, progress: &Progress) -> anyhow::Result<PathBuf> {
    Archive::new(arch).file("busybox-static", "busybox", &["./bin/busybox", "./usr/bin/busybox"], progress)
}

/// Debian's own kernel for that machine.
pub fn linux(arch: Arch, progress: &Progress) -> anyhow::Result<PathBuf> {
    let newest = match arch {
        Arch::S390x => "linux-image-s390x",
        Arch::Ppc64 => "linux-image-powerpc64le",
    };
    Archive::new(arch).file(newest, "linux", &["./boot/vmlinuz-*", "./boot/vmlinux-*"], progress)
}

/// One architecture's packages.
struct Archive {
    name: &'static str,
    folder: PathBuf,
}

impl Archive {
    fn new(arch: Arch) -> Self {
        let name = architecture(arch);
        Self { name, folder: kernel::root().join("target/debian").join(name) }
    }

    /// The path of one file of a package, which matches one of the patterns; fetched if it is not
    /// there yet, and kept under the name.
    fn file(
        &self,
        package: &str,
        name: &str,
        patterns: &[&str],
        progress: &Progress,
    ) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if path.is_file() {
            return Ok(path);
        }
        for tool in ["apt-get", "apt-cache", "apt-config", "dpkg-deb", "tar"] {
            if in_path(tool).is_none() {
                return Err(stop::usage(format!(
                    "{tool} is not installed; wanted: Debian's, to fetch {package} for {}",
                    self.name
                )));
            }
        }
        std::fs::create_dir_all(self.folder.join("new"))?;
        // Whoever comes second finds the file.
        let lock = File::create(self.folder.join("lock"))?;
        lock.lock()?;
        if path.is_file() {
            return Ok(path);
        }
        let task = progress.start(&format!("fetching {package} for {}", self.name));
        self.configure()?;
        self.tool("apt-get", &["update"], &task)?;
        let exact = self.newest(package)?;
        let new = self.folder.join("new");
        let output =
            progress::run(self.command("apt-get").args(["download", &exact]).current_dir(&new), &task)?;
        let deb = match std::fs::read_dir(&new)?.filter_map(Result::ok).map(|entry| entry.path()).next() {
            Some(deb) if output.success => deb,
            _ => {
                progress.note(&output.text);
                let sources = "are there Debian's sources for it in /etc/apt, and a network?";
                return Err(stop::usage(format!(
                    "apt-get could not fetch {exact} for {}: {sources}",
                    self.name
                )));
            }
        };
        let content = extract(&deb, patterns).with_context(|| deb.display().to_string())?;
        std::fs::remove_dir_all(&new)?;
        let temporary = self.folder.join("unfinished");
        std::fs::write(&temporary, content)?;
        std::fs::rename(&temporary, &path)?;
        progress.note(&format!("fetched {exact} for {} in {:.1} s", self.name, task.elapsed().as_secs_f64()));
        Ok(path)
    }

    /// Writes apt's settings: the system's own ones for the network, our own folders, and none of the
    /// system's hooks, which would act on the system.
    fn configure(&self) -> anyhow::Result<()> {
        let dump = Command::new("apt-config").arg("dump").stdin(Stdio::null()).output()?;
        let dump = String::from_utf8_lossy(&dump.stdout).into_owned();
        let mut text: String = dump
            .lines()
            .filter(|line| line.starts_with("Acquire::"))
            .map(|line| format!("{line}\n"))
            .collect();
        let folder = self.folder.display();
        for (name, value) in [
            ("APT::Architecture", self.name.to_owned()),
            ("APT::Architectures", self.name.to_owned()),
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::Languages", "none".into()),
            ("Acquire::PDiffs", "false".into()),
            ("Dir::Etc::parts", "/dev/null".into()),
            ("Dir::Etc::main", "/dev/null".into()),
            ("Dir::State", format!("{folder}")),
            ("Dir::State::status", format!("{folder}/status")),
            ("Dir::Cache", format!("{folder}/cache")),
        ] {
            text.push_str(&format!("{name} \"{value}\";\n"));
        }
        std::fs::create_dir_all(self.folder.join("lists/partial"))?;
        std::fs::create_dir_all(self.folder.join("cache/archives/partial"))?;
        std::fs::write(self.folder.join("status"), "")?;
        Ok(std::fs::write(self.folder.join("apt.conf"), text)?)
    }

    fn command(&self, tool: &str) -> Command {
        let mut command = Command::new(tool);
        command.env("APT_CONFIG", self.folder.join("apt.conf")).stdin(Stdio::null());
        command
    }

    /// Runs a tool whose failure shows in what comes next: a source that has nothing for this
    /// architecture is none of our business.
    fn tool(&self, tool: &str, words: &[&str], task: &Task) -> anyhow::Result<()> {
        progress::run(self.command(tool).args(words), task).map(drop)
    }

    /// `linux-image-s390x` only depends on the kernel of the day: follows that once.
    fn newest(&self, package: &str) -> anyhow::Result<String> {
        if !package.starts_with("linux-image") {
            return Ok(package.into());
        }
        let output = self.command("apt-cache").args(["depends", package]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let kernel = text.lines().find_map(|line| line.trim().strip_prefix("Depends: "));
        Ok(kernel.filter(|name| name.starts_with("linux-image")).unwrap_or(package).into())
    }
}

/// The one file of a package that matches any of the patterns.
fn extract(deb: &Path, patterns: &[&str]) -> anyhow::Result<Vec<u8>> {
    let mut unpack = Command::new("dpkg-deb");
    let mut unpack = unpack.arg("--fsys-tarfile").arg(deb).stdout(Stdio::piped()).spawn()?;
    let pipe = unpack.stdout.take().context("no pipe")?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--to-stdout", "--wildcards"]).args(patterns);
    // A pattern without a match is an error to tar; another one has matched.
    let output = tar.stdin(pipe).stderr(Stdio::null()).output()?;
    unpack.wait()?;
    anyhow::ensure!(!output.stdout.is_empty(), "no file like {}", patterns.join(" or "));
    Ok(output.stdout)
}
