//! What mmap and its relatives refuse, and that a refusal changes nothing.

use crate::harness::child::{Status, fault_of, fork, fork_status};
use crate::harness::memory::{Map, page, peek, poke, touch};
use crate::harness::{Folder, Outcome};
use crate::{check, equal, fails, sys, tests};
use libc::{
    ENOMEM, MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_PRIVATE,
    MAP_SHARED, PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE, mmap,
};

tests![
    bad_arguments_of_mmap,
    bad_files,
    no_replace_does_not_replace,
    a_hint_is_a_hint,
    bad_arguments_of_munmap_and_mprotect,
    holes_are_errors,
    bad_arguments_of_mremap,
    the_end_of_the_address_space,
    more_than_there_is,
    beyond_the_end_of_a_file,
    the_limit_of_the_address_space,
    a_growing_mapping,
    the_stack_has_a_limit,
    brk_refuses_quietly,
    execution_needs_permission,
];

const RW: i32 = PROT_READ | PROT_WRITE;
const ANON: i32 = MAP_PRIVATE | MAP_ANONYMOUS;
const NULL: *mut libc::c_void = std::ptr::null_mut();

fn bad_arguments_of_mmap() -> Outcome {
    fails!(EINVAL, mmap(NULL, 0, RW, ANON, -1, 0));
    fails!(EINVAL, mmap(NULL, page(), RW, MAP_ANONYMOUS, -1, 0));
    fails!(EINVAL, mmap(1 as *mut _, page(), RW, ANON | MAP_FIXED, -1, 0));
    let zero = sys!(open(c"/dev/zero".as_ptr(), libc::O_RDWR)) as i32;
    fails!(EINVAL, mmap(NULL, page(), RW, MAP_PRIVATE, zero, 1));
    fails!(ENOMEM, mmap(NULL, usize::MAX - page(), RW, ANON, -1, 0));
    fails!(ENOMEM, mmap(NULL, usize::MAX, RW, ANON, -1, 0));
    Ok(())
}

fn bad_files() -> Outcome {
    let folder = Folder::new("badfiles")?;
    std::fs::write(folder.path("f"), vec![1; page()])?;
    fails!(EBADF, mmap(NULL, page(), PROT_READ, MAP_PRIVATE, -1, 0));
    fails!(EBADF, mmap(NULL, page(), PROT_READ, MAP_PRIVATE, 999, 0));
    let read_only = sys!(open(folder.c("f").as_ptr(), libc::O_RDONLY)) as i32;
    fails!(EACCES, mmap(NULL, page(), RW, MAP_SHARED, read_only, 0));
    let map = Map::new(0, page(), PROT_READ, MAP_SHARED, read_only, 0)?;
    fails!(EACCES, mprotect(map.start.cast(), page(), RW));
    let private = Map::new(0, page(), RW, MAP_PRIVATE, read_only, 0)?;
    private.set(0, 2);
    let write_only = sys!(open(folder.c("f").as_ptr(), libc::O_WRONLY)) as i32;
    fails!(EACCES, mmap(NULL, page(), PROT_READ, MAP_PRIVATE, write_only, 0));
    let directory = sys!(open(c"/tmp".as_ptr(), libc::O_RDONLY)) as i32;
    fails!(ENODEV, mmap(NULL, page(), PROT_READ, MAP_PRIVATE, directory, 0));
    let mut ends = [0; 2];
    sys!(pipe(ends.as_mut_ptr()));
    fails!(ENODEV, mmap(NULL, page(), PROT_READ, MAP_PRIVATE, ends[0], 0));
    Ok(())
}

fn no_replace_does_not_replace() -> Outcome {
    let map = Map::private(3)?;
    poke(map.page(1), 7);
    sys!(munmap(map.page(2).cast(), page()));
    let flags = ANON | MAP_FIXED_NOREPLACE;
    fails!(EEXIST, mmap(map.page(1).cast(), page(), RW, flags, -1, 0));
    fails!(EEXIST, mmap(map.page(1).cast(), 2 * page(), RW, flags, -1, 0));
    equal!(peek(map.page(1)), 7);
    let at = sys!(mmap(map.page(2).cast(), page(), RW, flags, -1, 0));
    equal!(at, map.page(2) as i64);
    Ok(())
}

fn a_hint_is_a_hint() -> Outcome {
    let map = Map::private(3)?;
    let at = map.page(1) as usize;
    sys!(munmap(at as *mut _, page()));
    let free = Map::new(at, page(), RW, ANON, -1, 0)?;
    equal!(free.start as usize, at);
    let taken = Map::new(at, page(), RW, ANON, -1, 0)?;
    check!(taken.start as usize != at);
    std::mem::forget(free);
    Ok(())
}

fn bad_arguments_of_munmap_and_mprotect() -> Outcome {
    let map = Map::private(2)?;
    fails!(EINVAL, munmap(map.at(1).cast(), page()));
    fails!(EINVAL, munmap(map.start.cast(), 0));
    fails!(EINVAL, munmap(map.start.cast(), usize::MAX));
    fails!(EINVAL, mprotect(map.at(1).cast(), page(), PROT_READ));
    fails!(EINVAL, mprotect(map.start.cast(), page(), 0x7000));
    sys!(mprotect(map.start.cast(), 0, PROT_READ));
    fails!(EINVAL, madvise(map.at(1).cast(), page(), libc::MADV_DONTNEED));
    fails!(EINVAL, madvise(map.start.cast(), page(), 12345));
    // Part of a page is all of it.
    poke(map.page(0), 7);
    sys!(munmap(map.start.cast(), 1));
    check!(fault_of(|| touch(map.at(page() - 1)))?.is_some());
    Ok(())
}

fn holes_are_errors() -> Outcome {
    let map = Map::private(3)?;
    sys!(munmap(map.page(1).cast(), page()));
    // Linux changes what comes before the hole; whether or not, it is an error.
    fails!(ENOMEM, mprotect(map.page(1).cast(), 2 * page(), PROT_READ));
    fails!(ENOMEM, madvise(map.start.cast(), 3 * page(), libc::MADV_DONTNEED));
    fails!(ENOMEM, msync(map.start.cast(), 3 * page(), libc::MS_SYNC));
    fails!(ENOMEM, mlock(map.page(1).cast(), page()));
    Ok(())
}

fn bad_arguments_of_mremap() -> Outcome {
    let map = Map::private(4)?;
    let start = map.start.cast::<libc::c_void>();
    fails!(EINVAL, mremap(map.at(1).cast(), page(), page(), 0));
    fails!(EINVAL, mremap(start, page(), 0, 0));
    fails!(EINVAL, mremap(start, page(), page(), 0x100));
    fails!(EINVAL, mremap(start, page(), page(), libc::MREMAP_FIXED, map.page(2)));
    let both = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    // Onto itself, and to no page's start.
    fails!(EINVAL, mremap(start, 2 * page(), 2 * page(), both, map.page(1)));
    fails!(EINVAL, mremap(start, page(), page(), both, map.at(1)));
    // No room in place: the next page is taken.
    fails!(ENOMEM, mremap(start, page(), 2 * page(), 0));
    sys!(munmap(map.page(1).cast(), page()));
    fails!(EFAULT, mremap(map.page(1).cast(), page(), 2 * page(), libc::MREMAP_MAYMOVE));
    fails!(EFAULT, mremap(start, 4 * page(), 5 * page(), libc::MREMAP_MAYMOVE));
    fails!(ENOMEM, mremap(start, page(), usize::MAX / 2, libc::MREMAP_MAYMOVE));
    Ok(())
}

fn the_end_of_the_address_space() -> Outcome {
    let last = usize::MAX & !(page() - 1);
    for at in [last, last - page(), 1 << 62, 1 << 63] {
        if cfg!(target_arch = "s390x") {
            // Linux gives an address space of 2^64 bytes to who asks for it.
            // SAFETY: nothing of ours is there.
            let map = unsafe { mmap(at as *mut _, page(), RW, ANON | MAP_FIXED, -1, 0) };
            let refused = map == MAP_FAILED && crate::harness::errno() == ENOMEM;
            check!(refused || map as usize == at, "{map:?}");
            continue;
        }
        fails!(ENOMEM, mmap(at as *mut _, page(), RW, ANON | MAP_FIXED, -1, 0));
        fails!(EINVAL, munmap(at as *mut _, page()));
        check!(fault_of(|| touch(at as *const u8))?.is_some());
    }
    Ok(())
}

fn more_than_there_is() -> Outcome {
    // 1 TB that would be written to, on a machine of at most a few GB.
    fails!(ENOMEM, mmap(NULL, 1 << 40, RW, ANON, -1, 0));
    let map = Map::private(1)?;
    map.set(0, 7);
    fails!(ENOMEM, mremap(map.start.cast(), page(), 1 << 40, libc::MREMAP_MAYMOVE));
    equal!(map.get(0), 7);
    Ok(())
}

fn beyond_the_end_of_a_file() -> Outcome {
    let folder = Folder::new("beyond")?;
    std::fs::write(folder.path("f"), vec![1; page() + 10])?;
    let file = sys!(open(folder.c("f").as_ptr(), libc::O_RDWR)) as i32;
    let map = Map::new(0, 3 * page(), RW, MAP_SHARED, file, 0)?;
    // The rest of the last page is zero and is not written to the file.
    equal!((map.get(page() + 9), map.get(page() + 10)), (1, 0));
    map.set(page() + 10, 5);
    equal!(std::fs::metadata(folder.path("f"))?.len() as usize, page() + 10);
    let fault = fault_of(|| touch(map.at(2 * page())))?;
    check!(fault.is_some_and(|fault| (fault.signal, fault.code) == (libc::SIGBUS, 2)), "{fault:?}");
    // A file that shrinks takes its pages out of the mapping.
    sys!(ftruncate(file, 10));
    let fault = fault_of(|| touch(map.at(page())))?;
    check!(fault.is_some_and(|fault| fault.signal == libc::SIGBUS), "{fault:?}");
    equal!((map.get(9), map.get(10)), (1, 0));
    sys!(ftruncate(file, 3 * page() as i64));
    equal!(map.get(2 * page()), 0);
    Ok(())
}

fn the_limit_of_the_address_space() -> Outcome {
    let child = fork(|| {
        let limit = libc::rlimit { rlim_cur: 256 << 20, rlim_max: 256 << 20 };
        sys!(setrlimit(libc::RLIMIT_AS, &limit));
        fails!(ENOMEM, mmap(NULL, 512 << 20, PROT_NONE, ANON, -1, 0));
        let map = Map::new(0, 16 << 20, RW, ANON, -1, 0)?;
        fails!(ENOMEM, mremap(map.start.cast(), 16 << 20, 512 << 20, libc::MREMAP_MAYMOVE));
        Ok(())
    })?;
    child.succeeds()
}

fn a_growing_mapping() -> Outcome {
    // Room below, so that it can grow.
    let room = Map::new(0, 16 << 20, PROT_NONE, ANON, -1, 0)?;
    let top = room.at((16 << 20) - page());
    sys!(munmap(room.start.cast(), 16 << 20));
    let flags = ANON | MAP_FIXED | MAP_GROWSDOWN;
    let map = Map::new(top as usize, page(), RW, flags, -1, 0)?;
    poke(map.start, 1);
    poke(map.start.wrapping_sub(page()), 2);
    poke(map.start.wrapping_sub(2 * page()), 3);
    equal!(peek(map.start), 1);
    sys!(munmap(map.start.wrapping_sub(2 * page()).cast(), 3 * page()));
    std::mem::forget((map, room));
    Ok(())
}

#[inline(never)]
fn deeper(left: usize) -> usize {
    let mut here = [left as u8; 4096];
    // Else the compiler keeps one byte of it.
    std::hint::black_box(&mut here);
    poke(here.as_mut_ptr(), 1);
    if left == 0 {
        0
    } else {
        std::hint::black_box(deeper as fn(usize) -> usize)(left - 1) + usize::from(peek(here.as_ptr()))
    }
}

fn the_stack_has_a_limit() -> Outcome {
    // 8 MB are 2048 of these.
    let child = fork_status(|| deeper(100_000) as i32)?;
    child.ends(Status::Killed(libc::SIGSEGV))
}

fn brk_refuses_quietly() -> Outcome {
    let now = crate::raw!(SYS_brk, 0);
    equal!(crate::raw!(SYS_brk, 1), now);
    equal!(crate::raw!(SYS_brk, i64::MAX), now);
    equal!(crate::raw!(SYS_brk, now + page() as i64), now + page() as i64);
    equal!(crate::raw!(SYS_brk, now), now);
    Ok(())
}

fn execution_needs_permission() -> Outcome {
    // An instruction that returns: `br %r14`, `blr`.
    let code: &[u8] = if cfg!(target_arch = "s390x") { &[0x07, 0xfe] } else { &[0x20, 0x00, 0x80, 0x4e] };
    let map = Map::private(1)?;
    code.iter().enumerate().for_each(|(at, &byte)| map.set(at, byte));
    // SAFETY: the function returns at once, if it can be executed.
    let run = || unsafe { std::mem::transmute::<*mut u8, extern "C" fn()>(map.start)() };
    let fault = fault_of(run)?;
    let expected = Some((libc::SIGSEGV, 2, map.start as u64));
    equal!(fault.map(|fault| (fault.signal, fault.code, fault.address)), expected);
    sys!(mprotect(map.start.cast(), page(), PROT_READ | PROT_EXEC));
    super::attacks::synchronise(map.start, code.len());
    equal!(fault_of(run)?, None);
    equal!(fault_of(|| map.set(0, 1))?.map(|fault| fault.code), Some(2));
    Ok(())
}
