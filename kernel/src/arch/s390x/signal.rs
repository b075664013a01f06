//! Signals: from a program's registers to a frame on its stack, and back.
//!
//! The frame's layout is in `sigframe.rs`. Linux writes the trampoline into the frame or points to its
//! vdso; here it is a page that the kernel maps. Unwinders know it by its bytes: at a return address
//! with `svc 119` they expect a frame without, with `svc 173` one with `siginfo_t`, 160 bytes below the
//! frame's own address.

use super::psw;
use super::trap::{FLAG_CALL, FLAG_PROGRAM, TrapFrame};
use super::user::UserState;
use crate::addr::VirtAddr;
use crate::arch::s390x_sigframe::{self as sigframe, Registers, plain, rt};
use crate::arch::signals::{Delivery, Placed, Restored};
use crate::error::Errno;

/// The most bytes of a signal frame.
pub const FRAME_MAX: usize = if rt::BYTES > plain::BYTES { rt::BYTES } else { plain::BYTES };
/// What delivering a signal takes of a stack.
pub const STACK_MIN: usize = FRAME_MAX;

/// Code that ends a handler: `svc 119` (sigreturn); `svc 173` (rt_sigreturn).
pub const TRAMPOLINE: &[u8] = &[0x0a, 119, 0x0a, 173];
/// Where the second begins.
const TRAMPOLINE_RT: u64 = 2;
/// Unwinders know the code by its instructions.
pub const TRAMPOLINE_IS_ELF: bool = false;

/// SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV: whose handlers see the interruption.
const SYNCHRONOUS: [u32; 5] = [4, 5, 7, 8, 11];

/// Makes the frame of a signal, and `frame` continue in its handler.
pub fn deliver(
    frame: &mut TrapFrame,
    state: &mut UserState,
    delivery: &Delivery,
    buffer: &mut [u8; FRAME_MAX],
) -> Placed {
    if frame.flags & FLAG_CALL != 0 {
        // A call that was to be made instead is not made: the handler comes first.
        frame.flags &= !FLAG_CALL;
        frame.set_result(Err(Errno::EINTR));
    }
    let length = if delivery.wants_info { rt::BYTES } else { plain::BYTES };
    let at = delivery.stack.get().wrapping_sub(length as u64) & !7;
    buffer.fill(0);
    sigframe::put(buffer, 0, frame.gprs[15]);
    let registers = Registers {
        psw: [frame.psw.mask, frame.psw.address],
        gprs: frame.gprs,
        access: state.access,
        fpc: state.fpc,
        vectors: state.vectors,
    };
    frame.gprs[2] = u64::from(delivery.signal);
    if delivery.wants_info {
        buffer[rt::INFO..rt::INFO + delivery.info.len()].copy_from_slice(&delivery.info);
        sigframe::put(buffer, rt::CONTEXT, rt::FLAG_VECTORS);
        sigframe::put_stack(buffer, rt::STACK, delivery.alt_stack);
        registers.write(buffer, rt::REGISTERS, rt::VECTORS);
        sigframe::put(buffer, rt::MASK, delivery.mask);
        frame.gprs[3] = at.wrapping_add(rt::INFO as u64);
        frame.gprs[4] = at.wrapping_add(rt::CONTEXT as u64);
        frame.gprs[14] = delivery.trampoline.get().wrapping_add(TRAMPOLINE_RT);
    } else {
        sigframe::put(buffer, plain::MASK, delivery.mask);
        sigframe::put(buffer, plain::POINTER, at.wrapping_add(plain::REGISTERS as u64));
        registers.write(buffer, plain::REGISTERS, plain::VECTORS);
        sigframe::put_word(buffer, plain::SIGNAL, delivery.signal);
        frame.gprs[3] = at.wrapping_add(plain::MASK as u64);
        if SYNCHRONOUS.contains(&delivery.signal) {
            // The interruption's code and the translation-exception identification.
            let [word, tec] = if frame.flags & FLAG_PROGRAM != 0 { frame.info } else { [0; 2] };
            frame.gprs[4] = word >> 32 & 0x7f;
            frame.gprs[5] = tec;
        }
        frame.gprs[14] = delivery.trampoline.get();
    }
    frame.gprs[15] = at;
    frame.psw = psw::Psw { mask: psw::PROGRAM, address: delivery.handler.get() };
    Placed { at: VirtAddr::new(at), length }
}

/// Where the frame lies that `sigreturn` (or `rt_sigreturn`) ends, and its length.
pub fn frame_address(frame: &TrapFrame, rt: bool) -> (VirtAddr, usize) {
    (VirtAddr::new(frame.gprs[15]), if rt { rt::BYTES } else { plain::BYTES })
}

/// Takes the program's state back from a signal frame. Of the PSW's mask it takes what a program may
/// choose; EINVAL, and no change, if the floating-point control is none.
pub fn restore(
    frame: &mut TrapFrame,
    state: &mut UserState,
    bytes: &[u8],
    rt: bool,
) -> Result<Restored, Errno> {
    let (registers, vectors, mask) = if rt {
        (rt::REGISTERS, rt::VECTORS, rt::MASK)
    } else {
        (plain::REGISTERS, plain::VECTORS, plain::MASK)
    };
    let saved = Registers::read(bytes, registers, vectors);
    if !sigframe::is_control(saved.fpc) {
        return Err(Errno::EINVAL);
    }
    frame.psw = psw::Psw { mask: psw::of_program(saved.psw[0]), address: saved.psw[1] };
    frame.gprs = saved.gprs;
    frame.flags &= !FLAG_CALL;
    state.access = saved.access;
    state.fpc = saved.fpc;
    state.vectors = saved.vectors;
    Ok(Restored {
        mask: sigframe::get(bytes, mask),
        alt_stack: rt.then(|| sigframe::get_stack(bytes, rt::STACK)),
    })
}
