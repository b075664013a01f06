//! Reading and writing.

use super::files::{AT_FDCWD, MOST, last, piece, pieces, position, resolve, usable, who};
use super::{Call, Result, Row};
use crate::arch::current::abi;
use crate::error::Errno;
use crate::fs::attr::Kind;
use crate::fs::buffer::{Dest, Piece, Source};
use crate::fs::file::{File, Seek};
use crate::fs::{change, copy};
use crate::mm::space::Mm;
use crate::proc::process::{Info, Resource, Signal, signal_task};
use linux_raw_sys::{general as linux, general as nr};

/// Where in the file.
#[derive(Clone, Copy)]
enum At {
    Position,
    Offset(u64),
}

fn read_pieces(call: &mut Call<'_>, fd: i32, pieces: &[Piece], at: At) -> Result {
    let file = usable(call, fd)?;
    let task = call.task;
    let memory: &Mm = task.mm();
    let mut into = Dest::user(memory, pieces);
    let done = match at {
        At::Position => file.read(call.ctx, &mut into),
        At::Offset(at) => file.read_at(call.ctx, at, &mut into),
    };
    Ok(done? as u64)
}

/// How many bytes may be written there: EFBIG and SIGXFSZ at the limit on sizes of files.
fn within_limit(
    call: &mut Call<'_>,
    file: &File,
    at: At,
    bytes: usize,
) -> core::result::Result<usize, Errno> {
    let limit = call.task.process().limits().soft(Resource::FileSize);
    if limit == u64::MAX || file.inode().kind() != Kind::File || bytes == 0 {
        return Ok(bytes);
    }
    let at = match at {
        _ if file.flags().append() => file.inode().attr(call.ctx)?.size,
        At::Offset(at) => at,
        At::Position => file.position(call.ctx),
    };
    match limit.checked_sub(at).filter(|&left| left > 0) {
        Some(left) => Ok(bytes.min(usize::try_from(left).unwrap_or(usize::MAX))),
        None => {
            // Refused is only what queues; this does not.
            let _ = signal_task(&call.task, Info::kernel(Signal::SIGXFSZ));
            Err(Errno::EFBIG)
        }
    }
}

fn write_pieces(call: &mut Call<'_>, fd: i32, pieces: &mut [Piece], at: At) -> Result {
    let file = usable(call, fd)?;
    let total = pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(piece.len));
    let mut left = within_limit(call, &file, at, total)?;
    for piece in pieces.iter_mut() {
        piece.len = piece.len.min(left);
        left -= piece.len;
    }
    let task = call.task;
    let memory: &Mm = task.mm();
    let mut from = Source::user(memory, pieces);
    let done = match at {
        At::Position => file.write(call.ctx, &mut from),
        At::Offset(at) => file.write_at(call.ctx, at, &mut from),
    }?;
    if done > 0 && file.inode().kind() == Kind::File {
        let creds = task.creds();
        change::written(call.ctx, &who(&creds), &**file.inode())?;
    }
    Ok(done as u64)
}

fn read(call: &mut Call<'_>) -> Result {
    let piece = [piece(call.args[1], call.args[2])?];
    read_pieces(call, call.int(0), &piece, At::Position)
}

fn write(call: &mut Call<'_>) -> Result {
    let mut piece = [piece(call.args[1], call.args[2])?];
    write_pieces(call, call.int(0), &mut piece, At::Position)
}

fn pread64(call: &mut Call<'_>) -> Result {
    let piece = [piece(call.args[1], call.args[2])?];
    read_pieces(call, call.int(0), &piece, At::Offset(position(call.args[3])?))
}

fn pwrite64(call: &mut Call<'_>) -> Result {
    let mut piece = [piece(call.args[1], call.args[2])?];
    write_pieces(call, call.int(0), &mut piece, At::Offset(position(call.args[3])?))
}

fn readv(call: &mut Call<'_>) -> Result {
    let pieces = pieces(call, call.args[1], call.args[2])?;
    read_pieces(call, call.int(0), &pieces, At::Position)
}

fn writev(call: &mut Call<'_>) -> Result {
    let mut pieces = pieces(call, call.args[1], call.args[2])?;
    write_pieces(call, call.int(0), &mut pieces, At::Position)
}

fn preadv(call: &mut Call<'_>) -> Result {
    let at = At::Offset(position(call.args[3])?);
    let pieces = pieces(call, call.args[1], call.args[2])?;
    read_pieces(call, call.int(0), &pieces, at)
}

fn pwritev(call: &mut Call<'_>) -> Result {
    let at = At::Offset(position(call.args[3])?);
    let mut pieces = pieces(call, call.args[1], call.args[2])?;
    write_pieces(call, call.int(0), &mut pieces, at)
}

/// `preadv2` and `pwritev2`: with an offset of -1 at the position; no flag means anything here.
fn at_or_position(call: &Call<'_>) -> core::result::Result<At, Errno> {
    if call.args[5] != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    if call.args[3] == u64::MAX { Ok(At::Position) } else { Ok(At::Offset(position(call.args[3])?)) }
}

fn preadv2(call: &mut Call<'_>) -> Result {
    let at = at_or_position(call)?;
    let pieces = pieces(call, call.args[1], call.args[2])?;
    read_pieces(call, call.int(0), &pieces, at)
}

fn pwritev2(call: &mut Call<'_>) -> Result {
    let at = at_or_position(call)?;
    let mut pieces = pieces(call, call.args[1], call.args[2])?;
    write_pieces(call, call.int(0), &mut pieces, at)
}

fn seek(call: &mut Call<'_>, fd: i32, offset: i64, whence: u32) -> Result {
    let file = usable(call, fd)?;
    let to = match whence {
        linux::SEEK_SET => Seek::Set(offset),
        linux::SEEK_CUR => Seek::Current(offset),
        linux::SEEK_END => Seek::End(offset),
        linux::SEEK_DATA => Seek::Data(offset),
        linux::SEEK_HOLE => Seek::Hole(offset),
        _ => return Err(Errno::EINVAL),
    };
    file.seek(call.ctx, to)
}

fn lseek(call: &mut Call<'_>) -> Result {
    seek(call, call.int(0), call.args[1] as i64, call.uint(2))
}

/// `_llseek`: the offset in two halves, the result in memory.
fn llseek(call: &mut Call<'_>) -> Result {
    let offset = u64::from(call.uint(1)) << 32 | u64::from(call.uint(2));
    let to = seek(call, call.int(0), offset as i64, call.uint(4))?;
    call.write(call.args[3], &to)?;
    Ok(0)
}

/// `sendfile`, and `copy_file_range` with both offsets: moves bytes from file to file.
fn sendfile(call: &mut Call<'_>) -> Result {
    let (to, from, offset_at) = (call.int(0), call.int(1), call.args[2]);
    let count = usize::try_from(call.args[3]).unwrap_or(usize::MAX).min(MOST);
    let (from, to) = (usable(call, from)?, usable(call, to)?);
    if to.flags().append() {
        return Err(Errno::EINVAL);
    }
    if offset_at == 0 {
        return Ok(copy::copy(call.ctx, &from, None, &to, None, count)? as u64);
    }
    let mut offset = position(call.read(offset_at)?)?;
    let done = copy::copy(call.ctx, &from, Some(&mut offset), &to, None, count)?;
    call.write(offset_at, &offset)?;
    Ok(done as u64)
}

fn copy_file_range(call: &mut Call<'_>) -> Result {
    let [_, from_at, _, to_at, count, flags] = call.args;
    let (from, to) = (usable(call, call.int(0))?, usable(call, call.int(2))?);
    if flags != 0 {
        return Err(Errno::EINVAL);
    }
    for file in [&from, &to] {
        match file.inode().kind() {
            Kind::File => {}
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::EINVAL),
        }
    }
    if to.flags().append() {
        return Err(Errno::EBADF);
    }
    let offset = |call: &mut Call<'_>, at: u64| {
        if at == 0 { Ok(None) } else { position(call.read(at)?).map(Some) }
    };
    let (mut from_offset, mut to_offset) = (offset(call, from_at)?, offset(call, to_at)?);
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(MOST);
    let done = copy::copy(call.ctx, &from, from_offset.as_mut(), &to, to_offset.as_mut(), count)?;
    if let Some(offset) = from_offset {
        call.write(from_at, &offset)?;
    }
    if let Some(offset) = to_offset {
        call.write(to_at, &offset)?;
    }
    Ok(done as u64)
}

/// EFBIG and SIGXFSZ beyond the limit on sizes of files.
fn check_size(call: &mut Call<'_>, size: u64) -> core::result::Result<(), Errno> {
    if size > call.task.process().limits().soft(Resource::FileSize) {
        let _ = signal_task(&call.task, Info::kernel(Signal::SIGXFSZ));
        return Err(Errno::EFBIG);
    }
    Ok(())
}

fn truncate(call: &mut Call<'_>) -> Result {
    let size = position(call.args[1])?;
    let place = resolve(call, AT_FDCWD, call.args[0], last(0))?;
    check_size(call, size)?;
    let creds = call.task.creds();
    change::size(call.ctx, &who(&creds), &place, size)?;
    Ok(0)
}

fn ftruncate(call: &mut Call<'_>) -> Result {
    let size = position(call.args[1])?;
    let file = usable(call, call.int(0))?;
    if file.inode().kind() != Kind::File || !file.flags().writable() {
        return Err(Errno::EINVAL);
    }
    check_size(call, size)?;
    let creds = call.task.creds();
    change::resize(call.ctx, &who(&creds), &**file.inode(), size)?;
    Ok(0)
}

fn fallocate(call: &mut Call<'_>) -> Result {
    let (mode, at, len) = (call.uint(1), call.args[2], call.args[3]);
    let file = usable(call, call.int(0))?;
    if i64::try_from(at).is_err() || i64::try_from(len).is_err() || len == 0 {
        return Err(Errno::EINVAL);
    }
    if !file.flags().writable() {
        return Err(Errno::EBADF);
    }
    match file.inode().kind() {
        Kind::File => {}
        Kind::Directory => return Err(Errno::EISDIR),
        Kind::Fifo => return Err(Errno::ESPIPE),
        _ => return Err(Errno::ENODEV),
    }
    if mode & linux::FALLOC_FL_KEEP_SIZE == 0 {
        check_size(call, at.saturating_add(len))?;
    }
    file.inode().allocate(call.ctx, mode, at, len)?;
    Ok(0)
}

fn fsync(call: &mut Call<'_>) -> Result {
    let file = usable(call, call.int(0))?;
    if matches!(file.inode().kind(), Kind::Fifo | Kind::Socket | Kind::Char) {
        return Err(Errno::EINVAL);
    }
    file.ops().sync(call.ctx, &file)?;
    Ok(0)
}

/// All lives in memory.
fn sync(_call: &mut Call<'_>) -> Result {
    Ok(0)
}

fn syncfs(call: &mut Call<'_>) -> Result {
    usable(call, call.int(0))?;
    Ok(0)
}

/// Advice about what is read: nothing is read from a disk.
fn fadvise64(call: &mut Call<'_>) -> Result {
    let file = usable(call, call.int(0))?;
    if !file.ops().has_positions() {
        return Err(Errno::ESPIPE);
    }
    if call.uint(3) > linux::POSIX_FADV_NOREUSE.max(7) {
        return Err(Errno::EINVAL);
    }
    Ok(0)
}

/// The rows of this file.
pub(super) const CALLS: &[Row] = &[
    (nr::__NR_read, read),
    (nr::__NR_write, write),
    (nr::__NR_pread64, pread64),
    (nr::__NR_pwrite64, pwrite64),
    (nr::__NR_readv, readv),
    (nr::__NR_writev, writev),
    (nr::__NR_preadv, preadv),
    (nr::__NR_pwritev, pwritev),
    (nr::__NR_preadv2, preadv2),
    (nr::__NR_pwritev2, pwritev2),
    (nr::__NR_lseek, lseek),
    (abi::LLSEEK, llseek),
    (nr::__NR_sendfile, sendfile),
    (nr::__NR_copy_file_range, copy_file_range),
    (nr::__NR_truncate, truncate),
    (nr::__NR_ftruncate, ftruncate),
    (nr::__NR_fallocate, fallocate),
    (nr::__NR_fsync, fsync),
    (nr::__NR_fdatasync, fsync),
    (nr::__NR_sync, sync),
    (nr::__NR_syncfs, syncfs),
    (nr::__NR_fadvise64, fadvise64),
];
