//! User mode on the machine: hand-made programs, one trap at a time.

use super::support::spin_until;
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::{mmu, samples, signal, user, usercopy};
use crate::arch::handlers::{Fault, FaultKind, Syscall, UserFault};
use crate::arch::paging::Access;
use crate::arch::samples::{ARGUMENTS, ASK, CALL, NOTE};
use crate::arch::signals::{AltStack, Delivery};
use crate::error::Errno;
use crate::ktest::programs::{CODE, DATA, Entered, Event, Next, negative, run, start};
use crate::ktest::{Case, Outcome, Stop, Suite, Test};
use crate::sync::{Pinned, PreemptGuard};
use crate::{check, check_eq, skip};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use linux_raw_sys::general as linux;

/// The suite.
pub const SUITE: Suite = Suite {
    name: "user",
    tests: &[
        Test::new("syscall", syscall),
        Test::new("errors", errors),
        Test::new("restart", restart),
        Test::new("registers_are_kept", registers_are_kept),
        Test::new("page_faults", page_faults),
        Test::new("faults_say_where", faults_say_where),
        Test::new("illegal_instruction", illegal_instruction),
        Test::new("privileged_instructions", privileged_instructions),
        Test::new("mistakes", mistakes),
        Test::new("no_way_to_the_kernel", no_way_to_the_kernel),
        Test::new("attacks", attacks),
        Test::new("strange_programs", strange_programs),
        Test::new("thread_pointer", thread_pointer),
        Test::new("copies", copies),
        Test::new("new_code_in_an_old_page", new_code),
        Test::new("preemption", preemption),
        Test::new("float_and_vector", float_and_vector),
        Test::new("signals", signals),
        Test::new("signals_keep_float_and_vector", signals_keep_float),
        Test::new("forged_frames", forged_frames),
        Test::new("forged_words", forged_words),
    ],
};

/// The machine's program, or the end of the test if it has none yet.
macro_rules! sample {
    ($name:ident) => {{
        let code = samples::samples().$name;
        if code.is_empty() {
            skip!("this machine has no such program yet");
        }
        code
    }};
}

const DATA_2: VirtAddr = VirtAddr::new(DATA.get() + PAGE_SIZE);

/// What must not come.
fn unexpected(entered: &Entered<'_>, event: Event) -> Result<Next, Stop> {
    check!(false, "unexpected at {:#x}: {event:x?}", entered.frame.pc());
    Ok(Next::End(0))
}

/// Gives these answers to `ask`, in turn.
fn answers<const N: usize>(values: [u64; N]) -> impl FnMut(&mut Entered<'_>) -> Result<Next, Stop> {
    let mut values = values.into_iter();
    move |entered| {
        let value = values.next();
        check!(value.is_some(), "it asks too often");
        entered.answer(value.unwrap_or_default())
    }
}

fn is_call(event: Event, number: usize) -> bool {
    matches!(event, Event::Call(call) if call.number == number)
}

fn syscall(case: &mut Case<'_>) -> Outcome {
    let end = run(sample!(call), case.ctx, |entered, event| match event {
        Event::Call(Syscall { number: CALL, args }) => {
            check_eq!(args, ARGUMENTS);
            check!(entered.frame.is_user());
            entered.answer(0x1234_5678_9abc)
        }
        _ => unexpected(entered, event),
    })?;
    check_eq!(end, 0x1234_5678_9abc);
    Ok(())
}

/// An error arrives as such; so do results that look like one's negative but a little.
fn errors(case: &mut Case<'_>) -> Outcome {
    for (result, wanted) in [
        (Err(Errno::EINVAL), negative(Errno::EINVAL)),
        (Err(Errno::ENOSYS), negative(Errno::ENOSYS)),
        (Ok(0), 0),
        (Ok(1 << 63), 1 << 63),
    ] {
        let end = run(sample!(call), case.ctx, move |entered, _| {
            entered.frame.set_result(result);
            Ok(Next::Go)
        })?;
        check_eq!(end, wanted);
    }
    Ok(())
}

/// The same call again, whatever stood in the result meanwhile; then another one in its place.
fn restart(case: &mut Case<'_>) -> Outcome {
    const OTHER: usize = 222;
    let mut round = 0;
    let end = run(sample!(call), case.ctx, move |entered, event| {
        round += 1;
        let Event::Call(Syscall { number, args }) = event else { return unexpected(entered, event) };
        check_eq!(number, if round <= 3 { CALL } else { OTHER }, "round {round}");
        if round <= 3 {
            check_eq!(args, ARGUMENTS, "round {round}");
        }
        check_eq!(args[0], ARGUMENTS[0]);
        entered.frame.set_result(if round == 1 { Err(Errno::EINTR) } else { Ok(99) });
        match round {
            1 | 2 => entered.frame.restart(),
            3 => entered.frame.restart_as(OTHER),
            _ => {}
        }
        Ok(Next::Go)
    })?;
    check_eq!(end, 99);
    Ok(())
}

/// By a call and by a fault, the page of which is mapped then.
fn registers_are_kept(case: &mut Case<'_>) -> Outcome {
    let mut faults = 0;
    let end = run(sample!(preserved), case.ctx, move |entered, event| match event {
        Event::Call(Syscall { number: ASK, .. }) => entered.answer(DATA.get()),
        Event::Call(_) => entered.answer(0),
        Event::Fault(UserFault::Page { kind: FaultKind::Read, address }) if faults == 0 => {
            faults += 1;
            check_eq!(address.align_down(PAGE_SIZE), DATA);
            entered.program.map(DATA, Access::RW, &[], entered.ctx)?;
            Ok(Next::Go)
        }
        Event::Fault(_) => unexpected(entered, event),
    })?;
    check_eq!(end, 0, "registers that have changed");
    Ok(())
}

/// Read, write to nothing, write to what is read-only, execute: each is told apart, and repeated
/// when the page is there.
fn page_faults(case: &mut Case<'_>) -> Outcome {
    let at = DATA.get() + 24;
    let mut value = [0; 64];
    value[24..32].copy_from_slice(&77_u64.to_ne_bytes());
    let mut ask = answers([at]);
    let mut faults = 0;
    let end = run(sample!(load), case.ctx, move |entered, event| match event {
        Event::Call(_) => ask(entered),
        Event::Fault(UserFault::Page { kind, address }) => {
            faults += 1;
            check_eq!((faults, kind, address.align_down(PAGE_SIZE)), (1, FaultKind::Read, DATA));
            entered.program.map(DATA, Access::R, &value, entered.ctx)?;
            Ok(Next::Go)
        }
        _ => unexpected(entered, event),
    })?;
    check_eq!(end, 77);

    let mut ask = answers([at, 88]);
    let mut faults = 0;
    let end = run(sample!(store), case.ctx, move |entered, event| match event {
        Event::Fault(UserFault::Page { kind, address }) => {
            faults += 1;
            check_eq!((kind, address.align_down(PAGE_SIZE)), (FaultKind::Write, DATA));
            if faults == 2 {
                entered.program.unmap(DATA, entered.ctx);
            }
            check!(faults <= 2, "a third fault");
            let access = if faults == 1 { Access::R } else { Access::RW };
            entered.program.map(DATA, access, &value, entered.ctx)?;
            Ok(Next::Go)
        }
        Event::Call(_) => ask(entered),
        _ => unexpected(entered, event),
    })?;
    check_eq!(end, 88);

    // To where nothing is, then to where nothing may be executed, then to a program.
    let call = sample!(call);
    let mut ask = answers([DATA.get()]);
    let mut faults = 0;
    let end = run(sample!(jump), case.ctx, move |entered, event| match event {
        Event::Fault(UserFault::Page { kind, address }) => {
            faults += 1;
            check_eq!((kind, address), (FaultKind::Execute, DATA));
            check_eq!(entered.frame.pc(), DATA.get() as usize);
            if faults == 2 {
                entered.program.unmap(DATA, entered.ctx);
            }
            check!(faults <= 2, "a third fault");
            let access = if faults == 1 { Access::RW } else { Access::RX };
            entered.program.map(DATA, access, call, entered.ctx)?;
            Ok(Next::Go)
        }
        Event::Call(Syscall { number: ASK, .. }) => ask(entered),
        Event::Call(Syscall { number: CALL, .. }) => entered.answer(99),
        _ => unexpected(entered, event),
    })?;
    check_eq!(end, 99);
    Ok(())
}

/// Runs the program with these answers until it faults; gives the fault, and whether the frame's
/// place was the instruction's.
fn fault_of<const N: usize>(
    code: &'static [u8],
    values: [u64; N],
    case: &mut Case<'_>,
) -> Result<Option<UserFault>, Stop> {
    let seen = Arc::new(crate::sync::IrqSpinLock::new(&SEEN, None));
    let theirs = Arc::clone(&seen);
    let mut ask = answers(values);
    run(code, case.ctx, move |entered, event| match event {
        Event::Fault(fault) => {
            *theirs.lock() = Some(fault);
            Ok(Next::End(0))
        }
        Event::Call(Syscall { number: ASK, .. }) => ask(entered),
        _ => unexpected(entered, event),
    })?;
    let fault = *seen.lock();
    Ok(fault)
}
const SEEN: crate::sync::LockClass = crate::sync::LockClass::new("what was seen", crate::sync::Rank::new(66));

/// Addresses near the ends of the space and beyond it, and none at all.
fn faults_say_where(case: &mut Case<'_>) -> Outcome {
    let last = user::SPACE_END.get() - 8;
    for at in [0, 8, PAGE_SIZE, DATA.get() + 8, last, last + 8, 1 << 62, 0_u64.wrapping_sub(8)] {
        for (code, kind) in [(sample!(load), FaultKind::Read), (sample!(store), FaultKind::Write)] {
            let fault = fault_of(code, [at, 1], case)?;
            check!(fault.is_some(), "no fault at {at:#x}");
            match fault {
                Some(UserFault::Page { kind: found, address }) => {
                    check_eq!(found, kind, "at {at:#x}");
                    check_eq!(
                        address.align_down(PAGE_SIZE),
                        VirtAddr::new(at).align_down(PAGE_SIZE),
                        "at {at:#x}"
                    );
                }
                // Outside of what the machine translates.
                Some(UserFault::Signal { signal: SIGSEGV, .. }) if at > last => {}
                other => check!(false, "at {at:#x}: {other:x?}"),
            }
        }
    }
    Ok(())
}

const SIGILL: u32 = 4;
const SIGSEGV: u32 = 11;
const SIGUSR1: u32 = 10;

fn illegal_instruction(case: &mut Case<'_>) -> Outcome {
    match fault_of(sample!(illegal), [0], case)? {
        Some(UserFault::Signal { signal, code, address, .. }) => {
            check_eq!((signal, code), (SIGILL, 1));
            let range = CODE.get()..CODE.get() + PAGE_SIZE;
            check!(range.contains(&address.get()), "at {address}");
        }
        other => check!(false, "{other:x?}"),
    }
    Ok(())
}

/// Each is refused with SIGILL.
fn privileged_instructions(case: &mut Case<'_>) -> Outcome {
    let code = sample!(privileged);
    for (nth, name) in samples::samples().privileged_names.iter().enumerate() {
        let fault = fault_of(code, [nth as u64], case)?;
        check!(matches!(fault, Some(UserFault::Signal { signal: SIGILL, .. })), "{name}: {fault:x?}");
    }
    Ok(())
}

/// The right signal, with the right code.
fn mistakes(case: &mut Case<'_>) -> Outcome {
    let mistakes: Vec<_> = (0..).map_while(samples::samples().mistake).collect();
    if mistakes.is_empty() {
        skip!("this machine has no such program yet");
    }
    for mistake in mistakes {
        let fault = fault_of(mistake.code, [], case)?;
        let found = match fault {
            Some(UserFault::Signal { signal, code, .. }) => (signal, code),
            _ => (0, 0),
        };
        check_eq!(found, (mistake.signal, mistake.si_code), "{}: {fault:x?}", mistake.name);
    }
    Ok(())
}

/// Wherever the kernel has something, a program has not.
fn no_way_to_the_kernel(case: &mut Case<'_>) -> Outcome {
    let local = 5_u64;
    let stack = (&raw const local).addr();
    let heap = mmu::linear(mmu::linear_to_phys(CASE.as_ptr())).addr();
    let sections = mmu::sections();
    for at in [sections[0].1.start, sections[1].1.start, sections[2].1.start, stack, heap] {
        for code in [sample!(load), sample!(store), sample!(jump)] {
            let fault = fault_of(code, [at as u64, 0], case)?;
            match fault {
                Some(UserFault::Page { .. } | UserFault::Signal { signal: SIGSEGV, .. }) => {}
                other => check!(false, "at {at:#x}: {other:x?}"),
            }
        }
    }
    check_eq!(local, 5);
    Ok(())
}
static CASE: [u8; 8] = [1; 8];

/// Ways that a machine leaves open: nothing is read or written by them.
fn attacks(case: &mut Case<'_>) -> Outcome {
    let code = sample!(attack);
    for (nth, name) in samples::samples().attack_names.iter().enumerate() {
        let victim = Arc::new(AtomicU64::new(VICTIM));
        let at = victim.as_ptr().addr() as u64;
        let mut ask = answers([nth as u64, at]);
        let end = run(code, case.ctx, move |entered, event| match event {
            Event::Fault(UserFault::Page { .. } | UserFault::Signal { signal: SIGILL | SIGSEGV, .. }) => {
                Ok(Next::End(0))
            }
            Event::Call(Syscall { number: ASK, .. }) => ask(entered),
            _ => unexpected(entered, event),
        })?;
        check_eq!(end, 0, "{name}");
        check_eq!(victim.load(Ordering::Relaxed), VICTIM, "{name}");
    }
    Ok(())
}
const VICTIM: u64 = 0x1234_5678_9abc_def0;

/// Programs that do what none does, in front of a call or an interrupt.
fn strange_programs(case: &mut Case<'_>) -> Outcome {
    let code = sample!(strange);
    for (nth, name) in samples::samples().strange_names.iter().enumerate() {
        let victim = Arc::new([const { AtomicU64::new(VICTIM) }; 64]);
        let at = victim[48].as_ptr().addr() as u64;
        let mut ask = answers([nth as u64, at]);
        let mut again = true;

        let end = run(code, case.ctx, move |entered, event| match event {
            Event::Call(Syscall { number: ASK, .. }) => ask(entered),
            Event::Call(Syscall { number: NOTE, .. }) => {
                let next = entered.answer(0)?;
                if again {
                    entered.frame.restart();
                }
                again = !again;
                Ok(next)
            }
            _ => unexpected(entered, event),
        })?;
        check_eq!(end, nth as u64, "{name}");
        check!(victim.iter().all(|word| word.load(Ordering::Relaxed) == VICTIM), "{name}");
    }
    Ok(())
}

fn thread_pointer(case: &mut Case<'_>) -> Outcome {
    const POINTER: u64 = 0x1122_3344_5566_7788;
    // The program is asked first by a fault: its code is not there yet.
    let code = sample!(tls);
    let mut jump = answers([DATA.get()]);
    let end = run(sample!(jump), case.ctx, move |entered, event| match event {
        Event::Call(Syscall { number: ASK, .. }) => {
            entered.with_registers(|frame, state| user::set_tls(frame, state, POINTER));
            jump(entered)
        }
        Event::Fault(_) => {
            entered.program.map(DATA, Access::RX, code, entered.ctx)?;
            Ok(Next::Go)
        }
        Event::Call(_) => unexpected(entered, event),
    })?;
    check_eq!(end, POINTER);
    Ok(())
}

/// Both ways, over the border of two pages; the first address that fails is told.
fn copies(case: &mut Case<'_>) -> Outcome {
    let end = run(sample!(call), case.ctx, |entered, event| {
        if !is_call(event, CALL) {
            return unexpected(entered, event);
        }
        entered.program.map(DATA, Access::RW, &[], entered.ctx)?;
        entered.program.map(DATA_2, Access::R, &[9; 64], entered.ctx)?;
        let mut buffer = Vec::from_iter((0..2 * PAGE_SIZE).map(|n| n as u8 | 1));
        let put = |entered: &mut Entered<'_>, at: u64, from: &[u8]| {
            // SAFETY: the slice may be read.
            entered.inside(|| unsafe { usercopy::to_user(VirtAddr::new(at), from.as_ptr(), from.len()) })
        };
        let get = |entered: &mut Entered<'_>, at: u64, to: &mut [u8]| {
            // SAFETY: the slice may be written.
            entered.inside(|| unsafe { usercopy::from_user(to.as_mut_ptr(), VirtAddr::new(at), to.len()) })
        };
        check_eq!(put(entered, DATA.get() + 3, &[]).is_ok(), true);
        check!(put(entered, DATA.get() + 3, &buffer[..100]).is_ok());
        let mut back = [0; 100];
        check!(get(entered, DATA.get() + 3, &mut back).is_ok());
        check_eq!(back[..], buffer[..100]);
        check!(put(entered, DATA.get(), &buffer[..PAGE_SIZE as usize]).is_ok(), "a whole page");
        // Over the border: reading is allowed, writing stops there.
        let border = DATA_2.get();
        check!(get(entered, border - 8, &mut buffer[..16]).is_ok());
        check_eq!(buffer[8..16], [9; 8]);
        failed_at(put(entered, border - 8, &[1; 16]), FaultKind::Write, border)?;
        failed_at(put(entered, border + 5, &[1; 16]), FaultKind::Write, border + 5)?;
        let end = border + PAGE_SIZE;
        failed_at(get(entered, end - 7, &mut back), FaultKind::Read, end)?;
        failed_at(get(entered, end + 9, &mut back), FaultKind::Read, end + 9)?;
        failed_at(
            get(entered, DATA.get() + 1, &mut alloc::vec![0; 2 * PAGE_SIZE as usize]),
            FaultKind::Read,
            end,
        )?;
        // The kernel's own memory, and addresses that there are not.
        let own = (&raw const back).addr() as u64;
        for at in [own, 0, user::SPACE_END.get() - 4, user::SPACE_END.get(), 1 << 63, u64::MAX - 7] {
            check!(get(entered, at, &mut [0; 8]).is_err(), "read {at:#x}");
            check!(put(entered, at, &[0; 8]).is_err(), "wrote {at:#x}");
        }
        entered.answer(5)
    })?;
    check_eq!(end, 5);
    Ok(())
}

#[track_caller]
fn failed_at(result: Result<(), Fault>, kind: FaultKind, at: u64) -> Outcome {
    let found = result.err().map(|fault| (fault.kind, fault.address));
    check_eq!(found, Some((kind, Some(VirtAddr::new(at)))));
    Ok(())
}

/// Two programs in turn at the same address of the same page, each written there when the other has
/// run: each is what runs.
fn new_code(case: &mut Case<'_>) -> Outcome {
    /// Not where the page begins, nor where a copy of it is likely to be cut.
    const AT: usize = 72;
    let codes = [(sample!(call), CALL), (sample!(load), ASK)];
    let mut page = alloc::vec![0; PAGE_SIZE as usize];
    let mut round = 0;
    run(sample!(jump), case.ctx, move |entered, event| {
        let Event::Call(Syscall { number, .. }) = event else { return unexpected(entered, event) };
        if round == 0 {
            entered.program.map(DATA, Access::RW, &[], entered.ctx)?;
            entered.answer(DATA.get() + AT as u64)?;
        } else {
            check_eq!(number, codes[(round + 1) % 2].1, "what ran in round {round}");
            entered.frame.set_pc(VirtAddr::new(DATA.get() + AT as u64));
        }
        let code = codes[round % 2].0;
        page[AT..AT + code.len()].copy_from_slice(code);
        entered.program.rewrite(DATA, &page, entered.ctx);
        round += 1;
        Ok(if round == 20 { Next::End(0) } else { Next::Go })
    })?;
    Ok(())
}

/// A program that never calls does not keep the CPU, nor does a second one.
fn preemption(case: &mut Case<'_>) -> Outcome {
    let code = sample!(spin);
    let here = PreemptGuard::new().cpu();
    let entered = Arc::new(AtomicUsize::new(0));
    let mut running = Vec::new();
    for _ in 0..2 {
        let entered = Arc::clone(&entered);
        let mut ask = answers([DATA.get()]);
        running.push(start(code, Some(here), case.ctx, move |at, event| match event {
            Event::Call(Syscall { number: ASK, .. }) => {
                at.program.map(DATA, Access::RW, &[], at.ctx)?;
                entered.fetch_add(1, Ordering::Relaxed);
                ask(at)
            }
            _ => unexpected(at, event),
        })?);
    }
    // This thread shares the CPU with them (or has left it to them): so it goes on only as they are
    // preempted.
    spin_until(|| entered.load(Ordering::Relaxed) == 2);
    let before: Vec<_> = running.iter().map(|one| one.program.returns()).collect();
    spin_until(|| running.iter().zip(&before).all(|(one, before)| one.program.returns() > before + 3));
    for (nth, one) in running.iter().enumerate() {
        let word = one.program.word(DATA, case.ctx);
        check!(word.is_some());
        if let Some(word) = word {
            word.store(nth as u64 + 1, Ordering::Release);
        }
    }
    for (nth, one) in running.into_iter().enumerate() {
        check_eq!(one.join(case.ctx)?, nth as u64 + 1);
    }
    Ok(())
}

/// Three programs with different values in all registers, on one CPU, preempted over and over.
fn float_and_vector(case: &mut Case<'_>) -> Outcome {
    let code = sample!(float);
    let here = PreemptGuard::new().cpu();
    let stop = Arc::new(AtomicBool::new(false));
    let mut running = Vec::new();
    for seed in 1..=3_u64 {
        let stop = Arc::clone(&stop);
        let mut asked = 0_u64;
        running.push(start(code, Some(here), case.ctx, move |entered, event| match event {
            Event::Call(Syscall { number: ASK, .. }) => {
                asked += 1;
                let over = stop.load(Ordering::Relaxed) || asked > 100_000;
                entered.answer(if asked == 1 { seed * 0x0101_0101_0101_0101 } else { u64::from(over) })
            }
            _ => unexpected(entered, event),
        })?);
    }
    let end = crate::arch::current::timer::now() + 12 * crate::proc::sched::TICK;
    while crate::arch::current::timer::now() < end {
        crate::proc::sched::sleep(case.ctx, crate::proc::sched::TICK);
    }
    stop.store(true, Ordering::Relaxed);
    for one in running {
        check_eq!(one.join(case.ctx)?, 0, "registers that were another's");
    }
    Ok(())
}

/// Where the tests map the handler and the trampoline.
const HANDLER: VirtAddr = VirtAddr::new(DATA.get() + 0x10_0000);
const TRAMPOLINE: VirtAddr = VirtAddr::new(DATA.get() + 0x20_0000);
const MASK: u64 = 0x8000_0000_1234_5678;
const ALT: AltStack = AltStack { sp: 0x7000, flags: 2, size: 0x2000 };

/// Sends a signal to the program, as a kernel would on its way back.
fn deliver(entered: &mut Entered<'_>, wants_info: bool) -> Outcome {
    let mut info = [0; 128];
    info[0..4].copy_from_slice(&SIGUSR1.to_ne_bytes());
    let stack = VirtAddr::new(entered.frame.sp() as u64);
    let delivery = Delivery {
        signal: SIGUSR1,
        handler: HANDLER,
        info,
        wants_info,
        mask: MASK,
        alt_stack: ALT,
        stack,
        trampoline: TRAMPOLINE,
        fault_address: 0,
    };
    let mut buffer = alloc::boxed::Box::new([0; signal::FRAME_MAX]);
    let placed = entered.with_registers(|frame, state| signal::deliver(frame, state, &delivery, &mut buffer));
    check!(placed.length <= signal::FRAME_MAX);
    check!(placed.at.get() + placed.length as u64 <= stack.get(), "the frame is not below the stack");
    // SAFETY: the buffer may be read.
    let copied = entered.inside(|| unsafe { usercopy::to_user(placed.at, buffer.as_ptr(), placed.length) });
    check!(copied.is_ok(), "{copied:?}");
    check_eq!(entered.frame.pc(), HANDLER.get() as usize);
    Ok(())
}

/// Reads the frame of the handler that has ended.
fn read_frame(entered: &mut Entered<'_>, rt: bool) -> Result<Vec<u8>, Stop> {
    let (at, length) = signal::frame_address(entered.frame, rt);
    let mut bytes = alloc::vec![0; length];
    // SAFETY: the buffer may be written.
    let copied = entered.inside(|| unsafe { usercopy::from_user(bytes.as_mut_ptr(), at, length) });
    check!(copied.is_ok(), "{copied:?}");
    Ok(bytes)
}

/// `sigreturn`.
fn take_back(entered: &mut Entered<'_>, rt: bool) -> Outcome {
    let bytes = read_frame(entered, rt)?;
    let restored = entered.with_registers(|frame, state| signal::restore(frame, state, &bytes, rt));
    match restored {
        Ok(restored) => {
            check_eq!(restored.mask, MASK);
            check_eq!(restored.alt_stack, rt.then_some(ALT));
        }
        Err(error) => check!(false, "{error:?}"),
    }
    Ok(())
}

/// Whether the call ends a handler; and if so, whether its frame is the one with `siginfo_t`. (Some
/// machines have no other.)
fn ends_handler(event: Event) -> Option<bool> {
    match event {
        Event::Call(call) if call.number == linux::__NR_rt_sigreturn as usize => Some(true),
        // The other number is not known to all machines.
        Event::Call(call) if ![ASK, CALL, NOTE].contains(&call.number) => Some(false),
        _ => None,
    }
}

fn map_handler(entered: &mut Entered<'_>, handler: &[u8]) -> Outcome {
    entered.program.map(HANDLER, Access::RX, handler, entered.ctx)?;
    entered.program.map(TRAMPOLINE, Access::RX, signal::TRAMPOLINE, entered.ctx)
}

/// The handler destroys all registers; behind it they are as before, the result of the call included.
fn signals(case: &mut Case<'_>) -> Outcome {
    let handler = sample!(handler);
    for wants_info in [false, true] {
        let mut notes = Vec::new();
        let mut ended = 0;
        let end = run(sample!(preserved), case.ctx, move |entered, event| {
            if let Some(rt) = ends_handler(event) {
                ended += 1;
                check_eq!((ended, notes.len()), (1, 2));
                check_eq!(notes[0], u64::from(SIGUSR1));
                if wants_info {
                    let mut info = [0; 4];
                    let at = VirtAddr::new(notes[1]);
                    // SAFETY: the buffer may be written.
                    let copied = entered.inside(|| unsafe { usercopy::from_user(info.as_mut_ptr(), at, 4) });
                    check!(copied.is_ok());
                    check_eq!(info, SIGUSR1.to_ne_bytes());
                }
                take_back(entered, rt)?;
                return Ok(Next::Go);
            }
            match event {
                Event::Call(Syscall { number: ASK, .. }) => {
                    map_handler(entered, handler)?;
                    entered.program.map(DATA, Access::RW, &[], entered.ctx)?;
                    entered.answer(DATA.get())
                }
                Event::Call(Syscall { number: CALL, .. }) => {
                    entered.frame.set_result(Ok(0));
                    deliver(entered, wants_info)?;
                    Ok(Next::Go)
                }
                Event::Call(Syscall { number: NOTE, args }) => {
                    notes.push(args[0]);
                    entered.answer(0)
                }
                _ => unexpected(entered, event),
            }
        })?;
        check_eq!(end, 0, "registers that the signal changed (info: {wants_info})");
    }
    Ok(())
}

fn signals_keep_float(case: &mut Case<'_>) -> Outcome {
    let handler = sample!(handler);
    for wants_info in [false, true] {
        let mut asked = 0;
        let end = run(sample!(float), case.ctx, move |entered, event| {
            if let Some(rt) = ends_handler(event) {
                take_back(entered, rt)?;
                return Ok(Next::Go);
            }
            match event {
                Event::Call(Syscall { number: ASK, .. }) => {
                    asked += 1;
                    entered.answer(match asked {
                        1 => 0x1357_9bdf_0246_8ace,
                        2 => 0,
                        _ => 1,
                    })?;
                    match asked {
                        1 => map_handler(entered, handler)?,
                        2 => deliver(entered, wants_info)?,
                        _ => {}
                    }
                    Ok(Next::Go)
                }
                Event::Call(Syscall { number: NOTE, .. }) => entered.answer(0),
                _ => unexpected(entered, event),
            }
        })?;
        check_eq!(end, 0, "registers that the signal changed (info: {wants_info})");
    }
    Ok(())
}

/// Runs a program that gets a signal, the frame of which `forge` changes before it is taken back. What
/// comes of it is a program or is refused, and the kernel is the same. Gives whether it was taken.
fn forged(
    wants_info: bool,
    case: &mut Case<'_>,
    forge: impl Fn(&mut [u8]) + Send + 'static,
) -> Result<bool, Stop> {
    let handler = sample!(handler);
    let mut taken = false;
    let end = run(sample!(call), case.ctx, move |entered, event| {
        if taken {
            // Whatever comes then, it comes from a program.
            check!(entered.frame.is_user());
            return Ok(Next::End(2));
        }
        if let Some(rt) = ends_handler(event) {
            let mut bytes = read_frame(entered, rt)?;
            forge(&mut bytes);
            let result = entered.with_registers(|frame, state| signal::restore(frame, state, &bytes, rt));
            taken = result.is_ok();
            check!(entered.frame.is_user(), "a program became the kernel");
            return Ok(if taken { Next::Go } else { Next::End(1) });
        }
        match event {
            Event::Call(Syscall { number: CALL, .. }) => {
                map_handler(entered, handler)?;
                entered.frame.set_result(Ok(2));
                deliver(entered, wants_info)?;
                Ok(Next::Go)
            }
            Event::Call(Syscall { number: NOTE, .. }) => entered.answer(0),
            _ => unexpected(entered, event),
        }
    })?;
    // The program itself ends with the result of its call, unless something was to be seen before.
    Ok(end != 1)
}

/// Bits that are random enough.
fn noise(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

/// Frames full of ones, of zeros, of noise, and true ones with a few bits turned.
fn forged_frames(case: &mut Case<'_>) -> Outcome {
    const ROUNDS: u64 = 40;
    let mut taken = 0;
    for wants_info in [false, true] {
        taken += u64::from(forged(wants_info, case, |bytes| bytes.fill(0xff))?);
        taken += u64::from(forged(wants_info, case, |bytes| bytes.fill(0))?);
        for round in 0..ROUNDS {
            let change = move |bytes: &mut [u8]| {
                let mut random = noise(round + 1);
                if round % 4 == 0 {
                    bytes.fill_with(|| random() as u8);
                    return;
                }
                for _ in 0..1 << (round % 8) {
                    let at = random() as usize % bytes.len();
                    bytes[at] ^= 1 << (random() % 8);
                }
            };
            taken += u64::from(forged(wants_info, case, change)?);
        }
    }
    check!(taken > ROUNDS, "only {taken} forged frames were taken");
    Ok(())
}

/// True frames with one doubleword of ones, or with all bits of it turned, each doubleword in turn.
fn forged_words(case: &mut Case<'_>) -> Outcome {
    let mut taken = 0;
    for word in 0..signal::FRAME_MAX / 8 {
        for turn in [false, true] {
            taken += u64::from(forged(true, case, move |bytes| {
                if let Some(bytes) = bytes.get_mut(8 * word..8 * word + 8) {
                    bytes.iter_mut().for_each(|byte| *byte = if turn { !*byte } else { 0xff });
                }
            })?);
        }
    }
    check!(taken > signal::FRAME_MAX as u64 / 8, "only {taken} forged frames were taken");
    Ok(())
}
