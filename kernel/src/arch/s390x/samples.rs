//! Programs for tests: where samples.S has each.

use crate::arch::samples::{Mistake, Samples};

/// The instructions of `sample_privileged`, in its order.
const PRIVILEGED: &[&str] = &[
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

/// What `sample_attack` tries.
const ATTACKS: &[&str] = &[
    "load in secondary space",
    "store in secondary space",
    "MVCOS from the home space",
    "MVCOS to the home space",
    "MVCP",
    "MVCS",
    "STMG around the end of the space",
    "jump to an odd address",
    "an FPC that is none",
    "EXECUTE of an EXECUTE",
];

/// What `sample_strange` does.
const STRANGE: &[&str] = &[
    "a call in secondary space",
    "a call in 31-bit mode",
    "a call by EXECUTE",
    "a call by EXECUTE RELATIVE LONG",
    "a stack pointer of the kernel",
    "a stack pointer of all ones",
    "the same, and interrupts",
    "interrupts in secondary space",
    "a call with a null stack pointer",
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
const SIGFPE: u32 = 8;

fn mistake(nth: usize) -> Option<Mistake> {
    let mistakes = [
        ("division by zero", code!(sample_divide, sample_zero_by_zero), SIGFPE, 1),
        ("zero by zero", code!(sample_zero_by_zero, sample_by_zero), SIGFPE, 7),
        ("one by zero", code!(sample_by_zero, sample_overflow), SIGFPE, 3),
        ("overflow", code!(sample_overflow, sample_underflow), SIGFPE, 4),
        ("underflow", code!(sample_underflow, sample_inexact), SIGFPE, 5),
        ("inexact", code!(sample_inexact, sample_vector), SIGFPE, 6),
        ("zeros by zeros", code!(sample_vector, sample_compare_and_trap), SIGFPE, 7),
        ("COMPARE AND TRAP", code!(sample_compare_and_trap, sample_odd_register), SIGFPE, 0),
        ("an odd register of a pair", code!(sample_odd_register, sample_execute), SIGILL, 2),
        ("EXECUTE of an EXECUTE", code!(sample_execute, sample_ptlb), SIGILL, 2),
        ("PTLB", code!(sample_ptlb, sample_end), SIGILL, 5),
    ];
    let &(name, code, signal, si_code) = mistakes.get(nth)?;
    Some(Mistake { name, code, signal, si_code })
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
        privileged_names: PRIVILEGED,
        attack: code!(sample_attack, sample_strange),
        attack_names: ATTACKS,
        strange: code!(sample_strange, sample_float),
        strange_names: STRANGE,
        float: code!(sample_float, sample_spin),
        spin: code!(sample_spin, sample_tls),
        tls: code!(sample_tls, sample_handler),
        handler: code!(sample_handler, sample_divide),
        mistake,
    }
}
