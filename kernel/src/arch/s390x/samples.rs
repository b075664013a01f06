//! Programs for tests: where samples.S has each.

use crate::arch::samples::Samples;

/// The instructions of `sample_privileged`, in its order.
const NAMES: &[&str] = &[
    "LCTLG",
    "STCTG",
    "LPSWE",
    "LPSW",
    "SSM",
    "STNSM",
    "STOSM",
    "PTLB",
    "SACF home",
    "SACF access register",
    "SPKA",
    "SSKE",
    "ISKE",
    "LRA",
    "LURA",
    "STURA",
    "STIDP",
    "STAP",
    "STPX",
    "SPX",
    "SIGP",
    "SCKC",
    "SPT",
    "SCK",
    "IPTE",
    "IDTE",
    "CSPG",
    "DIAG 308",
    "DIAG 500",
    "DIAG 44",
    "SERVC",
    "SSCH",
    "TSCH",
    "MVCOS",
    "MVCP",
];

/// The bytes between two symbols.
macro_rules! code {
    ($from:ident, $to:ident) => {{
        unsafe extern "C" {
            static $from: u8;
            static $to: u8;
        }
        let (from, to) = (&raw const $from, &raw const $to);
        // SAFETY: samples.S puts the second symbol behind the first, with constants between them.
        unsafe { core::slice::from_raw_parts(from, to.addr() - from.addr()) }
    }};
}

/// All of them.
pub fn samples() -> Samples {
    Samples {
        call: code!(sample_call, sample_preserved),
        preserved: code!(sample_preserved, sample_load),
        load: code!(sample_load, sample_store),
        store: code!(sample_store, sample_jump),
        jump: code!(sample_jump, sample_illegal),
        illegal: code!(sample_illegal, sample_privileged),
        privileged: code!(sample_privileged, sample_float),
        privileged_names: NAMES,
        float: code!(sample_float, sample_spin),
        spin: code!(sample_spin, sample_tls),
        tls: code!(sample_tls, sample_handler),
        handler: code!(sample_handler, sample_end),
        mistake: |_| None,
    }
}
