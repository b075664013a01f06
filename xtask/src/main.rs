//! Builds, boots and tests the kernel.

fn main() {}
