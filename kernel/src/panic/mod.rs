//! The end of the kernel by its own mistake.

use crate::arch::current::{backtrace, cpu};
use crate::exit::{Status, exit};
use crate::log;
use crate::symbols::Code;
use core::fmt;
use core::panic::PanicInfo;

/// The most frames that are shown: a recursion that ran away repeats itself anyhow.
const MAX_FRAMES: usize = 32;

/// For the binary's `#[panic_handler]`.
pub fn panic(info: &PanicInfo<'_>) -> ! {
    let _ = cpu::irq_save();
    log::break_lock();
    log::raw(format_args!("Kernel panic - not syncing: {}\n", info.message()));
    if let Some(location) = info.location() {
        log::raw(format_args!("  at {location}\n"));
    }
    show_trace("  Call trace:", &mut |visit| backtrace::here(visit));
    exit(Status::Panic)
}

/// Takes a return address and says whether it wants another.
type Visit<'a> = &'a mut dyn FnMut(usize) -> bool;

/// Prints the functions that a walk visits.
fn show_trace(title: &str, walk: &mut dyn FnMut(Visit<'_>)) {
    log::raw(format_args!("{title}\n"));
    let mut frames = 0;
    walk(&mut |address| {
        show_frame(Code::return_to(address));
        frames += 1;
        frames < MAX_FRAMES
    });
}

fn show_frame(code: impl fmt::Display) {
    log::raw(format_args!("    {code}\n"));
}
