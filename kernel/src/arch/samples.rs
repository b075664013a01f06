//! Programs by hand, for the tests in the kernel: what each does. Each machine assembles its own.
//!
//! They are position-independent, begin with a stack pointer and zeros in all other registers, and
//! talk by three system calls whose numbers are the same on all machines. What a program must be
//! told it asks for, call by call.

/// `exit(value)`
pub const EXIT: usize = 1;
/// `note(value)`: tells something; its result is ignored.
pub const NOTE: usize = 4;
/// `ask()`: the result is what the program is to know next.
pub const ASK: usize = 7;
/// A call with six arguments. (Beyond 255, for s390x' sake, whose instruction has eight bits for it.)
pub const CALL: usize = 300;

/// What `Samples::call` passes.
pub const ARGUMENTS: [u64; 6] = [11, 22, 33, 44, 55, 66];
/// What `illegal` and `privileged` exit with if their instruction was taken for good.
pub const NOT_REFUSED: u64 = 1234;

/// A program that does what means a signal.
#[derive(Clone, Copy, Debug)]
pub struct Mistake {
    /// What it does.
    pub name: &'static str,
    /// Its machine code; `exit(NOT_REFUSED)` if it gets that far.
    pub code: &'static [u8],
    /// The signal.
    pub signal: u32,
    /// Its `si_code`.
    pub si_code: i32,
}

/// The machine code of each. Empty: the machine has none.
#[derive(Clone, Copy, Debug)]
pub struct Samples {
    /// `exit(CALL(11, 22, 33, 44, 55, 66))`. An error becomes its negative number.
    pub call: &'static [u8],
    /// `p = ask()`; fills the general registers; `CALL`; loads from `p`; `exit(n)`, the number of
    /// registers that have changed and must not have. (Those that Linux destroys by a system call do
    /// not count.)
    pub preserved: &'static [u8],
    /// `exit(*ask())`, 8 bytes.
    pub load: &'static [u8],
    /// `p = ask(); *p = ask(); exit(*p)`, 8 bytes.
    pub store: &'static [u8],
    /// Jumps to `ask()`.
    pub jump: &'static [u8],
    /// Executes no instruction, then `exit(NOT_REFUSED)`.
    pub illegal: &'static [u8],
    /// `n = ask()`; executes the nth instruction that programs may not, then `exit(NOT_REFUSED)`.
    pub privileged: &'static [u8],
    /// The names of those instructions.
    pub privileged_names: &'static [&'static str],
    /// `n = ask(); p = ask()`, an address of the kernel; tries the nth way to it that is not simply
    /// refused to programs, then `exit(NOT_REFUSED)`.
    pub attack: &'static [u8],
    /// The names of those ways.
    pub attack_names: &'static [&'static str],
    /// `n = ask(); p = ask()`, an address of the kernel; does the nth thing that a program may do and
    /// none does, calls or is interrupted in it, then `exit(n)`.
    pub strange: &'static [u8],
    /// The names of those things.
    pub strange_names: &'static [&'static str],
    /// `seed = ask()`; fills all floating-point and vector registers with what depends on it, and the
    /// floating-point control register; until `ask()` is not 0: looks at them all, some thousand
    /// times between two calls. `exit(n)`: the number of wrong ones seen.
    pub float: &'static [u8],
    /// `p = ask()`; waits until `*p` is not 0, without a call; `exit(*p)`.
    pub spin: &'static [u8],
    /// `exit(thread pointer)`
    pub tls: &'static [u8],
    /// A signal's handler: `note` of its first argument, then of its second; destroys all registers
    /// but the stack pointer, floating point and vector too; returns.
    pub handler: &'static [u8],
    /// The nth of what else means a signal.
    pub mistake: fn(usize) -> Option<Mistake>,
}
