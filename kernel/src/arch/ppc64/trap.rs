//! Interrupts: installing the vectors, and what each one leads to.
//!
//! The assembly (`boot/ppc64/vectors.S`) saves a `TrapFrame` and calls `ppc64_trap` for all of them;
//! what differs between the machines, and between interrupts that come by SRR and by HSRR, ends
//! there. Every interrupt runs with external interrupts off, on the stack of whom it interrupted.

use super::firmware::{H_CPPR, H_EOI, H_IPI, H_SET_MODE, H_XIRR, hcall};
use super::platform::{self, Platform};
use super::regs::{FSCR, HFSCR, HID0, HID0_HILE, MSR_DR, MSR_EE, MSR_IR, mfspr, msr, mtspr};
use super::{LINEAR, area, console, fault, power, probe, timer};
use crate::addr::VirtAddr;
use crate::arch::handlers::{self, Fault, FaultKind, Syscall};
use crate::arch::ppc64_interrupt as interrupt;
use crate::error::Errno;
use core::arch::asm;
use core::fmt::{self, Write};
use core::sync::atomic::Ordering;

/// Bytes below r1 that belong to the interrupted function (ELFv2 ABI 2.2.3.4).
pub const PROTECTED_ZONE: usize = 288;
/// Bytes of a stack frame's header.
pub const FRAME_HEADER: usize = 32;
/// Bytes of the entry's stack frame: header, `TrapFrame`, rounded up.
pub const FRAME: usize = (FRAME_HEADER + size_of::<TrapFrame>()).next_multiple_of(16);
/// In the header of such a frame, where a compiler would keep r2: `trapfram`.
pub const FRAME_MARK: u64 = 0x7472_6170_6672_616d;
/// End of what the vectors take of low memory.
pub const VECTORS_END: u64 = 0x6000;

/// These two always turn translation off.
const SYSTEM_RESET: u64 = 0x100;
const MACHINE_CHECK: u64 = 0x200;
/// External interrupt (pseries; on powernv9 it is not used).
const EXTERNAL: u64 = 0x500;
const DECREMENTER: u64 = 0x900;
const HYPERVISOR_DOORBELL: u64 = 0xe80;

/// The registers of what was interrupted. The layout is known to the assembly.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct TrapFrame {
    /// r0-r31. A return to the kernel does not load r13.
    pub gpr: [u64; 32],
    /// Next instruction (SRR0 or HSRR0).
    pub nip: u64,
    /// MSR (SRR1 or HSRR1, whose bits 33-36 and 42-47 say why).
    pub msr: u64,
    /// Link register.
    pub lr: u64,
    /// Count register.
    pub ctr: u64,
    /// Fixed-point exception register.
    pub xer: u64,
    /// Condition register.
    pub cr: u64,
    /// Data address register.
    pub dar: u64,
    /// Data storage interrupt status.
    pub dsisr: u64,
    /// Offset of the vector, and two flags.
    vector: u64,
}

impl TrapFrame {
    /// Of no interrupt: the registers as they are in the caller, into which this is inlined.
    #[inline(always)]
    pub fn here() -> Self {
        let mut gpr = [0; 32];
        let (nip, lr, ctr, xer, cr): (u64, u64, u64, u64, u64);
        // SAFETY: stores the registers into the array and reads the others. The branch to the next
        // instruction tells its address; the link register is put back.
        unsafe {
            asm!(".irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                 "std \\n, 8*\\n({gpr})", ".endr",
                 ".irp n, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31",
                 "std \\n, 8*\\n({gpr})", ".endr",
                 "mflr {lr}", "bcl 20, 31, 2f", "2:", "mflr {nip}", "mtlr {lr}",
                 "mfctr {ctr}", "mfxer {xer}", "mfcr {cr}",
                 gpr = in(reg_nonzero) &raw mut gpr, lr = out(reg_nonzero) lr, nip = out(reg_nonzero) nip,
                 ctr = out(reg_nonzero) ctr, xer = out(reg_nonzero) xer, cr = out(reg_nonzero) cr,
                 options(nostack, preserves_flags));
        }
        Self { gpr, nip, msr: msr(), lr, ctr, xer, cr, dar: 0, dsisr: 0, vector: 0 }
    }
    /// Where it was interrupted.
    pub fn pc(&self) -> usize {
        self.nip as usize
    }
    /// Its stack pointer.
    pub fn sp(&self) -> usize {
        self.gpr[1] as usize
    }
    /// Offset of the interrupt's vector.
    pub fn vector(&self) -> u64 {
        self.vector & !0x1f
    }
    /// Whether the interrupted stack had no room for the frame.
    fn on_emergency_stack(&self) -> bool {
        self.vector & 2 != 0
    }
}

/// Frames of programs: to be filled in.
impl TrapFrame {
    /// Whether it interrupted a program.
    pub fn is_user(&self) -> bool {
        false
    }
    /// A program's first state.
    pub fn program(_entry: VirtAddr, _sp: VirtAddr) -> Self {
        todo!()
    }
    /// What the program asks for.
    pub fn syscall(&self) -> Syscall {
        todo!()
    }
    /// What it gets.
    pub fn set_result(&mut self, _result: Result<u64, Errno>) {
        todo!()
    }
    /// Makes it ask again.
    pub fn restart(&mut self) {
        todo!()
    }
    /// Makes it ask that.
    pub fn restart_as(&mut self, _number: usize) {
        todo!()
    }
    /// Where it continues.
    pub fn set_pc(&mut self, _pc: VirtAddr) {
        todo!()
    }
    /// Its stack pointer from now on.
    pub fn set_sp(&mut self, _sp: VirtAddr) {
        todo!()
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interrupted = self.vector() != 0;
        if interrupted {
            let name = interrupt::name(self.vector());
            writeln!(f, "{name} interrupt ({:#x})", self.vector())?;
        }
        writeln!(f, "nip {:016x}  msr {:016x}  lr  {:016x}", self.nip, self.msr, self.lr)?;
        write!(f, "ctr {:016x}  xer {:016x}  cr  {:016x}", self.ctr, self.xer, self.cr)?;
        if interrupted {
            write!(f, "\ndar {:016x}  dsisr {:08x}", self.dar, self.dsisr)?;
        }
        for (number, value) in self.gpr.iter().enumerate() {
            let start = if number % 4 == 0 { "\n" } else { "  " };
            write!(f, "{start}r{number:<2} {value:016x}")?;
        }
        Ok(())
    }
}

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
    // SAFETY: no facility that needs state of its own. `scv` stays off: it would enter the kernel
    // with interrupts on and the user's stack pointer.
    unsafe { mtspr::<FSCR>(0) };
}

/// What a later user program may use: FP, vector, VSX, DSCR and TAR. (FSCR and the MSR decide.)
const FACILITIES: u64 = 1 << 8 | 1 << 2 | 0b11;

#[unsafe(no_mangle)]
extern "C" fn ppc64_trap(frame: &mut TrapFrame) {
    match frame.vector() {
        DECREMENTER => maskable(frame, |_| timer::interrupt()),
        HYPERVISOR_DOORBELL => maskable(frame, doorbell),
        EXTERNAL if platform::get() == Platform::Pseries => maskable(frame, external),
        SYSTEM_RESET => reset(frame),
        _ if probe::fix_up(frame) => {}
        _ => fatal(frame),
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
    // 11.4). The assembler does not know the first.
    unsafe { asm!(".long 0x7c0006ec", "lwsync", options(nostack, preserves_flags)) };
    ipi(frame);
}

fn ipi(frame: &TrapFrame) {
    if let Some(handlers) = handlers::get() {
        (handlers.ipi)(frame);
    }
}

/// Source number of an inter-processor interrupt in the XICS presentation (LoPAPR 14.5.4.7).
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
