//! The block of memory that a thread is.
//!
//! ```text
//! high end   Thread            (256-byte aligned)
//!            what `spawn` was given
//!            stack, grows down
//! low end    guard page, not mapped
//! ```

use super::{Thread, ThreadRef};
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::{STACK_GUARD, STACK_SIZE, mmu};
use crate::error::Errno;
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::sync::MaySleep;
use intrusive_collections::UnsafeRef;

/// The most that a thread's closure may take of its stack.
pub(super) const MOST_ON_STACK: usize = 1 << 10;

/// Alignment of the stack that the thread begins on; no ABI here wants more.
const STACK_ALIGN: usize = 16;
/// Alignment of the `Thread`, so that its place follows from the block's end.
const THREAD_ALIGN: usize = 256;
/// From the block's end down to the `Thread`.
const THREAD_ROOM: usize = size_of::<Thread>().next_multiple_of(THREAD_ALIGN);

const _: () = assert!(align_of::<Thread>() <= THREAD_ALIGN);
const _: () = assert!(STACK_SIZE - STACK_GUARD >= 4 * (THREAD_ROOM + MOST_ON_STACK), "room to run");

/// Log2 of the block's frames.
const ORDER: u8 = (STACK_SIZE / PAGE_SIZE as usize).ilog2() as u8;
const _: () = assert!(STACK_SIZE == (PAGE_SIZE as usize) << ORDER, "a power of two, and of frames");

/// Allocates and maps a block and puts the thread in its place. With a context it waits for memory
/// whose grace period is not over yet before it says ENOMEM.
pub(super) fn alloc(mut thread: Thread, ctx: Option<&mut MaySleep>) -> Result<ThreadRef, Errno> {
    let frame = mm::frames().alloc(Request::of(Kind::Stack).order(ORDER), ctx)?;
    // SAFETY: naturally aligned, of that size, ours. If it fails the frame is freed on return.
    let end = unsafe { mmu::stack_map(frame.addr()) }?;
    thread.block = Some(frame);
    let place = core::ptr::with_exposed_provenance_mut::<Thread>(end.get() as usize - THREAD_ROOM);
    // SAFETY: mapped, aligned, ours; it lives until `free`.
    unsafe {
        place.write(thread);
        Ok(UnsafeRef::from_raw(place))
    }
}

/// Gives the block back.
///
/// # Safety
/// The thread came from `alloc`, nobody runs on its stack, and nobody will use it.
pub(super) unsafe fn free(thread: ThreadRef) {
    let place = UnsafeRef::into_raw(thread);
    let end = VirtAddr::new((place.addr() + THREAD_ROOM) as u64);
    // SAFETY: nobody else uses it (the caller). Moved out: the memory holds nothing any more.
    let mut thread = unsafe { place.read() };
    // SAFETY: made by `stack_map` in `alloc`; nobody uses the stack.
    unsafe { mmu::stack_unmap(end) };
    drop(thread.block.take());
}

/// Room for `size` bytes below the thread.
pub(super) fn below(thread: &ThreadRef, size: usize, align: usize) -> *mut u8 {
    let thread = core::ptr::from_ref::<Thread>(thread).cast_mut().cast::<u8>();
    let distance = thread.addr() - ((thread.addr() - size) & !(align - 1));
    // Within the block: the sizes were asserted at compile time.
    core::ptr::with_exposed_provenance_mut(thread.expose_provenance() - distance)
}

/// Where the stack begins, below that place.
pub(super) fn stack_below(place: *mut u8) -> VirtAddr {
    VirtAddr::new((place.addr() & !(STACK_ALIGN - 1)) as u64)
}
