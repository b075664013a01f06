//! Time: the time base counts up at the same rate on all CPUs, the decrementer counts down to an
//! interrupt (Power ISA v3.0B, Book III, "Timer Facilities").
//!
//! The decrementer has 32 bits here, 4 s at 512 MHz: a later deadline is reached in steps. The boot
//! CPU's steps are short, for it looks at the console's input in them. (Both consoles could
//! interrupt instead, through OPAL's or the hypervisor's interrupt controller. Two more drivers, for
//! one key now and then.)

use super::TrapFrame;
use super::regs::{DEC, mtspr, time_base};
use super::{area, console};
use crate::arch::handlers;
use crate::arch::ppc64_timebase::{Scale, scale};
use core::sync::atomic::{AtomicU64, Ordering};

static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
static BOOT: AtomicU64 = AtomicU64::new(0);

/// The furthest that the decrementer reaches.
const FURTHEST: u64 = 0x7fff_ffff;
/// How often the console's input is looked at, in ns.
const INPUT_PERIOD: u64 = 20_000_000;

/// Sets ticks per second, and the value of the time base when the time was 0. Nothing is armed.
pub fn set_frequency(hertz: u64, boot: u64) {
    let scale = Scale::new(hertz);
    NS_PER_TICK.store(scale.ns_per_tick, Ordering::Relaxed);
    TICKS_PER_NS.store(scale.ticks_per_ns, Ordering::Relaxed);
    BOOT.store(boot, Ordering::Relaxed);
    never();
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    scale(time_base().wrapping_sub(BOOT.load(Ordering::Relaxed)), NS_PER_TICK.load(Ordering::Relaxed))
}

/// One interrupt at or after that time on this CPU.
pub fn arm(deadline: u64) {
    // Between these two an interrupt may move this thread to another CPU: not with interrupts off.
    let on = super::cpu::irq_save();
    area::this().deadline.set(deadline);
    start();
    // SAFETY: as it was.
    unsafe { super::cpu::irq_restore(on) };
}

/// Nothing more: for a CPU that stops.
pub fn never() {
    area::this().deadline.set(u64::MAX);
    set_decrementer(FURTHEST);
}

/// Lets the decrementer run to the deadline, or as far towards it as it goes.
fn start() {
    let area = area::this();
    let wait = area.deadline.get().saturating_sub(now());
    let wait = if area.cpu.get() == 0 { wait.min(INPUT_PERIOD) } else { wait };
    let ticks = scale(wait, TICKS_PER_NS.load(Ordering::Relaxed)).saturating_add(1);
    set_decrementer(ticks.min(FURTHEST));
}

fn set_decrementer(ticks: u64) {
    // SAFETY: it causes a decrementer interrupt, which is handled. A positive value also takes back
    // one that is pending.
    unsafe { mtspr::<DEC>(ticks) };
}

/// The decrementer interrupt.
pub fn interrupt(frame: &TrapFrame) {
    let area = area::this();
    if let Some(handlers) = handlers::get() {
        if area.cpu.get() == 0 && console::poll() {
            (handlers.console_input)();
        }
        if area.deadline.get() <= now() {
            area.deadline.set(u64::MAX);
            (handlers.timer)(frame);
        }
    }
    start();
}

/// When the machine booted, in nanoseconds since 1970; 0: it does not say.
pub fn boot_time() -> u64 {
    0
}
