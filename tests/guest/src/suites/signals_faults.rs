//! Signals of faults: which, with what code and address.

use crate::harness::child::{Fault, Status, fault_of, fork_status, handle};
use crate::harness::memory::{Map, page, peek, poke, touch};
use crate::harness::{Folder, Outcome};
use crate::{check, equal, sys, tests};
use libc::{MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ, PROT_WRITE, SIGBUS, SIGILL, SIGSEGV};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

tests![
    nothing_is_mapped,
    permission_is_missing,
    beyond_a_file,
    null_is_nothing,
    an_illegal_instruction,
    a_breakpoint,
    a_masked_fault_kills,
    an_ignored_fault_kills,
    a_handler_repairs,
    the_stack_overflows_into_a_handler,
    no_room_for_a_frame,
    faults_in_threads,
];

/// `SEGV_MAPERR`, `SEGV_ACCERR`, `BUS_ADRERR`.
const MAPERR: i32 = 1;
const ACCERR: i32 = 2;
const ADRERR: i32 = 2;

fn at(signal: i32, code: i32, address: *const u8) -> Option<Fault> {
    Some(Fault { signal, code, address: address as u64 })
}

/// s390x tells the page only.
fn near(fault: Option<Fault>) -> Option<Fault> {
    fault.map(|fault| Fault { address: fault.address & !0xfff, ..fault })
}

fn nothing_is_mapped() -> Outcome {
    let map = Map::private(3)?;
    sys!(munmap(map.page(1).cast(), page()));
    equal!(near(fault_of(|| touch(map.page(1)))?), at(SIGSEGV, MAPERR, map.page(1)));
    equal!(near(fault_of(|| poke(map.page(1), 1))?), at(SIGSEGV, MAPERR, map.page(1)));
    Ok(())
}

fn permission_is_missing() -> Outcome {
    let map = Map::private(3)?;
    sys!(mprotect(map.page(1).cast(), page(), PROT_READ));
    sys!(mprotect(map.page(2).cast(), page(), PROT_NONE));
    // Whether or not the page is there already.
    for _ in 0..2 {
        equal!(near(fault_of(|| poke(map.page(1), 1))?), at(SIGSEGV, ACCERR, map.page(1)));
        equal!(near(fault_of(|| touch(map.page(2)))?), at(SIGSEGV, ACCERR, map.page(2)));
        equal!(peek(map.page(1)), 0);
    }
    let text = permission_is_missing as fn() -> Outcome as usize as *mut u8;
    let fault = fault_of(|| poke(text, 0))?;
    check!(fault.is_some_and(|fault| (fault.signal, fault.code) == (SIGSEGV, ACCERR)), "{fault:?}");
    Ok(())
}

fn beyond_a_file() -> Outcome {
    let folder = Folder::new("bus")?;
    std::fs::write(folder.path("f"), "x")?;
    let file = sys!(open(folder.c("f").as_ptr(), libc::O_RDWR)) as i32;
    for flags in [MAP_SHARED, MAP_PRIVATE] {
        let map = Map::new(0, 3 * page(), PROT_READ | PROT_WRITE, flags, file, 0)?;
        equal!(near(fault_of(|| touch(map.page(1)))?), at(SIGBUS, ADRERR, map.page(1)));
        equal!(near(fault_of(|| poke(map.page(2), 1))?), at(SIGBUS, ADRERR, map.page(2)));
    }
    Ok(())
}

fn null_is_nothing() -> Outcome {
    let null = std::hint::black_box(std::ptr::without_provenance_mut::<u8>(0));
    equal!(near(fault_of(|| touch(null))?), at(SIGSEGV, MAPERR, null));
    equal!(near(fault_of(|| poke(null, 1))?), at(SIGSEGV, MAPERR, null));
    // SAFETY: not safe; the fault is what is wanted.
    let jump = || unsafe { std::mem::transmute::<usize, extern "C" fn()>(0x1000)() };
    equal!(near(fault_of(jump)?), at(SIGSEGV, MAPERR, std::ptr::without_provenance(0x1000)));
    Ok(())
}

fn an_illegal_instruction() -> Outcome {
    let fault = fault_of(super::attacks::illegal)?;
    check!(fault.is_some_and(|fault| fault.signal == SIGILL), "{fault:?}");
    Ok(())
}

fn a_breakpoint() -> Outcome {
    let fault = fault_of(super::attacks::breakpoint)?;
    // s390x: a trap only where a debugger has asked for it.
    let wanted = if cfg!(target_arch = "s390x") { SIGILL } else { libc::SIGTRAP };
    check!(fault.is_some_and(|fault| fault.signal == wanted), "{fault:?}");
    Ok(())
}

fn a_masked_fault_kills() -> Outcome {
    let map = Map::new(0, page(), PROT_NONE, MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
    let child = fork_status(|| {
        // SAFETY: plain calls on this process.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigfillset(&mut set);
            libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
        }
        i32::from(peek(map.start))
    })?;
    child.ends(Status::Killed(SIGSEGV))
}

fn an_ignored_fault_kills() -> Outcome {
    let map = Map::new(0, page(), PROT_NONE, MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)?;
    let child = fork_status(|| {
        // SAFETY: SIG_IGN is no function.
        unsafe { libc::signal(SIGSEGV, libc::SIG_IGN) };
        i32::from(peek(map.start))
    })?;
    child.ends(Status::Killed(SIGSEGV))
}

static REPAIR: AtomicUsize = AtomicUsize::new(0);

extern "C" fn repair(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: makes the page of the test usable.
    unsafe { libc::mprotect(REPAIR.load(SeqCst) as *mut _, page(), PROT_READ | PROT_WRITE) };
}

fn a_handler_repairs() -> Outcome {
    // What garbage collectors and user-level pagers do: the access is done again.
    let map = Map::private(1)?;
    map.set(5, 42);
    handle(SIGSEGV, 0, repair)?;
    REPAIR.store(map.start as usize, SeqCst);
    for round in 0..100 {
        sys!(mprotect(map.start.cast(), page(), PROT_NONE));
        equal!(map.get(5), 42);
        sys!(mprotect(map.start.cast(), page(), PROT_READ));
        map.set(6, round);
        equal!(map.get(6), round);
    }
    Ok(())
}

#[inline(never)]
fn endless(depth: usize) -> usize {
    let mut here = [depth as u8; 4096];
    poke(here.as_mut_ptr(), 1);
    if depth == usize::MAX {
        0
    } else {
        std::hint::black_box(endless as fn(usize) -> usize)(depth + 1) + usize::from(peek(here.as_ptr()))
    }
}

fn the_stack_overflows_into_a_handler() -> Outcome {
    let map = Map::private(8)?;
    let stack = libc::stack_t { ss_sp: map.start.cast(), ss_flags: 0, ss_size: map.len };
    sys!(sigaltstack(&stack, std::ptr::null_mut()));
    let fault = fault_of(|| {
        endless(0);
    })?;
    check!(fault.is_some_and(|fault| fault.signal == SIGSEGV), "{fault:?}");
    Ok(())
}

extern "C" fn never(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: ends the process.
    unsafe { libc::_exit(1) };
}

fn no_room_for_a_frame() -> Outcome {
    // Without another stack the handler of an overflow cannot run.
    let child = fork_status(|| {
        let off = libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: turns the runtime's own stack off.
        unsafe { libc::sigaltstack(&off, std::ptr::null_mut()) };
        if handle(SIGSEGV, 0, never).is_err() {
            return 2;
        }
        endless(0) as i32
    })?;
    child.ends(Status::Killed(SIGSEGV))
}

fn faults_in_threads() -> Outcome {
    let map = Map::private(64)?;
    handle(SIGSEGV, 0, repair_own)?;
    BASE.store(map.start as usize, SeqCst);
    sys!(mprotect(map.start.cast(), map.len, PROT_NONE));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let map = &map;
            let base = map.start as usize;
            scope.spawn(move || {
                for number in (thread..64).step_by(4) {
                    poke((base + number * page()) as *mut u8, number as u8);
                }
            });
        }
    });
    check!((0..64).all(|number| peek(map.page(number)) == number as u8));
    Ok(())
}

static BASE: AtomicUsize = AtomicUsize::new(0);

extern "C" fn repair_own(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: makes the page that faulted usable; it belongs to the test.
    unsafe {
        let address = (*info).si_addr() as usize & !(page() - 1);
        if address < BASE.load(SeqCst) {
            libc::_exit(3);
        }
        libc::mprotect(address as *mut _, page(), PROT_READ | PROT_WRITE);
    }
}

// SAFETY: only the address is shared; the tests say who touches what.
unsafe impl Sync for Map {}
