//! What neutral code and a machine say to each other about a signal's frame on the program's stack.
//! The frame's layout, Linux' for the machine, is the machine's own.

use crate::addr::VirtAddr;

/// A `stack_t`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AltStack {
    /// Its low end.
    pub sp: u64,
    /// `SS_*`
    pub flags: u32,
    /// Bytes.
    pub size: u64,
}

/// A signal that a handler of the program is to see.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number.
    pub signal: u32,
    /// The handler's address (ppc64 ELFv2: its entry point, no descriptor).
    pub handler: VirtAddr,
    /// The `siginfo_t`, in the machine's byte order, if the handler wants one (SA_SIGINFO).
    pub info: [u8; 128],
    /// SA_SIGINFO.
    pub wants_info: bool,
    /// The signal mask to return to.
    pub mask: u64,
    /// The alternate stack as it was set.
    pub alt_stack: AltStack,
    /// The stack's end: the frame goes below it.
    pub stack: VirtAddr,
    /// Where `TRAMPOLINE` is mapped.
    pub trampoline: VirtAddr,
    /// The address of a memory fault, for SIGSEGV and SIGBUS; else 0.
    pub fault_address: u64,
}

/// A frame that was built in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Where it is to be copied.
    pub at: VirtAddr,
    /// Its bytes, from the buffer's first on.
    pub length: usize,
}

/// What a frame gave back besides registers.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    /// The signal mask.
    pub mask: u64,
    /// The alternate stack, if the frame holds one.
    pub alt_stack: Option<AltStack>,
}
