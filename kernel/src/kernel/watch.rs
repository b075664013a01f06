//! What is looked at around each test of the machine: memory that it leaves behind.

use fallow::ktest::{Case, Outcome, Watch, failed};
use fallow::log;
use fallow::mm::stats::{Snapshot, snapshot};

/// Memory in use before the test.
#[derive(Default)]
pub struct Memory(Option<Snapshot>);

impl Watch for Memory {
    fn before(&mut self, _case: &mut Case) {
        self.0 = Some(snapshot());
    }
    fn after(&mut self, _case: &mut Case) -> Outcome {
        let now = snapshot();
        match self.0.take() {
            Some(before) if now != before => {
                now.report_changes(&before, |line| log::raw(format_args!("    # {line}\n")));
                Err(failed(format_args!("memory was left behind")))
            }
            _ => Ok(()),
        }
    }
}
