//! External interruptions (POP chapter 6): clock comparator, emergency signal, service signal.

use super::trap::{TrapFrame, leave_wait, require_stack, unexpected};
use super::{timer, user};
use crate::arch::handlers::{self, Handlers};

const CLOCK_COMPARATOR: u16 = 0x1004;
const EMERGENCY_SIGNAL: u16 = 0x1201;
const SERVICE_SIGNAL: u16 = 0x2401;

/// Service-signal parameter, bit 31: events are pending (input).
const EVENT_PENDING: u32 = 1;

#[unsafe(no_mangle)]
extern "C" fn s390x_external(frame: &mut TrapFrame) {
    // Low core's 0x80-0x87: u32 parameter, u16 CPU address, u16 code.
    let (parameter, code) = ((frame.info[0] >> 32) as u32, frame.info[0] as u16);
    require_stack(frame, "external interruption");
    let handlers = handlers::get();
    let call = |handler: fn(&Handlers) -> fn()| {
        if let Some(handlers) = handlers {
            handler(handlers)();
        }
    };
    match code {
        CLOCK_COMPARATOR => {
            timer::disarm();
            if let Some(handlers) = handlers {
                (handlers.timer)(frame);
            }
        }
        EMERGENCY_SIGNAL => {
            if let Some(handlers) = handlers {
                (handlers.ipi)(frame);
            }
        }
        // Every service call leaves one behind, and most say nothing.
        SERVICE_SIGNAL if parameter & EVENT_PENDING == 0 => {}
        SERVICE_SIGNAL => call(|handlers| handlers.console_input),
        _ => unexpected(frame, "external interruption that was not asked for"),
    }
    // The idle loop looks for work by itself.
    if !leave_wait(frame) && frame.irqs_on() {
        call(|handlers| handlers.irq_exit);
    }
    if frame.is_user() {
        user::leave(frame);
    }
}
