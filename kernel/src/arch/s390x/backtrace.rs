//! Back traces by the back chain (ELF ABI s390x; the kernel is built with `+backchain`).
//!
//! A function's frame begins with the address of its caller's, and the function has saved its
//! return address there, at 112. A trap frame is recognized by the return address of its handler,
//! `trap_return`. Every word is read by [`probe::load`], so that a destroyed stack gives a short
//! trace and no fault; the number of frames is bounded, so that a ring of frames ends.

use super::context::Context;
use super::probe;
use super::psw::{self, Psw};
use super::trap::{ABI_AREA, FLAG_NO_STACK, TrapFrame};
use core::arch::asm;
use core::mem::offset_of;

/// Where a callee saves its return address in its caller's frame.
const RETURN_ADDRESS: usize = 112;
/// The most frames that are visited.
const MAX_FRAMES: usize = 256;

unsafe extern "C" {
    fn trap_return();
}

type Visit<'a> = &'a mut dyn FnMut(usize) -> bool;

/// From the caller on.
#[inline(never)]
pub fn here(visit: Visit<'_>) {
    let sp: usize;
    // SAFETY: reads the stack pointer.
    unsafe { asm!("lgr {0}, %r15", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    walk(sp, MAX_FRAMES, visit);
}

/// From where a trap interrupted; a program's stack is no business of the kernel's.
pub fn of_frame(frame: &TrapFrame, visit: Visit<'_>) {
    if frame.is_user() {
        return;
    }
    let interrupted = Interrupted {
        pc: frame.pc(),
        sp: frame.sp(),
        r14: frame.gprs[14] as usize,
        r1: frame.gprs[1] as usize,
        no_stack: frame.flags & FLAG_NO_STACK != 0,
    };
    if let Some(sp) = interrupted.visit(visit) {
        walk(sp, MAX_FRAMES, visit);
    }
}

/// From where a thread that does not run will continue.
pub fn of_context(context: &Context, visit: Visit<'_>) {
    let sp = context.sp as usize;
    if let Some(address) = word(sp + RETURN_ADDRESS)
        && visit(address)
    {
        walk(sp, MAX_FRAMES, visit);
    }
}

fn word(address: usize) -> Option<usize> {
    probe::load(address).ok().map(|value| value as usize)
}

/// The return address that the frame at `caller` holds for its callee.
fn return_address(caller: usize) -> Option<usize> {
    word(caller.checked_add(RETURN_ADDRESS)?)
}

/// What is needed of a trap frame.
struct Interrupted {
    pc: usize,
    sp: usize,
    r14: usize,
    r1: usize,
    no_stack: bool,
}

impl Interrupted {
    /// Reads the frame at an address, which may be anything.
    fn read(frame: usize) -> Option<Self> {
        let field = |offset: usize| word(frame.checked_add(offset)?);
        let gpr = |n: usize| field(offset_of!(TrapFrame, gprs) + 8 * n);
        if field(offset_of!(TrapFrame, psw))? as u64 & psw::PROBLEM != 0 {
            return None;
        }
        Some(Self {
            pc: field(offset_of!(TrapFrame, psw) + offset_of!(Psw, address))?,
            sp: gpr(15)?,
            r14: gpr(14)?,
            r1: gpr(1)?,
            no_stack: field(offset_of!(TrapFrame, flags))? & FLAG_NO_STACK as usize != 0,
        })
    }

    /// Visits the interrupted function, and its caller if that may be in r14 only: a function that
    /// calls none saves nothing. A stale r14 (of a call that was made) is visited too: a line too
    /// many is better than a caller too few. Gives the stack pointer to go on from.
    fn visit(self, visit: Visit<'_>) -> Option<usize> {
        if !visit(self.pc) {
            return None;
        }
        // A prologue that ran into the guard page has moved the stack pointer, and holds the
        // caller's in r1 to store it as the back chain.
        let sp = if self.no_stack && word(self.sp).is_none() { self.r1 } else { self.sp };
        let text = &super::mmu::sections()[0].1;
        let saved = word(sp).and_then(return_address) == Some(self.r14);
        (saved || !text.contains(&self.r14) || visit(self.r14)).then_some(sp)
    }
}

/// The callers of the function whose frame is at `sp`.
fn walk(mut sp: usize, frames: usize, visit: Visit<'_>) {
    for _ in 0..frames {
        let Some(caller) = word(sp).filter(|&caller| caller != 0) else { return };
        let Some(address) = return_address(caller) else { return };
        if address == trap_return as *const () as usize {
            // The handler's caller is the entry code; its frame holds the interrupted registers.
            let Some(next) = Interrupted::read(caller + ABI_AREA).and_then(|trap| trap.visit(visit)) else {
                return;
            };
            sp = next;
        } else {
            if !visit(address) {
                return;
            }
            sp = caller;
        }
    }
}
