//! A thread is a CPU.
//!
//! A test's thread begins anywhere, so it gets the context that a machine's boot code would set by
//! itself: the one look upwards of this test machine. Loom's threads share one thread of the host,
//! hence loom's thread-local values.
#![cfg_attr(
    not(loom),
    expect(clippy::missing_const_for_thread_local, reason = "loom's macro has no constant form")
)]

use super::TrapFrame;
use crate::addr::VirtAddr;
use crate::arch::MAX_CPUS;
use crate::error::Errno;
use crate::sync::context::TaskContext;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
use std::thread_local;

#[cfg(loom)]
use loom::thread_local;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static ID: Cell<Option<usize>> = Cell::new(None);
    static TASK: Cell<*const ()> = Cell::new(core::ptr::null());
    static OWN: TaskContext = TaskContext::new("host thread");
    static IRQS: Cell<bool> = Cell::new(true);
    static NUMBER: Number = Number::take();
}

/// Lets another thread run.
pub fn relax() {
    std::thread::yield_now();
}
/// The thread's number, given out in the order of first use, modulo `MAX_CPUS`.
pub fn id() -> usize {
    ID.with(|id| match id.get() {
        Some(n) => n,
        None => {
            let n = NEXT.fetch_add(1, Ordering::Relaxed) % MAX_CPUS;
            id.set(Some(n));
            n
        }
    })
}
/// The most threads that [`thread_number`] tells apart at one time.
pub const THREADS: usize = 64;

/// Which numbers are taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// A number that no other thread has, given back when the thread ends.
struct Number(u32);

impl Number {
    fn take() -> Self {
        loop {
            let taken = TAKEN.load(Ordering::Relaxed);
            let number = (!taken).trailing_zeros();
            assert!(number < THREADS as u32, "more than {THREADS} threads use RCU at one time");
            // Acquire: pairs with the Release below: the thread that had it is done.
            if TAKEN.fetch_or(1 << number, Ordering::Acquire) & (1 << number) == 0 {
                return Self(number);
            }
        }
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
    }
}

/// The thread's own number, the same all its life, whatever CPU it plays.
pub fn thread_number() -> usize {
    NUMBER.with(|number| number.0 as usize)
}
/// Makes this thread the CPU with that number: for tests that need to know who is who.
pub fn become_cpu(n: usize) {
    assert!(n < MAX_CPUS);
    ID.with(|id| id.set(Some(n)));
}
/// The pointer given to `set_current_task` on this thread; before, to a context of its own.
pub fn current_task() -> *const () {
    let task = TASK.with(Cell::get);
    if task.is_null() { OWN.with(|own| core::ptr::from_ref(own).cast()) } else { task }
}
/// Remembers the pointer.
///
/// # Safety
/// As on the machines; here none.
pub unsafe fn set_current_task(task: *const ()) {
    TASK.with(|cell| cell.set(task));
}
/// The thread's flag.
pub fn irqs_enabled() -> bool {
    IRQS.with(Cell::get)
}
/// Clears the flag.
pub fn irq_save() -> bool {
    IRQS.with(|irqs| irqs.replace(false))
}
/// Sets the flag.
///
/// # Safety
/// As on the machines; here none.
pub unsafe fn irq_restore(on: bool) {
    if on {
        IRQS.with(|irqs| irqs.set(true));
    }
}
/// Nothing comes: yields.
pub fn idle() {
    std::thread::yield_now();
}
/// Nobody listens.
pub fn send_ipi(_cpu: usize) {}
/// No.
pub fn send_nmi(_cpu: usize) -> bool {
    false
}
/// There is no other CPU to start.
///
/// # Safety
/// None.
pub unsafe fn start(_cpu: usize, _hardware: u32, _stack: VirtAddr, _task: *const ()) -> Result<(), Errno> {
    Err(Errno::ENODEV)
}
/// None.
pub fn capture() -> TrapFrame {
    TrapFrame(())
}
/// Parks the thread.
pub fn halt() -> ! {
    loop {
        std::thread::park();
    }
}
