//! What is looked at around each test of the machine.

use fallow::ktest::{Case, Outcome, Watch};

/// Nothing yet is counted that could leak.
pub struct Nothing;

impl Watch for Nothing {
    fn before(&mut self, _case: &mut Case) {}
    fn after(&mut self, _case: &mut Case) -> Outcome {
        Ok(())
    }
}
