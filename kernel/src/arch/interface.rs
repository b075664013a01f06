//! The contract: every name that neutral code may use of the machine, with its type. A machine
//! that lacks one, or has it with another type, does not compile.
//!
//! CPUs are named by their logical number, `0..cpus_online`; the boot CPU is 0.

use super::current;
use super::handlers::{Fault, Syscall};
use super::samples::Samples;
use super::signals::{Delivery, Placed, Restored};
use crate::addr::{PhysAddr, VirtAddr};
use crate::boot::EarlyFrames;
use crate::error::Errno;
use core::ops::Range;
use core::sync::atomic::AtomicU64;

// Geometry.
const _: u32 = current::PAGE_SHIFT;
/// Bytes of a kernel stack, a power of two; stacks are aligned to it.
const _: usize = current::STACK_SIZE;
/// Bytes at the low end of a stack that are not mapped.
const _: usize = current::STACK_GUARD;

// cpu: this CPU.
/// Spin-loop hint; leaves the emulator's block so that another CPU can run.
const _: fn() = current::cpu::relax;
/// Logical number of the CPU this runs on. Stable only while preemption or interrupts are off.
const _: fn() -> usize = current::cpu::id;
/// The running task (what it points to is the caller's), read with one instruction: right even
/// when preempted.
const _: fn() -> *const () = current::cpu::current_task;
/// Sets it. Interrupts must be off.
const _: unsafe fn(*const ()) = current::cpu::set_current_task;
const _: fn() -> bool = current::cpu::irqs_enabled;
/// Turns interrupts off and says whether they were on.
const _: fn() -> bool = current::cpu::irq_save;
/// Turns interrupts on if the argument is true. Pairs with `irq_save`.
const _: unsafe fn(bool) = current::cpu::irq_restore;
/// Waits for an interrupt and takes it. Interrupts are off before and after; one that arrives
/// between the caller's last check and the wait ends the wait.
const _: fn() = current::cpu::idle;
/// Interrupts that CPU; its `Handlers::ipi` runs. All stores before it are visible there.
const _: fn(usize) = current::cpu::send_ipi;
/// Interrupts that CPU even if it has interrupts off, for good: its `Handlers::nmi` runs. False if
/// the machine cannot.
const _: fn(usize) -> bool = current::cpu::send_nmi;
/// Starts a stopped CPU on the stack that ends at the address, as the given task. ENODEV: no such
/// CPU; ETIMEDOUT: the firmware took it but it does not come up.
const _: unsafe fn(usize, u32, VirtAddr, *const ()) -> Result<(), Errno> = current::cpu::start;
/// Stops this CPU for good (after a panic elsewhere).
const _: fn() -> ! = current::cpu::halt;

/// The registers as they are in the caller.
const _: fn() -> current::TrapFrame = current::cpu::capture;

/// `/proc/cpuinfo` with those CPUs, as the machine's Linux prints it.
const _: fn(&mut dyn core::fmt::Write, crate::cpus::CpuSet) -> core::fmt::Result = current::cpuinfo::print;

// timer: nanoseconds since boot, the same on all CPUs.
const _: fn() -> u64 = current::timer::now;
/// One interrupt at or after that time on this CPU, replacing the one armed before.
const _: fn(u64) = current::timer::arm;
/// When that boot was, in nanoseconds since 1970; 0: the machine does not say.
const _: fn() -> u64 = current::timer::boot_time;

// console: no locking of its own. Who writes holds the log's lock (a panic does not); who reads holds
// the lock of the ring of keys (`crate::console`). A CPU may read while another writes.
const _: fn() -> &'static str = current::console::name;
/// Writes all; `\n` goes out as `\r\n`.
const _: fn(&[u8]) = current::console::write;
/// Writes all as it is.
const _: fn(&[u8]) = current::console::write_raw;
/// Takes what has arrived, at most the buffer's length; 0 if nothing.
const _: fn(&mut [u8]) -> usize = current::console::read;

// power.
/// Ends the machine; QEMU's exit status is 0.
const _: fn() -> ! = current::power::off;
/// Ends the machine as a panic does; QEMU's exit status is not 0 where the machine has one.
const _: fn() -> ! = current::power::fail;
/// Lets the firmware do its own work, where it has any; gives the nanoseconds until it wants to again.
const _: fn() -> Option<u64> = current::power::heartbeat;

// random: true random numbers.
const _: &str = current::random::NAME;
/// Fills with numbers that nobody can guess. False: the machine has none.
const _: fn(&mut [u8]) -> bool = current::random::fill;

// context: threads in the kernel.
/// What is saved of a thread that does not run (callee-saved registers are on its stack).
type Context = current::context::Context;
/// A thread that will call `entry(argument)` on the stack that ends at the address.
const _: unsafe fn(VirtAddr, extern "C" fn(usize) -> !, usize) -> Context = current::context::Context::new;
/// Saves this thread in the first and continues the second. Interrupts are off.
const _: unsafe fn(*mut Context, *const Context) = current::context::switch;

// backtrace: calls the visitor with each return address, innermost first, until it says false or
// the chain leaves the stacks. Never faults, whatever the stack holds.
const _: fn(&mut dyn FnMut(usize) -> bool) = current::backtrace::here;
const _: fn(&current::TrapFrame, &mut dyn FnMut(usize) -> bool) = current::backtrace::of_frame;
const _: fn(&Context, &mut dyn FnMut(usize) -> bool) = current::backtrace::of_context;

// mmu: the kernel's own translation. `PhysAddr` to pointer is the linear map, for RAM only.
const _: fn(PhysAddr) -> *mut u8 = current::mmu::linear;
/// Address of a linear pointer (not of a stack variable).
const _: fn(*const u8) -> PhysAddr = current::mmu::linear_to_phys;
/// Fills memory with a doubleword, and copies: for pages and tables, in as few instructions as the machine
/// needs. Aligned to 256 bytes, or a table; a multiple of that long.
const _: unsafe fn(*mut u8, u64, usize) = current::mmu::fill;
const _: unsafe fn(*mut u8, *const u8, usize) = current::mmu::copy;
/// Builds the kernel's tables (text RX, constants R, all else RW without execution; page 0 and
/// stack guards unmapped) and turns translation on. Tables come from the early allocator.
const _: fn(&mut EarlyFrames) -> Result<(), Errno> = current::mmu::enable;
/// The kernel's text, constants, writable data: for the log and the tests.
const _: fn() -> [(&'static str, Range<usize>); 3] = current::mmu::sections;
/// Turns `STACK_SIZE` bytes of naturally aligned memory into a stack with its guard and gives the
/// address of its end. ENOMEM if a table is needed and there is no frame.
const _: unsafe fn(PhysAddr) -> Result<VirtAddr, Errno> = current::mmu::stack_map;
/// Takes it back (the end's address); the memory is ordinary again.
const _: unsafe fn(VirtAddr) -> PhysAddr = current::mmu::stack_unmap;

// space: address spaces of programs.
/// The format of their tables, in the layouts `page` and `group`.
type Format = current::Format;
/// The same in the layout `frag`.
type FragFormat = current::FragFormat;
const _: () = super::paging::check::<Format>();
const _: () = super::paging::check::<FragFormat>();
/// An address space as the hardware names it: s390x its ASCE, ppc64 its PID.
type Space = current::space::Space;
const _: fn(Space) -> u64 = Space::bits;
/// Makes a root table known to the hardware. EAGAIN: no number is left for it. The root stays a table
/// of the machine's format until `destroy`.
const _: unsafe fn(PhysAddr) -> Result<Space, Errno> = current::space::create;
/// Forgets it, and all its translations on all CPUs. No CPU has it active.
const _: unsafe fn(Space) = current::space::destroy;
/// This CPU's user accesses go through it from now on. It is not destroyed while it is active.
const _: unsafe fn(Space) = current::space::activate;
/// This CPU's user accesses fault from now on.
const _: fn() = current::space::deactivate;
/// Replaces an entry (given in the linear map) of a last-level table that translates the address, by
/// a value as the manual writes it. No new translation through the old value begins after it; old
/// ones may last until `flush_pages` or `flush_all`. Meanwhile a program may fault on it.
const _: unsafe fn(Space, &AtomicU64, VirtAddr, u64) = current::space::replace_page;
/// The same for an entry of an upper table of that level (0 = root) that pointed to a table.
const _: unsafe fn(Space, usize, &AtomicU64, VirtAddr, u64) = current::space::replace_table;
/// No CPU uses an old translation of these leaves (of 2^shift bytes) when it returns.
const _: fn(Space, &[VirtAddr], u32) = current::space::flush_pages;
/// Whether that, and `flush_all`, holds of the emulators, too. If not, another CPU may use an old
/// translation until it is next interrupted.
const _: bool = current::space::FLUSH_ENDS;
/// No CPU uses an old translation of the space, or an old upper entry, when it returns.
const _: fn(Space) = current::space::flush_all;
/// What was written to these whole pages, by whatever instructions, is what programs execute there from
/// now on. Before an entry that may be executed points to them.
const _: unsafe fn(PhysAddr, usize) = current::space::sync_code;
/// One aligned access by the kernel to the active space.
const _: fn(VirtAddr) -> Result<u64, Fault> = current::space::user_load;
const _: unsafe fn(VirtAddr, u64) -> Result<(), Fault> = current::space::user_store;

// user: programs. Their frames are trap frames.
const _: fn(&current::TrapFrame) -> bool = current::TrapFrame::is_user;
/// A program's first state: entry and stack pointer, all other registers 0.
const _: fn(VirtAddr, VirtAddr) -> current::TrapFrame = current::TrapFrame::program;
const _: fn(&current::TrapFrame) -> Syscall = current::TrapFrame::syscall;
/// The result of a system call as the machine's Linux passes it.
const _: fn(&mut current::TrapFrame, Result<u64, Errno>) = current::TrapFrame::set_result;
/// Makes the program repeat the system call, with its first argument as it was.
const _: fn(&mut current::TrapFrame) = current::TrapFrame::restart;
/// The same with another number.
const _: fn(&mut current::TrapFrame, usize) = current::TrapFrame::restart_as;
const _: fn(&mut current::TrapFrame, VirtAddr) = current::TrapFrame::set_pc;
const _: fn(&mut current::TrapFrame, VirtAddr) = current::TrapFrame::set_sp;
/// The registers that programs have and the kernel never uses: floating point, vector, access.
type UserState = current::user::UserState;
const _: fn() -> UserState = UserState::new;
/// From the CPU. The CPU holds what belongs to this program.
const _: unsafe fn(&mut UserState) = UserState::save;
/// To the CPU. What the CPU holds was saved.
const _: unsafe fn(&UserState) = UserState::restore;
/// The thread pointer of a program that does not run.
const _: fn(&mut current::TrapFrame, &mut UserState, u64) = current::user::set_tls;
/// Goes on as the program. Interrupts are off; what is on this kernel stack is forgotten.
const _: unsafe fn(&current::TrapFrame) -> ! = current::user::enter;
/// The first address that a program cannot have.
const _: VirtAddr = current::user::SPACE_END;
const _: u16 = current::user::ELF_MACHINE;
/// AT_PLATFORM, AT_HWCAP, AT_HWCAP2.
const _: &str = current::user::PLATFORM;
const _: fn() -> u64 = current::user::hwcap;
const _: fn() -> u64 = current::user::hwcap2;
/// What else the machine's Linux puts into the auxiliary vector: keys and values.
const _: &[(u64, u64)] = current::user::AUXILIARY;
/// One attempt to copy from or to the active space; a fault says where. Never reaches the kernel's memory.
const _: unsafe fn(*mut u8, VirtAddr, usize) -> Result<(), Fault> = current::usercopy::from_user;
const _: unsafe fn(VirtAddr, *const u8, usize) -> Result<(), Fault> = current::usercopy::to_user;

// abi: how calls are made.
const _: super::abi::CloneOrder = current::abi::CLONE;
const _: u32 = current::abi::SIGRETURN;
const _: u32 = current::abi::UGETRLIMIT;
const _: bool = current::abi::MMAP_BY_POINTER;
const _: &str = current::abi::MACHINE;

// signal: their frames on a program's stack, laid out as Linux does.
const _: usize = current::signal::FRAME_MAX;
/// What delivering a signal takes of a stack: AT_MINSIGSTKSZ.
const _: usize = current::signal::STACK_MIN;
/// The code that ends a handler, mapped somewhere by the kernel.
const _: &[u8] = current::signal::TRAMPOLINE;
/// Whether that is an ELF file, of which programs are told: AT_SYSINFO_EHDR.
const _: bool = current::signal::TRAMPOLINE_IS_ELF;
/// Builds the frame in the buffer and makes the program continue in its handler: with the registers in
/// the frame, and those in the state (ppc64 clears the FPSCR), which must be restored to the CPU.
const _: fn(
    &mut current::TrapFrame,
    &mut UserState,
    &Delivery,
    &mut [u8; current::signal::FRAME_MAX],
) -> Placed = current::signal::deliver;
/// Where the frame lies that `sigreturn` (true: `rt_sigreturn`) ends, and its length.
const _: fn(&current::TrapFrame, bool) -> (VirtAddr, usize) = current::signal::frame_address;
/// Takes the program's state back from a frame. Whatever it holds, no privilege is gained.
const _: fn(&mut current::TrapFrame, &mut UserState, &[u8], bool) -> Result<Restored, Errno> =
    current::signal::restore;

/// Programs for the tests in the kernel.
const _: fn() -> Samples = current::samples::samples;

// probe: one access that may fail.
const _: fn(usize) -> Result<u64, Fault> = current::probe::load;
const _: unsafe fn(usize, u64) -> Result<(), Fault> = current::probe::store;
/// Calls the address as a function without arguments.
const _: unsafe fn(usize) -> Result<(), Fault> = current::probe::call;

const fn _trap_frame_is_display<T: core::fmt::Display>() {}
const _: () = _trap_frame_is_display::<current::TrapFrame>();
/// Where the frame was interrupted, and its stack pointer.
const _: fn(&current::TrapFrame) -> usize = current::TrapFrame::pc;
const _: fn(&current::TrapFrame) -> usize = current::TrapFrame::sp;
