//! mmap and its relatives, as programs use them.

use crate::harness::child::{fault_of, fork};
use crate::harness::memory::{Map, page, peek, poke, touch};
use crate::harness::{Folder, Outcome};
use crate::{check, equal, sys, tests};
use libc::{
    MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_POPULATE, MAP_PRIVATE, MAP_SHARED, PROT_NONE, PROT_READ,
    PROT_WRITE,
};
use std::sync::atomic::Ordering::SeqCst;

tests![
    fresh_memory_is_zero,
    unmapping_splits,
    a_fixed_mapping_replaces,
    protection_is_kept,
    copy_on_write_both_ways,
    shared_memory_is_shared,
    a_file_is_mapped,
    a_private_file_mapping_is_private,
    two_mappings_of_a_file_agree,
    remapping_grows_shrinks_and_moves,
    dontneed_gives_zeros,
    dontneed_of_a_file_gives_the_file,
    brk_grows_and_shrinks,
    mincore_sees_what_is_there,
    populate_makes_resident,
    a_huge_reservation_costs_nothing,
    trimming_an_arena,
    a_thousand_mappings,
    equal_neighbours_merge,
    the_stack_grows,
    zero_pages_are_read_and_written,
    dev_zero_maps,
    fork_copies_many_tables,
    tables_are_given_back,
    msync_and_mlock,
    a_page_is_kept_by_its_mapping,
];

fn fresh_memory_is_zero() -> Outcome {
    let map = Map::private(64)?;
    check!((0..map.len).step_by(97).all(|offset| map.get(offset) == 0));
    (0..64).for_each(|number| poke(map.page(number), number as u8));
    check!((0..64).all(|number| peek(map.page(number)) == number as u8));
    // What was used before is zero again when it is mapped anew.
    drop(map);
    let map = Map::private(64)?;
    check!((0..map.len).step_by(page()).all(|offset| map.get(offset) == 0));
    Ok(())
}

fn unmapping_splits() -> Outcome {
    let map = Map::private(5)?;
    (0..5).for_each(|number| poke(map.page(number), 7));
    sys!(munmap(map.page(2).cast(), page()));
    for number in [0, 1, 3, 4] {
        equal!(peek(map.page(number)), 7);
    }
    let fault = fault_of(|| touch(map.page(2)))?;
    check!(fault.is_some_and(|fault| fault.address == map.page(2) as u64), "{fault:?}");
    // Nothing there: unmapping it again is fine.
    sys!(munmap(map.page(2).cast(), page()));
    sys!(munmap(map.page(0).cast(), 5 * page()));
    check!(fault_of(|| touch(map.page(4)))?.is_some());
    Ok(())
}

fn a_fixed_mapping_replaces() -> Outcome {
    let map = Map::private(3)?;
    (0..3).for_each(|number| poke(map.page(number), 7));
    let at = map.page(1) as usize;
    let middle =
        Map::new(at, page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)?;
    equal!(middle.start, map.page(1));
    equal!([peek(map.page(0)), peek(map.page(1)), peek(map.page(2))], [7, 0, 7]);
    std::mem::forget(middle);
    Ok(())
}

fn protection_is_kept() -> Outcome {
    let map = Map::private(3)?;
    (0..3).for_each(|number| poke(map.page(number), 7));
    sys!(mprotect(map.page(1).cast(), page(), PROT_READ));
    equal!(peek(map.page(1)), 7);
    check!(fault_of(|| poke(map.page(1), 1))?.is_some_and(|fault| fault.code == 2), "SEGV_ACCERR");
    check!(fault_of(|| poke(map.page(0), 1))?.is_none());
    sys!(mprotect(map.page(1).cast(), page(), PROT_NONE));
    check!(fault_of(|| touch(map.page(1)))?.is_some());
    sys!(mprotect(map.page(0).cast(), 3 * page(), PROT_READ | PROT_WRITE));
    equal!(peek(map.page(1)), 7);
    poke(map.page(1), 8);
    equal!(peek(map.page(1)), 8);
    Ok(())
}

fn copy_on_write_both_ways() -> Outcome {
    let map = Map::private(40)?;
    (0..40).for_each(|number| poke(map.page(number), 1));
    let gate = Map::shared(1)?;
    let child = fork(|| {
        (0..20).for_each(|number| poke(map.page(number), 2));
        gate.word(0).store(1, SeqCst);
        while gate.word(0).load(SeqCst) != 2 {
            sys!(sched_yield());
        }
        check!((0..20).all(|number| peek(map.page(number)) == 2));
        check!((20..40).all(|number| peek(map.page(number)) == 1));
        Ok(())
    })?;
    while gate.word(0).load(SeqCst) != 1 {
        sys!(sched_yield());
    }
    check!((0..40).all(|number| peek(map.page(number)) == 1));
    (20..40).for_each(|number| poke(map.page(number), 3));
    gate.word(0).store(2, SeqCst);
    child.succeeds()?;
    check!((0..20).all(|number| peek(map.page(number)) == 1));
    Ok(())
}

fn shared_memory_is_shared() -> Outcome {
    let map = Map::shared(3)?;
    let child = fork(|| {
        // A page that the parent has never touched, too.
        (0..3).for_each(|number| poke(map.page(number), 5));
        Ok(())
    })?;
    child.succeeds()?;
    check!((0..3).all(|number| peek(map.page(number)) == 5));
    Ok(())
}

/// A file of `pages` pages whose bytes are the page's number, open for reading and writing.
fn numbered_file(folder: &Folder, pages: usize) -> Result<i32, crate::harness::Failure> {
    let content: Vec<u8> = (0..pages).flat_map(|number| vec![number as u8 + 1; page()]).collect();
    std::fs::write(folder.path("f"), content)?;
    Ok(sys!(open(folder.c("f").as_ptr(), libc::O_RDWR)) as i32)
}

fn a_file_is_mapped() -> Outcome {
    let folder = Folder::new("mapped")?;
    let file = numbered_file(&folder, 4)?;
    let map = Map::new(0, 2 * page(), PROT_READ | PROT_WRITE, MAP_SHARED, file, page() as i64)?;
    sys!(close(file));
    equal!([map.get(0), peek(map.page(1))], [2, 3]);
    map.set(1, 99);
    let content = std::fs::read(folder.path("f"))?;
    equal!(content[page()..page() + 3], [2, 99, 2]);
    Ok(())
}

fn a_private_file_mapping_is_private() -> Outcome {
    let folder = Folder::new("private")?;
    let file = numbered_file(&folder, 2)?;
    let map = Map::new(0, 2 * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0)?;
    equal!(map.get(0), 1);
    map.set(0, 50);
    equal!(std::fs::read(folder.path("f"))?[0], 1);
    let child = fork(|| {
        equal!(map.get(0), 50);
        map.set(0, 51);
        equal!(peek(map.page(1)), 2);
        Ok(())
    })?;
    child.succeeds()?;
    equal!(map.get(0), 50);
    sys!(close(file));
    Ok(())
}

fn two_mappings_of_a_file_agree() -> Outcome {
    let folder = Folder::new("agree")?;
    let file = numbered_file(&folder, 2)?;
    let one = Map::new(0, page(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)?;
    let two = Map::new(0, page(), PROT_READ, MAP_SHARED, file, 0)?;
    let private = Map::new(0, page(), PROT_READ, MAP_PRIVATE, file, 0)?;
    one.set(10, 77);
    equal!((two.get(10), private.get(10)), (77, 77));
    sys!(pwrite(file, c"z".as_ptr().cast(), 1, 11));
    equal!((one.get(11), two.get(11)), (b'z', b'z'));
    sys!(close(file));
    Ok(())
}

fn remapping_grows_shrinks_and_moves() -> Outcome {
    let mut map = Map::private(4)?;
    (0..4).for_each(|number| poke(map.page(number), number as u8 + 1));
    // Shrinks in place.
    let at = sys!(mremap(map.start.cast(), 4 * page(), 3 * page(), 0));
    equal!(at, map.start as i64);
    check!(fault_of(|| touch(map.page(3)))?.is_some());
    // Grows, and may move.
    let at = sys!(mremap(map.start.cast(), 3 * page(), 300 * page(), libc::MREMAP_MAYMOVE));
    map.start = at as *mut u8;
    map.len = 300 * page();
    equal!([peek(map.page(0)), peek(map.page(2)), peek(map.page(3)), peek(map.page(299))], [1, 3, 0, 0]);
    // To a place we name, which is replaced.
    let target = Map::private(2)?;
    poke(target.page(1), 9);
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
    let at = sys!(mremap(map.start.cast(), 2 * page(), 2 * page(), flags, target.start));
    equal!(at, target.start as i64);
    equal!([peek(target.page(0)), peek(target.page(1))], [1, 2]);
    check!(fault_of(|| touch(map.page(1)))?.is_some());
    equal!(peek(map.page(2)), 3);
    Ok(())
}

fn dontneed_gives_zeros() -> Outcome {
    let map = Map::private(4)?;
    (0..4).for_each(|number| poke(map.page(number), 7));
    sys!(madvise(map.page(1).cast(), 2 * page(), libc::MADV_DONTNEED));
    let seen: Vec<u8> = (0..4).map(|number| peek(map.page(number))).collect();
    equal!(seen, [7, 0, 0, 7]);
    for advice in [libc::MADV_NORMAL, libc::MADV_RANDOM, libc::MADV_SEQUENTIAL, libc::MADV_WILLNEED] {
        sys!(madvise(map.start.cast(), map.len, advice));
    }
    sys!(madvise(map.start.cast(), map.len, libc::MADV_FREE));
    poke(map.page(0), 8);
    equal!(peek(map.page(0)), 8);
    Ok(())
}

fn dontneed_of_a_file_gives_the_file() -> Outcome {
    let folder = Folder::new("dontneed")?;
    let file = numbered_file(&folder, 1)?;
    let map = Map::new(0, page(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0)?;
    map.set(0, 50);
    sys!(madvise(map.start.cast(), page(), libc::MADV_DONTNEED));
    equal!(map.get(0), 1);
    sys!(close(file));
    Ok(())
}

fn brk_grows_and_shrinks() -> Outcome {
    let child = fork(|| {
        let start = sys!(sbrk(0)) as usize;
        let grown = 20 * page();
        equal!(sys!(sbrk(grown as isize)) as usize, start);
        let first = start.next_multiple_of(page()) as *mut u8;
        poke(first, 7);
        poke(first.wrapping_add(grown - 2 * page()), 8);
        sys!(sbrk(-(grown as isize)));
        equal!(sys!(sbrk(0)) as usize, start);
        check!(fault_of(|| touch(first.wrapping_add(page())))?.is_some());
        sys!(sbrk(grown as isize));
        equal!(peek(first.wrapping_add(page())), 0);
        Ok(())
    })?;
    child.succeeds()
}

fn mincore_sees_what_is_there() -> Outcome {
    let map = Map::private(4)?;
    poke(map.page(1), 1);
    let mut seen = [0xff_u8; 4];
    sys!(mincore(map.start.cast(), map.len, seen.as_mut_ptr()));
    equal!(seen.map(|byte| byte & 1), [0, 1, 0, 0]);
    sys!(munmap(map.page(3).cast(), page()));
    crate::fails!(ENOMEM, mincore(map.start.cast(), map.len, seen.as_mut_ptr()));
    crate::fails!(EINVAL, mincore(map.at(1).cast(), page(), seen.as_mut_ptr()));
    Ok(())
}

fn populate_makes_resident() -> Outcome {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
    let map = Map::new(0, 8 * page(), PROT_READ | PROT_WRITE, flags, -1, 0)?;
    let mut seen = [0_u8; 8];
    sys!(mincore(map.start.cast(), map.len, seen.as_mut_ptr()));
    check!(seen.iter().all(|byte| byte & 1 == 1), "{seen:?}");
    Ok(())
}

fn a_huge_reservation_costs_nothing() -> Outcome {
    let size = 64 << 30;
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    let map = Map::new(0, size, PROT_NONE, flags, -1, 0)?;
    sys!(mprotect(map.at(size / 2).cast(), page(), PROT_READ | PROT_WRITE));
    map.set(size / 2, 1);
    equal!(map.get(size / 2), 1);
    Ok(())
}

fn trimming_an_arena() -> Outcome {
    // What malloc does for each thread: 128 MB reserved, trimmed to an aligned 64 MB, the start used.
    for _ in 0..20 {
        let arena = 64 << 20;
        let map = Map::new(0, 2 * arena, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)?;
        let start = (map.start as usize).next_multiple_of(arena);
        let before = start - map.start as usize;
        if before > 0 {
            sys!(munmap(map.start.cast(), before));
        }
        if before < arena {
            sys!(munmap((start + arena) as *mut _, arena - before));
        }
        sys!(mprotect(start as *mut _, 132 << 10, PROT_READ | PROT_WRITE));
        poke((start + 100_000) as *mut u8, 1);
    }
    Ok(())
}

fn a_thousand_mappings() -> Outcome {
    let map = Map::private(2000)?;
    // Every second page gets another protection, so that nothing merges.
    for number in (0..2000).step_by(2) {
        sys!(mprotect(map.page(number).cast(), page(), PROT_READ));
    }
    for number in (1..2000).step_by(2) {
        poke(map.page(number), number as u8);
    }
    for number in 0..2000 {
        let wanted = if number % 2 == 1 { number as u8 } else { 0 };
        equal!(peek(map.page(number)), wanted);
    }
    for number in (0..2000).step_by(3) {
        sys!(munmap(map.page(number).cast(), page()));
    }
    check!(fault_of(|| touch(map.page(3)))?.is_some());
    equal!(peek(map.page(5)), 5);
    Ok(())
}

fn equal_neighbours_merge() -> Outcome {
    let lines = || -> Result<usize, std::io::Error> {
        Ok(std::fs::read_to_string("/proc/self/maps")?.lines().count())
    };
    let map = Map::private(30)?;
    let before = lines()?;
    sys!(mprotect(map.page(10).cast(), page(), PROT_READ));
    equal!(lines()?, before + 2);
    sys!(mprotect(map.page(10).cast(), page(), PROT_READ | PROT_WRITE));
    equal!(lines()?, before);
    Ok(())
}

fn the_stack_grows() -> Outcome {
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
    // 4 MB of the usual 8.
    equal!(
        fork(|| {
            equal!(deeper(1000), 1000);
            Ok(())
        })?
        .succeeds()?,
        ()
    );
    Ok(())
}

fn zero_pages_are_read_and_written() -> Outcome {
    let map = Map::private(8)?;
    check!((0..8).all(|number| peek(map.page(number)) == 0));
    poke(map.page(3), 1);
    equal!((peek(map.page(2)), peek(map.page(3)), peek(map.page(4))), (0, 1, 0));
    let child = fork(|| {
        poke(map.page(4), 2);
        equal!(peek(map.page(5)), 0);
        Ok(())
    })?;
    child.succeeds()?;
    equal!(peek(map.page(4)), 0);
    Ok(())
}

fn dev_zero_maps() -> Outcome {
    let file = sys!(open(c"/dev/zero".as_ptr(), libc::O_RDWR)) as i32;
    let private = Map::new(0, page(), PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0)?;
    let shared = Map::new(0, page(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)?;
    private.set(0, 1);
    fork(|| {
        shared.set(0, 2);
        Ok(())
    })?
    .succeeds()?;
    equal!((private.get(0), shared.get(0)), (1, 2));
    sys!(close(file));
    Ok(())
}

/// Pages so far apart that each needs a page table of its own, on either machine and in any layout.
fn spread(count: usize) -> Result<Map, crate::harness::Failure> {
    let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    Map::new(0, count << 26, PROT_READ | PROT_WRITE, flags, -1, 0)
}

fn fork_copies_many_tables() -> Outcome {
    let map = spread(64)?;
    (0..64).for_each(|number| map.set(number << 26, number as u8));
    let child = fork(|| {
        check!((0..64).all(|number| map.get(number << 26) == number as u8));
        (0..64).for_each(|number| map.set(number << 26, 100));
        Ok(())
    })?;
    child.succeeds()?;
    check!((0..64).all(|number| map.get(number << 26) == number as u8));
    Ok(())
}

fn tables_are_given_back() -> Outcome {
    for _ in 0..10 {
        let map = spread(32)?;
        (0..32).for_each(|number| map.set(number << 26, 1));
        // Half of it piece by piece, the rest when it is dropped.
        for number in 0..16 {
            sys!(munmap(map.at(number << 26).cast(), page()));
        }
    }
    Ok(())
}

fn msync_and_mlock() -> Outcome {
    let folder = Folder::new("msync")?;
    let file = numbered_file(&folder, 2)?;
    let map = Map::new(0, 2 * page(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)?;
    map.set(0, 60);
    sys!(msync(map.start.cast(), map.len, libc::MS_SYNC));
    sys!(msync(map.start.cast(), map.len, libc::MS_ASYNC));
    crate::fails!(EINVAL, msync(map.start.cast(), map.len, libc::MS_SYNC | libc::MS_ASYNC));
    crate::fails!(EINVAL, msync(map.at(1).cast(), page(), libc::MS_SYNC));
    sys!(mlock(map.start.cast(), page()));
    sys!(munlock(map.start.cast(), page()));
    sys!(close(file));
    Ok(())
}

fn a_page_is_kept_by_its_mapping() -> Outcome {
    let folder = Folder::new("kept")?;
    let file = numbered_file(&folder, 2)?;
    let map = Map::new(0, 2 * page(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)?;
    sys!(unlink(folder.c("f").as_ptr()));
    sys!(close(file));
    equal!((peek(map.page(0)), peek(map.page(1))), (1, 2));
    map.set(0, 9);
    fork(|| {
        equal!(map.get(0), 9);
        Ok(())
    })?
    .succeeds()
}
