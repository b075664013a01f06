//! The end of the kernel by its own mistake.
//!
//! One CPU reports: the message, where, which task with which locks, the registers, the
//! functions that led there. Then it asks every other CPU, one after the other, for its own
//! registers and functions, and ends the run with status 3. Nothing here allocates or waits for a
//! lock.
//!
//! * Two CPUs panic at once: the first reports, the second waits to be asked, says its message too.
//! * A panic within the report: one line, and the end.
//! * A CPU that does not answer (it spins with interrupts off) is asked by an interrupt that it
//!   cannot mask, where the machine has one; if it still does not answer it is named, after a
//!   bounded time.
//! * Somebody holds the console lock: it is broken first.

mod ask;
mod fault;
mod report;

pub use ask::{answer, answer_nmi};

use crate::arch::current::{TrapFrame, backtrace, cpu, power};
use crate::arch::handlers::Fault;
use crate::exit::{Status, exit};
use crate::log;
use crate::sync::rank;
use core::fmt;
use core::panic::{Location, PanicInfo};
use core::sync::atomic::{AtomicUsize, Ordering};

/// The CPU that reports, or `NOBODY`.
static REPORTER: AtomicUsize = AtomicUsize::new(NOBODY);
/// How many panics the reporter has had.
static PANICS: AtomicUsize = AtomicUsize::new(0);
const NOBODY: usize = usize::MAX;

/// For the binary's `#[panic_handler]`.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let message = format_args!("{}", info.message());
    die(&Cause { message, location: info.location(), frame: &cpu::capture(), interrupted: false })
}

/// For `Handlers::kernel_fault`.
pub fn kernel_fault(frame: &TrapFrame, fault: &Fault) -> ! {
    let message = format_args!("{}", fault::Description::of(fault));
    die(&Cause { message, location: None, frame, interrupted: true })
}

/// Why the kernel ends.
struct Cause<'a> {
    message: fmt::Arguments<'a>,
    location: Option<&'a Location<'a>>,
    frame: &'a TrapFrame,
    /// Whether the frame is that of an interrupt, or else of the panic itself.
    interrupted: bool,
}

impl Cause<'_> {
    /// Shows it as this CPU's; the title says how it came to that.
    fn show(&self, title: &str) {
        // Apart: if the message panics, the title is out.
        log::raw(format_args!("{title}: "));
        log::raw(format_args!("{}\n", self.message));
        if let Some(location) = self.location {
            log::raw(format_args!("  at {location}\n"));
        }
        report::task();
        if self.interrupted {
            report::frame(self.frame);
        } else {
            report::registers(self.frame);
            report::trace(&mut |visit| backtrace::here(visit));
        }
    }
}

fn die(cause: &Cause<'_>) -> ! {
    let _ = cpu::irq_save();
    let this = cpu::id();
    // AcqRel: the first CPU to come here is the one and only reporter.
    match REPORTER.compare_exchange(NOBODY, this, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => {}
        Err(reporter) if reporter == this => nested(cause),
        Err(_) => ask::wait_to_be_asked(&|| cause.show("Kernel panic as well")),
    }
    rank::stop_checking();
    log::speak(this);
    cause.show("Kernel panic - not syncing");
    ask::others(this);
    log::raw(format_args!("---[ end Kernel panic ]---\n"));
    exit(Status::Panic)
}

/// The report itself failed.
fn nested(cause: &Cause<'_>) -> ! {
    log::speak(cpu::id());
    if PANICS.fetch_add(1, Ordering::Relaxed) == 0 {
        log::raw(format_args!("\nKernel panic within the panic: {}\n", cause.message));
        exit(Status::Panic)
    }
    // Not even that line came through.
    power::fail()
}
