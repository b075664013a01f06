//! SIGNAL PROCESSOR (POP chapter 4, "CPU Signaling and Response").

use super::cpu::relax;
use core::arch::asm;

/// Orders.
#[derive(Clone, Copy)]
pub enum Order {
    /// Tell the state.
    Sense = 1,
    /// Interrupt it, any number of senders at once.
    EmergencySignal = 3,
    /// Stop it.
    Stop = 5,
    /// Start it with the restart PSW.
    Restart = 6,
    /// Set its prefix; it must be stopped.
    SetPrefix = 13,
}

/// Status bit 57: the CPU is stopped.
const STATUS_STOPPED: u64 = 0x40;

/// What became of an order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Condition code 0.
    Accepted,
    /// Condition code 1, with the status.
    Status(u64),
    /// Condition code 3: there is no such CPU.
    NotOperational,
}

/// Gives the order, again while the CPU is busy (condition code 2). SIGP serializes: all stores
/// before it are visible to the other CPU when it obeys.
///
/// # Safety
/// The other CPU does as it is told.
pub unsafe fn signal(cpu: u16, order: Order, parameter: u64) -> Outcome {
    loop {
        let cc: u64;
        let mut status = 0u64;
        // SAFETY: the caller's promise. R1 is r2 (status), R1 + 1 the parameter.
        unsafe {
            asm!("sigp %r2, {cpu}, 0({order})", "ipm {cc}", "srlg {cc}, {cc}, 28",
                 cpu = in(reg) u64::from(cpu), order = in(reg_addr) order as u64, cc = out(reg) cc,
                 inout("r2") status, in("r3") parameter, options(nostack));
        }
        match cc & 3 {
            0 => return Outcome::Accepted,
            1 => return Outcome::Status(status & 0xffff_ffff),
            3 => return Outcome::NotOperational,
            _ => relax(),
        }
    }
}

/// Stops the CPU and waits until it has stopped. Nothing happens if there is no such CPU.
///
/// # Safety
/// The CPU stops between any two instructions, whatever locks it holds.
pub unsafe fn stop(cpu: u16) {
    // SAFETY: the caller's promise; sensing changes nothing.
    unsafe {
        if signal(cpu, Order::Stop, 0) == Outcome::NotOperational {
            return;
        }
        while !stopped(cpu) {
            relax();
        }
    }
}

/// Whether the CPU is stopped, or not there.
fn stopped(cpu: u16) -> bool {
    // SAFETY: sensing changes nothing.
    match unsafe { signal(cpu, Order::Sense, 0) } {
        Outcome::Accepted => false,
        Outcome::Status(status) => status & STATUS_STOPPED != 0,
        Outcome::NotOperational => true,
    }
}
