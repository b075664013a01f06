//! The kernel's own address space: who may do what where.
//!
//! The machines name faults as their manuals do; the kind and the address are the same for all.

use crate::arch::current::{STACK_GUARD, STACK_SIZE, mmu, probe};
use crate::arch::handlers::{Fault, FaultKind};
use crate::arch::{PAGE_SIZE, current};
use crate::cpus::CpuSet;
use crate::ktest::{Case, Outcome, Stop, Suite, Test};
use crate::mm::{
    self,
    frame::{Kind, Request},
};
use crate::proc::sched;
use crate::proc::thread::Spawn;
use crate::sync::{IrqGuard, Once, Pinned};
use crate::{check, check_eq, skip};
use alloc::sync::Arc;
use core::cell::UnsafeCell;

/// The suite.
pub const SUITE: Suite = Suite {
    name: "mmu",
    tests: &[
        Test::new("null_page", null_page),
        Test::new("beyond_memory", beyond_memory),
        Test::new("text_is_read_only", text_is_read_only),
        Test::new("constants_are_read_only", constants_are_read_only),
        Test::new("data_is_not_executable", data_is_not_executable),
        Test::new("stack_guard", stack_guard),
        Test::new("stack_map_and_unmap", stack_map_and_unmap),
        Test::new("probe_does_what_it_probes", probe_does_what_it_probes),
    ],
};

/// The access faulted, so, at that address.
#[track_caller]
fn faulted<T>(result: Result<T, Fault>, kind: FaultKind, address: usize) -> Outcome {
    let fault = result.err();
    let found = fault.map(|fault| (fault.kind, fault.address.map(|address| address.get() as usize)));
    check_eq!(found, Some((kind, Some(address))));
    check!(fault.is_some_and(|fault| !fault.name.is_empty()));
    Ok(())
}

/// Each online CPU passes the test, in a thread bound to it: translation and protection are set up
/// on each CPU anew.
fn on_each_cpu(case: &mut Case<'_>, test: fn() -> Outcome) -> Outcome {
    for cpu in sched::online_cpus().iter() {
        // A CPU and an outcome, if the thread came to it.
        let result = Arc::new(Once::new());
        let theirs = Arc::clone(&result);
        let thread = Spawn::new("mmu").on(CpuSet::one(cpu)).spawn(move |_| {
            theirs.call_once(|| (IrqGuard::new().cpu(), test()));
        });
        let Ok(thread) = thread else { skip!("no memory for a stack") };
        thread.join(case.ctx);
        let (ran_on, outcome) = result.get().cloned().unzip();
        check_eq!(ran_on, Some(cpu), "the CPU of the thread");
        if let Some(Err(Stop::Failed { at, why })) = &outcome {
            check!(false, "CPU {cpu}: {why} at {at}");
        }
        outcome.unwrap_or(Ok(()))?;
    }
    Ok(())
}

fn null_page(case: &mut Case) -> Outcome {
    on_each_cpu(case, null_page_here)
}

fn null_page_here() -> Outcome {
    for address in [0, 8, PAGE_SIZE as usize - 8] {
        faulted(probe::load(address), FaultKind::Read, address)?;
        // SAFETY: page 0 is not mapped; a kernel that has it mapped fails here in any case.
        faulted(unsafe { probe::store(address, 0) }, FaultKind::Write, address)?;
    }
    // SAFETY: as above.
    faulted(unsafe { probe::call(0) }, FaultKind::Execute, 0)
}

fn beyond_memory(_case: &mut Case) -> Outcome {
    // The end of the machine's own address space, far above all memory.
    let address = (1 << 51) - 8;
    faulted(probe::load(address), FaultKind::Read, address)?;
    // SAFETY: nothing is mapped there.
    faulted(unsafe { probe::store(address, 0) }, FaultKind::Write, address)
}

fn text_is_read_only(case: &mut Case) -> Outcome {
    on_each_cpu(case, text_is_read_only_here)
}

fn text_is_read_only_here() -> Outcome {
    let [(_, text), ..] = mmu::sections();
    for address in [text.start, text_is_read_only_here as *const () as usize & !7, text.end - 8] {
        let word = probe::load(address).ok();
        check!(word.is_some(), "text at {address:#x} cannot be read");
        // SAFETY: it would store what is there.
        let stored = unsafe { probe::store(address, word.unwrap_or(0)) };
        faulted(stored, FaultKind::Write, address)?;
    }
    Ok(())
}

fn constants_are_read_only(case: &mut Case) -> Outcome {
    on_each_cpu(case, constants_are_read_only_here)
}

fn constants_are_read_only_here() -> Outcome {
    static CONSTANT: u64 = 0x0123_4567_89ab_cdef;
    let address = (&raw const CONSTANT).addr();
    let [_, (_, constants), _] = mmu::sections();
    check!(constants.contains(&address), "{address:#x} is not in {constants:x?}");
    check_eq!(probe::load(address).ok(), Some(CONSTANT));
    // SAFETY: it would store what is there.
    faulted(unsafe { probe::store(address, CONSTANT) }, FaultKind::Write, address)?;
    // SAFETY: constants are not mapped executable; a kernel that executes this fails in any case.
    faulted(unsafe { probe::call(address) }, FaultKind::Execute, address)
}

/// A doubleword that a test may store to.
struct Word(UnsafeCell<u64>);
// SAFETY: one test uses it, through `probe`.
unsafe impl Sync for Word {}

fn data_is_not_executable(case: &mut Case) -> Outcome {
    on_each_cpu(case, data_is_not_executable_here)
}

fn data_is_not_executable_here() -> Outcome {
    static DATA: Word = Word(UnsafeCell::new(0));
    let address = DATA.0.get().addr();
    let [.., (_, data)] = mmu::sections();
    check!(data.contains(&address), "{address:#x} is not in {data:x?}");
    // SAFETY: data is not mapped executable; a kernel that executes this fails in any case.
    faulted(unsafe { probe::call(address) }, FaultKind::Execute, address)?;
    // Nor is a stack.
    let local = 0u64;
    let address = (&raw const local).addr();
    // SAFETY: as above.
    faulted(unsafe { probe::call(address) }, FaultKind::Execute, address)
}

/// The running thread's stack ends in a guard.
fn stack_guard(_case: &mut Case) -> Outcome {
    let local = 0u64;
    let bottom = (&raw const local).addr() & !(STACK_SIZE - 1);
    for address in [bottom, bottom + STACK_GUARD - 8] {
        faulted(probe::load(address), FaultKind::Read, address)?;
        // SAFETY: the guard is nobody's memory.
        faulted(unsafe { probe::store(address, 0) }, FaultKind::Write, address)?;
    }
    check!(probe::load(bottom + STACK_GUARD).is_ok(), "the stack's lowest word cannot be read");
    Ok(())
}

/// A block becomes a stack with a guard, and ordinary memory again.
fn stack_map_and_unmap(_case: &mut Case) -> Outcome {
    let order = (STACK_SIZE as u64 / PAGE_SIZE).trailing_zeros() as u8;
    let Ok(block) = mm::frames().alloc(Request::of(Kind::Stack).order(order), None) else {
        skip!("no memory for a stack")
    };
    let bottom = block.as_ptr().addr().get();
    for round in 0..3 {
        // SAFETY: the block is this test's, of the right size and alignment.
        let end = unsafe { mmu::stack_map(block.addr()) };
        let Ok(end) = end else { skip!("no memory for a table") };
        check_eq!(end.get() as usize % 16, 0);
        let guard = end.get() as usize - STACK_SIZE;
        faulted(probe::load(guard), FaultKind::Read, guard)?;
        // SAFETY: the words are the block's.
        let low = unsafe { probe::store(guard + STACK_GUARD, round) };
        // SAFETY: as above.
        let high = unsafe { probe::store(end.get() as usize - 8, round) };
        check!(low.is_ok() && high.is_ok(), "the stack cannot be written: {low:?} {high:?}");
        // SAFETY: nobody runs on it.
        let back = unsafe { mmu::stack_unmap(end) };
        check_eq!(back, block.addr());
        // SAFETY: the word is the block's.
        let lowest = unsafe { probe::store(bottom, round) };
        check!(lowest.is_ok(), "the guard is still there: {lowest:?}");
        check_eq!(probe::load(bottom).ok(), Some(round));
    }
    Ok(())
}

/// Without a fault a probe is an ordinary access, also with interrupts off.
fn probe_does_what_it_probes(_case: &mut Case) -> Outcome {
    static DATA: Word = Word(UnsafeCell::new(1));
    extern "C" fn callee() {
        // SAFETY: the caller is `probe::call` below; nobody else uses the word meanwhile.
        unsafe { DATA.0.get().write_volatile(3) };
    }
    let address = DATA.0.get().addr();
    let on = current::cpu::irq_save();
    // SAFETY: the word is this test's.
    let stored = unsafe { probe::store(address, 2) }.is_ok();
    let loaded = probe::load(address).ok();
    let faults = probe::load(0).is_err();
    // SAFETY: a function without arguments.
    let called = unsafe { probe::call(callee as *const () as usize) }.is_ok();
    let after = probe::load(address).ok();
    // SAFETY: pairs with `irq_save`.
    unsafe { current::cpu::irq_restore(on) };
    check_eq!((stored, loaded, faults, called, after), (true, Some(2), true, true, Some(3)));
    Ok(())
}
