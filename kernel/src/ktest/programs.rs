//! Programs for tests: machine code in user mode on a kernel thread, with the test as its kernel.
//!
//! A thread that becomes a program here has no process. The machine's handlers ask this module first
//! ([`syscall`], [`user_fault`], [`user_return`] say whether the frame was one of ours), and it calls
//! the closure that the test gave. So what the machine promises is tested without anything that is
//! built on it.
//!
//! Such a thread stays on its CPU. Its registers and its address space are put in place on its way
//! back to user mode, if another of these programs had the CPU since; what that one had there is saved
//! then. (Threads of the kernel touch neither.)

use super::{Stop, failed};
use crate::addr::VirtAddr;
use crate::arch::current::user::{self, UserState};
use crate::arch::current::{Format, TrapFrame, cpu, mmu};
use crate::arch::handlers::{Syscall, UserFault};
use crate::arch::paging::{Access, Page};
use crate::arch::samples;
use crate::arch::{MAX_CPUS, PAGE_SIZE};
use crate::cpus::CpuSet;
use crate::error::Errno;
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::mm::pgtable::{Layout, Memory, PageTable, kernel, scheme};
use crate::proc::sched;
use crate::proc::thread::{JoinHandle, Spawn};
use crate::sync::percpu::Slot;
use crate::sync::{IrqGuard, IrqSpinLock, LockClass, MaySleep, PerCpu, Pinned, PreemptGuard, Rank};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

/// Where a program's code is mapped, readable and executable.
pub const CODE: VirtAddr = VirtAddr::new(0x1000_0000);
/// Where a test may map more.
pub const DATA: VirtAddr = VirtAddr::new(0x2000_0000);
/// The end of its stack, one page.
pub const STACK: VirtAddr = VirtAddr::new(0x3000_0000);

/// What a program wants of its kernel.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A system call. (Its end, `samples::EXIT`, is not asked about.)
    Call(Syscall),
    /// It cannot go on.
    Fault(UserFault),
}

/// What becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It goes on as its frame says.
    Go,
    /// It ends, with that value.
    End(u64),
}

/// The test's part: called on the program's kernel stack, with interrupts on.
type Kernel = dyn FnMut(&mut Entered<'_>, Event) -> Result<Next, Stop> + Send;

/// A program.
///
/// # Invariants
/// `kernel` is used by the program's own thread alone; so is `state`, or by whoever runs on the CPU
/// that has it as its owner, with interrupts off.
pub struct Program {
    tables: PageTable<Format>,
    state: UnsafeCell<UserState>,
    kernel: UnsafeCell<Box<Kernel>>,
    result: IrqSpinLock<Option<Result<u64, Stop>>>,
    returns: AtomicUsize,
}

// SAFETY: see the invariants.
unsafe impl Sync for Program {}
// SAFETY: what a program owns may be dropped anywhere.
unsafe impl Send for Program {}

const RESULT: LockClass = LockClass::new("a test program's result", Rank::new(66));

/// The programs and their threads. A thread takes a place and leaves it by itself, so it finds its own
/// without a lock.
struct Place {
    thread: AtomicPtr<()>,
    program: AtomicPtr<Program>,
}

const PLACES: usize = 2 * MAX_CPUS;
static PROGRAMS: [Place; PLACES] = [const {
    Place { thread: AtomicPtr::new(core::ptr::null_mut()), program: AtomicPtr::new(core::ptr::null_mut()) }
}; PLACES];

/// Whose registers each CPU holds; null: nobody's.
static OWNERS: PerCpu<AtomicPtr<Program>> =
    PerCpu::new([const { Slot::new(AtomicPtr::new(core::ptr::null_mut())) }; MAX_CPUS]);

impl Place {
    /// This thread's.
    fn mine() -> Option<&'static Self> {
        let thread = cpu::current_task();
        PROGRAMS.iter().find(|place| core::ptr::eq(place.thread.load(Ordering::Relaxed), thread))
    }

    /// The program, for its own thread.
    fn program(&self) -> &Program {
        // SAFETY: written by this thread, which holds a reference in it until its end.
        unsafe { &*self.program.load(Ordering::Relaxed) }
    }
}

/// This CPU holds nobody's registers from now on.
fn vacate(irqs: &IrqGuard) {
    let owner = OWNERS.this(irqs).swap(core::ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: a program that is an owner lives: its end vacates its CPU.
    if let Some(owner) = unsafe { owner.as_ref() } {
        // SAFETY: the CPU's owner, interrupts off.
        unsafe { (*owner.state.get()).save() };
    }
}

impl Program {
    /// Calls with what a program has besides its frame, in memory. On its way back it is put in place.
    fn with_state<R>(&self, body: impl FnOnce(&mut UserState) -> R) -> R {
        let irqs = IrqGuard::new();
        vacate(&irqs);
        // SAFETY: ours (the invariant), and the CPU holds it no more.
        body(unsafe { &mut *self.state.get() })
    }

    /// Makes the CPU hold this program's registers and its space.
    fn take(&self, irqs: &IrqGuard) {
        let owner = OWNERS.this(irqs);
        if core::ptr::eq(owner.load(Ordering::Relaxed), self) {
            return;
        }
        vacate(irqs);
        // SAFETY: what the CPU held is saved. The thread does not change its CPU, and leaves the space
        // at its end.
        unsafe {
            (*self.state.get()).restore();
            self.tables.activate(irqs);
        }
        owner.store(core::ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
    }

    /// Maps a new page, with these bytes in front and zeros behind.
    pub fn map(&self, at: VirtAddr, access: Access, bytes: &[u8], ctx: &mut MaySleep) -> Result<(), Stop> {
        assert!(bytes.len() <= PAGE_SIZE as usize);
        let frame = mm::frames()
            .alloc(Request::of(Kind::User).zeroed(), None)
            .map_err(|error| failed(format_args!("no frame: {error:?}")))?;
        // SAFETY: the frame is ours, and that large.
        unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), frame.as_ptr().as_ptr(), bytes.len()) };
        let page = Page { addr: mm::shared_frames().share(frame).start(), access, soft: 0 };
        self.tables.map(at, page, ctx).map_err(|error| {
            kernel::memory().free_data(&[page.addr]);
            failed(format_args!("map: {error:?}"))
        })
    }

    /// The first word of a page, as memory has it; `None`: it is not mapped.
    pub fn word(&self, at: VirtAddr, ctx: &MaySleep) -> Option<&AtomicU64> {
        let page = self.tables.lookup(at, ctx)?;
        // SAFETY: a page of the program's; tests keep it mapped while they look.
        Some(unsafe { AtomicU64::from_ptr(mmu::linear(page.addr).cast()) })
    }

    /// Writes new code into a page that may be executed. No thread of the program runs.
    pub fn rewrite(&self, at: VirtAddr, code: &[u8], ctx: &mut MaySleep) {
        assert!(code.len() <= PAGE_SIZE as usize);
        let range = at..VirtAddr::new(at.get() + PAGE_SIZE);
        self.tables.protect(range.clone(), Access::RW, ctx);
        if let Some(page) = self.tables.lookup(at, ctx) {
            // SAFETY: a page of the program's, which does not run.
            unsafe { mmu::linear(page.addr).copy_from_nonoverlapping(code.as_ptr(), code.len()) };
        }
        self.tables.protect(range, Access::RX, ctx);
    }

    /// Takes the page away.
    pub fn unmap(&self, at: VirtAddr, ctx: &mut MaySleep) {
        self.tables.unmap(at..VirtAddr::new(at.get() + PAGE_SIZE), ctx);
    }

    /// How often it went back to user mode.
    pub fn returns(&self) -> usize {
        self.returns.load(Ordering::Relaxed)
    }
}

/// A program that entered its kernel.
pub struct Entered<'a> {
    /// Its thread may sleep.
    pub ctx: &'a mut MaySleep,
    /// Its registers.
    pub frame: &'a mut TrapFrame,
    /// The rest.
    pub program: &'a Program,
}

impl Entered<'_> {
    /// Calls with its frame and the registers that the kernel does not use, interrupts off.
    pub fn with_registers<R>(&mut self, body: impl FnOnce(&mut TrapFrame, &mut UserState) -> R) -> R {
        self.program.with_state(|state| body(self.frame, state))
    }

    /// Calls with its address space active: for copies.
    pub fn inside<R>(&mut self, body: impl FnOnce() -> R) -> R {
        let pin = PreemptGuard::new();
        {
            let irqs = IrqGuard::new();
            self.program.take(&irqs);
        }
        let result = body();
        drop(pin);
        result
    }

    /// The result of its call.
    pub fn answer(&mut self, value: u64) -> Result<Next, Stop> {
        self.frame.set_result(Ok(value));
        Ok(Next::Go)
    }
}

/// A program on its way.
pub struct Running {
    /// What it has.
    pub program: Arc<Program>,
    thread: JoinHandle,
}

impl Running {
    /// Waits for its end: the value, or the check that failed in its kernel.
    pub fn join(self, ctx: &mut MaySleep) -> Result<u64, Stop> {
        self.thread.join(ctx);
        let result = self.program.result.lock().take();
        result.unwrap_or_else(|| Err(failed(format_args!("the program ended without a result"))))
    }
}

/// Makes a thread on that CPU (or any) that becomes a program with this code, at its first byte.
pub fn start(
    code: &[u8],
    on: Option<usize>,
    ctx: &mut MaySleep,
    kernel: impl FnMut(&mut Entered<'_>, Event) -> Result<Next, Stop> + Send + 'static,
) -> Result<Running, Stop> {
    let tables = PageTable::new(kernel::memory(), Layout::Frag, &scheme::rcu::Rcu, Some(ctx));
    let program = Arc::new(Program {
        tables: tables.map_err(|error| failed(format_args!("no address space: {error:?}")))?,
        state: UnsafeCell::new(UserState::new()),
        kernel: UnsafeCell::new(Box::new(kernel)),
        result: IrqSpinLock::new(&RESULT, None),
        returns: AtomicUsize::new(0),
    });
    for (nth, part) in code.chunks(PAGE_SIZE as usize).enumerate() {
        program.map(VirtAddr::new(CODE.get() + nth as u64 * PAGE_SIZE), Access::RX, part, ctx)?;
    }
    program.map(VirtAddr::new(STACK.get() - PAGE_SIZE), Access::RW, &[], ctx)?;
    let on = on.unwrap_or_else(|| PreemptGuard::new().cpu());
    let theirs = Arc::clone(&program);
    let thread = Spawn::new("program").on(CpuSet::one(on)).spawn(move |_| become_program(theirs));
    let thread = thread.map_err(|error| failed(format_args!("no thread: {error:?}")))?;
    Ok(Running { program, thread })
}

/// Runs a program to its end on this CPU.
pub fn run(
    code: &[u8],
    ctx: &mut MaySleep,
    kernel: impl FnMut(&mut Entered<'_>, Event) -> Result<Next, Stop> + Send + 'static,
) -> Result<u64, Stop> {
    start(code, None, ctx, kernel)?.join(ctx)
}

/// What is on this stack is forgotten, so the reference is given to the place.
fn become_program(program: Arc<Program>) {
    let thread = cpu::current_task().cast_mut();
    let claim = |place: &&Place| {
        place
            .thread
            .compare_exchange(core::ptr::null_mut(), thread, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    };
    let Some(place) = PROGRAMS.iter().find(claim) else {
        *program.result.lock() = Some(Err(failed(format_args!("too many programs"))));
        return;
    };
    place.program.store(Arc::into_raw(program).cast_mut(), Ordering::Relaxed);
    // A C function's frame may need room above its stack pointer.
    let frame = TrapFrame::program(CODE, VirtAddr::new(STACK.get() - 512));
    let irqs = IrqGuard::new();
    place.program().take(&irqs);
    core::mem::forget(irqs);
    // SAFETY: interrupts are off, and nothing on this stack has to be dropped.
    unsafe { user::enter(&frame) }
}

/// The end of a program's thread.
fn end(place: &Place, result: Result<u64, Stop>) -> ! {
    let program = place.program.load(Ordering::Relaxed);
    // SAFETY: `become_program` gave the reference; the place is not used again.
    let program = unsafe { Arc::from_raw(program) };
    *program.result.lock() = Some(result);
    {
        let irqs = IrqGuard::new();
        vacate(&irqs);
        PageTable::<Format>::deactivate(&irqs);
    }
    place.thread.store(core::ptr::null_mut(), Ordering::Relaxed);
    drop(program);
    sched::exit()
}

/// Asks the test. Interrupts are off, before and after.
fn ask(place: &Place, frame: &mut TrapFrame, event: Event) {
    let program = place.program();
    // SAFETY: the program had them on.
    unsafe { cpu::irq_restore(true) };
    let next = match event {
        Event::Call(Syscall { number: samples::EXIT, args }) => Ok(Next::End(args[0])),
        _ => {
            // SAFETY: the thread's own token was forgotten with its stack.
            let mut token = unsafe { MaySleep::mint() };
            let mut entered = Entered { ctx: &mut token, frame, program };
            // SAFETY: used by this thread alone.
            let kernel = unsafe { &mut *program.kernel.get() };
            kernel(&mut entered, event)
        }
    };
    match next {
        Ok(Next::Go) => {}
        Ok(Next::End(value)) => end(place, Ok(value)),
        Err(stop) => end(place, Err(stop)),
    }
    cpu::irq_save();
}

/// A system call, if it is a test's program that makes it.
pub fn syscall(frame: &mut TrapFrame) -> bool {
    let Some(place) = Place::mine() else { return false };
    let call = frame.syscall();
    ask(place, frame, Event::Call(call));
    true
}

/// A fault, if it is a test's program that has it.
pub fn user_fault(frame: &mut TrapFrame, fault: &UserFault) -> bool {
    let Some(place) = Place::mine() else { return false };
    ask(place, frame, Event::Fault(*fault));
    true
}

/// The way back, if it is a test's program.
pub fn user_return(_frame: &mut TrapFrame) -> bool {
    let Some(place) = Place::mine() else { return false };
    // Interrupts are off; what asked for the CPU while they were is not forgotten.
    sched::irq_exit();
    let program = place.program();
    program.returns.fetch_add(1, Ordering::Relaxed);
    let irqs = IrqGuard::new();
    program.take(&irqs);
    true
}

/// The error that a program was given, as it passes it on.
pub fn negative(errno: Errno) -> u64 {
    (errno as i64).wrapping_neg() as u64
}
