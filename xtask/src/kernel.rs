//! Builds the kernel: cargo in `kernel/`, then the symbol table.

use crate::machine::Arch;
use crate::progress::{self, Progress};
use crate::stop;
use crate::symbols;
use crate::toolchain::Toolchain;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// How it is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// What one boots.
    Release,
    /// What the tests boot: all debug checks.
    Checked,
}

impl Profile {
    /// cargo's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Checked => "checked",
        }
    }
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Builds the kernel and gives the path of what QEMU boots.
pub fn build(
    arch: Arch,
    profile: Profile,
    toolchain: &Toolchain,
    progress: &Progress,
) -> anyhow::Result<PathBuf> {
    let name = format!("{} kernel ({})", arch.name(), profile.name());
    let task = progress.start(&format!("building the {name}"));
    let mut cargo = toolchain.command("cargo");
    cargo.current_dir(root().join("kernel")).env("RUSTC_BOOTSTRAP", "1");
    cargo.args(["build", "--bin", "fallow", "--color", "never", "--profile", profile.name()]);
    cargo.args(["--target", arch.target(), "--target-dir"]).arg(root().join("target"));
    if profile == Profile::Release {
        // One unit: what stands in different files is inlined into each other, which takes a tenth of the
        // instructions away. Who works on the kernel builds `checked`, in parts.
        cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    }
    let output = progress::run(&mut cargo, &task)?;
    if !output.success {
        progress.note(&output.text);
        return Err(stop::with(stop::FAILED, format!("the {name} does not build")));
    }
    // A word, if it was work: without a terminal nothing else would say why it took so long.
    if task.elapsed().as_secs() >= 2 {
        progress.note(&format!("built the {name} in {:.1} s", task.elapsed().as_secs_f64()));
    }
    drop(task);
    let folder = root().join("target").join(arch.target_folder()).join(profile.name());
    finish(&folder.join("fallow"), &folder.join("fallow-with-symbols")).with_context(|| format!("the {name}"))
}

/// Copies the kernel with its symbol table. A run that boots the old one keeps it: the new one
/// takes the name in one step, and only if it differs.
fn finish(linked: &Path, bootable: &Path) -> anyhow::Result<PathBuf> {
    let mut image = std::fs::read(linked).with_context(|| format!("{}", linked.display()))?;
    symbols::patch(&mut image)?;
    if std::fs::read(bootable).is_ok_and(|old| old == image) {
        return Ok(bootable.to_path_buf());
    }
    let temporary = bootable.with_extension(format!("{}", std::process::id()));
    std::fs::write(&temporary, image)?;
    std::fs::rename(&temporary, bootable)?;
    Ok(bootable.to_path_buf())
}
