//! Hands the linker script of the target to the linker.

use std::env;

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let script = match arch.as_str() {
        "s390x" => "s390x.ld",
        "powerpc64" => "ppc64.ld",
        _ => return,
    };
    println!("cargo::rerun-if-changed={root}/../linker/{script}");
    println!("cargo::rerun-if-changed={root}/../boot");
    println!("cargo::rustc-link-arg-bins=-T{root}/../linker/{script}");
}
