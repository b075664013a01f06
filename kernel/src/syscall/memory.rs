//! Memory: what is mapped, and how.

use super::{Call, Result, Row};
use crate::addr::VirtAddr;
use crate::arch::PAGE_SIZE;
use crate::arch::current::abi;
use crate::arch::paging::Access;
use crate::error::Errno;
use crate::mm::space::{Advice, LockAll, MapFlags, MapRequest, RemapRequest};
use linux_raw_sys::general as linux;

fn access(protection: u64) -> core::result::Result<Access, Errno> {
    let known = linux::PROT_READ | linux::PROT_WRITE | linux::PROT_EXEC | linux::PROT_SEM;
    if protection & !u64::from(known) != 0 {
        return Err(Errno::EINVAL);
    }
    let has = |bit: u32| protection & u64::from(bit) != 0;
    Ok(Access { read: has(linux::PROT_READ), write: has(linux::PROT_WRITE), execute: has(linux::PROT_EXEC) })
}

/// `mmap`: s390x passes a pointer to the six arguments.
fn mmap(call: &mut Call<'_>) -> Result {
    let [addr, len, protection, flags, fd, offset] =
        if abi::MMAP_BY_POINTER { call.read(call.args[0])? } else { call.args };
    let has = |bit: u32| flags & u64::from(bit) != 0;
    // Unlike mprotect, mmap ignores what it does not know.
    let all = u64::from(linux::PROT_READ | linux::PROT_WRITE | linux::PROT_EXEC);
    let wanted = access(protection & all)?;
    let shared = match flags as u32 & linux::MAP_TYPE {
        linux::MAP_PRIVATE => false,
        linux::MAP_SHARED => true,
        linux::MAP_SHARED_VALIDATE => {
            let known = linux::MAP_TYPE
                | linux::MAP_FIXED
                | linux::MAP_ANONYMOUS
                | linux::MAP_DENYWRITE
                | linux::MAP_EXECUTABLE
                | linux::MAP_GROWSDOWN
                | linux::MAP_LOCKED
                | linux::MAP_NORESERVE
                | linux::MAP_POPULATE
                | linux::MAP_NONBLOCK
                | linux::MAP_STACK
                | linux::MAP_FIXED_NOREPLACE;
            if flags & !u64::from(known) != 0 {
                return Err(Errno::EOPNOTSUPP);
            }
            true
        }
        _ => return Err(Errno::EINVAL),
    };
    if !offset.is_multiple_of(PAGE_SIZE) {
        return Err(Errno::EINVAL);
    }
    if has(linux::MAP_HUGETLB) {
        // There are no large pages to have.
        return Err(Errno::ENOMEM);
    }
    let mut most = Access::RWX;
    let object = if has(linux::MAP_ANONYMOUS) {
        None
    } else {
        let file = call.task.files().get(fd as i32)?;
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let open = file.flags();
        if open.is_path() {
            return Err(Errno::EBADF);
        }
        if !open.readable() || shared && wanted.write && !open.writable() {
            return Err(Errno::EACCES);
        }
        most.write = !shared || open.writable();
        match file.ops().maps_zeros() {
            true => None,
            false => Some((file.ops().page_object(call.ctx, &file)?, offset)),
        }
    };
    let when = |so: bool, flag: MapFlags| if so { flag } else { MapFlags::NONE };
    let populate = has(linux::MAP_POPULATE) && !has(linux::MAP_NONBLOCK);
    let no_replace = has(linux::MAP_FIXED_NOREPLACE);
    let flags = when(shared, MapFlags::SHARED)
        | when(has(linux::MAP_FIXED) && !no_replace, MapFlags::FIXED)
        | when(no_replace, MapFlags::FIXED_NOREPLACE)
        | when(has(linux::MAP_GROWSDOWN), MapFlags::GROWSDOWN)
        | when(has(linux::MAP_NORESERVE), MapFlags::NORESERVE)
        | when(populate, MapFlags::POPULATE)
        | when(has(linux::MAP_STACK), MapFlags::STACK)
        | when(has(linux::MAP_LOCKED), MapFlags::LOCKED);
    let request = MapRequest { addr: VirtAddr::new(addr), len, access: wanted, most, flags, object };
    call.task.mm().map(call.ctx, request).map(VirtAddr::get)
}

fn munmap(call: &mut Call<'_>) -> Result {
    let [addr, len, ..] = call.args;
    call.task.mm().unmap(call.ctx, VirtAddr::new(addr), len).map(|()| 0)
}

/// `mprotect`. PROT_GROWSDOWN and PROT_GROWSUP are EINVAL.
fn mprotect(call: &mut Call<'_>) -> Result {
    let [addr, len, protection, ..] = call.args;
    let access = access(protection)?;
    call.task.mm().protect(call.ctx, VirtAddr::new(addr), len, access).map(|()| 0)
}

fn mremap(call: &mut Call<'_>) -> Result {
    let [addr, old_len, new_len, flags, to, _] = call.args;
    let known = linux::MREMAP_MAYMOVE | linux::MREMAP_FIXED | linux::MREMAP_DONTUNMAP;
    if flags & !u64::from(known) != 0 {
        return Err(Errno::EINVAL);
    }
    let has = |bit: u32| flags & u64::from(bit) != 0;
    let request = RemapRequest {
        addr: VirtAddr::new(addr),
        old_len,
        new_len,
        may_move: has(linux::MREMAP_MAYMOVE),
        to: has(linux::MREMAP_FIXED).then_some(VirtAddr::new(to)),
        keep_old: has(linux::MREMAP_DONTUNMAP),
    };
    call.task.mm().remap(call.ctx, request).map(VirtAddr::get)
}

fn madvise(call: &mut Call<'_>) -> Result {
    let [addr, len, ..] = call.args;
    let advice = match call.uint(2) {
        linux::MADV_NORMAL => Advice::Normal,
        linux::MADV_RANDOM => Advice::Random,
        linux::MADV_SEQUENTIAL => Advice::Sequential,
        linux::MADV_WILLNEED => Advice::WillNeed,
        linux::MADV_DONTNEED => Advice::DontNeed,
        linux::MADV_FREE => Advice::Free,
        linux::MADV_REMOVE => Advice::Remove,
        linux::MADV_DONTFORK => Advice::Fork(false),
        linux::MADV_DOFORK => Advice::Fork(true),
        linux::MADV_WIPEONFORK => Advice::WipeOnFork(true),
        linux::MADV_KEEPONFORK => Advice::WipeOnFork(false),
        linux::MADV_DONTDUMP => Advice::Dump(false),
        linux::MADV_DODUMP => Advice::Dump(true),
        linux::MADV_POPULATE_READ => Advice::Populate(false),
        linux::MADV_POPULATE_WRITE => Advice::Populate(true),
        // Nothing is merged, enlarged or written out here: true of Linux without those options, too.
        linux::MADV_COLD | linux::MADV_PAGEOUT => Advice::Ignored,
        _ => return Err(Errno::EINVAL),
    };
    call.task.mm().advise(call.ctx, VirtAddr::new(addr), len, advice).map(|()| 0)
}

fn brk(call: &mut Call<'_>) -> Result {
    let wanted = VirtAddr::new(call.args[0]);
    Ok(call.task.mm().set_brk(call.ctx, wanted).get())
}

/// `mincore`: a byte for each page, bit 0: it is in memory.
fn mincore(call: &mut Call<'_>) -> Result {
    let [addr, len, vector, ..] = call.args;
    let task = call.task;
    let mm = task.mm();
    /// Pages that are asked for at a time, so that what they say fits the stack.
    const AT_A_TIME: u64 = 256;
    let end = addr.checked_add(len).and_then(|end| end.checked_next_multiple_of(PAGE_SIZE));
    let end = end.ok_or(Errno::ENOMEM)?;
    let mut at = addr;
    // So that a range that is refused is refused at the beginning.
    mm.mincore(call.ctx, VirtAddr::new(addr), len, &mut |_| ())?;
    while at < end {
        let piece = (end - at).min(AT_A_TIME * PAGE_SIZE);
        let mut bytes = [0_u8; AT_A_TIME as usize];
        let mut count = 0;
        mm.mincore(call.ctx, VirtAddr::new(at), piece, &mut |present| {
            if let Some(byte) = bytes.get_mut(count) {
                *byte = u8::from(present);
            }
            count += 1;
        })?;
        let to = vector.checked_add((at - addr) / PAGE_SIZE).ok_or(Errno::EFAULT)?;
        let count = count.min(bytes.len());
        mm.write_user(call.ctx, VirtAddr::new(to), &bytes[..count])?;
        at += piece;
    }
    Ok(0)
}

fn msync(call: &mut Call<'_>) -> Result {
    let [addr, len, flags, ..] = call.args;
    let known = u64::from(linux::MS_ASYNC | linux::MS_INVALIDATE | linux::MS_SYNC);
    let both = u64::from(linux::MS_ASYNC | linux::MS_SYNC);
    if flags & !known != 0 || flags & both == both {
        return Err(Errno::EINVAL);
    }
    call.task.mm().sync(call.ctx, VirtAddr::new(addr), len).map(|()| 0)
}

fn lock(call: &mut Call<'_>, on: bool, on_fault: bool) -> Result {
    let [addr, len, ..] = call.args;
    call.task.mm().lock(call.ctx, VirtAddr::new(addr), len, on, on_fault).map(|()| 0)
}

fn mlock(call: &mut Call<'_>) -> Result {
    lock(call, true, false)
}

fn mlock2(call: &mut Call<'_>) -> Result {
    match call.uint(2) {
        0 => lock(call, true, false),
        linux::MLOCK_ONFAULT => lock(call, true, true),
        _ => Err(Errno::EINVAL),
    }
}

fn munlock(call: &mut Call<'_>) -> Result {
    lock(call, false, false)
}

fn mlockall(call: &mut Call<'_>) -> Result {
    let flags = call.uint(0);
    let known = linux::MCL_CURRENT | linux::MCL_FUTURE | linux::MCL_ONFAULT;
    if flags & !known != 0 || flags & (linux::MCL_CURRENT | linux::MCL_FUTURE) == 0 {
        return Err(Errno::EINVAL);
    }
    let what = LockAll { current: flags & linux::MCL_CURRENT != 0, future: flags & linux::MCL_FUTURE != 0 };
    call.task.mm().lock_all(call.ctx, what).map(|()| 0)
}

fn munlockall(call: &mut Call<'_>) -> Result {
    call.task.mm().lock_all(call.ctx, LockAll { current: false, future: false }).map(|()| 0)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (linux::__NR_mmap, mmap),
    (linux::__NR_munmap, munmap),
    (linux::__NR_mprotect, mprotect),
    (linux::__NR_mremap, mremap),
    (linux::__NR_madvise, madvise),
    (linux::__NR_brk, brk),
    (linux::__NR_mincore, mincore),
    (linux::__NR_msync, msync),
    (linux::__NR_mlock, mlock),
    (linux::__NR_mlock2, mlock2),
    (linux::__NR_munlock, munlock),
    (linux::__NR_mlockall, mlockall),
    (linux::__NR_munlockall, munlockall),
];
