//! Makes the initial RAM disk: busybox, the folder `userland`, and what a run wants on top.
//!
//! It is written anew for each run, which takes milliseconds, and removed after it: a command line of
//! any length and with any quotes reaches the guest as a file, and no cache can be stale.

use crate::cpio::Archive;
use crate::kernel;
use anyhow::Context;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// What is there before anything else.
const FOLDERS: [(&str, u32); 12] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("var", 0o755),
    ("var/tmp", 0o1777),
];

/// What a disk is made of.
#[derive(Default)]
pub struct Contents<'a> {
    /// The program busybox.
    pub busybox: PathBuf,
    /// Further programs, by their names in /bin.
    pub programs: Vec<(&'static str, PathBuf)>,
    /// The command line to run instead of an interactive shell.
    pub run: Option<&'a str>,
    /// The size of the terminal that somebody sits at: rows and columns.
    pub terminal: Option<(u16, u16)>,
}

/// A disk in a file, which goes when this is dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Where it is.
    pub fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What is left behind goes with the next one that is written.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Writes a disk.
pub fn disk(contents: &Contents<'_>) -> anyhow::Result<Disk> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let folder = kernel::root().join("target/initrd");
    std::fs::create_dir_all(&folder)?;
    remove_old(&folder);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let disk = Disk(folder.join(format!("{}-{number}.cpio", std::process::id())));
    std::fs::write(&disk.0, archive(contents)?)?;
    Ok(disk)
}

/// Removes what runners left that were killed.
fn remove_old(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.split('-').next()).unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn archive(contents: &Contents<'_>) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    let mut archive = Archive::default();
    for (path, permissions) in FOLDERS {
        archive.folder(path, permissions);
    }
    for (path, target) in [("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin")] {
        archive.link(path, target);
    }
    // For a first program that is none of a shell: Linux opens it, and makes none by itself.
    archive.device("dev/console", 0o600, (5, 1));
    archive.file("bin/busybox", 0o755, &read(&contents.busybox)?);
    let own = kernel::root().join("userland");
    for name in applets(&own)? {
        archive.link(&format!("bin/{name}"), "busybox");
    }
    for (name, path) in &contents.programs {
        archive.file(&format!("bin/{name}"), 0o755, &read(path)?);
    }
    archive.file("init", 0o755, &read(&own.join("init"))?);
    for (name, path, permissions) in files(&own.join("etc"))? {
        archive.file(&format!("etc/{name}"), permissions, &read(&path)?);
    }
    if let Some(command) = contents.run {
        // Nobody types: a program that reads gets the end of its input, not silence.
        let input = if contents.terminal.is_some() { "" } else { "exec </dev/null\n" };
        archive.file("etc/run", 0o644, format!("{input}{command}\n").as_bytes());
    }
    if let Some((rows, columns)) = contents.terminal {
        archive.file("etc/terminal", 0o644, format!("rows {rows} cols {columns}\n").as_bytes());
    }
    Ok(archive.finish())
}

/// The names of `userland/applets`.
fn applets(own: &Path) -> anyhow::Result<Vec<String>> {
    let path = own.join("applets");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(text.split_whitespace().map(String::from).collect())
}

/// A folder's files in the order of their names, with their permissions.
fn files(folder: &Path) -> anyhow::Result<Vec<(String, PathBuf, u32)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let executable = entry.metadata()?.permissions().mode() & 0o111 != 0;
        let permissions = if executable { 0o755 } else { 0o644 };
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path(), permissions));
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_holds_what_it_should_and_goes_when_dropped() {
        let busybox = kernel::root().join("userland/init");
        let contents = Contents { busybox, run: Some("echo 'a' \"b\""), ..Contents::default() };
        let disk = disk(&contents).unwrap();
        let path = PathBuf::from(disk.path());
        let bytes = std::fs::read(&path).unwrap();
        let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(contains("exec </dev/null\necho 'a' \"b\"\n"));
        for name in ["bin/busybox", "bin/sh", "init", "etc/passwd", "TRAILER!!!"] {
            assert!(contains(&format!("{name}\0")), "{name}");
        }
        drop(disk);
        assert!(!path.exists());
    }

    #[test]
    fn an_applet_is_named_once() {
        let mut names = applets(&kernel::root().join("userland")).unwrap();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
