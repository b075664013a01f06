//! Asking the other CPUs what they are doing.
//!
//! The reporter names a CPU in one word and interrupts it; that CPU marks the word as its own, says
//! what it does, marks the word as done and stops. It marks the word before it speaks, so a CPU
//! that comes too late finds that nobody asks any more, and stops without a word.

use super::{REPORTER, report};
use crate::arch::current::{TrapFrame, cpu, timer};
use crate::cpus::CpuSet;
use crate::log;
use crate::proc::sched;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Nobody is asked, or CPU n (`2n`), or CPU n is speaking (`2n + 1`), or it is done.
static ASKED: AtomicUsize = AtomicUsize::new(NOBODY);
const NOBODY: usize = usize::MAX;
const DONE: usize = usize::MAX - 1;

/// How long a CPU may take to take the interrupt, and how long to speak, in nanoseconds. An
/// emulator with one thread for all CPUs runs each for 100 ms at a time.
const PATIENCE: u64 = 1_000_000_000;
const SPEAKING: u64 = 10_000_000_000;

/// Each other CPU that runs says what it does, and stops.
pub(super) fn others(this: usize) {
    for cpu in sched::online_cpus().without(CpuSet::one(this)).iter() {
        log::raw(format_args!("--- CPU {cpu}:\n"));
        // Release: pairs with the Acquire in `speak`.
        ASKED.store(2 * cpu, Ordering::Release);
        cpu::send_ipi(cpu);
        let heard = || ASKED.load(Ordering::Acquire) != 2 * cpu;
        if !wait(PATIENCE, heard) && cpu::send_nmi(cpu) {
            wait(PATIENCE, heard);
        }
        if ASKED.compare_exchange(2 * cpu, NOBODY, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            log::raw(format_args!("CPU {cpu} does not answer\n"));
        } else {
            let finished = wait(SPEAKING, || ASKED.load(Ordering::Acquire) == DONE);
            log::speak(this);
            if !finished {
                log::raw(format_args!("CPU {cpu} does not finish\n"));
            }
        }
    }
}

/// Polls for that long at most; says whether it became true.
fn wait(nanoseconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = timer::now().saturating_add(nanoseconds);
    loop {
        if condition() {
            return true;
        }
        if timer::now() >= deadline {
            return false;
        }
        cpu::relax();
    }
}

/// If this CPU is asked: speaks, and stops.
fn speak(what: &dyn Fn()) {
    let this = cpu::id();
    // AcqRel: pairs with the reporter's accesses: it speaks no line while this CPU does.
    if ASKED.compare_exchange(2 * this, 2 * this + 1, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        log::speak(this);
        what();
        finish(this);
    }
}

/// This CPU has spoken. If it took so long that the reporter went on, another CPU is asked by now,
/// and the word stays as it is.
fn finish(this: usize) -> ! {
    let _ = ASKED.compare_exchange(2 * this + 1, DONE, Ordering::Release, Ordering::Relaxed);
    cpu::halt()
}

/// A second CPU panics: it waits for its turn.
pub(super) fn wait_to_be_asked(what: &dyn Fn()) -> ! {
    loop {
        speak(what);
        cpu::relax();
    }
}

/// Interrupted with interrupts off, because it did not answer: speaks if it is still asked, and
/// stops.
pub fn answer_nmi(frame: &TrapFrame) -> ! {
    let this = cpu::id();
    if ASKED.load(Ordering::Acquire) == 2 * this + 1 {
        // It had just begun to speak when this cut it off: once more, from the beginning.
        log::speak(this);
        tell(frame);
        finish(this);
    }
    answer(frame);
    cpu::halt()
}

/// What this CPU was doing.
fn tell(frame: &TrapFrame) {
    report::task();
    report::frame(frame);
}

/// Called in each inter-CPU interrupt: does nothing unless another CPU panics.
pub fn answer(frame: &TrapFrame) {
    if REPORTER.load(Ordering::Relaxed) == super::NOBODY {
        return;
    }
    speak(&|| tell(frame));
    // Not asked, or too late. If the reporter comes to this CPU it interrupts it again.
}
