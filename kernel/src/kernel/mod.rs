//! The boot order.

mod finish;
mod handlers;
mod hello;
mod init;
mod keys;
mod memory;
mod table;
mod threads;
mod watch;

use fallow::arch;
use fallow::boot::BootInfo;
use fallow::proc::thread::Spawn;
use fallow::proc::{sched, smp};
use fallow::sync::{MaySleep, context};
use fallow::{cmdline, mm, panic};

/// The machine's entry code ends here: translation is off still, interrupts are off, one CPU.
#[unsafe(no_mangle)]
extern "Rust" fn kernel_main(info: &'static BootInfo) -> ! {
    // SAFETY: the boot CPU, interrupts off, no other CPU runs.
    unsafe { context::init_boot_cpu() };
    hello::hello(info);
    memory::init(info);
    arch::handlers::set(&handlers::HANDLERS);
    // SAFETY: once, interrupts off, no lock held.
    unsafe { sched::init() };
    let rest = Spawn::new("main").spawn(move |ctx| main_thread(ctx, info));
    assert!(rest.is_ok(), "no memory for the first thread");
    drop(rest);
    // SAFETY: `sched::init` made this flow the boot CPU's idle thread.
    unsafe { sched::run_idle() }
}

/// The rest of the boot, as a thread: it may sleep.
fn main_thread(ctx: &mut MaySleep, info: &'static BootInfo) {
    let limit = cmdline::get().number("nr_cpus").unwrap_or(u64::MAX);
    smp::start_others(info, usize::try_from(limit).unwrap_or(usize::MAX));
    threads::start(ctx);
    if let Err(errno) = mm::space::start(ctx) {
        panic!("no memory for the page of zeros: {errno:?}");
    }
    hello::last_line(info);
    finish::finish(ctx);
    init::start(ctx, info);
}

#[panic_handler]
fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    panic::panic(info)
}
