//! Interrupts: installing the vectors, and what each one leads to.
//!
//! The assembly (`boot/ppc64/vectors.S`) saves a `TrapFrame` and calls `ppc64_trap` for all of them but
//! the system call;
//! what differs between the machines, and between interrupts that come by SRR and by HSRR, ends
//! there. Every interrupt runs with external interrupts off, on the stack of whom it interrupted.

use super::firmware::{H_CPPR, H_EOI, H_IPI, H_SET_MODE, H_XIRR, hcall};
use super::frame::FRAME_MARK;
use super::platform::{self, Platform};
use super::regs::{
    AMR, FSCR, HFSCR, HID0, HID0_HILE, IAMR, MSR_DR, MSR_EE, MSR_IR, UAMOR, mfspr, msr, mtspr,
};
use super::{LINEAR, TrapFrame, area, console, fault, power, probe, timer, user};
use crate::arch::handlers::{self, Fault, FaultKind, Handlers};
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

/// End of what the vectors take of low memory.
pub const VECTORS_END: u64 = 0x6000;

/// These two always turn translation off.
const SYSTEM_RESET: u64 = 0x100;
const MACHINE_CHECK: u64 = 0x200;
/// External interrupt (pseries; on powernv9 it is not used).
const EXTERNAL: u64 = 0x500;
const DECREMENTER: u64 = 0x900;
const HYPERVISOR_DOORBELL: u64 = 0xe80;

unsafe extern "C" {
    static ppc64_vectors: u8;
    static ppc64_vectors_end: u8;
}

/// Copies the vectors down and prepares the boot CPU.
///
/// # Safety
/// Low memory belongs to nobody else any more. Translation is off.
pub unsafe fn install() {
    let from = &raw const ppc64_vectors;
    let length = (&raw const ppc64_vectors_end).addr() - from.addr();
    for base in [0, 0x4000] {
        let to = core::ptr::with_exposed_provenance_mut::<u8>((LINEAR | base) as usize);
        // SAFETY: low memory is ours; the first 0x100 bytes are no vector and stay. In a guest the
        // external interrupt comes by SRR, not HSRR: the flag in its fourth instruction, `li`.
        unsafe {
            to.add(0x100).copy_from_nonoverlapping(from.add(0x100), length - 0x100);
            if platform::get() == Platform::Pseries {
                let flag = to.add(EXTERNAL as usize + 12);
                flag.write(flag.read() & !1);
            }
            for line in (0x100..length).step_by(128) {
                asm!("dcbst 0, {0}", "sync", "icbi 0, {0}", in(reg) to.add(line), options(nostack));
            }
        }
    }
    // SAFETY: makes the copies visible to instruction fetch.
    unsafe { asm!("sync", "isync", options(nostack)) };
    if platform::get() == Platform::Pseries {
        // Interrupts little-endian: resource 4, value 1. For all CPUs.
        hcall(H_SET_MODE, [1, 4, 0, 0]);
    }
    init_cpu();
}

/// Prepares this CPU to take interrupts.
pub fn init_cpu() {
    let entry = &area::this().entry;
    let toc: u64;
    // SAFETY: r2 is the kernel's whenever the kernel runs.
    unsafe { asm!("mr {}, 2", out(reg) toc, options(nomem, nostack, preserves_flags)) };
    entry.toc.set(toc);
    entry.mark.set(FRAME_MARK);
    entry.trap.set(ppc64_trap as *const () as u64);
    entry.call.set(ppc64_call as *const () as u64);
    match platform::get() {
        // SAFETY: little-endian interrupts are what the vectors are; facilities are not used by the
        // kernel.
        Platform::PowerNv => unsafe {
            mtspr::<HID0>(mfspr::<HID0>() | HID0_HILE);
            mtspr::<HFSCR>(mfspr::<HFSCR>() | FACILITIES);
        },
        Platform::Pseries => {
            hcall(H_CPPR, [0xff, 0, 0, 0]);
        }
    }
    // SAFETY: what programs may use is saved and restored with their state; no page has a key. `scv`
    // stays off: it would enter the kernel with interrupts on and the program's stack pointer.
    unsafe {
        mtspr::<FSCR>(FSCR_TAR);
        mtspr::<UAMOR>(0);
        mtspr::<AMR>(0);
        mtspr::<IAMR>(0);
    }
}

/// FSCR and HFSCR bit 55: the TAR may be used.
const FSCR_TAR: u64 = 1 << 8;
/// HFSCR bits 62 and 63: vectors, floating point; the MSR decides.
const FACILITIES: u64 = FSCR_TAR | 0b11;

extern "C" fn ppc64_trap(frame: &mut TrapFrame) {
    // The MSR was saved by the hardware: nobody can pretend.
    if frame.is_user() { from_program(frame) } else { from_kernel(frame) }
}

/// `sc`, which the kernel never executes at level 0.
extern "C" fn ppc64_call(frame: &mut TrapFrame) {
    match handlers::get() {
        Some(handlers) if frame.is_user() => (handlers.syscall)(frame),
        _ => fatal(frame),
    }
}

fn from_kernel(frame: &mut TrapFrame) {
    match frame.vector() {
        DECREMENTER => maskable(frame, timer::interrupt),
        HYPERVISOR_DOORBELL => maskable(frame, doorbell),
        EXTERNAL if platform::get() == Platform::Pseries => maskable(frame, external),
        SYSTEM_RESET => reset(frame),
        _ if probe::fix_up(frame) => {}
        _ => fatal(frame),
    }
}

/// A program's thread is on its kernel stack, with nothing on it but the frame.
fn from_program(frame: &mut TrapFrame) {
    let Some(handlers) = handlers::get() else { fatal(frame) };
    match frame.vector() {
        DECREMENTER => maskable(frame, timer::interrupt),
        HYPERVISOR_DOORBELL => maskable(frame, doorbell),
        EXTERNAL if platform::get() == Platform::Pseries => maskable(frame, external),
        SYSTEM_RESET => reset(frame),
        _ => return fault_of_program(frame, handlers),
    }
    (handlers.user_return)(frame);
}

fn fault_of_program(frame: &mut TrapFrame, handlers: &Handlers) {
    if frame.on_emergency_stack() {
        fatal(frame);
    }
    match fault::of_program(frame, user::fpscr) {
        Some(fault) => (handlers.user_fault)(frame, &fault),
        None => fatal(frame),
    }
}

/// An interrupt that EE masks.
fn maskable(frame: &TrapFrame, handle: impl FnOnce(&TrapFrame)) {
    if frame.on_emergency_stack() {
        fatal(frame);
    }
    if area::this().halted() {
        return timer::never();
    }
    handle(frame);
    // It was on, or we would not be here; the check is for what may come in addition.
    if frame.msr & MSR_EE != 0
        && let Some(handlers) = handlers::get()
    {
        (handlers.irq_exit)();
    }
}

fn doorbell(frame: &TrapFrame) {
    // SAFETY: msgsync, then lwsync: what the sender stored before is seen (Power ISA v3.0B, Book III,
    // "Processor Control"). The assembler does not know the first.
    unsafe { asm!(".long 0x7c0006ec", "lwsync", options(nostack, preserves_flags)) };
    ipi(frame);
}

fn ipi(frame: &TrapFrame) {
    if let Some(handlers) = handlers::get() {
        (handlers.ipi)(frame);
    }
}

/// Source number of an inter-processor interrupt in the XICS presentation (LoPAPR, H_IPI).
const XICS_IPI: u64 = 2;

fn external(frame: &TrapFrame) {
    let (_, [xirr, ..]) = hcall(H_XIRR, [0; 4]);
    match xirr & 0xff_ffff {
        0 => return,
        XICS_IPI => {
            // Cleared first: one that arrives from here on interrupts again.
            hcall(H_IPI, [u64::from(area::this().number()), 0xff, 0, 0]);
            // SAFETY: what the sender stored before is seen.
            unsafe { asm!("lwsync", options(nostack, preserves_flags)) };
            ipi(frame);
        }
        // No device's interrupt is enabled.
        _ => {}
    }
    // The handler may have moved nothing: irq_exit, which may switch threads, comes later.
    hcall(H_EOI, [xirr, 0, 0, 0]);
}

/// Another CPU asks by `cpu::send_nmi`, or the operator (QEMU's `nmi`) asks a silent kernel.
fn reset(frame: &TrapFrame) -> ! {
    translate_as(frame);
    // Acquire: pairs with the Release in `send_nmi`.
    if area::this().reset_asked.load(Ordering::Acquire)
        && let Some(handlers) = handlers::get()
    {
        (handlers.nmi)(frame);
    }
    fatal(frame)
}

/// Turns translation on if it was on before: the handlers' data may lie where real mode does not reach.
fn translate_as(frame: &TrapFrame) {
    if frame.msr & MSR_DR != 0 && msr() & MSR_DR == 0 {
        // SAFETY: it was on; this code has the same address in both.
        unsafe { asm!("mtmsrd {}", "isync", in(reg) msr() | MSR_IR | MSR_DR, options(nostack)) };
    }
}

/// The kernel faulted: says so, and never comes back.
fn fatal(frame: &TrapFrame) -> ! {
    translate_as(frame);
    let area = area::this();
    area.emergencies.set(area.emergencies.get() + 1);
    if area.emergencies.get() > 4 {
        // Reporting faults, again and again.
        console::write(b"\nfaults while a fault was reported\nfallow: exit status 3\n");
        power::fail();
    }
    let mut fault = fault::of(frame);
    let real_mode = matches!(frame.vector(), SYSTEM_RESET | MACHINE_CHECK);
    if frame.on_emergency_stack() && !real_mode {
        fault.kind = FaultKind::StackOverflow;
    }
    let report = Report { frame, fault };
    if fault.kind == FaultKind::StackOverflow && !frame.on_emergency_stack() {
        // SAFETY: the emergency stack is not in use; what `report` points to stays where it is.
        unsafe { area::go_on(area.end_of_stack(), report_fault, (&raw const report).expose_provenance()) };
    }
    report_fault((&raw const report).expose_provenance())
}

/// A fault on its way to the handler.
struct Report<'a> {
    frame: &'a TrapFrame,
    fault: Fault,
}

extern "C" fn report_fault(report: usize) -> ! {
    // SAFETY: `fatal`'s local variable, on a stack that nobody uses any more.
    let Report { frame, fault } = unsafe { &*core::ptr::with_exposed_provenance::<Report<'_>>(report) };
    if let Some(handlers) = handlers::get() {
        (handlers.kernel_fault)(frame, fault);
    }
    // Too early for a handler.
    let _ = writeln!(Early, "\nfault before there was a handler: {}\n{frame}", fault.name);
    console::write(b"fallow: exit status 3\n");
    power::fail()
}

struct Early;

impl Write for Early {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        console::write(text.as_bytes());
        Ok(())
    }
}
