//! What a hostile program tries: each time it dies or gets an errno, and the kernel goes on.

use crate::harness::child::{Status, fault_of, fork, fork_status, handle};
use crate::harness::memory::{Map, page, peek, poke, touch};
use crate::harness::{Failure, Outcome, SELF, c};
use crate::{check, equal, raw_fails, sys, tests};
use libc::{PROT_EXEC, PROT_READ, PROT_WRITE, SIGILL, SIGSEGV, SIGTRAP};

tests![
    jumps_into_the_kernel,
    reads_and_writes_of_the_kernel,
    execution_of_data,
    writes_to_text,
    kernel_addresses_in_calls,
    a_tiny_stack,
    a_tiny_stack_limit,
    a_stack_nowhere,
    sigreturn_of_garbage,
    random_calls,
    random_machine_code,
    a_fork_bomb_is_bounded,
    memory_runs_out,
];

/// Where kernels are: the start and the inside of the linear map, of modules and of the image, in
/// any of the machines' layouts; also the first pages.
pub const KERNEL: [usize; 10] = [
    0x100,
    0x1_0000,
    0x10_0000,
    0x8000_0000_0000_0000,
    0xc000_0000_0000_0000,
    0xc000_0000_0001_0000,
    0xc008_0000_0000_0000,
    0xffff_8000_0000_0000,
    0xffff_ffff_8000_0000,
    0xffff_ffff_ffff_f000,
];

/// Makes instructions that were written visible to execution.
pub fn synchronise(start: *const u8, len: usize) {
    #[cfg(target_arch = "powerpc64")]
    for offset in (0..len).step_by(64) {
        // SAFETY: cleans a line of a cache; the memory is the test's.
        unsafe {
            core::arch::asm!("dcbst 0, {0}", "sync", "icbi 0, {0}", "sync", "isync", in(reg) start.add(offset));
        }
    }
    #[cfg(not(target_arch = "powerpc64"))]
    let _ = (start, len);
}

/// Executable memory with these instructions.
pub fn code(bytes: &[u8]) -> Result<Map, Failure> {
    let map = Map::private(1)?;
    bytes.iter().enumerate().for_each(|(at, &byte)| map.set(at, byte));
    sys!(mprotect(map.start.cast(), page(), PROT_READ | PROT_EXEC));
    synchronise(map.start, bytes.len());
    Ok(map)
}

/// Jumps there.
pub fn jump(to: usize) {
    // SAFETY: not safe at all; in a child, whose end is what the test is about.
    unsafe { std::mem::transmute::<usize, extern "C" fn()>(to)() };
}

/// An instruction that is none.
pub fn illegal() {
    let none: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 0];
    if let Ok(map) = code(none) {
        jump(map.start as usize);
    }
}

/// The instruction of debuggers.
pub fn breakpoint() {
    // Two bytes of 1 and `trap`.
    let bytes: &[u8] =
        if cfg!(target_arch = "s390x") { &[0x00, 0x01, 0x07, 0xfe] } else { &[0x08, 0x00, 0xe0, 0x7f] };
    if let Ok(map) = code(bytes) {
        jump(map.start as usize);
    }
}

fn jumps_into_the_kernel() -> Outcome {
    for address in KERNEL {
        let fault = fault_of(|| jump(address))?;
        let fine = fault.is_some_and(|fault| [SIGSEGV, SIGILL, libc::SIGBUS].contains(&fault.signal));
        check!(fine, "{address:#x}: {fault:?}");
    }
    Ok(())
}

fn reads_and_writes_of_the_kernel() -> Outcome {
    for address in KERNEL {
        let at = std::hint::black_box(address) as *mut u8;
        let fault = fault_of(|| touch(at))?;
        check!(fault.is_some_and(|fault| fault.signal == SIGSEGV), "{address:#x}: {fault:?}");
        let fault = fault_of(|| poke(at, 1))?;
        check!(fault.is_some_and(|fault| fault.signal == SIGSEGV), "{address:#x}: {fault:?}");
    }
    Ok(())
}

fn execution_of_data() -> Outcome {
    static CONSTANT: [u8; 64] = [7; 64];
    let heap = vec![7_u8; 64];
    let stack = [7_u8; 64];
    let map = Map::private(1)?;
    for (name, at) in [
        ("stack", stack.as_ptr()),
        ("heap", heap.as_ptr()),
        ("mapping", map.start.cast_const()),
        ("constant", CONSTANT.as_ptr()),
    ] {
        let fault = fault_of(|| jump((at as usize + 7) & !7))?;
        // Constants may lie in the segment of the text.
        let allowed = if name == "constant" { [SIGSEGV, SIGILL, SIGTRAP] } else { [SIGSEGV; 3] };
        check!(fault.is_some_and(|fault| allowed.contains(&fault.signal)), "{name}: {fault:?}");
    }
    Ok(())
}

fn writes_to_text() -> Outcome {
    let text = writes_to_text as fn() -> Outcome as usize as *mut u8;
    let fault = fault_of(|| poke(text, 0))?;
    check!(fault.is_some_and(|fault| (fault.signal, fault.code) == (SIGSEGV, 2)), "{fault:?}");
    // The kernel writes there no more than the program does.
    raw_fails!(EFAULT, SYS_getcwd, text, 100);
    raw_fails!(EFAULT, SYS_uname, text);
    // What is written into a private copy is not seen by others.
    let aligned = (text as usize & !(page() - 1)) as *mut libc::c_void;
    let before = peek(text);
    let child = fork(|| {
        sys!(mprotect(aligned, page(), PROT_READ | PROT_WRITE | PROT_EXEC));
        poke(text, before ^ 1);
        Ok(())
    })?;
    child.succeeds()?;
    equal!(peek(text), before);
    check!(std::process::Command::new(SELF).args(["role", "status", "0"]).status()?.success());
    Ok(())
}

fn kernel_addresses_in_calls() -> Outcome {
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    sys!(write(ends[1], c"secret".as_ptr().cast(), 6));
    for address in KERNEL {
        raw_fails!(EFAULT, SYS_read, ends[0], address, 6);
        raw_fails!(EFAULT, SYS_write, ends[1], address, 6);
        raw_fails!(EFAULT, SYS_uname, address);
    }
    // A buffer that begins well and ends in nothing.
    let map = Map::private(2)?;
    sys!(munmap(map.page(1).cast(), page()));
    let near = map.at(page() - 3);
    equal!(sys!(read(ends[0], near.cast(), 3)), 3);
    raw_fails!(EFAULT, SYS_uname, near);
    Ok(())
}

/// Code that loads the stack pointer with its first argument and sends itself SIGUSR1.
fn small_stack_code() -> Vec<u8> {
    let number = |name: i64| name as u8;
    if cfg!(target_arch = "s390x") {
        let mut bytes = vec![
            0xb9,
            0x04,
            0x00,
            0xf2, // lgr %r15, %r2
            0x0a,
            number(libc::SYS_getpid), // svc
            0xa7,
            0x39,
            0x00,
            libc::SIGUSR1 as u8, // lghi %r3, SIGUSR1
            0x0a,
            number(libc::SYS_kill), // svc
        ];
        bytes.extend([0xa7, 0x29, 0x00, 0x00, 0x0a, number(libc::SYS_exit)]); // exit(0)
        bytes
    } else {
        let words: [u32; 8] = [
            0x7c61_1b78,                           // mr r1, r3
            0x3800_0000 | libc::SYS_getpid as u32, // li r0, getpid
            0x4400_0002,                           // sc
            0x3880_0000 | libc::SIGUSR1 as u32,    // li r4, SIGUSR1
            0x3800_0000 | libc::SYS_kill as u32,   // li r0, kill
            0x4400_0002,                           // sc
            0x3800_0000 | libc::SYS_exit as u32,   // li r0, exit
            0x4400_0002,                           // sc
        ];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}

extern "C" fn nothing(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {}

fn on_stack(stack: usize) -> Outcome {
    let map = code(&small_stack_code())?;
    let child = fork_status(|| {
        if handle(libc::SIGUSR1, 0, nothing).is_err() {
            return 98;
        }
        // SAFETY: the code ends the process; its stack is the test.
        unsafe { std::mem::transmute::<*mut u8, extern "C" fn(usize)>(map.start)(stack) };
        97
    })?;
    // No frame fits: the signal ends it.
    child.ends(Status::Killed(SIGSEGV))
}

fn a_tiny_stack() -> Outcome {
    let map = Map::private(2)?;
    sys!(munmap(map.page(0).cast(), page()));
    on_stack(map.page(1) as usize + 1)?;
    on_stack(map.page(1) as usize + 16)
}

fn a_stack_nowhere() -> Outcome {
    for stack in [0, 1, 0x1000, usize::MAX, usize::MAX & !15, KERNEL[5], KERNEL[8], 1 << 62] {
        on_stack(stack)?;
    }
    Ok(())
}

fn a_tiny_stack_limit() -> Outcome {
    for size in [0, 1, 4096, 70_000] {
        let child = fork_status(|| {
            let limit = libc::rlimit { rlim_cur: size, rlim_max: size };
            let (path, word) = (c(SELF), c("role"));
            let words = [path.as_ptr(), word.as_ptr(), c"status".as_ptr(), c"3".as_ptr(), std::ptr::null()];
            // SAFETY: the words end with a null.
            unsafe {
                libc::setrlimit(libc::RLIMIT_STACK, &limit);
                libc::execv(path.as_ptr(), words.as_ptr());
            }
            3
        })?;
        let status = child.wait()?;
        check!(
            [Status::Exited(3), Status::Killed(SIGSEGV), Status::Killed(libc::SIGKILL)].contains(&status),
            "{status:?}"
        );
    }
    Ok(())
}

fn sigreturn_of_garbage() -> Outcome {
    let bytes: Vec<u8> = if cfg!(target_arch = "s390x") {
        // lgr %r15, %r2; svc rt_sigreturn
        vec![0xb9, 0x04, 0x00, 0xf2, 0x0a, libc::SYS_rt_sigreturn as u8, 0x07, 0xfe]
    } else {
        [0x7c61_1b78_u32, 0x3800_0000 | libc::SYS_rt_sigreturn as u32, 0x4400_0002]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect()
    };
    let map = code(&bytes)?;
    let garbage = Map::private(4)?;
    for pattern in 0..20_u64 {
        let mut seed = pattern * 77 + 1;
        for offset in (0..garbage.len).step_by(8) {
            let word = match pattern {
                0 => 0,
                1 => u64::MAX,
                _ => random(&mut seed),
            };
            word.to_ne_bytes().iter().enumerate().for_each(|(at, &byte)| garbage.set(offset + at, byte));
        }
        let child = fork_status(|| {
            // SAFETY: ends the process if all goes well, which it does not.
            unsafe {
                libc::alarm(5);
                std::mem::transmute::<*mut u8, extern "C" fn(*mut u8)>(map.start)(garbage.at(1024));
            }
            0
        })?;
        child.wait()?;
    }
    Ok(())
}

/// Xorshift: the same numbers each time.
pub fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Calls that would end the test, or the machine, or sleep for long.
const SPARED: [i64; 16] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_reboot,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_alarm,
    libc::SYS_setitimer,
    libc::SYS_ptrace,
    libc::SYS_vhangup,
];

fn random_calls() -> Outcome {
    // Several children: some end early, by their own mprotect or exec.
    let scratch = Map::private(4)?;
    for round in 0..30_u64 {
        let child = fork_status(|| {
            // SAFETY: as a user who owns nothing, in a process that is thrown away.
            unsafe {
                for fd in 0..3 {
                    libc::close(fd);
                }
                libc::setgid(1000);
                libc::setuid(1000);
                let mut seed = round * 0x9e37_79b9_7f4a_7c15 + 1;
                for _ in 0..200 {
                    let number = (random(&mut seed) % 460) as i64;
                    if SPARED.contains(&number) {
                        continue;
                    }
                    let mut arguments = [0_u64; 6];
                    for argument in &mut arguments {
                        *argument = match random(&mut seed) % 8 {
                            0 => 0,
                            1 => random(&mut seed),
                            2 => u64::MAX,
                            3 => KERNEL[(random(&mut seed) % 10) as usize] as u64,
                            4 | 5 => scratch.start as u64 + random(&mut seed) % (3 * page() as u64),
                            6 => random(&mut seed) % 64,
                            _ => 1 << (random(&mut seed) % 64),
                        };
                    }
                    let [a, b, c, d, e, f] = arguments;
                    libc::syscall(number, a, b, c, d, e, f);
                }
            }
            0
        })?;
        child.wait_or_kill(300)?;
    }
    Ok(())
}

fn random_machine_code() -> Outcome {
    let mut seed = 12345;
    for _ in 0..60 {
        let bytes: Vec<u8> = (0..512).flat_map(|_| random(&mut seed).to_ne_bytes()).collect();
        let map = code(&bytes)?;
        let child = fork_status(|| {
            // SAFETY: not safe at all, in a process that is thrown away.
            unsafe {
                libc::setgid(1000);
                libc::setuid(1000);
            }
            jump(map.start as usize);
            0
        })?;
        child.wait_or_kill(200)?;
    }
    Ok(())
}

fn a_fork_bomb_is_bounded() -> Outcome {
    // In a group of its own, which it is in before it goes on: its last line kills all of it.
    let child = fork(|| {
        sys!(setpgid(0, 0));
        let limit = libc::rlimit { rlim_cur: 30, rlim_max: 30 };
        sys!(setrlimit(libc::RLIMIT_NPROC, &limit));
        sys!(setgid(1001));
        sys!(setuid(1001));
        let mut children = 0;
        loop {
            // SAFETY: the child only waits for its end.
            match unsafe { libc::fork() } {
                // SAFETY: no arguments.
                0 => unsafe {
                    libc::pause();
                },
                -1 => break,
                pid => {
                    children += 1;
                    check!(children < 40);
                    let _ = pid;
                }
            }
        }
        equal!((children, crate::harness::errno()), (29, libc::EAGAIN));
        sys!(kill(0, libc::SIGKILL));
        Ok(())
    })?;
    child.ends(Status::Killed(libc::SIGKILL))?;
    // Its children count as the user's until their new parent has waited for them.
    // SAFETY: signal 0 only asks.
    while unsafe { libc::kill(-child.0, 0) } == 0 {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ok(())
}

fn memory_runs_out() -> Outcome {
    // The process that takes all of it ends, and nobody else does.
    let child = fork_status(|| {
        let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
        let mut maps = Vec::new();
        loop {
            let Ok(map) = Map::private((16 << 20) / page()) else {
                // Refused before it came to that.
                return 77;
            };
            for offset in (0..map.len).step_by(4096) {
                map.set(offset, 1);
            }
            maps.push(map);
        }
    })?;
    let status = child.wait()?;
    check!([Status::Killed(libc::SIGKILL), Status::Exited(77)].contains(&status), "{status:?}");
    check!(std::process::Command::new(SELF).args(["role", "status", "0"]).status()?.success());
    Ok(())
}
