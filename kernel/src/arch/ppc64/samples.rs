//! Programs for tests: where samples.S has each.

use crate::arch::samples::Samples;

/// The instructions of `sample_privileged`, in its order.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "mfmsr r5",
    "mtmsr r5",
    "mtmsrd r5",
    "mtmsrd r5, 1",
    "rfid",
    "hrfid",
    "rfscv",
    "scv 0",
    "mfspr SPRG0",
    "mtspr SPRG0",
    "mtspr SPRG2",
    "mtspr SRR0",
    "mtspr SRR1",
    "mtspr HSRR0",
    "mfspr DAR",
    "mtspr DEC",
    "mtspr TBL",
    "mtspr PIDR",
    "mtspr LPCR",
    "mtspr LPIDR",
    "mtspr PTCR",
    "mtspr FSCR",
    "mtspr HFSCR",
    "mtspr HID0",
    "mtspr AMR",
    "mtspr IAMR",
    "mtspr UAMOR",
    "mtspr CTRL",
    "mtspr CIABR",
    "mtspr DAWR",
    "mtspr PSSCR",
    "mfspr PIR",
    "mtspr MMCR0",
    "mtspr BESCR",
    "mtspr TFHAR",
    "tbegin.",
    "tlbie r5, r5",
    "tlbiel r5",
    "tlbsync",
    "slbia",
    "slbie r5",
    "slbmte r5, r5",
    "slbmfee r5, r5",
    "stop",
    "msgsnd r5",
    "msgsndp r5",
    "msgsync",
    "lbzcix r5, 0, r4",
    "stbcix r5, 0, r4",
    "ldcix r5, 0, r4",
    "attn",
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
    }
}
