//! No program runs on the host.

use crate::arch::samples::Samples;

/// None.
pub fn samples() -> Samples {
    Samples {
        call: &[],
        preserved: &[],
        load: &[],
        store: &[],
        jump: &[],
        illegal: &[],
        privileged: &[],
        privileged_names: &[],
        attack: &[],
        attack_names: &[],
        strange: &[],
        strange_names: &[],
        float: &[],
        spin: &[],
        tls: &[],
        handler: &[],
        mistake: |_| None,
    }
}
