//! Low core: the 8 KB at real address 0 that the architecture and the interruption entries use.
//!
//! Prefixing gives each CPU its own: real 0-0x1fff of a CPU is the memory at its prefix. The
//! kernel's space leaves virtual page 0 unmapped and shows real 0-0x1fff at [`ALIAS`], low enough
//! for an instruction's 20-bit displacement without a base register. So a CPU reads what belongs
//! to it (its number, its task) in one instruction, which preemption cannot tear.
//!
//! Before translation is on, the alias' addresses are ordinary memory, 8 KB that nobody else
//! uses; [`adopt`] moves what was stored there.

use super::psw::{self, Psw};
use crate::addr::{PhysAddr, VirtAddr};
use core::arch::asm;
use core::mem::offset_of;

/// Where translated code sees its CPU's low core.
pub const ALIAS: usize = 0x2000;
/// Bytes of it, and its alignment.
pub const SIZE: usize = 0x2000;

/// POP, "Assigned Storage Locations". Bytes 0x200-0x11ff are the program's; what they hold here
/// is laid out for boot/s390x/trap.S.
///
/// # Invariants
/// `kernel_stack` and `emergency_stack` are the ends of mapped stacks once translation is on;
/// `cpu` is the CPU's logical number, below `MAX_CPUS`.
#[repr(C, align(8192))]
pub struct LowCore {
    fixed: [u8; 0x1a0],
    new_psw: NewPsws,
    pub(super) save_program: [u64; 16],
    pub(super) save_svc: [u64; 16],
    pub(super) save_external: [u64; 16],
    pub(super) save_io: [u64; 16],
    pub(super) save_machine_check: [u64; 16],
    pub(super) save_restart: [u64; 16],
    /// End of the stack for interruptions of problem state, and of a started CPU's first stack.
    pub(super) kernel_stack: u64,
    /// End of the stack for when the interrupted one cannot be used.
    pub(super) emergency_stack: u64,
    pub(super) return_psw: Psw,
    pub(super) current_task: u64,
    pub(super) cpu: u64,
    /// Control registers of a CPU that is started.
    pub(super) control: [u64; 16],
    rest: [u8; SIZE - 0x630],
}

/// The new PSWs, in the order of the manual.
#[repr(C)]
struct NewPsws {
    restart: Psw,
    external: Psw,
    supervisor_call: Psw,
    program: Psw,
    machine_check: Psw,
    io: Psw,
}

const _: () = assert!(offset_of!(LowCore, new_psw) == 0x1a0);
const _: () = assert!(offset_of!(LowCore, save_program) == 0x200);
const _: () = assert!(size_of::<LowCore>() == SIZE);

unsafe extern "C" {
    fn restart_entry();
    fn trap_restart();
    fn trap_external();
    fn trap_svc();
    fn trap_program();
    fn trap_program_early();
    fn trap_machine_check();
    fn trap_io();
}

/// Fills in the new PSWs of the low core at `base`.
///
/// # Safety
/// `base` is a low core that no running CPU uses, or this CPU's own; the rest of it is filled in
/// before its CPU is interrupted.
pub unsafe fn install(base: PhysAddr) {
    let entry = |mask, entry: unsafe extern "C" fn()| Psw { mask, address: entry as usize as u64 };
    let psws = NewPsws {
        restart: entry(psw::KERNEL, trap_restart),
        external: entry(psw::KERNEL, trap_external),
        supervisor_call: entry(psw::KERNEL, trap_svc),
        program: entry(psw::KERNEL, trap_program),
        machine_check: entry(psw::KERNEL & !psw::MACHINE_CHECK, trap_machine_check),
        io: entry(psw::KERNEL, trap_io),
    };
    // SAFETY: the caller's promise; the address, 0x1a0 or more, is not null.
    unsafe { field::<NewPsws>(base, offset_of!(LowCore, new_psw)).write_volatile(psws) };
}

/// Lets the CPU whose low core is at `base` start at its next restart; [`install`] undoes it.
///
/// # Safety
/// The CPU is stopped; its low core's `control` and `kernel_stack` are filled in.
pub unsafe fn start_at_restart(base: PhysAddr) {
    let psw = Psw { mask: psw::RESTART, address: restart_entry as *const () as u64 };
    let at = offset_of!(LowCore, new_psw) + offset_of!(NewPsws, restart);
    // SAFETY: the caller's promise.
    unsafe { field::<Psw>(base, at).write_volatile(psw) };
}

/// Program interruptions of the boot CPU before translation is on.
///
/// # Safety
/// This is the boot CPU, whose prefix is 0.
pub unsafe fn install_early() {
    let psw = Psw { mask: psw::ADDRESSING_64, address: trap_program_early as *const () as u64 };
    let at = offset_of!(LowCore, new_psw) + offset_of!(NewPsws, program);
    // SAFETY: the caller's promise; the address is not null.
    unsafe { field::<Psw>(PhysAddr::new(0), at).write_volatile(psw) };
}

/// A field of the low core at `base`.
pub fn field<T>(base: PhysAddr, offset: usize) -> *mut T {
    core::ptr::with_exposed_provenance_mut(base.get() as usize + offset)
}

/// Fills in the boot CPU's low core, with what was stored through the alias' addresses while
/// translation was off.
///
/// # Safety
/// Translation is off, this is the boot CPU, interrupts are off, and translation goes on next.
pub unsafe fn adopt(emergency_stack: VirtAddr) {
    let task = current_task().expose_provenance() as u64;
    let base = PhysAddr::new(0);
    // SAFETY: the boot CPU's prefix is 0; the fields are its own.
    unsafe {
        install(base);
        field::<u64>(base, offset_of!(LowCore, current_task)).write_volatile(task);
        field::<u64>(base, offset_of!(LowCore, cpu)).write_volatile(0);
        field::<u64>(base, offset_of!(LowCore, emergency_stack)).write_volatile(emergency_stack.get());
    }
}

/// The running task.
#[inline(always)]
pub fn current_task() -> *const () {
    let task: usize;
    // SAFETY: one load from this CPU's low core.
    unsafe {
        asm!("lg {0}, {1}", out(reg) task, const ALIAS + offset_of!(LowCore, current_task),
             options(pure, readonly, nostack, preserves_flags));
    }
    core::ptr::with_exposed_provenance(task)
}

/// Sets the running task.
///
/// # Safety
/// Interrupts are off; what runs from here on is that task.
#[inline(always)]
pub unsafe fn set_current_task(task: *const ()) {
    // SAFETY: one store to this CPU's low core.
    unsafe {
        asm!("stg {0}, {1}", in(reg) task.expose_provenance(),
             const ALIAS + offset_of!(LowCore, current_task), options(nostack, preserves_flags));
    }
}

/// This CPU's logical number.
#[inline(always)]
pub fn cpu() -> usize {
    let cpu: usize;
    // SAFETY: one load from this CPU's low core.
    unsafe {
        asm!("lg {0}, {1}", out(reg) cpu, const ALIAS + offset_of!(LowCore, cpu),
             options(pure, readonly, nostack, preserves_flags));
    }
    cpu
}
