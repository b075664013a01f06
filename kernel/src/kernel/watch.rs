//! What is looked at around each test: whether it gave back what it took.

use fallow::ktest::{Case, Outcome, Watch};
use fallow::mm::stats::{Snapshot, snapshot};
use fallow::proc::sched;
use fallow::sync::MaySleep;
use fallow::{check, log, rcu};

/// Compares the memory in use before and after each test.
pub struct Leaks {
    before: Option<Snapshot>,
}

/// How often the memory is looked at before a difference is called a leak, a millisecond apart: a
/// thread that nobody joins ends when it likes, and on a busy host a CPU of the guest may not run for long.
const LOOKS: usize = 300;

impl Leaks {
    pub fn new() -> Self {
        Self { before: None }
    }
}

impl Watch for Leaks {
    fn before(&mut self, case: &mut Case<'_>) {
        settle(case.ctx);
        self.before = Some(snapshot());
    }

    fn after(&mut self, case: &mut Case<'_>) -> Outcome {
        let Some(before) = self.before.take() else { return Ok(()) };
        settle(case.ctx);
        let mut now = snapshot();
        for _ in 0..LOOKS {
            if now == before {
                break;
            }
            sched::sleep(case.ctx, 1_000_000);
            now = snapshot();
        }
        if now == before {
            return Ok(());
        }
        now.report_changes(&before, |change| log::raw(format_args!("    # leak: {change}\n")));
        check!(false, "the test left memory in use");
        Ok(())
    }
}

/// What RCU was given is freed; twice, since a callback may queue itself once more.
fn settle(ctx: &mut MaySleep) {
    rcu::barrier(ctx);
    rcu::barrier(ctx);
}
