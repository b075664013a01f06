//! The list of all suites. A new file of tests: a `mod` line and a line in `ALL`, each in the order
//! of the alphabet, so that two new files do not meet.

use super::Suite;

mod address_space;
mod inject;
mod logging;
mod memory;
mod memory_smp;
mod mmu;
mod pgtable;
mod rcu;
mod selftest;
mod smp;
mod space;
mod support;
mod threads;
mod user;
mod waiting;

/// All suites, in the order in which they run.
#[rustfmt::skip]
pub const ALL: &[Suite] = &[
    address_space::SUITE,
    inject::SUITE,
    logging::SUITE,
    memory::SUITE,
    memory_smp::SUITE,
    mmu::SUITE,
    pgtable::SUITE,
    rcu::SUITE,
    selftest::SUITE,
    space::SUITE,
    smp::SUITE,
    threads::SUITE,
    user::SUITE,
    waiting::SUITE,
];
