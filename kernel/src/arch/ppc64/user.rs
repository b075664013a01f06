//! Programs: where they may be, what they may use, the registers that only they use, and going on as
//! one.
//!
//! The kernel is compiled without floating point and vectors, so those registers hold what the running
//! program left there, and are changed when the program is. (Lending them on first use was rejected:
//! every C library uses vectors to copy memory, so every program would fault once a time slice.)

use super::TrapFrame;
use crate::addr::VirtAddr;

/// EM_PPC64.
pub const ELF_MACHINE: u16 = 21;
/// The first address that a program cannot have: 128 TB, as with Linux. (Quadrant 0 has 52 bits.)
pub const SPACE_END: VirtAddr = VirtAddr::new(1 << 47);
/// AT_PLATFORM.
pub const PLATFORM: &str = "power9";

/// AT_DCACHEBSIZE, AT_ICACHEBSIZE, AT_UCACHEBSIZE: bytes of a cache block. What clears memory with `dcbz`
/// must know.
pub const AUXILIARY: &[(u64, u64)] = &[(19, 128), (20, 128), (21, 0)];

/// AT_HWCAP (Linux' names, PPC_FEATURE_*): 64, HAS_ALTIVEC, HAS_FPU, HAS_MMU, SMT, ICACHE_SNOOP,
/// HAS_DFP, ARCH_2_06, HAS_VSX, TRUE_LE. Not: 32, for there are no 32-bit programs here.
pub fn hwcap() -> u64 {
    0x4000_0000 | 0x1000_0000 | 0x0800_0000 | 0x0400_0000 | 0x4000 | 0x2000 | 0x400 | 0x100 | 0x80 | 0x2
}

/// AT_HWCAP2 (PPC_FEATURE2_*): ARCH_2_07, ISEL, TAR, VEC_CRYPTO, ARCH_3_00, HAS_IEEE128, DARN.
/// Not: HTM and EBB; DSCR, a hint, which programs cannot reach in QEMU; SCV, which would enter the kernel
/// with interrupts on and the program's stack pointer.
pub fn hwcap2() -> u64 {
    0x8000_0000 | 0x0800_0000 | 0x0400_0000 | 0x0200_0000 | 0x0080_0000 | 0x0040_0000 | 0x0020_0000
}

/// The registers that the kernel itself never uses. The layout is known to the assembly.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct UserState {
    /// Vector-scalar registers. The upper halves of the first 32 are the floating-point registers; the
    /// other 32 are the vector registers.
    pub(super) vsr: [u128; 64],
    /// Vector status and control, in the lowest word.
    pub(super) vscr: u128,
    /// Floating-point status and control.
    pub(super) fpscr: u64,
    /// What software says of the vector registers.
    pub(super) vrsave: u64,
    /// Target address.
    pub(super) tar: u64,
}

unsafe extern "C" {
    fn ppc64_state_save(state: *mut UserState);
    fn ppc64_state_restore(state: *const UserState);
    fn ppc64_fpscr(scratch: *mut [u64; 2]) -> u64;
    fn ppc64_enter(frame: *const TrapFrame) -> !;
}

impl UserState {
    /// As a program begins: all zero. No floating-point exception interrupts, and the vector unit does
    /// not flush denormal numbers.
    pub const fn new() -> Self {
        Self { vsr: [0; 64], vscr: 0, fpscr: 0, vrsave: 0, tar: 0 }
    }
    /// From the CPU.
    ///
    /// # Safety
    /// The CPU holds what belongs to this program.
    pub unsafe fn save(&mut self) {
        // SAFETY: writes the structure, whose layout it knows, and no register.
        unsafe { ppc64_state_save(self) };
    }
    /// To the CPU.
    ///
    /// # Safety
    /// What the CPU holds was saved.
    pub unsafe fn restore(&self) {
        // SAFETY: the registers are nobody else's (the caller).
        unsafe { ppc64_state_restore(self) };
    }
}

impl Default for UserState {
    fn default() -> Self {
        Self::new()
    }
}

/// The FPSCR of the program that runs here.
pub(super) fn fpscr() -> u64 {
    let mut scratch = [0; 2];
    // SAFETY: uses two words, and no register is changed in the end.
    unsafe { ppc64_fpscr(&raw mut scratch) }
}

/// Sets the thread pointer of a program that does not run: r13.
pub fn set_tls(frame: &mut TrapFrame, _state: &mut UserState, pointer: u64) {
    frame.gpr[13] = pointer;
}

/// Goes on as the program.
///
/// # Safety
/// Interrupts are off. Nobody needs what is on this stack.
pub unsafe fn enter(frame: &TrapFrame) -> ! {
    assert!(frame.is_user(), "only programs are entered");
    // SAFETY: the caller's. The frame was saved when a program was interrupted, or made by `program`.
    unsafe { ppc64_enter(frame) }
}
