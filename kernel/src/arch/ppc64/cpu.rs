//! This CPU and the others.

use super::firmware::{
    H_CEDE, H_CPPR, H_IPI, H_SIGNAL_SYS_RESET, H_SUCCESS, OPAL_SIGNAL_SYSTEM_RESET, OPAL_START_CPU,
    START_CPU, hcall, opal,
};
use super::platform::{self, Platform};
use super::regs::{MSR_EE, MSR_RI, PSSCR, msr, mtspr};
use super::{LINEAR, TrapFrame, area, mmu, timer, trap};
use crate::addr::VirtAddr;
use crate::arch::handlers;
use crate::error::Errno;
use core::arch::asm;
use core::mem::offset_of;
use core::sync::atomic::Ordering;

/// Spin-loop hint: low priority, then medium again (Power ISA v3.0B, Book II, "or Instruction"). QEMU
/// leaves the translation block at the first: another CPU of a single-threaded emulator gets its turn.
pub fn relax() {
    // SAFETY: changes the thread's priority only.
    unsafe { asm!("or 1,1,1", "or 2,2,2", options(nomem, nostack, preserves_flags)) };
}

/// Logical number of the CPU this runs on.
pub fn id() -> usize {
    let id: usize;
    // SAFETY: r13 points to the area. One load: it cannot be torn by moving to another CPU.
    unsafe {
        asm!("ld {}, {offset}(13)", out(reg) id, offset = const offset_of!(area::Area, cpu),
            options(readonly, nostack, preserves_flags));
    }
    id
}

/// The running task.
pub fn current_task() -> *const () {
    let task: *const ();
    // SAFETY: as in `id`.
    unsafe {
        asm!("ld {}, {offset}(13)", out(reg) task, offset = const offset_of!(area::Area, task),
            options(readonly, nostack, preserves_flags));
    }
    task
}

/// Sets it.
///
/// # Safety
/// Interrupts are off; the pointer is what the callers of `current_task` expect.
pub unsafe fn set_current_task(task: *const ()) {
    area::this().task.set(task);
}

/// Whether interrupts are on.
pub fn irqs_enabled() -> bool {
    msr() & MSR_EE != 0
}

/// Turns interrupts off and says whether they were on.
pub fn irq_save() -> bool {
    let on = irqs_enabled();
    set_ee(false);
    on
}

/// Turns interrupts on if the argument is true.
///
/// # Safety
/// Pairs with `irq_save`: whoever wanted them off agrees.
pub unsafe fn irq_restore(on: bool) {
    if on {
        set_ee(true);
    }
}

/// `mtmsrd` with L = 1 changes EE and RI only. It orders the accesses of the compiler too: no
/// `nomem`.
fn set_ee(on: bool) {
    let bits = if on { MSR_EE | MSR_RI } else { MSR_RI };
    // SAFETY: turning interrupts on is the caller's claim.
    unsafe { asm!("mtmsrd {}, 1", in(reg) bits, options(nostack, preserves_flags)) };
}

/// Waits for an interrupt and takes it.
///
/// powernv9: `stop` with PSSCR = 0 (no state lost, go on behind it) ends when an interrupt is
/// pending, also one that EE keeps out (Power ISA v3.0B, Book III, "Power-Saving Mode"). pseries: H_CEDE
/// turns EE on itself and returns at once if something is pending (LoPAPR, H_CEDE). So in both an
/// interrupt between the caller's last check and the wait is not slept through.
pub fn idle() {
    match platform::get() {
        Platform::PowerNv => {
            // SAFETY: waiting loses nothing.
            unsafe {
                mtspr::<PSSCR>(0);
                asm!("stop", options(nostack));
            }
            set_ee(true);
        }
        Platform::Pseries => {
            hcall(H_CEDE, [0; 4]);
        }
    }
    set_ee(false);
}

/// Directed hypervisor doorbell, message type 5 (Power ISA v3.0B, Book III, "Processor Control").
const DOORBELL: u64 = 5 << 27;
/// XICS priority of inter-processor interrupts: any but 0xff, which is "none".
const IPI_PRIORITY: u64 = 4;

/// Interrupts that CPU.
pub fn send_ipi(cpu: usize) {
    let Some(area) = area::of(cpu) else { return };
    let number = u64::from(area.number());
    match platform::get() {
        // SAFETY: sync: our stores are done before the message goes. msgsnd r3, which the assembler
        // does not know.
        Platform::PowerNv => unsafe {
            asm!("sync", ".long 0x7c00199c", in("r3") DOORBELL | number, options(nostack, preserves_flags));
        },
        Platform::Pseries => {
            // SAFETY: as above.
            unsafe { asm!("sync", options(nostack, preserves_flags)) };
            hcall(H_IPI, [number, IPI_PRIORITY, 0, 0]);
        }
    }
}

/// Interrupts that CPU whatever it does, by a system reset, which cannot be masked; it does not go on.
/// False where the firmware cannot: skiboot wants the core awake first ("special wakeup"), which QEMU
/// 7.2 never confirms, so after a second it gives up.
pub fn send_nmi(cpu: usize) -> bool {
    let Some(area) = area::of(cpu) else { return false };
    let number = u64::from(area.number());
    // Release: pairs with the Acquire in `trap`; the reset follows.
    area.reset_asked.store(true, Ordering::Release);
    match platform::get() {
        Platform::PowerNv => opal(OPAL_SIGNAL_SYSTEM_RESET, [number]) == 0,
        Platform::Pseries => hcall(H_SIGNAL_SYS_RESET, [number, 0, 0, 0]).0 == H_SUCCESS,
    }
}

/// How long a CPU may take to come up, in ns: the host may be busy.
const PATIENCE: u64 = 10_000_000_000;

unsafe extern "C" {
    fn ppc64_secondary_entry();
}

/// Starts a stopped CPU.
///
/// # Safety
/// The stack is nobody else's, the task is what the callers of `current_task` expect; translation is
/// on here; nobody else starts that CPU.
pub unsafe fn start(cpu: usize, hardware: u32, stack: VirtAddr, task: *const ()) -> Result<(), Errno> {
    let area = area::of(cpu).filter(|area| area.number() == hardware).ok_or(Errno::ENODEV)?;
    // Acquire and Release: with the other CPU's exchange in `ppc64_secondary`.
    if area.state.compare_exchange(0, area::STARTING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return Err(Errno::EBUSY);
    }
    area.stack.set(stack.get());
    area.task.set(task);
    let entry = ppc64_secondary_entry as *const () as usize as u64 & !LINEAR;
    // SAFETY: what was stored above is visible before the firmware wakes it.
    unsafe { asm!("sync", options(nostack, preserves_flags)) };
    let on = irq_save();
    let status = match platform::get() {
        Platform::PowerNv => opal(OPAL_START_CPU, [u64::from(hardware), entry]),
        Platform::Pseries => i64::from(START_CPU.call([hardware, entry as u32, hardware])),
    };
    // SAFETY: as it was.
    unsafe { irq_restore(on) };
    if status != 0 {
        area.state.store(0, Ordering::Relaxed);
        return Err(Errno::ENODEV);
    }
    let since = timer::now();
    while area.state.load(Ordering::Acquire) != area::RUNNING {
        if timer::now() - since > PATIENCE {
            let taken_back = area.state.compare_exchange(
                area::STARTING,
                area::GIVEN_UP,
                Ordering::AcqRel,
                Ordering::Acquire,
            );
            return if taken_back.is_ok() { Err(Errno::ETIMEDOUT) } else { Ok(()) };
        }
        relax();
    }
    Ok(())
}

/// A started CPU, from the entry code, on its emergency stack, translation off.
#[unsafe(no_mangle)]
extern "C" fn ppc64_secondary() -> ! {
    trap::init_cpu();
    timer::never();
    mmu::enable_here();
    let area = area::this();
    let state = &area.state;
    if state.compare_exchange(area::STARTING, area::RUNNING, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        halt();
    }
    // SAFETY: the stack that `start` was given; nothing here is needed any more.
    unsafe { area::go_on(area.stack.get(), secondary_main, area.cpu.get()) }
}

extern "C" fn secondary_main(cpu: usize) -> ! {
    match handlers::get() {
        Some(handlers) => (handlers.secondary_main)(cpu),
        None => halt(),
    }
}

/// The registers as they are in the caller, into which this is inlined.
#[inline(always)]
pub fn capture() -> TrapFrame {
    TrapFrame::here()
}

/// Stops this CPU for good.
pub fn halt() -> ! {
    set_ee(false);
    area::this().state.store(area::HALTED, Ordering::Relaxed);
    if platform::get() == Platform::Pseries {
        // No inter-processor interrupt reaches it any more.
        hcall(H_CPPR, [0; 4]);
    }
    loop {
        timer::never();
        idle();
    }
}
