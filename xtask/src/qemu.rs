//! Finds QEMU and asks it for its version.
//!
//! `--qemu DIR` names a folder of binaries, or the root of another Debian (made by `debootstrap`):
//! its QEMU needs its own C library, so it is started through that root's own loader, with its
//! libraries and its firmware. Nobody has to be root for that, as `chroot` would demand.

use crate::machine::Arch;
use crate::stop;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest QEMU that is known to work: Debian 12's.
pub const OLDEST: Version = Version::new(7, 2);

/// Major and minor number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// The first `N.N` in the text.
    pub fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(|word| {
            let mut numbers = word.split('.').map(str::parse);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(major)), Some(Ok(minor))) => Some(Self { major, minor }),
                _ => None,
            }
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A QEMU that runs here and is new enough.
#[derive(Clone, Debug)]
pub struct Qemu {
    program: PathBuf,
    first: Vec<OsString>,
    modules: Option<PathBuf>,
    /// What it says of itself.
    pub version: Version,
}

impl Qemu {
    /// The one in `folder`, else the one in PATH. A missing or too old one ends with status 2.
    pub fn find(arch: Arch, folder: Option<&Path>) -> anyhow::Result<Self> {
        let name = arch.qemu();
        let mut found = match folder {
            None => Self::plain(crate::needs::in_path(name).ok_or_else(|| {
                stop::usage(format!("{name} is not installed; wanted: {name} {OLDEST} or newer"))
            })?),
            Some(folder) => Self::in_folder(folder, name)?,
        };
        let output = found.command().arg("--version").stdin(Stdio::null()).output();
        let text = match &output {
            Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout),
            _ => return Err(stop::usage(format!("{} does not run", found.path().display()))),
        };
        found.version = Version::find(&text)
            .ok_or_else(|| stop::usage(format!("{} does not tell its version", found.path().display())))?;
        if found.version < OLDEST {
            let path = found.path().display();
            return Err(stop::usage(format!("{path} is QEMU {}; wanted: {OLDEST} or newer", found.version)));
        }
        Ok(found)
    }

    fn plain(program: PathBuf) -> Self {
        Self { program, first: Vec::new(), modules: None, version: Version::new(0, 0) }
    }

    fn in_folder(folder: &Path, name: &str) -> anyhow::Result<Self> {
        let binary = ["", "bin", "usr/bin"]
            .iter()
            .map(|sub| folder.join(sub).join(name))
            .find(|path| path.is_file())
            .ok_or_else(|| stop::usage(format!("there is no {name} in {}", folder.display())))?;
        let Some(loader) = loader(folder) else { return Ok(Self::plain(binary)) };
        let libraries: Vec<PathBuf> = ["usr/lib", "lib"]
            .iter()
            .map(|sub| folder.join(sub))
            .flat_map(|lib| [folders_of(&lib, |name| name.ends_with("-linux-gnu")), vec![lib]].concat())
            .collect();
        let modules = libraries.iter().map(|lib| lib.join("qemu")).find(|path| path.is_dir());
        let first = vec![
            "--library-path".into(),
            std::env::join_paths(&libraries)?,
            binary.into(),
            "-L".into(),
            folder.join("usr/share/qemu").into(),
        ];
        Ok(Self { program: loader, first, modules, version: Version::new(0, 0) })
    }

    /// The emulator's own file.
    pub fn path(&self) -> &Path {
        self.first.get(2).map_or(&self.program, |binary| Path::new(binary))
    }

    /// A command that starts it; the guest's arguments are still missing.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.first);
        if let Some(modules) = &self.modules {
            command.env("QEMU_MODULE_DIR", modules);
        }
        command
    }
}

/// The dynamic loader of the Debian whose root is `folder`; `None` if it is no root, or our own.
fn loader(folder: &Path) -> Option<PathBuf> {
    if folder.canonicalize().ok()? == Path::new("/") || !folder.join("usr/share/qemu").is_dir() {
        return None;
    }
    ["lib64", "lib"].iter().map(|sub| folder.join(sub)).find_map(|lib| {
        let entries = std::fs::read_dir(lib).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("ld-linux") || name.starts_with("ld64.so")
        })
    })
}

fn folders_of(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| wanted(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_ordered() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright";
        assert_eq!(Version::find(debian), Some(Version::new(7, 2)));
        assert_eq!(Version::find("QEMU emulator version 10.0.13 (x)"), Some(Version::new(10, 0)));
        assert_eq!(Version::find("cargo 1.96.0 (30a34c682 2026-05-25)"), Some(Version::new(1, 96)));
        assert_eq!(Version::find("no number"), None);
        assert!(Version::new(10, 0) > OLDEST && Version::new(6, 2) < OLDEST);
    }
}
