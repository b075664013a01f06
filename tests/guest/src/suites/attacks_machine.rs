//! Attacks by the machine's own means: privileged instructions, address spaces, forged frames.

use super::attacks::{code, jump};
use crate::harness::child::{Status, fault_of, fork_status, handle};
use crate::harness::{Failure, Outcome};
use crate::{check, tests};
use libc::{SIGILL, SIGSEGV};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;

tests![privileged_instructions, other_address_spaces, forged_frames, hypercalls, reserved_registers];

/// Instructions that only a kernel may execute; registers and operands are zero.
#[cfg(target_arch = "s390x")]
const PRIVILEGED: &[(&str, &[u8])] = &[
    ("lpsw", &[0x82, 0x00, 0x00, 0x00]),
    ("lpswe", &[0xb2, 0xb2, 0x00, 0x00]),
    ("ssm", &[0x80, 0x00, 0xf0, 0x00]),
    ("stosm", &[0xad, 0x03, 0xf0, 0x00]),
    ("stnsm", &[0xac, 0xfc, 0xf0, 0x00]),
    ("lctlg", &[0xeb, 0x00, 0xf0, 0x00, 0x00, 0x2f]),
    ("stctg", &[0xeb, 0x00, 0xf0, 0x00, 0x00, 0x25]),
    ("sigp", &[0xae, 0x02, 0x00, 0x00]),
    ("diag 44", &[0x83, 0x00, 0x00, 0x44]),
    ("diag 308", &[0x83, 0x02, 0x03, 0x08]),
    ("servc", &[0xb2, 0x20, 0x00, 0x02]),
    ("ipte", &[0xb2, 0x21, 0x00, 0x24]),
    ("idte", &[0xb9, 0x8e, 0x40, 0x20]),
    ("ptlb", &[0xb2, 0x0d, 0x00, 0x00]),
    ("iske", &[0xb2, 0x29, 0x00, 0x24]),
    ("sske", &[0xb2, 0x2b, 0x00, 0x24]),
    ("rrbe", &[0xb2, 0x2a, 0x00, 0x24]),
    ("spx", &[0xb2, 0x10, 0xf0, 0x00]),
    ("stpx", &[0xb2, 0x11, 0xf0, 0x00]),
    ("stap", &[0xb2, 0x12, 0xf0, 0x00]),
    ("stidp", &[0xb2, 0x02, 0xf0, 0x00]),
    ("sck", &[0xb2, 0x04, 0xf0, 0x00]),
    ("sckc", &[0xb2, 0x06, 0xf0, 0x00]),
    ("spt", &[0xb2, 0x08, 0xf0, 0x00]),
    ("lra", &[0xe3, 0x20, 0xf0, 0x00, 0x00, 0x03]),
    ("lurag", &[0xb9, 0x05, 0x00, 0x24]),
    ("sturg", &[0xb9, 0x25, 0x00, 0x24]),
    ("ssch", &[0xb2, 0x33, 0xf0, 0x00]),
    ("stsi", &[0xb2, 0x7d, 0xf0, 0x00]),
];
#[cfg(not(target_arch = "s390x"))]
const PRIVILEGED: &[(&str, &[u8])] = &[
    ("mfmsr", &0x7c60_00a6_u32.to_le_bytes()),
    ("mtmsr", &0x7c60_0124_u32.to_le_bytes()),
    ("mtmsrd", &0x7c60_0164_u32.to_le_bytes()),
    ("rfid", &0x4c00_0024_u32.to_le_bytes()),
    ("hrfid", &0x4c00_0224_u32.to_le_bytes()),
    ("slbia", &0x7c00_03e4_u32.to_le_bytes()),
    ("tlbie", &0x7c00_2264_u32.to_le_bytes()),
    ("tlbiel", &0x7c00_2224_u32.to_le_bytes()),
    ("tlbsync", &0x7c00_046c_u32.to_le_bytes()),
    ("stop", &0x4c00_02e4_u32.to_le_bytes()),
    ("mfspr srr0", &special(0x7c60_02a6, 26)),
    ("mtspr srr1", &special(0x7c60_03a6, 27)),
    ("mtspr pid", &special(0x7c60_03a6, 48)),
    ("mtspr sprg3", &special(0x7c60_03a6, 275)),
    ("mtspr lpcr", &special(0x7c60_03a6, 318)),
    ("mtspr ptcr", &special(0x7c60_03a6, 464)),
    ("mtspr dec", &special(0x7c60_03a6, 22)),
    ("mtspr hsrr0", &special(0x7c60_03a6, 314)),
];

/// `mfspr` or `mtspr` with a special register's number.
#[cfg(not(target_arch = "s390x"))]
const fn special(base: u32, number: u32) -> [u8; 4] {
    (base | (number & 31) << 16 | (number >> 5) << 11).to_le_bytes()
}

/// The instructions, then a return.
fn with_return(bytes: &[u8]) -> Vec<u8> {
    let back: &[u8] = if cfg!(target_arch = "s390x") { &[0x07, 0xfe] } else { &[0x20, 0x00, 0x80, 0x4e] };
    [bytes, back].concat()
}

fn privileged_instructions() -> Outcome {
    for (name, bytes) in PRIVILEGED {
        let map = code(&with_return(bytes))?;
        let fault = fault_of(|| jump(map.start as usize))?;
        check!(fault.is_some_and(|fault| fault.signal == SIGILL), "{name}: {fault:?}");
    }
    Ok(())
}

/// `sacf` into each address-space mode, then a read of the stack, then back.
#[cfg(target_arch = "s390x")]
fn other_address_spaces() -> Outcome {
    // 0x200 is the mode of access registers. QEMU, which does not know it, refuses it or takes the
    // secondary space for it; only a PSW that says so, which no program of ours can load, ends QEMU.
    for (name, mode) in [0x19, 0x79].into_iter().flat_map(|name| {
        // `sac`, `sacf`
        [0x000_u16, 0x100, 0x200, 0x300, 0x400, 0xfff].map(|mode| (name, mode))
    }) {
        let [high, low] = mode.to_be_bytes();
        let bytes = [
            &[0xb2, name, high, low][..],          // sacf mode
            &[0xe3, 0x20, 0xf0, 0x00, 0x00, 0x04], // lg %r2, 0(%r15)
            &[0xe3, 0x20, 0x00, 0x00, 0x00, 0x04], // lg %r2, 0
            &[0xb2, 0x19, 0x00, 0x00],             // sacf 0
        ]
        .concat();
        let map = code(&with_return(&bytes))?;
        let fault = fault_of(|| jump(map.start as usize))?;
        // Whatever the mode, address 0 is nothing of ours: if it could be read, it was the kernel's.
        let dead = fault.is_some_and(|fault| [SIGILL, SIGSEGV].contains(&fault.signal));
        check!(dead, "{name:#x} {mode:#x}: {fault:?}");
    }
    Ok(())
}

#[cfg(not(target_arch = "s390x"))]
fn other_address_spaces() -> Outcome {
    // The address's first bits choose the space: quadrants 1 and 2 are no program's.
    for quadrant in [1_usize, 2, 3] {
        let at = (quadrant << 62 | 0x1_0000) as *const u8;
        let fault = fault_of(|| crate::harness::memory::touch(std::hint::black_box(at)))?;
        check!(fault.is_some_and(|fault| fault.signal == SIGSEGV), "{quadrant}: {fault:?}");
    }
    Ok(())
}

static FORGED: AtomicU64 = AtomicU64::new(0);

/// Where the machine's state stands in the frame's `ucontext`, in words.
const STATE: usize = if cfg!(target_arch = "s390x") { 40 / 8 } else { 232 / 8 + 33 };

extern "C" fn forge(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the word lies in the frame that the kernel made.
    unsafe { *context.cast::<u64>().add(STATE) ^= FORGED.load(SeqCst) };
}

extern "C" fn good(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) };
}

fn forged_frames() -> Outcome {
    // A privileged instruction that does no harm: `stap`, `mfmsr`.
    let bytes: &[u8] = if cfg!(target_arch = "s390x") { &[0xb2, 0x12, 0xf0, 0x00] } else { PRIVILEGED[0].1 };
    let map = code(&with_return(bytes))?;
    let single = (0..64).map(|bit| 1_u64 << bit);
    // On s390x also both bits of the address space: home space, the kernel's.
    for flips in single.chain([3 << 46]) {
        if cfg!(target_arch = "s390x") && flips == 1 << 46 && crate::harness::on_linux() {
            // Linux lets a program choose the access-register mode, and QEMU dies of it.
            continue;
        }
        let child = fork_status(|| {
            let set = || -> Result<(), Failure> {
                handle(libc::SIGUSR1, 0, forge)?;
                handle(SIGILL, 0, good)
            };
            if set().is_err() {
                return 98;
            }
            FORGED.store(flips, SeqCst);
            // SAFETY: sends this process a signal.
            unsafe {
                libc::alarm(5);
                libc::kill(libc::getpid(), libc::SIGUSR1);
            }
            jump(map.start as usize);
            // The instruction was executed: the privilege was raised.
            97
        })?;
        let status = child.wait()?;
        check!(!matches!(status, Status::Exited(97 | 98)), "{flips:#x} gives privilege: {status:?}");
    }
    Ok(())
}

fn hypercalls() -> Outcome {
    // `diag 500` and `sc 1`: refused in one way or another.
    let bytes: &[u8] =
        if cfg!(target_arch = "s390x") { &[0x83, 0x24, 0x05, 0x00] } else { &[0x22, 0x00, 0x00, 0x44] };
    let map = code(&with_return(bytes))?;
    let child = fork_status(|| {
        jump(map.start as usize);
        0
    })?;
    let status = child.wait()?;
    let fine = [Status::Exited(0), Status::Killed(SIGILL), Status::Killed(SIGSEGV)].contains(&status);
    check!(fine, "{status:?}");
    Ok(())
}

fn reserved_registers() -> Outcome {
    // What a program may load with nonsense and the kernel relies on elsewhere: the stack pointer, the
    // thread's register, the floating-point control. Then it makes a call, and is interrupted.
    let bytes: Vec<u8> = if cfg!(target_arch = "s390x") {
        vec![
            0xa7, 0xf9, 0xff, 0xff, // lghi %r15, -1
            0xa7, 0xd9, 0xff, 0xff, // lghi %r13, -1
            0xb2, 0x4e, 0x00, 0x0f, // sar %a0, %r15
            0xa7, 0xf4, 0x00, 0x00, // j .
        ]
    } else {
        [0x3820_ffff_u32, 0x39a0_ffff, 0x3840_ffff, 0x4800_0000]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    };
    let map = code(&bytes)?;
    let child = fork_status(|| {
        let time = libc::timeval { tv_sec: 0, tv_usec: 50_000 };
        let timer = libc::itimerval { it_interval: time, it_value: time };
        // SAFETY: ends the process after a while.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
        jump(map.start as usize);
        0
    })?;
    child.ends(Status::Killed(libc::SIGALRM))
}
