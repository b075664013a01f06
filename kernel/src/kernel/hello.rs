//! The first lines of the log, and the last boot line.

use super::table;
use ::log::{info, warn};
use fallow::arch::PAGE_SIZE;
use fallow::arch::current::{console, timer};
use fallow::boot::BootInfo;
use fallow::proc::sched;
use fallow::{cmdline, log, symbols};

/// What the machine handed over, and what is wrong with it.
pub fn hello(info: &'static BootInfo) {
    log::init();
    cmdline::set(&info.cmdline);
    table::init();
    let line = cmdline::get();
    let level = if line.flag("quiet") { Some(4) } else { line.number("loglevel") };
    if let Some(level) = if line.flag("debug") { Some(8) } else { level } {
        log::set_level(level);
    }
    info!(target: "boot", "Fallow {} on {}", env!("CARGO_PKG_VERSION"), info.machine);
    info!(target: "boot", "command line: {line}");
    for complaint in &info.complaints {
        warn!(target: "boot", "{complaint}");
    }
    for complaint in line.complaints() {
        warn!(target: "cmdline", "{complaint}");
    }
    if let Some(initrd) = info.initrd {
        let (start, size) = (initrd.start().get(), initrd.size());
        info!(target: "boot", "initrd: {} kB at {start:#x}", size.div_ceil(1024));
    }
    match symbols::kernel() {
        Some(symbols) => info!(target: "boot", "{} symbols", symbols.count()),
        None => warn!(target: "boot", "no symbol table: back traces will be numbers"),
    }
}

/// The last boot line. It is printed with `quiet`, too.
pub fn last_line(info: &BootInfo) {
    let memory: u64 = info.memory.iter().map(|range| range.size()).sum();
    let cpus = sched::online_cpus().len();
    log::line(format_args!(
        "boot: ready in {} ns: {}, {cpus} CPU{}, {} MB, {} KB pages, console {}; h helps, Ctrl-A x leaves",
        timer::now(),
        info.machine,
        if cpus == 1 { "" } else { "s" },
        memory >> 20,
        PAGE_SIZE >> 10,
        console::name(),
    ));
}
