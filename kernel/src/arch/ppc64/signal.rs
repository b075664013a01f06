//! The frame of a signal on a program's stack, laid out as Linux does (its `struct rt_sigframe` of
//! 64-bit PowerPC, without the context of transactional memory):
//!
//! ```text
//! r1 ->    0  back chain, and what else a caller owes
//! r5 ->  128  flags, link, alternate stack, mask                     struct ucontext
//!        296    signal, handler, mask, address of the next             struct sigcontext
//!        360    r0-r31, NIP, MSR, ...                                    gp_regs
//!        744    FP registers, FPSCR                                      fp_regs
//!       1008    address of the next                                      v_regs
//!       1024    vector registers, VSCR, VRSAVE
//!       1568    lower halves of the VSX registers that contain FP registers
//!       1824  room for a trampoline that lies elsewhere, addresses of siginfo and ucontext
//! r4 -> 1888  siginfo
//!       2016  512 bytes below the stack pointer that Linux spares (the ABI says 288)
//! ```
//!
//! A handler returns to [`TRAMPOLINE`]. Of what `rt_sigreturn` reads back, nothing reaches the MSR.

use super::TrapFrame;
use super::regs::{MSR_VEC, MSR_VSX};
use super::user::UserState;
use crate::addr::VirtAddr;
use crate::arch::ppc64_vdso as vdso;
use crate::arch::signals::{AltStack, Delivery, Placed, Restored};
use crate::error::Errno;

/// `struct ucontext`, where r1 points when `rt_sigreturn` is called.
const CONTEXT: usize = 128;
const STACK: usize = CONTEXT + 16;
const MASK: usize = STACK + 24;
/// `struct sigcontext`, after room for a mask of 1024 bits.
const MACHINE: usize = MASK + 128;
const SIGNAL: usize = MACHINE + 32;
const HANDLER: usize = SIGNAL + 8;
const OLD_MASK: usize = HANDLER + 8;
const REGS: usize = OLD_MASK + 8;
const GP_REGS: usize = REGS + 8;
const FP_REGS: usize = GP_REGS + 48 * 8;
const V_REGS: usize = FP_REGS + 33 * 8;
/// The first multiple of 16 in what Linux calls `vmx_reserve`.
const VECTORS: usize = V_REGS + 16;
const HALVES: usize = VECTORS + 34 * 16;
const CONTEXT_END: usize = HALVES + 32 * 8;
/// Behind two unused words and seven instructions.
const POINTERS: usize = CONTEXT_END + 16 + 32;
const INFO: usize = POINTERS + 16;
const END: usize = INFO + 128;
const SPARED: usize = 512;

const _: () = assert!(MACHINE == 296 && VECTORS == 1024 && CONTEXT_END == 1824 && INFO == 1888);
const _: () = assert!(CONTEXT.is_multiple_of(16) && (END + SPARED).is_multiple_of(16));

/// Indices of `gp_regs` (Linux' `PT_*`).
const NIP: usize = 32;
const MSR: usize = 33;
const FIRST_ARGUMENT: usize = 34;
const CTR: usize = 35;
const LINK: usize = 36;
const XER: usize = 37;
const CCR: usize = 38;
const SOFTE: usize = 39;
const TRAP: usize = 40;
const DAR: usize = 41;
const DSISR: usize = 42;

/// The most bytes of a signal frame.
pub const FRAME_MAX: usize = END;
/// What delivering a signal takes of a stack, aligned in any way.
pub const STACK_MIN: usize = END + SPARED + 16;

/// The page with the code that ends a handler, as an ELF file that tells unwinders of this frame.
pub const TRAMPOLINE: &[u8] =
    &vdso::image(&vdso::Layout { general: GP_REGS as u64, floating: FP_REGS as u64, vectors: V_REGS as u64 });
/// A C library is told of it.
pub const TRAMPOLINE_IS_ELF: bool = true;

fn put(buffer: &mut [u8; FRAME_MAX], offset: usize, value: u64) {
    buffer[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
}

/// Makes the frame of a signal, and `frame` continue in its handler.
pub fn deliver(
    frame: &mut TrapFrame,
    state: &mut UserState,
    delivery: &Delivery,
    buffer: &mut [u8; FRAME_MAX],
) -> Placed {
    // A stack that is too small to be true leads beyond any program's memory: the copy will fail.
    let inner = delivery.stack.get().wrapping_sub((END - CONTEXT + SPARED) as u64) & !15;
    let at = inner.wrapping_sub(CONTEXT as u64);
    let address = |offset: usize| at.wrapping_add(offset as u64);

    buffer.fill(0);
    put(buffer, 0, frame.gpr[1]);
    put(buffer, STACK, delivery.alt_stack.sp);
    put(buffer, STACK + 8, u64::from(delivery.alt_stack.flags));
    put(buffer, STACK + 16, delivery.alt_stack.size);
    put(buffer, MASK, delivery.mask);
    put(buffer, SIGNAL, u64::from(delivery.signal));
    put(buffer, HANDLER, delivery.handler.get());
    put(buffer, OLD_MASK, delivery.mask);
    put(buffer, REGS, address(GP_REGS));
    put_registers(buffer, frame);
    put_state(buffer, state, address(VECTORS));
    put(buffer, POINTERS, address(INFO));
    put(buffer, POINTERS + 8, address(CONTEXT));
    buffer[INFO..END].copy_from_slice(&delivery.info);

    frame.gpr[1] = at;
    frame.gpr[3] = u64::from(delivery.signal);
    if delivery.wants_info {
        (frame.gpr[4], frame.gpr[5], frame.gpr[6]) = (address(INFO), address(CONTEXT), address(CONTEXT));
    } else {
        frame.gpr[4] = address(MACHINE);
    }
    // ELFv2: who is called by address finds it in r12.
    (frame.nip, frame.gpr[12], frame.ctr) =
        (delivery.handler.get(), delivery.handler.get(), delivery.handler.get());
    frame.lr = delivery.trampoline.get().wrapping_add(vdso::ENTRY as u64);
    // The handler of SIGFPE shall not be interrupted by the very exception that it handles.
    state.fpscr = 0;
    Placed { at: VirtAddr::new(at), length: END }
}

fn put_registers(buffer: &mut [u8; FRAME_MAX], frame: &TrapFrame) {
    let mut put = |index: usize, value| put(buffer, GP_REGS + 8 * index, value);
    for (index, value) in frame.gpr.into_iter().enumerate() {
        put(index, value);
    }
    put(NIP, frame.nip);
    put(MSR, frame.msr);
    put(FIRST_ARGUMENT, frame.first_argument);
    put(CTR, frame.ctr);
    put(LINK, frame.lr);
    put(XER, frame.xer);
    put(CCR, frame.cr);
    put(SOFTE, 1);
    put(TRAP, frame.vector());
    put(DAR, frame.dar);
    put(DSISR, frame.dsisr);
}

fn put_state(buffer: &mut [u8; FRAME_MAX], state: &UserState, vectors: u64) {
    let (floats, others) = state.vsr.split_at(32);
    for (index, register) in floats.iter().enumerate() {
        put(buffer, FP_REGS + 8 * index, (register >> 64) as u64);
        put(buffer, HALVES + 8 * index, *register as u64);
    }
    put(buffer, FP_REGS + 8 * 32, state.fpscr);
    put(buffer, V_REGS, vectors);
    let vrsave = u128::from(state.vrsave as u32);
    for (index, register) in others.iter().chain([&state.vscr, &vrsave]).enumerate() {
        put(buffer, VECTORS + 16 * index, *register as u64);
        put(buffer, VECTORS + 16 * index + 8, (register >> 64) as u64);
    }
}

/// Where the context lies that `rt_sigreturn` reads, and its length. (Linux has no `sigreturn` here; it
/// would be the same without the alternate stack.)
pub fn frame_address(frame: &TrapFrame, _rt: bool) -> (VirtAddr, usize) {
    (VirtAddr::new(frame.gpr[1]), CONTEXT_END - CONTEXT)
}

/// A context as a program left it. Offsets are those from the frame's begin.
struct Context<'a>(&'a [u8]);

impl Context<'_> {
    /// The word at an offset that lies within a context, which `restore` looked at.
    fn get(&self, offset: usize) -> u64 {
        let bytes = self.0.get(offset - CONTEXT..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }
    fn register(&self, index: usize) -> u64 {
        self.get(GP_REGS + 8 * index)
    }
    fn quadword(&self, offset: usize) -> u128 {
        u128::from(self.get(offset + 8)) << 64 | u128::from(self.get(offset))
    }
}

/// Takes the program's state back from a signal frame.
pub fn restore(
    frame: &mut TrapFrame,
    state: &mut UserState,
    bytes: &[u8],
    rt: bool,
) -> Result<Restored, Errno> {
    let (at, length) = frame_address(frame, rt);
    if bytes.len() < length {
        return Err(Errno::EFAULT);
    }
    let context = Context(bytes);
    // Linux follows the pointer wherever it leads; nobody was seen to move what it points to.
    let vectors = match context.get(V_REGS) {
        0 => None,
        address if address == at.get().wrapping_add((VECTORS - CONTEXT) as u64) => Some(VECTORS),
        _ => return Err(Errno::EFAULT),
    };
    get_state(state, &context, vectors);
    get_registers(frame, &context);
    let alt_stack = AltStack {
        sp: context.get(STACK),
        flags: context.get(STACK + 8) as u32,
        size: context.get(STACK + 16),
    };
    Ok(Restored { mask: context.get(MASK), alt_stack: rt.then_some(alt_stack) })
}

/// Everything but the MSR: no bit of that is the program's.
fn get_registers(frame: &mut TrapFrame, context: &Context<'_>) {
    for (index, register) in frame.gpr.iter_mut().enumerate() {
        *register = context.register(index);
    }
    // The hardware ignores the two bits, but not those who compare.
    frame.nip = context.register(NIP) & !3;
    frame.first_argument = context.register(FIRST_ARGUMENT);
    frame.ctr = context.register(CTR);
    frame.lr = context.register(LINK);
    frame.xer = context.register(XER);
    frame.cr = u64::from(context.register(CCR) as u32);
}

/// A context without vectors leaves zeros, as with Linux.
fn get_state(state: &mut UserState, context: &Context<'_>, vectors: Option<usize>) {
    let said = context.register(MSR);
    let (floats, others) = state.vsr.split_at_mut(32);
    for (index, register) in floats.iter_mut().enumerate() {
        let low = if said & MSR_VSX != 0 && vectors.is_some() { context.get(HALVES + 8 * index) } else { 0 };
        *register = u128::from(context.get(FP_REGS + 8 * index)) << 64 | u128::from(low);
    }
    state.fpscr = context.get(FP_REGS + 8 * 32);
    let vectors = vectors.filter(|_| said & MSR_VEC != 0);
    let quadword = |index: usize| vectors.map_or(0, |start| context.quadword(start + 16 * index));
    for (index, register) in others.iter_mut().enumerate() {
        *register = quadword(index);
    }
    state.vscr = quadword(32);
    state.vrsave = quadword(33) as u32 as u64;
}
