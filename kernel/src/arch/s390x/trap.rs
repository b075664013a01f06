//! Interruptions that were not asked for: program, supervisor call, I/O, machine check. (External
//! ones are in [`external`](super::external).)

use super::{cpu, extable, lowcore, power, psw, user};
use crate::addr::VirtAddr;
use crate::arch::MAX_CPUS;
use crate::arch::handlers::{self, Fault, FaultKind};
use crate::arch::s390x_program::ProgramCheck;
use core::arch::asm;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

/// Bytes that a caller leaves at its stack pointer for the callee's registers (ELF ABI s390x).
pub const ABI_AREA: usize = 160;

/// `TrapFrame::flags`: the interrupted stack could not be used; the frame is on the emergency
/// stack.
pub const FLAG_NO_STACK: u64 = 1;
/// `TrapFrame::flags`: `info` tells of a program interruption.
pub(super) const FLAG_PROGRAM: u64 = 2;
/// `TrapFrame::flags`: before the program goes on it makes the call in `call`.
pub(super) const FLAG_CALL: u64 = 4;

/// What an interruption found. boot/s390x/trap.S builds it and returns through it.
#[repr(C)]
#[derive(Clone, Debug)]
pub struct TrapFrame {
    /// The old PSW.
    pub(super) psw: psw::Psw,
    /// The general registers.
    pub(super) gprs: [u64; 16],
    /// What low core says of the interruption, by its class.
    pub(super) info: [u64; 2],
    /// `FLAG_*`
    pub(super) flags: u64,
    /// Of a supervisor call: its number, and register 2 as it was.
    pub(super) call: [u64; 2],
}

impl TrapFrame {
    /// Of no interruption: the registers as they are in the caller, into which this is inlined.
    #[inline(always)]
    pub fn here() -> Self {
        let mut gprs = [0; 16];
        let (address, high, low): (u64, u32, u32);
        // SAFETY: stores the registers into the array, and reads the PSW.
        unsafe {
            asm!("stmg %r0, %r15, 0({gprs})", "larl {address}, .", "epsw {high}, {low}",
                 gprs = in(reg_addr) &raw mut gprs, address = out(reg_addr) address,
                 high = out(reg_addr) high, low = out(reg_addr) low,
                 options(nostack, preserves_flags));
        }
        let mask = u64::from(high) << 32 | u64::from(low);
        Self { psw: psw::Psw { mask, address }, gprs, info: [0; 2], flags: 0, call: [0; 2] }
    }

    /// Where it was interrupted. (Behind the instruction, for most program interruptions.)
    pub fn pc(&self) -> usize {
        self.psw.address as usize
    }
    /// Its stack pointer.
    pub fn sp(&self) -> usize {
        self.gprs[15] as usize
    }
    /// Whether it had I/O and external interrupts on.
    pub(super) fn irqs_on(&self) -> bool {
        self.psw.mask & (psw::IO | psw::EXTERNAL) != 0
    }
}

impl fmt::Display for TrapFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PSW {:016x} {:016x}", self.psw.mask, self.psw.address)?;
        for (n, row) in self.gprs.chunks(4).enumerate() {
            write!(f, "\nr{:<2}", 4 * n)?;
            for value in row {
                write!(f, " {value:016x}")?;
            }
        }
        Ok(())
    }
}

/// If the CPU was waiting in `cpu::idle`: ends the wait, with interrupts off.
pub fn leave_wait(frame: &mut TrapFrame) -> bool {
    let waiting = frame.psw.mask & psw::WAIT != 0;
    if waiting {
        frame.psw.mask &= !(psw::WAIT | psw::IO | psw::EXTERNAL);
    }
    waiting
}

pub(super) fn kernel_fault(frame: &TrapFrame, fault: Fault) -> ! {
    match handlers::get() {
        Some(handlers) => (handlers.kernel_fault)(frame, &fault),
        None => {
            // Before the handlers are set: the name is all there is.
            super::console::write(fault.name.as_bytes());
            super::console::write(b", before the kernel can panic\nfallow: exit status 3\n");
            power::fail()
        }
    }
}

/// Ends the kernel if the interrupted stack had no room for the frame.
pub fn require_stack(frame: &TrapFrame, name: &'static str) {
    if frame.flags & FLAG_NO_STACK != 0 {
        let address = Some(VirtAddr::new(frame.gprs[15]));
        kernel_fault(frame, Fault { kind: FaultKind::StackOverflow, name, address });
    }
}

#[unsafe(no_mangle)]
extern "C" fn s390x_program(frame: &mut TrapFrame) {
    let check = ProgramCheck { word: frame.info[0], tec: frame.info[1] };
    frame.flags |= FLAG_PROGRAM;
    if frame.is_user() {
        return user::program_check(frame, check);
    }
    let instruction = check.instruction(frame.psw.address);
    let fetch = check.is_fetch_of(instruction);
    let mut fault = check.fault(fetch);
    if fetch {
        // The TEC tells the page; of an instruction the address is known.
        fault.address = Some(VirtAddr::new(instruction));
    }
    require_stack(frame, check.name());
    // A call into what cannot be executed has its return address in the table.
    let key = if fault.kind == FaultKind::Execute { frame.gprs[14] } else { instruction };
    match extable::find(key) {
        Some(fixup) => {
            frame.gprs[0] = check.word;
            frame.gprs[1] = check.tec;
            frame.psw.address = fixup;
        }
        None => kernel_fault(frame, fault),
    }
}

/// The kernel calls no supervisor.
#[unsafe(no_mangle)]
extern "C" fn s390x_svc(frame: &mut TrapFrame) {
    if !frame.is_user() {
        unexpected(frame, "supervisor-call interruption");
    }
    user::supervisor_call(frame);
}

/// CR6 masks all subclasses, so there is none.
#[unsafe(no_mangle)]
extern "C" fn s390x_io(frame: &mut TrapFrame) {
    unexpected(frame, "input/output interruption")
}

#[unsafe(no_mangle)]
extern "C" fn s390x_machine_check(frame: &mut TrapFrame) {
    unexpected(frame, "machine-check interruption")
}

/// CPUs that another has restarted.
static RESTARTED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// The next restart of that CPU is the kernel's own.
pub fn expect_restart(cpu: usize) {
    // Relaxed: SIGP orders it before the restart.
    RESTARTED[cpu].store(true, Ordering::Relaxed);
}

/// Another CPU asks by `cpu::send_nmi`, or the operator (QEMU's `nmi`) asks a silent kernel.
#[unsafe(no_mangle)]
extern "C" fn s390x_restart(frame: &mut TrapFrame) {
    if RESTARTED[cpu::id()].load(Ordering::Relaxed)
        && let Some(handlers) = handlers::get()
    {
        (handlers.nmi)(frame);
    }
    unexpected(frame, "restart interruption");
}

/// An interruption that the kernel has not asked for.
pub fn unexpected(frame: &TrapFrame, name: &'static str) -> ! {
    kernel_fault(frame, Fault { kind: FaultKind::Other, name, address: None })
}

const _: () = assert!(size_of::<TrapFrame>().is_multiple_of(8));
const _: () = assert!(core::mem::offset_of!(lowcore::LowCore, save_machine_check) < 4096);
