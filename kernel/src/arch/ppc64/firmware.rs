//! Calls into what runs below: hypervisor calls and RTAS on pseries, OPAL on powernv9.
//!
//! The numbers are those of LoPAPR 1.1 (hypervisor calls: chapter 14; RTAS: chapter 7) and of skiboot's
//! `opal-api.h`.

use super::{LINEAR, area, platform};
use core::arch::asm;
use core::sync::atomic::{AtomicU32, Ordering};

/// H_SET_MODE.
pub const H_SET_MODE: u64 = 0x31c;
/// H_GET_TERM_CHAR.
pub const H_GET_TERM_CHAR: u64 = 0x54;
/// H_PUT_TERM_CHAR.
pub const H_PUT_TERM_CHAR: u64 = 0x58;
/// H_EOI: end of an interrupt.
pub const H_EOI: u64 = 0x64;
/// H_CPPR: which priorities are accepted.
pub const H_CPPR: u64 = 0x68;
/// H_IPI.
pub const H_IPI: u64 = 0x6c;
/// H_XIRR: takes an interrupt.
pub const H_XIRR: u64 = 0x74;
/// H_CEDE: waits for an interrupt.
pub const H_CEDE: u64 = 0xe0;
/// H_REGISTER_PROC_TBL.
pub const H_REGISTER_PROC_TBL: u64 = 0x37c;
/// H_SIGNAL_SYS_RESET.
pub const H_SIGNAL_SYS_RESET: u64 = 0x380;
/// QEMU's and KVM's way to RTAS: what the code that `instantiate-rtas` would install does too.
const H_RTAS: u64 = 0xf000;
/// Success, of a hypervisor call.
pub const H_SUCCESS: i64 = 0;

/// OPAL_BUSY: not now, call again.
pub const OPAL_BUSY: i64 = -2;
/// OPAL_BUSY_EVENT: the same, and there are events to be polled for.
pub const OPAL_BUSY_EVENT: i64 = -12;
/// OPAL_CONSOLE_WRITE.
pub const OPAL_CONSOLE_WRITE: u64 = 1;
/// OPAL_CONSOLE_READ.
pub const OPAL_CONSOLE_READ: u64 = 2;
/// OPAL_CEC_POWER_DOWN.
pub const OPAL_CEC_POWER_DOWN: u64 = 5;
/// OPAL_POLL_EVENTS.
pub const OPAL_POLL_EVENTS: u64 = 10;
/// OPAL_START_CPU.
pub const OPAL_START_CPU: u64 = 41;
/// OPAL_SIGNAL_SYSTEM_RESET.
pub const OPAL_SIGNAL_SYSTEM_RESET: u64 = 145;

/// Result of a hypervisor call: its code and what it returned in r4-r7.
pub fn hcall(call: u64, arguments: [u64; 4]) -> (i64, [u64; 4]) {
    let [a, b, c, d] = arguments;
    let (code, r4, r5, r6, r7): (i64, u64, u64, u64, u64);
    // SAFETY: the calls above change no memory of ours (RTAS: only its cells, behind a Cell). What a
    // call may change is listed (LoPAPR, the register usage of H-calls); CR2-CR4 are kept.
    unsafe {
        asm!("sc 1",
            inlateout("r3") call => code, inlateout("r4") a => r4, inlateout("r5") b => r5,
            inlateout("r6") c => r6, inlateout("r7") d => r7,
            lateout("r0") _, lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
            lateout("r12") _, lateout("ctr") _, lateout("xer") _,
            lateout("cr0") _, lateout("cr1") _, lateout("cr5") _, lateout("cr6") _, lateout("cr7") _,
            options(nostack));
    }
    (code, [r4, r5, r6, r7])
}

/// A service of RTAS: its token comes from the device tree. Until that was read the token is QEMU's,
/// which is right wherever this kernel runs, and lets a broken tree end the machine in order.
pub struct Service(AtomicU32);

/// `power-off`.
pub static POWER_OFF: Service = Service(AtomicU32::new(0x2003));
/// `start-cpu`.
pub static START_CPU: Service = Service(AtomicU32::new(0x2006));
/// `ibm,os-term`.
pub static OS_TERM: Service = Service(AtomicU32::new(0x201f));

impl Service {
    /// The number that the device tree tells.
    pub fn set_token(&self, token: u32) {
        self.0.store(token, Ordering::Relaxed);
    }

    /// Calls it. Interrupts must be off: the cells are this CPU's. The status: 0 is success.
    pub fn call<const N: usize>(&self, arguments: [u32; N]) -> i32 {
        const { assert!(N <= 8) };
        let token = self.0.load(Ordering::Relaxed);
        // Big-endian cells: token, number of arguments, of results, arguments, results (LoPAPR, RTAS calls).
        let mut cells = [0u32; 32];
        let head = [token, N as u32, 1];
        for (cell, value) in cells.iter_mut().zip(head.iter().chain(&arguments)) {
            *cell = value.to_be();
        }
        let buffer = &area::this().firmware.0;
        // SAFETY: 32 words of 32 bits are 16 of 64.
        buffer.set(unsafe { core::mem::transmute::<[u32; 32], [u64; 16]>(cells) });
        let real = buffer.as_ptr().addr() as u64 & !LINEAR;
        let (code, _) = hcall(H_RTAS, [real, 0, 0, 0]);
        if code != H_SUCCESS {
            return code as i32;
        }
        // SAFETY: the reverse.
        let cells = unsafe { core::mem::transmute::<[u64; 16], [u32; 32]>(buffer.get()) };
        i32::from_be(cells[3 + N] as i32)
    }
}

unsafe extern "C" {
    fn ppc64_opal(token: u64, arguments: *const [u64; 7], base: u64, entry: u64) -> i64;
}

/// Calls OPAL. Pointers among the arguments must be real addresses, and what they point to is
/// big-endian. 0 is success.
pub fn opal<const N: usize>(token: u64, arguments: [u64; N]) -> i64 {
    const { assert!(N <= 7) };
    let mut all = [0; 7];
    all[..N].copy_from_slice(&arguments);
    let (base, entry) = platform::opal();
    // SAFETY: OPAL keeps the registers that a function must keep; the entry is the firmware's own.
    unsafe { ppc64_opal(token, &raw const all, base, entry) }
}
