//! The machine's end.
//!
//! QEMU ends when the last running CPU loads a disabled wait: as a shutdown if the PSW's address
//! ends in 0xfff, as a crash of the guest with any other (`-action panic=exit-failure` makes that
//! exit status 1). Only the last running CPU counts, so the others are stopped first.

use super::psw::{self, ADDRESSING_64, Psw, WAIT};
use super::{control, cpu, sigp, smp};
use core::sync::atomic::{AtomicBool, Ordering};

/// Ends the machine; QEMU's exit status is 0.
pub fn off() -> ! {
    end(0xfff)
}

/// Ends the machine as a panic does; QEMU's exit status is 1.
pub fn fail() -> ! {
    end(0xbad)
}

fn end(address: u64) -> ! {
    static ENDING: AtomicBool = AtomicBool::new(false);
    cpu::irq_save();
    // Two CPUs that stopped each other would end the machine with status 0. Relaxed: no data
    // hangs on it.
    if ENDING.swap(true, Ordering::Relaxed) {
        loop {
            cpu::relax();
        }
    }
    let me = control::cpu_address();
    for other in smp::started().filter(|&other| other != me) {
        // SAFETY: nothing runs on after this but the last PSW.
        unsafe { sigp::stop(other) };
    }
    // SAFETY: a disabled wait, from which nothing comes back.
    unsafe { psw::load(&Psw { mask: WAIT | ADDRESSING_64, address }) }
}

/// There is no firmware at work.
pub fn heartbeat() -> Option<u64> {
    None
}
