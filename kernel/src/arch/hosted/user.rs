//! No program runs on the host; this is for code that is only compiled there.

use super::TrapFrame;
use crate::addr::VirtAddr;

/// ELF's number of the machine; none here.
pub const ELF_MACHINE: u16 = 0;
/// The first address that a program cannot have.
pub const SPACE_END: VirtAddr = VirtAddr::new(1 << 42);
/// AT_PLATFORM.
pub const PLATFORM: &str = "hosted";

/// Nothing else in the auxiliary vector.
pub const AUXILIARY: &[(u64, u64)] = &[];

/// AT_HWCAP.
pub fn hwcap() -> u64 {
    0
}

/// AT_HWCAP2.
pub fn hwcap2() -> u64 {
    0
}

/// The registers that the kernel itself never uses: none here.
#[derive(Clone, Debug)]
pub struct UserState(());

impl UserState {
    /// As a program begins.
    pub const fn new() -> Self {
        Self(())
    }
    /// From the CPU.
    ///
    /// # Safety
    /// The CPU holds what belongs to this program.
    pub unsafe fn save(&mut self) {}
    /// To the CPU.
    ///
    /// # Safety
    /// What the CPU holds was saved.
    pub unsafe fn restore(&self) {}
}

impl Default for UserState {
    fn default() -> Self {
        Self::new()
    }
}

/// Sets the thread pointer of a program that does not run.
pub fn set_tls(_frame: &mut TrapFrame, _state: &mut UserState, _pointer: u64) {}

/// Goes on as the program.
///
/// # Safety
/// Never called on the host.
pub unsafe fn enter(_frame: &TrapFrame) -> ! {
    unreachable!("no program runs on the host")
}
