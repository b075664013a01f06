//! The kernel's binary. On a machine: the boot order. On the host: nothing to run.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod kernel;

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("fallow runs on s390x and ppc64; see the README");
    std::process::exit(2);
}
