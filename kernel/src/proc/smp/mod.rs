//! The other CPUs.

mod boot;
mod call;

pub use boot::{secondary_main, start_others};
pub use call::{call_on, serve};
