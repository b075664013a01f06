//! After the last boot line: what the command line asks for.

use super::watch::Leaks;
use fallow::exit::{Status, exit};
use fallow::ktest::{self, Case, Filter, crash};
use fallow::proc::sched;
use fallow::sync::MaySleep;
use fallow::{cmdline, log, mm};

/// Crashes on request, runs or lists tests, turns the machine off; or just goes on.
pub fn finish(ctx: &mut MaySleep) {
    let line = cmdline::get();
    if let Some(how) = line.text("fallow.crash") {
        crash::crash(ctx, how);
    }
    let filter = line.text("kunit.filter_glob").map(Filter::new);
    let mut status = Status::Ok;
    if line.flag("kunit.action") {
        ktest::list(ktest::suites::ALL, &filter.unwrap_or(Filter::ALL), &mut console_line);
    } else if let Some(filter) = filter {
        // Before the first count of free memory: it stays.
        if let Err(error) = mm::tracing::give_memory(sched::online_cpus(), ctx) {
            panic!("no memory for events: {error:?}");
        }
        let mut case = Case { cpus: sched::online_cpus().len(), ctx };
        let totals = ktest::run(ktest::suites::ALL, &filter, &mut case, &mut Leaks::new(), &mut console_line);
        if totals.fail > 0 || totals.total() == 0 {
            status = Status::TestFailed;
        }
    }
    if line.flag("kunit_shutdown") {
        exit(status);
    }
}

fn console_line(text: core::fmt::Arguments<'_>) {
    log::raw(format_args!("{text}\n"));
}
