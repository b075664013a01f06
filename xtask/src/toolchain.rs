//! Finds a compiler for the kernel: one that has its own `rust-src`, since core and alloc are
//! built from source.
//!
//! rustup's 1.96.0 comes first (what `kernel/rust-toolchain.toml` names), then Debian's
//! (`rustc-web`), then whatever rustup takes by default. Each is called by its full path: rustup's
//! wrappers in PATH would otherwise put their own choice between us and the kernel.

use crate::needs::in_path;
use crate::qemu::Version;
use crate::stop;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest compiler that builds the workspace.
pub const OLDEST: Version = Version::new(1, 95);
/// What the kernel names in its `rust-toolchain.toml`.
const NAMED: &str = "1.96.0";

/// What an outer cargo, or the user, may have set and the kernel's build must not see.
const UNWANTED: [&str; 10] = [
    "CARGO",
    "RUSTC",
    "RUSTUP_TOOLCHAIN",
    "RUSTDOC",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Cargo, rustc and their companions in one folder.
#[derive(Clone, Debug)]
pub struct Toolchain {
    folder: PathBuf,
    /// rustc's version.
    pub version: String,
}

impl Toolchain {
    /// The first that will do.
    pub fn find() -> anyhow::Result<Self> {
        let rustup = |toolchain: Option<&str>| {
            let mut which = Command::new(in_path("rustup")?);
            // Only look: an answer may otherwise be a download.
            which.env("RUSTUP_AUTO_INSTALL", "0").env_remove("RUSTUP_TOOLCHAIN");
            which.args(["which", "rustc"]);
            which.args(toolchain.iter().flat_map(|name| ["--toolchain", name]));
            let path = PathBuf::from(text(&mut which)?.trim());
            path.parent().map(Path::to_path_buf)
        };
        [rustup(Some(NAMED)), Some("/usr/bin".into()), rustup(None)]
            .into_iter()
            .flatten()
            .find_map(Self::in_folder)
            .ok_or_else(|| stop::usage(format!("no rustc with rust-src; wanted: {OLDEST} or newer")))
    }

    fn in_folder(folder: PathBuf) -> Option<Self> {
        let rustc = folder.join("rustc");
        if !folder.join("cargo").is_file() {
            return None;
        }
        let version = text(Command::new(&rustc).arg("--version"))?;
        let sysroot = text(Command::new(&rustc).args(["--print", "sysroot"]))?;
        let sources = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
        let number = version.split_whitespace().nth(1)?.to_owned();
        (Version::find(&version)? >= OLDEST && sources.is_file()).then_some(Self { folder, version: number })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// One of its programs that is not always there.
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|path| path.is_file())
    }

    /// cargo (or another program that takes its place), in a clean environment.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        for variable in UNWANTED {
            command.env_remove(variable);
        }
        // Each by its path: cargo would take rustup's from PATH, and a rustdoc of another version than
        // the compiler cannot read what that compiled.
        for (variable, program) in [("CARGO", "cargo"), ("RUSTC", "rustc"), ("RUSTDOC", "rustdoc")] {
            command.env(variable, self.folder.join(program));
        }
        command
    }
}

fn text(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
