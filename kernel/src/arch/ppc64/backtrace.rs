//! Return addresses on a stack (ELFv2 ABI 2.2.3: every frame begins with the address of the one
//! before, and a function saves its return address 16 bytes into its caller's frame).
//!
//! What is on the stack may be garbage. So every address is checked to lie on a stack, and read
//! through the linear map, where all memory is mapped: no read can fault, even with translation off.

use super::context::Context;
use super::frame::{FRAME_HEADER, FRAME_MARK, TrapFrame};
use super::regs::MSR_PR;
use super::{LINEAR, STACK_AREA, STACK_GUARD, STACK_SIZE, area, mmu, start};
use crate::addr::{PhysAddr, PhysRange};
use crate::arch::MAX_CPUS;
use core::arch::asm;
use core::mem::offset_of;

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
                let saved =
                    [offset_of!(TrapFrame, nip), offset_of!(TrapFrame, lr), offset_of!(TrapFrame, ctr), 8];
                let [Some(nip), Some(lr), Some(ctr), Some(r1)] = saved.map(register) else { return };
                // A program was interrupted: its addresses say nothing here.
                if register(offset_of!(TrapFrame, msr)).is_none_or(|msr| msr & MSR_PR != 0) {
                    return;
                }
                if !interrupted(nip, lr, ctr, visit) {
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
        // A function that never returns and calls nobody saves no return address: nothing is there.
        if address.is_some_and(|address| mmu::is_text(address) && !visit(address as usize)) {
            return;
        }
        sp = next;
    }
}

/// Visits where it was interrupted, and the caller if only the link register knows it.
fn interrupted(nip: u64, lr: u64, ctr: u64, visit: Visitor<'_>) -> bool {
    visit(nip as usize) && (!is_caller(lr, nip, ctr) || visit(lr as usize))
}

/// Whether the link register leads to the caller of the function that was interrupted at `nip`. It
/// does in a function that calls nobody and so saves it nowhere; in any other it may hold what the
/// last call left. The call before it tells: it must lead to just before `nip`.
fn is_caller(lr: u64, nip: u64, ctr: u64) -> bool {
    if !mmu::is_text(lr.wrapping_sub(4)) {
        return false;
    }
    if !mmu::is_text(nip) {
        return true;
    }
    let pointer = core::ptr::with_exposed_provenance::<u32>(lr as usize - 4);
    // SAFETY: the kernel's text.
    let instruction = unsafe { pointer.read_volatile() };
    let target = match instruction {
        // I-form branch, relative, with link: opcode 18, AA = 0, LK = 1; 24 bits of word offset.
        bl if bl & 0xfc00_0003 == 0x4800_0001 => {
            let offset = i64::from((bl << 6) as i32 >> 6 & !3);
            (lr - 4).wrapping_add_signed(offset)
        }
        BCTRL => ctr,
        _ => return false,
    };
    target <= nip && nip - target < 0x400
}

/// Branch to CTR with link.
const BCTRL: u32 = 0x4e80_0421;

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
    if !frame.is_user() && interrupted(frame.nip, frame.lr, frame.ctr, visit) {
        walk(frame.gpr[1], visit);
    }
}

/// From where the thread was switched away on.
pub fn of_context(context: &Context, visit: Visitor<'_>) {
    walk(context.sp, visit);
}
