//! The ppc64le machines: powernv9 (bare metal under skiboot) and pseries (a guest, under SLOF or
//! QEMU's VOF), one image for all. `platform` knows on which it runs; each module does its job for
//! both.

use core::arch::global_asm;
use core::mem::offset_of;

pub mod abi;
mod area;
mod fault;
mod firmware;
mod frame;
mod openfirmware;
mod platform;
mod regs;
mod start;
mod tables;
mod tlb;
mod trap;
mod uart;

pub mod backtrace;
pub mod console;
pub mod context;
pub mod cpu;
pub mod cpuinfo;
pub mod mmu;
pub mod power;
pub mod probe;
pub mod random;
pub mod samples;
pub mod signal;
pub mod space;
pub mod timer;
pub mod user;
pub mod usercopy;

/// The format of programs' page tables, in the layouts `page` and `group`.
pub use crate::arch::ppc64_format::Ppc64Radix4K as Format;
/// The same in the layout `frag`.
pub use crate::arch::ppc64_format::Ppc64Radix64K as FragFormat;
pub use frame::TrapFrame;

/// 64 KB frames.
pub const PAGE_SHIFT: u32 = 16;
/// 64 KB, one frame.
pub const STACK_SIZE: usize = 1 << STACK_SHIFT;
/// The low 16 KB of a stack are not mapped.
pub const STACK_GUARD: usize = 16 << 10;

const STACK_SHIFT: u32 = 16;
/// Room on a stack, beside the frame, below which an interrupt no longer uses it.
const STACK_SLACK: usize = 2 << 10;
/// Effective address of physical address 0 in the linear map of all memory and devices.
const LINEAR: u64 = 0xc000_0000_0000_0000;
/// Effective address of the stack of the block at physical address 0.
const STACK_AREA: u64 = 0xc008_0000_0000_0000;

// One block: the files share macros, and the order of separate blocks is not the source's.
global_asm!(
    ".set SRR0, {SRR0}",
    ".set SRR1, {SRR1}",
    ".set HSRR0, {HSRR0}",
    ".set HSRR1, {HSRR1}",
    ".set SPRG0, {SPRG0}",
    ".set SPRG2, {SPRG2}",
    ".set DAR, {DAR}",
    ".set DSISR, {DSISR}",
    ".set PPR, {PPR}",
    ".set VRSAVE, {VRSAVE}",
    ".set TAR, {TAR}",
    ".set MSR_PR, {MSR_PR}",
    ".set MSR_DR, {MSR_DR}",
    ".set MSR_FP, {MSR_FP}",
    ".set MSR_VEC, {MSR_VEC}",
    ".set MSR_VSX, {MSR_VSX}",
    ".set MAX_CPUS, {MAX_CPUS}",
    ".set STACK_SIZE, {STACK_SIZE}",
    ".set STACK_SHIFT, {STACK_SHIFT}",
    ".set STACK_GUARD, {STACK_GUARD}",
    ".set STACK_SLACK, {STACK_SLACK}",
    ".set LINEAR, {LINEAR}",
    ".set STACK_AREA, {STACK_AREA}",
    ".set FIRMWARE_STACK, {FIRMWARE_STACK}",
    ".set PROTECTED_ZONE, {PROTECTED_ZONE}",
    ".set FRAME, {FRAME}",
    ".set F, {FRAME_HEADER}",
    ".set SWITCH_FRAME, {SWITCH_FRAME}",
    ".set AREA_R10, {R10}",
    ".set AREA_R11, {R11}",
    ".set AREA_R12, {R12}",
    ".set AREA_CR, {CR}",
    ".set AREA_ENTERING, {ENTERING}",
    ".set AREA_THREAD_STACK, {THREAD_STACK}",
    ".set AREA_TOC, {AREA_TOC}",
    ".set AREA_MARK, {AREA_MARK}",
    ".set AREA_TRAP, {AREA_TRAP}",
    ".set AREA_CALL, {AREA_CALL}",
    ".set AREA_HARDWARE, {HARDWARE}",
    ".set STATE_VSR, {VSR}",
    ".set STATE_VSCR, {VSCR}",
    ".set STATE_FPSCR, {FPSCR}",
    ".set STATE_VRSAVE, {STATE_VRSAVE}",
    ".set STATE_TAR, {STATE_TAR}",
    include_str!("../../../../boot/ppc64/entry.S"),
    include_str!("../../../../boot/ppc64/firmware.S"),
    include_str!("../../../../boot/ppc64/vectors.S"),
    include_str!("../../../../boot/ppc64/thread.S"),
    include_str!("../../../../boot/ppc64/user.S"),
    include_str!("../../../../boot/ppc64/memory.S"),
    include_str!("samples.S"),
    SRR0 = const regs::SRR0,
    SRR1 = const regs::SRR1,
    HSRR0 = const regs::HSRR0,
    HSRR1 = const regs::HSRR1,
    SPRG0 = const regs::SPRG0,
    SPRG2 = const regs::SPRG2,
    DAR = const regs::DAR,
    DSISR = const regs::DSISR,
    PPR = const regs::PPR,
    VRSAVE = const regs::VRSAVE,
    TAR = const regs::TAR,
    MSR_PR = const regs::MSR_PR,
    MSR_DR = const regs::MSR_DR,
    MSR_FP = const regs::MSR_FP,
    MSR_VEC = const regs::MSR_VEC,
    MSR_VSX = const regs::MSR_VSX,
    MAX_CPUS = const crate::arch::MAX_CPUS,
    STACK_SIZE = const STACK_SIZE,
    STACK_SHIFT = const STACK_SHIFT,
    STACK_GUARD = const STACK_GUARD,
    STACK_SLACK = const STACK_SLACK,
    LINEAR = const LINEAR,
    STACK_AREA = const STACK_AREA,
    FIRMWARE_STACK = const openfirmware::STACK,
    PROTECTED_ZONE = const frame::PROTECTED_ZONE,
    FRAME = const frame::FRAME,
    FRAME_HEADER = const frame::FRAME_HEADER,
    SWITCH_FRAME = const context::SWITCH_FRAME,
    R10 = const offset_of!(area::Area, r10),
    R11 = const offset_of!(area::Area, r11),
    R12 = const offset_of!(area::Area, r12),
    CR = const offset_of!(area::Area, cr),
    ENTERING = const offset_of!(area::Area, entering),
    THREAD_STACK = const offset_of!(area::Area, thread_stack),
    AREA_TOC = const offset_of!(area::Area, entry.toc),
    AREA_MARK = const offset_of!(area::Area, entry.mark),
    AREA_TRAP = const offset_of!(area::Area, entry.trap),
    AREA_CALL = const offset_of!(area::Area, entry.call),
    VSR = const offset_of!(user::UserState, vsr),
    VSCR = const offset_of!(user::UserState, vscr),
    FPSCR = const offset_of!(user::UserState, fpscr),
    STATE_VRSAVE = const offset_of!(user::UserState, vrsave),
    STATE_TAR = const offset_of!(user::UserState, tar),
    HARDWARE = const offset_of!(area::Area, hardware),
);
