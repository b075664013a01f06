//! Return addresses on a stack (ELFv2 ABI 2.2.3: every frame begins with the address of the one
//! before, and a function saves its return address 16 bytes into its caller's frame).
//!
//! What is on the stack may be garbage. So every address is checked to lie on a stack, and read
//! through the linear map, where all memory is mapped: no read can fault, even with translation off.

use super::context::Context;
use super::trap::{FRAME_HEADER, FRAME_MARK, TrapFrame};
use super::{LINEAR, STACK_AREA, STACK_GUARD, STACK_SIZE, area, mmu, start};
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::MAX_CPUS;
use core::arch::asm;

/// No chain is longer; one that runs in a circle ends.
const LONGEST: usize = 256;

type Visitor<'a> = &'a mut dyn FnMut(usize) -> bool;

/// The word at the address, if it is on some stack.
fn word(address: u64) -> Option<u64> {
    let block = address & !(STACK_SIZE as u64 - 1);
    if !address.is_multiple_of(8) || address - block < STACK_GUARD as u64 {
        return None;
    }
    let real = if block >> 48 == STACK_AREA >> 48 {
        let real = address - STACK_AREA;
        let word = PhysRange::sized(PhysAddr::new(real), 8)?;
        start::info()?
            .memory
            .iter()
            .find(|memory| memory.start() <= word.start() && word.end() <= memory.end())?;
        real
    } else if block == start::boot_stack() as u64 || is_area(block) {
        address & !LINEAR
    } else {
        return None;
    };
    let pointer = core::ptr::with_exposed_provenance::<u64>((LINEAR | real) as usize);
    // SAFETY: it is memory.
    Some(unsafe { pointer.read_volatile() })
}

fn is_area(block: u64) -> bool {
    (0..MAX_CPUS).filter_map(area::of).any(|area| core::ptr::from_ref(area).addr() as u64 == block)
}

/// Follows the chain from the frame at `sp` on.
fn walk(mut sp: u64, visit: Visitor<'_>) {
    for _ in 0..LONGEST {
        let (next, address) = match word(sp + 24) {
            Some(FRAME_MARK) => {
                let register = |offset| word(sp + FRAME_HEADER as u64 + offset as u64);
                let Some(nip) = register(core::mem::offset_of!(TrapFrame, nip)) else { return };
                let lr = register(core::mem::offset_of!(TrapFrame, lr)).unwrap_or(0);
                let Some(r1) = register(8) else { return };
                if !visit(nip as usize) || is_caller(lr, nip) && !visit(lr as usize) {
                    return;
                }
                (r1, None)
            }
            Some(_) => {
                let Some(next) = word(sp).filter(|&next| next > sp) else { return };
                let Some(address) = word(next + 16) else { return };
                (next, Some(address))
            }
            None => return,
        };
        if address.is_some_and(|address| !mmu::is_text(address) || !visit(address as usize)) {
            return;
        }
        sp = next;
    }
}

/// Whether the link register leads to the caller of the function that was interrupted at `nip`. It
/// does in a function that calls nobody and so saves it nowhere; in any other it may hold what the
/// last call left. The call before it tells: it must lead to just before `nip`.
fn is_caller(lr: u64, nip: u64) -> bool {
    if !mmu::is_text(lr.wrapping_sub(4)) {
        return false;
    }
    if !mmu::is_text(nip) {
        return true;
    }
    let pointer = core::ptr::with_exposed_provenance::<u32>(lr as usize - 4);
    // SAFETY: the kernel's text.
    let instruction = unsafe { pointer.read_volatile() };
    // I-form branch, relative, with link: opcode 18, AA = 0, LK = 1; 24 bits of word offset.
    if instruction & 0xfc00_0003 != 0x4800_0001 {
        return false;
    }
    let offset = i64::from((instruction << 6) as i32 >> 6 & !3);
    let target = (lr - 4).wrapping_add_signed(offset);
    target <= nip && nip - target < 0x400
}

/// From the caller of this function on.
#[inline(never)]
pub fn here(visit: Visitor<'_>) {
    let sp: u64;
    // SAFETY: reads r1.
    unsafe { asm!("mr {}, 1", out(reg) sp, options(nomem, nostack, preserves_flags)) };
    walk(sp, visit);
    // SAFETY: nothing. It keeps the call above from being a jump that gives up this frame first.
    unsafe { asm!("", options(nomem, nostack, preserves_flags)) };
}

/// From where the frame was interrupted on.
pub fn of_frame(frame: &TrapFrame, visit: Visitor<'_>) {
    if visit(frame.pc()) && (!is_caller(frame.lr, frame.nip) || visit(frame.lr as usize)) {
        walk(frame.gpr[1], visit);
    }
}

/// From where the thread was switched away on.
pub fn of_context(context: &Context, visit: Visitor<'_>) {
    walk(context.sp, visit);
}
