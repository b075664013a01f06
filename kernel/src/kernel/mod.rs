//! From the machine's entry code to the last boot line.

mod memory;
mod table;
mod watch;

use ::log::{info, warn};
use fallow::arch::PAGE_SIZE;
use fallow::arch::current::{console, timer};
use fallow::boot::BootInfo;
use fallow::exit::{Status, exit};
use fallow::ktest::{self, Case, Filter};
use fallow::{cmdline, log, symbols};

/// The machine's entry code ends here: translation is off still, interrupts are off, one CPU.
#[unsafe(no_mangle)]
extern "Rust" fn kernel_main(info: &'static BootInfo) -> ! {
    // SAFETY: this is the boot CPU, interrupts are off, no other CPU runs.
    unsafe { fallow::sync::context::init_boot_cpu() };
    let start = timer::now();
    log::init();
    cmdline::set(&info.cmdline);
    table::init();
    report(info);
    memory::init(info);
    last_line(info, start);
    finish(info)
}

/// What the machine handed over.
fn report(info: &BootInfo) {
    let line = cmdline::get();
    let level = if line.flag("quiet") { Some(4) } else { line.number("loglevel") };
    if let Some(level) = if line.flag("debug") { Some(8) } else { level } {
        log::set_level(level);
    }
    info!(target: "boot", "Fallow on {}, command line \"{line}\"", info.machine);
    for complaint in &info.complaints {
        warn!(target: "boot", "{complaint}");
    }
    for complaint in line.complaints() {
        warn!(target: "cmdline", "{complaint}");
    }
    if symbols::kernel().is_none() {
        warn!(target: "boot", "no symbol table: back traces will be numbers");
    }
}

/// The last boot line. It is printed with `quiet`, too.
fn last_line(info: &BootInfo, start: u64) {
    let memory: u64 = info.memory.iter().map(|range| range.size()).sum();
    let took = timer::now() - start;
    log::line(format_args!(
        "boot: ready in {took} ns: {}, {} CPUs, {} MB, {} KB pages, console {}; Ctrl-A x leaves",
        info.machine,
        info.cpus.len(),
        memory >> 20,
        PAGE_SIZE >> 10,
        console::name(),
    ));
}

/// What the command line asks for: tests, power off, or nothing.
fn finish(info: &BootInfo) -> ! {
    let line = cmdline::get();
    let filter = line.text("kunit.filter_glob").map(Filter::new);
    let list = line.flag("kunit.action");
    let mut status = Status::Ok;
    if list {
        ktest::list(ktest::suites::ALL, &filter.unwrap_or(Filter::ALL), &mut console_line);
    } else if let Some(filter) = filter {
        let mut case = Case { cpus: info.cpus.len() };
        let totals = ktest::run(
            ktest::suites::ALL,
            &filter,
            &mut case,
            &mut watch::Memory::default(),
            &mut console_line,
        );
        if totals.fail > 0 || totals.total() == 0 {
            status = Status::TestFailed;
        }
    }
    if line.flag("kunit_shutdown") {
        exit(status);
    }
    loop {
        fallow::arch::current::cpu::idle();
    }
}

fn console_line(text: core::fmt::Arguments<'_>) {
    log::raw(format_args!("{text}\n"));
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    fallow::panic::panic(info)
}
