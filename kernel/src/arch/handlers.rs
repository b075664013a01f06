//! How the machine calls up: one table, set once at boot.

use crate::addr::VirtAddr;
use crate::arch::current::TrapFrame;
use core::sync::atomic::{AtomicPtr, Ordering};

/// What the kernel did when it faulted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// It loaded from an address that is not mapped, or not readable.
    Read,
    /// It stored to an address that is not mapped, or not writable.
    Write,
    /// It executed what is not mapped, or not executable.
    Execute,
    /// Its stack ran into the guard page.
    StackOverflow,
    /// An instruction that the CPU does not know, or a privileged or malformed one.
    IllegalInstruction,
    /// Anything else; the name says what.
    Other,
}

/// A fault of the kernel itself.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// What it did.
    pub kind: FaultKind,
    /// The manual's name of the interruption: `page-translation exception`, `data storage` ...
    pub name: &'static str,
    /// The address that failed, where the machine tells it.
    pub address: Option<VirtAddr>,
}

/// What a program asks of the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Syscall {
    /// Linux' number of the call on this machine.
    pub number: usize,
    /// As the program passed them.
    pub args: [u64; 6],
}

/// What a program did wrong, or what it lacks.
#[derive(Clone, Copy, Debug)]
pub enum UserFault {
    /// It used memory that its tables do not let it use (`Read`, `Write` or `Execute`).
    Page {
        /// How.
        kind: FaultKind,
        /// Where; at least the page is right.
        address: VirtAddr,
    },
    /// The machine's exception means this signal.
    Signal {
        /// Its number.
        signal: u32,
        /// `si_code`
        code: i32,
        /// `si_addr`
        address: VirtAddr,
        /// The manual's name of the exception.
        name: &'static str,
    },
}

/// What the machine calls. Each is called with interrupts off.
pub struct Handlers {
    /// The clock reached the deadline of this CPU's `timer::arm`. The frame is what this CPU was doing.
    pub timer: fn(&TrapFrame),
    /// Another CPU called `cpu::send_ipi`. Several calls may arrive as one. The frame is what this
    /// CPU was doing.
    pub ipi: fn(&TrapFrame),
    /// Another CPU called `cpu::send_nmi` because this one does not answer. It may have been doing
    /// anything, with any lock held, and does not go on.
    pub nmi: fn(&TrapFrame) -> !,
    /// The console has input; `console::read` gives it, to one caller at a time.
    pub console_input: fn(),
    /// Last thing before returning to a context that had interrupts on: may switch to another
    /// thread. Not called when the interrupted context had them off.
    pub irq_exit: fn(),
    /// The kernel faulted and no fix-up was registered for the instruction. Never returns.
    pub kernel_fault: fn(&TrapFrame, &Fault) -> !,
    /// A program made a system call. On its thread's kernel stack. May turn interrupts on. Ends as
    /// `user_return` does.
    pub syscall: fn(&mut TrapFrame),
    /// A program did what it may not, or touched memory that is not there yet. The same.
    pub user_fault: fn(&mut TrapFrame, &UserFault),
    /// Last thing before returning to a program that something else interrupted. May turn interrupts on.
    pub user_return: fn(&mut TrapFrame),
    /// A CPU that was started arrives here on its own stack, translation on, interrupts off.
    pub secondary_main: fn(cpu: usize) -> !,
}

static HANDLERS: AtomicPtr<Handlers> = AtomicPtr::new(core::ptr::null_mut());

/// Sets the table. Called once, before interrupts are turned on and before another CPU is started.
pub fn set(handlers: &'static Handlers) {
    // Release: pairs with the Acquire in `get`, on CPUs started later.
    HANDLERS.store(core::ptr::from_ref(handlers).cast_mut(), Ordering::Release);
}

/// The table; `None` before `set`.
#[inline]
pub fn get() -> Option<&'static Handlers> {
    // SAFETY: null or the `&'static Handlers` given to `set`.
    unsafe { HANDLERS.load(Ordering::Acquire).as_ref() }
}
