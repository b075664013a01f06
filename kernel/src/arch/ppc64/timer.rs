//! Time: the time base counts up at the same rate on all CPUs, the decrementer counts down to an
//! interrupt (Power ISA v3.0B, Book III, chapter 7).
//!
//! Ticks become nanoseconds by a multiplication with a 32.32 fixed-point factor, made once; 125/64 at
//! 512 MHz, exactly. The product has 128 bits, so nothing overflows in 500 years.
//!
//! The decrementer has 32 bits here, 4 s at 512 MHz: a later deadline is reached in steps. The boot
//! CPU's steps are short, for it looks at the console's input in them. (Both consoles could
//! interrupt instead, through OPAL's or the hypervisor's interrupt controller. Two more drivers, for
//! one key now and then.)

use super::regs::{DEC, mtspr, time_base};
use super::{area, console};
use crate::arch::handlers;
use core::sync::atomic::{AtomicU64, Ordering};

static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_NS: AtomicU64 = AtomicU64::new(0);
static BOOT: AtomicU64 = AtomicU64::new(0);

/// The furthest that the decrementer reaches.
const FURTHEST: u64 = 0x7fff_ffff;
/// How often the console's input is looked at, in ns.
const INPUT_PERIOD: u64 = 20_000_000;

/// Sets ticks per second, and the value of the time base when the time was 0.
pub fn set_frequency(hertz: u64, boot: u64) {
    NS_PER_TICK.store((1_000_000_000 << 32) / hertz, Ordering::Relaxed);
    // Rounded up: a deadline is never reached early.
    TICKS_PER_NS.store((u128::from(hertz) << 32).div_ceil(1_000_000_000) as u64, Ordering::Relaxed);
    BOOT.store(boot, Ordering::Relaxed);
}

/// `value * factor`, where the factor has 32 fractional bits.
fn scale(value: u64, factor: &AtomicU64) -> u64 {
    let product = (u128::from(value) * u128::from(factor.load(Ordering::Relaxed))) >> 32;
    u64::try_from(product).unwrap_or(u64::MAX)
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    scale(time_base().wrapping_sub(BOOT.load(Ordering::Relaxed)), &NS_PER_TICK)
}

/// One interrupt at or after that time on this CPU.
pub fn arm(deadline: u64) {
    // Between these two an interrupt may move this thread to another CPU: not with interrupts off.
    let on = super::cpu::irq_save();
    let ticks = scale(deadline, &TICKS_PER_NS).saturating_add(1);
    area::this().deadline.set(BOOT.load(Ordering::Relaxed).saturating_add(ticks));
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
    let furthest = match area.cpu.get() {
        0 => scale(INPUT_PERIOD, &TICKS_PER_NS).min(FURTHEST),
        _ => FURTHEST,
    };
    set_decrementer(area.deadline.get().saturating_sub(time_base()).clamp(1, furthest));
}

fn set_decrementer(ticks: u64) {
    // SAFETY: it causes a decrementer interrupt, which is handled. A positive value also takes back
    // one that is pending.
    unsafe { mtspr::<DEC>(ticks) };
}

/// The decrementer interrupt.
pub fn interrupt() {
    let area = area::this();
    if let Some(handlers) = handlers::get() {
        if area.cpu.get() == 0 && console::poll() {
            (handlers.console_input)();
        }
        if area.deadline.get() <= time_base() {
            area.deadline.set(u64::MAX);
            (handlers.timer)();
        }
    }
    start();
}
