//! Programs for tests: where samples.S has each.

use crate::arch::samples::{Mistake, Samples};

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

/// What `sample_attack` tries.
const ATTACKS: &[&str] = &[
    "load in quadrant 1",
    "load in quadrant 2",
    "store in quadrant 1",
    "store in quadrant 2",
    "load from the real address",
    "store to the real address",
    "jump in quadrant 1",
    "jump in quadrant 2",
    "jump to an odd address",
    "dcbz",
    "ldarx",
    "lvx",
    "stvx",
    "load around the end of all addresses",
];

/// What `sample_strange` does.
const STRANGE: &[&str] = &[
    "a stack pointer of the kernel",
    "a stack pointer of all ones",
    "a call with a null stack pointer",
    "a stack pointer of the kernel, and interrupts",
    "a thread pointer of the kernel",
    "the same, and interrupts",
    "LR, CTR and TAR of the kernel",
    "all bits of CR and XER",
    "a call of the hypervisor",
    "a call of the hypervisor to store",
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

const SIGILL: u32 = 4;
const SIGTRAP: u32 = 5;
const SIGBUS: u32 = 7;
const SIGFPE: u32 = 8;

/// One of these, with the signal and its code.
macro_rules! mistake {
    ($name:literal, $from:ident, $to:ident, $signal:ident, $code:literal) => {
        Mistake { name: $name, code: code!($from, $to), signal: $signal, si_code: $code }
    };
}

fn mistake(nth: usize) -> Option<Mistake> {
    let mistakes = [
        mistake!("a trap", sample_trap, sample_scv, SIGTRAP, 1),
        mistake!("scv", sample_scv, sample_mfmsr, SIGILL, 1),
        mistake!("mfmsr", sample_mfmsr, sample_tbegin, SIGILL, 5),
        mistake!("a transaction", sample_tbegin, sample_divide, SIGILL, 1),
        mistake!("division by zero", sample_divide, sample_invalid, SIGFPE, 3),
        mistake!("zero by zero", sample_invalid, sample_overflow, SIGFPE, 7),
        mistake!("overflow", sample_overflow, sample_underflow, SIGFPE, 4),
        mistake!("underflow", sample_underflow, sample_inexact, SIGFPE, 5),
        mistake!("inexact", sample_inexact, sample_reserve, SIGFPE, 6),
        mistake!("a reservation across doublewords", sample_reserve, sample_multiple, SIGBUS, 1),
        mistake!("load multiple, little-endian", sample_multiple, sample_end, SIGBUS, 1),
    ];
    mistakes.get(nth).copied()
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
        privileged: code!(sample_privileged, sample_attack),
        privileged_names: NAMES,
        attack: code!(sample_attack, sample_strange),
        attack_names: ATTACKS,
        strange: code!(sample_strange, sample_float),
        strange_names: STRANGE,
        float: code!(sample_float, sample_spin),
        spin: code!(sample_spin, sample_tls),
        tls: code!(sample_tls, sample_handler),
        handler: code!(sample_handler, sample_trap),
        mistake,
    }
}
