//! The end of the machine.
//!
//! | | off | fail |
//! |---|---|---|
//! | pseries | RTAS `power-off` | RTAS `ibm,os-term`: QEMU's status 1 (`-action panic=exit-failure`) |
//! | powernv9 | OPAL power-down | `attn`: status 1 on QEMU 10; QEMU 7.2 does not know it, then power-down |
//!
//! powernv9 ends by itself if one lets it: skiboot has set a watchdog in the service processor, which
//! turns the machine off after a minute. Before it starts the kernel it queues the message that stops
//! it, and sends what it has queued when it is called.

use super::firmware::{
    OPAL_BUSY, OPAL_BUSY_EVENT, OPAL_CEC_POWER_DOWN, OPAL_POLL_EVENTS, OS_TERM, POWER_OFF, opal,
};
use super::platform::{self, Platform};
use super::regs::{HID0, HID0_ATTN, mfspr, mtspr};
use super::{LINEAR, console, cpu};
use core::ffi::CStr;

unsafe extern "C" {
    fn ppc64_attn();
}

/// Ends the machine; QEMU's exit status is 0.
pub fn off() -> ! {
    cpu::irq_save();
    match platform::get() {
        Platform::PowerNv => {
            // Busy: it did not take the call; polling lets it come to an end with what it has.
            while matches!(opal(OPAL_CEC_POWER_DOWN, [0]), OPAL_BUSY | OPAL_BUSY_EVENT) {
                opal(OPAL_POLL_EVENTS, [0]);
            }
            // The service processor is asked; polling lets the answer in.
            loop {
                opal(OPAL_POLL_EVENTS, [0]);
            }
        }
        Platform::Pseries => {
            POWER_OFF.call([u32::MAX, u32::MAX]);
            cpu::halt()
        }
    }
}

/// Time between two calls of OPAL's own work. skiboot asks for 200 ms (`ibm,heartbeat-ms`) where many
/// devices wait for it; here there is one, whose messages take a few calls each.
const HEARTBEAT: u64 = 1_000_000_000;

/// Lets OPAL do its own work.
pub fn heartbeat() -> Option<u64> {
    if platform::get() != Platform::PowerNv {
        return None;
    }
    // OPAL runs on this CPU's stack of its own: the CPU must stay the same.
    let were_on = cpu::irq_save();
    console::poll_opal();
    // SAFETY: pairs with `irq_save`.
    unsafe { cpu::irq_restore(were_on) };
    Some(HEARTBEAT)
}

/// Ends the machine as a panic does; QEMU's exit status is not 0 where the machine has one.
pub fn fail() -> ! {
    cpu::irq_save();
    match platform::get() {
        Platform::PowerNv => {
            // SAFETY: nothing of this machine is needed any more. (The bit is set only now: once it
            // is, user programs could execute `attn` too.) The exception table catches the illegal
            // instruction where `attn` is unknown.
            unsafe {
                mtspr::<HID0>(mfspr::<HID0>() | HID0_ATTN);
                ppc64_attn();
            }
        }
        Platform::Pseries => {
            const MESSAGE: &CStr = c"kernel panic";
            OS_TERM.call([(MESSAGE.as_ptr().addr() as u64 & !LINEAR) as u32]);
        }
    }
    off()
}
