//! The assembly files, with the numbers they take from Rust.

use super::lowcore::{ALIAS, LowCore};
use super::trap::{ABI_AREA, FLAG_NO_STACK, TrapFrame};
use super::user::UserState;
use super::{STACK_SIZE, context::Context};
use core::arch::global_asm;
use core::mem::offset_of;

/// Bytes of the command line in the parameter area, the final NUL included.
pub const CMDLINE_SIZE: usize = 896;

global_asm!(
    include_str!("../../../../boot/s390x/head.S"),
    CMDLINE_SIZE = const CMDLINE_SIZE,
    STACK_SIZE = const STACK_SIZE,
    ABI_AREA = const ABI_AREA,
);

global_asm!(
    include_str!("../../../../boot/s390x/trap.S"),
    ALIAS = const ALIAS,
    FRAME = const ABI_AREA + size_of::<TrapFrame>(),
    ABI_AREA = const ABI_AREA,
    FR_PSW = const ABI_AREA + offset_of!(TrapFrame, psw),
    FR_GPRS = const ABI_AREA + offset_of!(TrapFrame, gprs),
    FR_INFO = const ABI_AREA + offset_of!(TrapFrame, info),
    FR_FLAGS = const ABI_AREA + offset_of!(TrapFrame, flags),
    FLAG_NO_STACK = const FLAG_NO_STACK,
    LC_SAVE_PROGRAM = const offset_of!(LowCore, save_program),
    LC_SAVE_SVC = const offset_of!(LowCore, save_svc),
    LC_SAVE_EXTERNAL = const offset_of!(LowCore, save_external),
    LC_SAVE_IO = const offset_of!(LowCore, save_io),
    LC_SAVE_MACHINE_CHECK = const offset_of!(LowCore, save_machine_check),
    LC_SAVE_RESTART = const offset_of!(LowCore, save_restart),
    LC_KERNEL_STACK = const offset_of!(LowCore, kernel_stack),
    LC_EMERGENCY_STACK = const offset_of!(LowCore, emergency_stack),
    LC_RETURN_PSW = const offset_of!(LowCore, return_psw),
    LC_CONTROL = const offset_of!(LowCore, control),
);

global_asm!(
    include_str!("../../../../boot/s390x/switch.S"),
    CONTEXT_SP = const offset_of!(Context, sp),
    CONTEXT_END = const offset_of!(Context, stack_end),
    ALIAS_KERNEL_STACK = const ALIAS + offset_of!(LowCore, kernel_stack),
);

global_asm!(
    include_str!("../../../../boot/s390x/user.S"),
    PSW = const offset_of!(TrapFrame, psw),
    GPRS = const offset_of!(TrapFrame, gprs),
    LC_RETURN_PSW = const offset_of!(LowCore, return_psw),
    FPC = const offset_of!(UserState, fpc),
    ACCESS = const offset_of!(UserState, access),
);

// Programs of tests: constants, copied to where they run.
global_asm!(include_str!("samples.S"));
