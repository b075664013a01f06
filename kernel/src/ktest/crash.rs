//! Crashes on request, `fallow.crash=HOW`: the panic's report, and the runner's verdicts, are
//! tested from outside with these.

use crate::arch::current::{cpu, mmu, samples};
use crate::arch::paging::Access;
use crate::cpus::CpuSet;
use crate::ktest::programs;
use crate::log;
use crate::mm;
use crate::mm::frame::{Kind, Request};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::rcu::{self, Deferred, HasRcuHead, RcuHead};
use crate::sync::MaySleep;
use core::fmt;
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};

/// A way: its name, and what does it.
type Way = (&'static str, fn(&mut MaySleep));

/// Every way, by name.
const WAYS: &[Way] = &[
    ("panic", |_| panic!("as the command line asks for")),
    ("silent", |_| spin_silently()),
    ("null-read", |_| ignore(read(8))),
    ("null-write", |_| write(8)),
    ("wild-read", |_| ignore(read(WILD))),
    ("wild-write", |_| write(WILD)),
    ("write-text", |_| write(mmu::sections()[0].1.start)),
    ("write-rodata", |_| write(mmu::sections()[1].1.start)),
    ("exec-data", |_| call(mmu::sections()[2].1.start)),
    ("exec-null", |_| call(8)),
    ("stack-overflow", |_| ignore(overflow(1))),
    ("nested-panic", |_| panic!("{}", Refuses)),
    ("panic-other", |ctx| {
        on_two_cpus(ctx, || panic!("on another CPU, as the command line asks for"), || ());
    }),
    ("panic-locked", |ctx| {
        // With one CPU this very one holds it.
        let _console = alone().then(log::hold_for_test);
        if !alone() {
            let hold = || {
                let _console = log::hold_for_test();
                IN_PLACE.store(1, Ordering::Release);
                spin_silently()
            };
            on_two_cpus(ctx, hold, || {
                wait_for(1);
                panic!("while a CPU holds the console");
            });
        }
        panic!("while a CPU holds the console");
    }),
    ("panic-program", panic_beside_program),
    ("double-panic", |ctx| {
        if !alone() {
            let one = || {
                meet();
                panic!("the one");
            };
            on_two_cpus(ctx, one, || {
                meet();
                panic!("the other");
            });
        }
        panic!("the other");
    }),
    ("oom", |_| out_of_memory()),
    ("rcu-sleep", |ctx| in_section(ctx, |other| sched::sleep(other, 1_000_000_000))),
    ("rcu-synchronize", |ctx| in_section(ctx, rcu::synchronize)),
    ("rcu-barrier", |ctx| in_section(ctx, rcu::barrier)),
    ("rcu-unlock", |ctx| {
        let section = rcu::read_lock(ctx);
        // SAFETY: not sound: the section ends twice, and the kernel with it.
        drop(unsafe { core::ptr::read(&raw const section) });
        drop(section);
    }),
    ("rcu-nesting", |ctx| (0..1000).for_each(|_| core::mem::forget(rcu::read_lock(ctx)))),
    ("rcu-twice", |ctx| {
        let _section = rcu::read_lock(ctx);
        (0..2).for_each(|_| rcu::call(&TWICE));
    }),
];

/// Where no machine here has anything: 2^50.
const WILD: usize = 1 << 50;

/// What is deferred twice.
struct Twice(RcuHead);

static TWICE: Twice = Twice(RcuHead::new());

// SAFETY: the offset is that of the one field.
unsafe impl HasRcuHead for Twice {
    const HEAD: usize = core::mem::offset_of!(Twice, 0);
}

impl Deferred for Twice {
    fn grace_over(&'static self) {}
}

/// Does it inside a read section, with another token than the section borrows: what the types
/// forbid compiles then, and is to be caught by name.
fn in_section(ctx: &mut MaySleep, what: fn(&mut MaySleep)) {
    // SAFETY: not sound, a task has one token; the kernel ends here.
    let mut other = unsafe { MaySleep::mint() };
    let _section = rcu::read_lock(ctx);
    what(&mut other);
}

static IN_PLACE: AtomicUsize = AtomicUsize::new(0);

/// Crashes in that way; an unknown one is a warning.
pub fn crash(ctx: &mut MaySleep, how: &[u8]) {
    if let Some((_, way)) = WAYS.iter().find(|(name, _)| name.as_bytes() == how) {
        return way(ctx);
    }
    ::log::warn!(target: "crash", "fallow.crash={} is unknown; known are:", how.escape_ascii());
    for (name, _) in WAYS {
        ::log::warn!(target: "crash", "  {name}");
    }
}

fn ignore<T>(value: T) {
    let _ = black_box(value);
}

fn read(address: usize) -> u8 {
    // SAFETY: none: this is to fault, and the kernel ends.
    unsafe { core::ptr::with_exposed_provenance::<u8>(black_box(address)).read_volatile() }
}

fn write(address: usize) {
    // SAFETY: none: this is to fault, and the kernel ends.
    unsafe { core::ptr::with_exposed_provenance_mut::<u8>(black_box(address)).write_volatile(1) };
}

fn call(address: usize) {
    let pointer: *const () = core::ptr::with_exposed_provenance(black_box(address));
    // SAFETY: none: this is to fault, and the kernel ends.
    let function = unsafe { core::mem::transmute::<*const (), extern "C" fn()>(pointer) };
    function();
}

/// Never ends, and needs its frame after the call.
#[expect(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    let room = black_box([depth; 32]);
    black_box(overflow(depth + 1)) + room[(depth % 32) as usize]
}

/// Interrupts off, for ever: no tick, no answer.
fn spin_silently() -> ! {
    let _ = cpu::irq_save();
    loop {
        cpu::relax();
    }
}

/// Runs each in a thread bound to a CPU, the last and the first (with one CPU, one after the other).
/// This thread sleeps: were it the second itself, it might sleep just then on the first's CPU, whose
/// clock nobody hears any more.
fn on_two_cpus(ctx: &mut MaySleep, there: fn(), here: fn()) -> ! {
    let online = sched::online_cpus();
    let last = online.iter().last().unwrap_or(0);
    for (cpu, what) in [(last, there), (online.first().unwrap_or(0), here)] {
        match Spawn::new("crash").on(CpuSet::one(cpu)).spawn(move |_| what()) {
            Ok(thread) => drop(thread),
            Err(error) => panic!("no thread: {error:?}"),
        }
    }
    loop {
        sched::sleep(ctx, 1_000_000_000);
    }
}

/// Panics on the first CPU while the last is in a program that never calls.
fn panic_beside_program(ctx: &mut MaySleep) {
    let last = sched::online_cpus().iter().last();
    let started = programs::start(samples::samples().spin, last, ctx, |entered, _| {
        entered.program.map(programs::DATA, Access::RW, &[], entered.ctx)?;
        entered.answer(programs::DATA.get())
    });
    let Ok(running) = started else { panic!("no program") };
    while running.program.returns() == 0 {
        sched::sleep(ctx, sched::TICK);
    }
    on_two_cpus(ctx, || (), || panic!("while a program runs"));
}

fn alone() -> bool {
    sched::online_cpus().len() == 1
}

/// Waits until two CPUs are here, neither of which can be interrupted any more.
fn meet() {
    let _ = cpu::irq_save();
    IN_PLACE.fetch_add(1, Ordering::AcqRel);
    wait_for(2);
}

fn wait_for(count: usize) {
    while IN_PLACE.load(Ordering::Acquire) < count {
        cpu::relax();
    }
}

struct Refuses;

impl fmt::Display for Refuses {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("a message that panics")
    }
}

/// Takes all memory, then asks the heap for more, as code that does not expect a refusal does.
fn out_of_memory() {
    let mut frames = 0;
    while let Ok(frame) = mm::frames().alloc(Request::of(Kind::Kernel), None) {
        let _ = frame.into_raw();
        frames += 1;
    }
    ::log::info!(target: "crash", "{frames} frames taken, no more");
    let mut vector = alloc::vec::Vec::new();
    loop {
        vector.push(black_box([0_u64; 512]));
    }
}
